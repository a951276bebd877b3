"""What must stop is stopped before anybody is told of it, and a part that fails to stop keeps nobody else from it."""

from __future__ import annotations

from collections import deque

import pytest

import actors.assembly.engine
import actors.persistence.actor
import actors.runtime.dispatcher
from actors.assembly.config import EngineConfig
from actors.assembly.engine import Engine
from actors.core.errors import Fenced, StoreUnreachable
from actors.persistence.actor import Writer
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.simulation import SeededDispatcher
from actors.supervision.gate import TradingGate
from actors.supervision.watchdog import Watchdog
from tests.trees import Tree


class Deaf:
    """A log, or an alarm, that cannot be told anything."""

    def __getattr__(self, _level):
        return self

    def __call__(self, *_, **__):
        raise OSError(32, "Broken pipe")


@pytest.fixture
def engine(tmp_path):
    return Engine(EngineConfig(exchange="http://127.0.0.1:9", data_dir=str(tmp_path)))


def test_the_engine_is_halted_before_it_says_so(engine, monkeypatch):
    monkeypatch.setattr(actors.assembly.engine, "log", Deaf())
    with pytest.raises(OSError, match="Broken pipe"):
        engine._on_halt("a reason")
    assert engine.halted.is_set()
    assert engine.halt_reason == "a reason"
    assert not engine.gate.may_send(0)


def test_the_supervisor_halts_before_it_raises_the_alarm():
    tree = Tree()
    tree.registry.alarm = Deaf()
    cell = tree.cell("acct-1")
    cell.dispatcher.fail(cell, Fenced("another owner"))
    tree.run()
    assert tree.halts, "nobody halted"
    assert not tree.gate.may_send(0)


class AwayStore:
    """A store whose Postgres is away, or whose accounts are another engine's."""

    def __init__(self, error):
        self.error = error

    def renew(self):
        raise self.error


def writer_of(store, gate):
    dispatcher = SeededDispatcher("t", VirtualClock())
    dispatcher.on_crash = lambda *_: None
    ref = Writer.start("writer", dispatcher, store, {}, gate, deque(), {})
    return ref.cell.actor


def test_a_writer_that_lost_its_accounts_stops_sending_before_it_says_so(monkeypatch):
    gate = TradingGate()
    writer = writer_of(AwayStore(Fenced("another owner")), gate)
    monkeypatch.setattr(actors.persistence.actor, "log", Deaf())
    with pytest.raises(OSError, match="Broken pipe"):
        writer._renew()
    assert not gate.may_send(0)
    assert "fenced" in gate.closers


def test_a_writer_whose_postgres_is_away_stops_new_risk_before_it_says_so(monkeypatch):
    gate = TradingGate()
    writer = writer_of(AwayStore(StoreUnreachable("away")), gate)
    monkeypatch.setattr(actors.persistence.actor, "log", Deaf())
    with pytest.raises(OSError, match="Broken pipe"):
        writer._went_down(StoreUnreachable("away"))
    assert gate.reduce_only
    assert writer.stats.is_down


class Fails(DispatchedActor):
    """Fails at whatever it is told."""

    def on_receive(self, message):
        raise ValueError(message)


def test_a_crash_reaches_the_supervisor_before_the_log(monkeypatch):
    dispatcher, told = SeededDispatcher("t", VirtualClock()), []
    dispatcher.on_crash = lambda cell, _report, _error: told.append(cell.name)
    ref = Fails.start("fails", dispatcher)
    dispatcher.run_until_quiet()
    monkeypatch.setattr(actors.runtime.dispatcher, "log", Deaf())
    ref.tell("poison")
    with pytest.raises(OSError, match="Broken pipe"):
        dispatcher.run_until_quiet()
    assert told == ["fails"]


def test_a_dispatcher_whose_thread_ends_halts_the_engine_and_says_of_what():
    dispatcher, halts = ThreadedDispatcher("kennel"), []
    dispatcher.run_turn = Deaf()  # as if a turn's own machinery failed
    dispatcher.start()
    Fails.start("fails", dispatcher)
    dispatcher._thread.join(5)
    watchdog = Watchdog([dispatcher], TradingGate(), lambda _text: None, halts.append)
    watchdog.look(dispatcher)
    watchdog.look(dispatcher)
    assert halts == ["the thread of dispatcher kennel has ended: BrokenPipeError: [Errno 32] Broken pipe"]


class Part:
    """A part of an engine that stops, or fails to."""

    def __init__(self):
        self.stopped = 0

    def stop(self):
        self.stopped += 1

    close = stop


def test_a_part_that_fails_to_stop_keeps_no_other_from_it(engine, monkeypatch):
    monkeypatch.setattr(engine.venue, "stop", Deaf())
    monkeypatch.setattr(engine, "_drain", Deaf())
    monkeypatch.setattr(engine.loop, "stop", Deaf())
    monkeypatch.setattr(engine.watchdog, "stop", Deaf())
    engine._store, engine._embedded, engine.reader = Part(), Part(), Part()
    engine.stop()
    assert (engine._store.stopped, engine.reader.stopped, engine._embedded.stopped) == (1, 1, 1)
    assert engine.gate.reduce_only

"""``bulkhead run`` with an engine that does nothing: ready, stopped, halted, and ended while it starts."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from actors.cli import serving
from actors.core.errors import BulkheadError


class Engine:
    """Has what ``serve`` uses of an engine; ``on_start`` is what happens to it while it starts."""

    on_start = staticmethod(lambda _engine: None)

    def __init__(self, _settings, _say):
        self.calls = CALLS
        self.accounts = {"acct-1": None}
        self.fleets = SimpleNamespace(origin=SimpleNamespace(fleet="abc123"))
        self.gate = SimpleNamespace(
            closers=set(), close=lambda reason: CALLS.append(f"gate closed: {reason}")
        )
        self.halted, self.halt_reason = threading.Event(), ""

    def start(self, start_api, listen):
        self.calls.append("engine started")
        listen()
        type(self).on_start(self)
        start_api()

    def stop(self):
        self.calls.append("engine stopped")


class Api:
    def __init__(self, _engine):
        self.address = SimpleNamespace(url="http://127.0.0.1:1")

    def listen(self):
        CALLS.append("api listens")

    def start(self):
        CALLS.append("api started")

    def stop(self):
        CALLS.append("api stopped")


CALLS = []
STOPPED = ["gate closed: stop", "api stopped", "engine stopped"]


@pytest.fixture(autouse=True)
def _signals():
    before = {number: signal.getsignal(number) for number in serving.ENDING}
    CALLS.clear()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def served(monkeypatch, capsys):
    monkeypatch.setattr(serving, "HALT_POLL_SECONDS", 0.001)
    monkeypatch.setattr("actors.assembly.engine.Engine", Engine)
    monkeypatch.setattr("actors.api.server.ApiServer", Api)

    def run(on_start):
        monkeypatch.setattr(Engine, "on_start", staticmethod(on_start))
        code = 0
        try:
            serving.serve(None)
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr()

    return run


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_it_runs_until_a_signal_comes(served):
    code, shown = served(lambda _engine: threading.Timer(0.2, interrupt).start())
    assert code == 0
    assert "engine ready: 1 accounts, fleet abc123, API at http://127.0.0.1:1" in " ".join(shown.out.split())
    assert shown.err == "stopping\nstopped\n"
    assert ["engine started", "api listens", "api started", *STOPPED] == CALLS
    assert {signal.getsignal(number) for number in serving.ENDING} == {signal.SIG_IGN}, (
        "a second Ctrl-C is ignored"
    )


def test_a_halt_has_an_exit_code_of_its_own(served):
    def halt(engine):
        engine.halt_reason = "fenced [/]"
        engine.halted.set()

    code, shown = served(halt)
    assert code == serving.EXIT_HALTED == 3
    assert shown.err.endswith("halted: fenced [/]\n")
    assert CALLS[-3:] == STOPPED


def test_a_signal_while_it_starts_stops_what_there_is(served):
    code, shown = served(lambda _engine: interrupt())
    assert code == 0
    assert shown.err == "stopped before it was ready; nothing is left running\n"
    assert CALLS == ["engine started", "api listens", "api stopped", "engine stopped"]


def test_a_start_that_fails_is_an_error_and_leaves_no_api(served):
    def fail(_engine):
        raise BulkheadError("no exchange")

    with pytest.raises(BulkheadError, match="no exchange"):
        served(fail)
    assert CALLS == ["engine started", "api listens", "api stopped"], "the engine has stopped itself"

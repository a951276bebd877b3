"""Questions to the store go through the writer, and one that it does not come to is an error of the store's."""

from __future__ import annotations

import pytest

from actors.assembly import store_questions
from actors.assembly.store_questions import StoreQuestions
from actors.core.errors import BadInput, StoreUnreachable
from actors.persistence.actor import WriterStats
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import ThreadedDispatcher
from tests.persistence.authors import Call

STORE = "the store"


class Writer(DispatchedActor):
    """Runs what it is asked; can be slow."""

    stats = WriterStats()
    answers = True

    def on_receive(self, message):
        if self.answers:
            return message.query.run(STORE)
        self.defer_reply()
        return None

    def inspect_state(self):
        return self.stats


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(store_questions, "ASK_SECONDS", 0.5)
    monkeypatch.setattr(Writer, "stats", WriterStats())
    monkeypatch.setattr(Writer, "answers", True)
    dispatcher, clock = ThreadedDispatcher("t"), VirtualClock()
    dispatcher.start()
    clock.advance_to(5 * 10**9)
    yield StoreQuestions({"writer": Writer.start("writer", dispatcher)}, clock)
    dispatcher.stop(5)


def test_a_call_runs_with_the_store_and_its_error_is_the_asker_s(asked):
    assert asked.ask(Call(lambda store: store.upper())) == "THE STORE"

    def refuse(_store):
        raise BadInput("no")

    asked._actors["writer"].cell.dispatcher.on_crash = lambda *_: None
    with pytest.raises(BadInput, match="no"):
        asked.ask(Call(refuse))


def test_no_answer_in_time_means_that_postgres_is_away(asked, monkeypatch):
    monkeypatch.setattr(Writer, "answers", False)
    with pytest.raises(StoreUnreachable, match="the writer does not answer"):
        asked.ask(Call(lambda _store: 1))


def test_a_question_is_void_before_its_asker_stops_waiting(asked):
    assert asked.question(Call(len)).begin_by_ns == 5 * 10**9 - 5 * 10**8


def test_how_long_postgres_is_silent(asked):
    assert asked.silent_s() == 0.0
    Writer.stats.asking_since_ns = 3 * 10**9
    assert asked.silent_s() == 2.0
    Writer.stats.is_down = True
    assert asked.silent_s() == float("inf")
    assert StoreQuestions({}, VirtualClock()).silent_s() == float("inf")

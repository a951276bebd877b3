"""Creating many accounts in one request: how long its answer is waited for, and what it says when none came."""

from __future__ import annotations

import asyncio
import concurrent.futures
from types import SimpleNamespace

import pytest

from actors.api import accounts as api
from actors.api.account_views import AccountBody
from actors.api.accounts import AccountService
from actors.api.asking import Asker
from actors.api.client import TIMEOUT_SECONDS
from actors.api.values import LIST_MAX
from actors.core.errors import StoreUnreachable
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher


class Writer(DispatchedActor):
    """Answers the number of accounts when it is let; never says anything by itself."""

    def __init__(self):
        super().__init__()
        self.waiting = None

    def on_receive(self, message):
        if message == "answer":
            self.waiting[1].set(len(self.waiting[0]))
        else:
            self.waiting = message, self.defer_reply()


@pytest.fixture
def service(monkeypatch):
    """Waits for 20 ms, and 100 s longer for each account."""
    monkeypatch.setattr(api, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(api, "CREATE_SECONDS", 100.0)
    dispatcher = ThreadedDispatcher("test", SystemClock())
    dispatcher.start()
    recorded = concurrent.futures.Future()
    recorded.set_result(None)
    engine = SimpleNamespace(
        actors={"writer": Writer.start("writer", dispatcher)},
        operator_log=SimpleNamespace(has_room=lambda: True, begin=lambda _act: (None, recorded)),
        creation=tuple,
        question=lambda query: query,
    )
    yield AccountService(SimpleNamespace(engine=engine, lookup=None, asker=Asker(engine, None)))
    dispatcher.stop(5)


def bodies(*names):
    return [AccountBody(account_id=name, deposit="5") for name in names]


def test_an_answer_that_takes_long_for_many_accounts_is_waited_for(service):
    async def create_and_answer_late():
        asked = asyncio.create_task(service.create(bodies("a", "b"), "me"))
        await asyncio.sleep(0.1)
        assert not asked.done(), "longer than any other question waits"
        service._engine.actors["writer"].tell("answer")
        return await asked

    assert asyncio.run(create_and_answer_late()) == 2


def test_without_an_answer_it_is_said_that_all_are_created_or_none_and_where_to_look(service, monkeypatch):
    monkeypatch.setattr(api, "CREATE_SECONDS", 0.0)
    with pytest.raises(
        StoreUnreachable, match=r"of 2 accounts all are created then, or none; .* there is 'a'"
    ):
        asyncio.run(service.create(bodies("a", "b"), "me"))


def test_the_most_accounts_of_one_request_are_answered_before_our_client_has_gone():
    assert api.ASK_SECONDS + LIST_MAX * api.CREATE_SECONDS < TIMEOUT_SECONDS

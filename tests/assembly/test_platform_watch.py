"""What the platform changes beside the engine: who is told, what becomes an alarm, once, and what is over again.

On a real database it is tried in tests/e2e/test_adoption.py.
"""

from __future__ import annotations

import threading
from decimal import Decimal as D
from types import SimpleNamespace

import pykka
import pytest
from msgspec.structs import replace

from actors.assembly import platform_watch
from actors.assembly.platform_watch import NOT_ADOPTED_KEY, POSITIONS_KEY, PlatformWatch
from actors.core.errors import NotDurable, StoreUnreachable
from actors.core.facts import BalanceAdjusted
from actors.core.messages import PlatformKnown
from actors.core.units import AccountId
from actors.limits.model import RiskLimits
from actors.persistence import platform_changes
from actors.persistence.platform_changes import AccountChange, Changes, PositionChange
from actors.subaccount.decide import decide
from actors.subaccount.fold import folded
from tests.factories import account, market

A1 = AccountId("a-1")


class Account:
    """An account that decides at once, in place of an actor; ``silent`` answers nothing."""

    def __init__(self, state):
        self.state, self.heard, self.silent, self.dead, self.fails = state, [], False, False, None
        self.cell = SimpleNamespace(actor=SimpleNamespace(inspect_state=lambda: self.state))

    def ask(self, message, *, block):
        assert not block
        if self.dead:
            raise pykka.ActorDeadError("gone")
        self.heard.append(message)
        future = pykka.ThreadingFuture()
        if self.fails is not None:
            future.set_exception((type(self.fails), self.fails, None))
        elif not self.silent:
            decision = decide(self.state, message, market())
            self.state = decision.state
            future.set(decision.reply)
        return future


class World:
    """What the database says; alarms by key."""

    def __init__(self):
        self.accounts = {A1: Account(account("1000"))}
        self.found = Changes([], [], 0, [], "")
        self.rules = []
        self.alarms, self.over, self.error = {}, [], None
        self.watch = PlatformWatch(self, self.accounts, RiskLimits(), self.tell, self.over.append)

    @property
    def account(self):
        return self.accounts[A1]

    def tell(self, text, key):
        assert self.alarms.get(key) != text, "told twice"
        self.alarms[key] = text

    def ask(self, call):
        error = self.error
        if error is not None:
            raise error
        return self.found if call is platform_changes.look else self.rules

    def change(self, **more):
        values = {"status": None, "mode": None, "rate": None, "balance": None, "is_gone": False, **more}
        values.setdefault("sequence", self.account.state.sequence)
        self.found = self.found._replace(accounts=[AccountChange(account_id=A1, **values)])
        self.watch.look()


@pytest.fixture
def world():
    return World()


def test_a_deposit_and_a_status_become_facts_of_the_account(world):
    world.change(balance=D("50.5"), status="FROZEN", mode="TAKEOVER", rate=D("0.01"))
    state = world.account.state
    assert (state.balance, state.deposits, state.status, state.mode, state.maintenance_rate) == (D("1050.5"), D("1050.5"), "FROZEN", "TAKEOVER", D("0.01"))  # fmt: skip
    assert (world.alarms, world.watch.stats.booked) == ({}, 1)


def test_nothing_is_booked_on_another_state_than_the_one_that_was_compared(world):
    before = world.account.state
    world.change(balance=D(50))
    # The tables are behind: the same difference is seen again, and the account is not even asked.
    world.change(balance=D(50), sequence=before.sequence)
    assert len(world.account.heard) == 1
    # A message that comes late, or is replayed, is refused by the account itself.
    again = decide(world.account.state, world.account.heard[0], market())
    assert again.reply.rejections[0].code == "TOO_LATE"
    assert again.facts == ()
    assert world.account.state.balance == before.balance + 50


def test_a_withdrawal_that_the_account_cannot_give_is_an_alarm_once_and_over_when_it_is_undone(world):
    world.change(balance=D(-2000))
    world.change(balance=D(-2000))
    assert "changed balance -2000, and the account does not take it: cannot withdraw 2000" in world.alarms["platform-account:a-1"]  # fmt: skip
    assert world.account.state.balance == 1000
    world.found = world.found._replace(accounts=[])
    world.watch.look()
    assert world.over == ["platform-account:a-1"]
    world.change(balance=D(-10))
    assert world.account.state.balance == 990


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"status": "CLOSED"}, "'CLOSED' is not a valid AccountStatus"),
        ({"mode": "x"}, "'x' is not a valid LiquidationMode"),
        ({"rate": D(2)}, "a maintenance rate of 2, which must be between 0 and 1"),
        ({"rate": D("NaN")}, "what cannot be"),
        ({"is_gone": True}, "its row in sub_accounts was deleted"),
        ({"balance": D("Infinity")}, "must be a number of at most 18 digits"),
    ],
)
def test_what_cannot_be_is_an_alarm_that_names_it_and_the_account_stays(world, more, says):
    before = world.account.state
    world.change(**more)
    assert says in world.alarms["platform-account:a-1"]
    assert world.account.state == before


def test_more_than_one_look_takes_is_looked_at_soon_and_ends_no_alarm(world, monkeypatch):
    monkeypatch.setattr(platform_changes, "AT_ONCE", 1)
    world.change(balance=D(-2000))
    assert world.watch.look() is True
    other = world.found.accounts[0]._replace(account_id=AccountId("a-2"))
    world.found = world.found._replace(accounts=[other])
    assert world.watch.look() is True
    assert world.over == []
    world.found = world.found._replace(accounts=[])
    assert world.watch.look() is False
    assert world.over == ["platform-account:a-1"]


def test_who_trades_an_account_is_named_and_its_money_is_not_booked(world):
    world.found = world.found._replace(positions=[PositionChange(A1, "ETH/USDT:USDT", "row p was deleted")])
    world.change(balance=D(5))
    assert "a-1 ETH/USDT:USDT: row p was deleted" in world.alarms[POSITIONS_KEY]
    assert "trades it; that is not booked" in world.alarms["platform-account:a-1"]
    assert world.account.heard == []
    world.found = Changes([], [], 0, [], "")
    world.watch.look()
    assert set(world.over) == {POSITIONS_KEY, "platform-account:a-1"}


def test_accounts_that_are_not_run_here_are_one_alarm(world):
    names = [f"b-{n}" for n in range(5)]
    world.found = Changes([], [], 10_000, names, "")
    world.watch.look()
    world.watch.look()
    assert (world.watch.stats.not_adopted, world.watch.stats.looks) == (10_000, 2)
    assert "10000 accounts of the platform are not run here (b-0, b-1, b-2, b-3, b-4 and 9995 more)" in world.alarms[NOT_ADOPTED_KEY]  # fmt: skip
    world.found = Changes([], [], 0, [], "")
    world.watch.look()
    assert world.over == [NOT_ADOPTED_KEY]


def test_a_rule_that_changes_becomes_the_limits_below_and_is_asked_for_until_all_know(world):
    world.rules = [(A1, ("7", None, None, None)), (AccountId("nobody"), (None,) * 4)]
    world.found = Changes([], [], 0, [], "digest")
    world.account.dead = True
    world.watch.look()
    world.account.dead = False
    world.watch.look()
    state = world.account.state
    assert (state.limits.max_leverage, dict(state.below)) == (7, {"max_leverage": "7"})
    assert state.base_limits.price_max_age_ns == RiskLimits().price_max_age_ns
    world.watch.look()
    world.rules = [(A1, ("9", None, None, None))]
    world.watch.look()
    assert (world.account.state.limits.max_leverage, len(world.account.heard)) == (7, 1)
    world.found = Changes([], [], 0, [], "another")
    world.watch.look()
    assert world.account.state.limits.max_leverage == 9


def test_a_rule_that_cannot_be_is_an_alarm(world):
    world.rules = [(A1, ("abc", None, None, None))]
    world.found = Changes([], [], 0, [], "digest")
    world.watch.look()
    assert "the platform's rule for it cannot be read, and the last one stays" in world.alarms["platform-account:a-1"]  # fmt: skip
    assert world.account.heard == []


def test_an_account_that_does_not_answer_keeps_nobody_and_one_that_fails_is_an_alarm(world, monkeypatch):
    monkeypatch.setattr(platform_watch, "ANSWER_SECONDS", 0.01)
    world.account.silent = True
    world.change(balance=D(5))
    world.account.fails = NotDurable("later")
    world.change(balance=D(5))
    assert world.alarms == {}
    world.account.fails = RuntimeError("broken")
    world.change(balance=D(5))
    assert "balance +5 by the platform: broken" in world.alarms["platform-account:a-1"]
    world.accounts.clear()
    assert world.watch._ask(A1, 0, PlatformKnown(), "x") is None


def test_the_thread_goes_on_whatever_happens_and_says_so(world, monkeypatch):
    monkeypatch.setattr(platform_watch, "LOOK_SECONDS", 0.01)
    told, over = threading.Event(), threading.Event()
    tell, world.error = world.tell, RuntimeError("a fault of ours")

    def told_too(text, key):
        tell(text, key)
        told.set()

    watch = PlatformWatch(world, world.accounts, RiskLimits(), told_too, lambda _key: over.set())
    watch.start()
    assert told.wait(20)
    assert (
        "what the platform changes is not noticed: RuntimeError: a fault of ours"
        in world.alarms["platform-watch"]
    )
    # Postgres away is the writer's alarm.
    world.error = StoreUnreachable("away")
    world.error = None
    assert over.wait(20)
    watch.stop(20)
    assert not watch._thread.is_alive()
    assert watch.stats.looks > 0
    assert (watch.stats.failures > 0, watch.stats.age_s > 0) == (True, True)


def test_what_the_platform_booked_is_a_deposit_in_the_books_of_the_day():
    state = replace(account("1000"), risk=replace(account("1").risk, day_start_ms=1, day_equity=D(1000)))
    after = folded(state, [BalanceAdjusted(D(-50), "PLATFORM", by_platform=True)])
    assert (after.balance, after.deposits, after.risk.day_equity) == (D(950), D(950), D(950))

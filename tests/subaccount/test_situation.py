"""One look at the market per decision: each fact is folded once, marks and margin are worked out once."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import LiquidationMode, Phase
from actors.core.facts import BalanceAdjusted, LimitsChanged, OrderIntended, PhaseChanged, PositionTakenOver
from actors.core.messages import PlaceOrder, Wake
from actors.core.units import Nanos, Symbol
from actors.subaccount import fold, margin, situation
from actors.subaccount.decide import decide
from actors.subaccount.situation import Situation
from actors.subaccount.triggers import triggers
from tests.factories import BTC, BUY, ETH, INSTRUMENTS, WIDE, account, market, position, run

NAMES = tuple(Symbol(f"S{n}USDT") for n in range(8))
EIGHT = [position(symbol) for symbol in NAMES]


@pytest.fixture
def calls(monkeypatch):
    """How often facts were folded, marks worked out, and margin looked at."""
    found = {"fold": 0, "marks_of": 0, "view": 0}

    def counted(original, name):
        def call(*values):
            found[name] += 1
            return original(*values)

        return call

    # A frequent fact goes to its own function at once, and never through ``fold``.
    often = {kind: counted(function, "fold") for kind, function in fold._OFTEN.items()}
    monkeypatch.setattr(fold, "_OFTEN", often)
    for module, name in ((fold, "fold"), (situation, "marks_of"), (margin, "view")):
        monkeypatch.setattr(module, name, counted(getattr(module, name), name))
    return found


def woken(before, price):
    """What the actor does on a wake: decide, and register what follows."""
    rules = {s: replace(INSTRUMENTS[ETH], symbol=s) for s in NAMES}
    decision = decide(before, Wake(NAMES[0], "test"), market(dict.fromkeys(NAMES, price), instruments=rules))
    triggers(decision.now)
    return decision


def test_eight_positions_are_liquidated_with_one_fold_a_fact_and_one_look_at_the_market(calls):
    decision = woken(account("1000", EIGHT), "1885.4")
    assert len([f for f in decision.facts if isinstance(f, OrderIntended)]) == 8
    assert calls == {"fold": len(decision.facts), "marks_of": 1, "view": 1}


def test_eight_positions_are_taken_over_with_one_fold_a_fact(calls):
    decision = woken(account("1000", EIGHT, mode=LiquidationMode.TAKEOVER), "1885.4")
    assert len([f for f in decision.facts if isinstance(f, PositionTakenOver)]) == 8
    assert calls["fold"] == len(decision.facts)


def test_a_wake_that_decides_nothing_looks_at_the_market_once(calls):
    watched = replace(WIDE, max_cumulative_loss=D(5000))
    assert woken(account("10000", EIGHT, watched), "2000").facts == ()
    assert calls == {"fold": 0, "marks_of": 1, "view": 1}


def test_a_missing_price_is_looked_for_once(calls):
    now = Situation(account(positions=[position()]), market({}))
    assert [now.marks, now.view, now.equity, now.marks] == [None] * 4
    assert calls["marks_of"] == 1


def test_facts_follow_those_before_and_nothing_changes_without_one():
    now = Situation(account(), market(), "why")
    phase, cash = PhaseChanged(Phase.WARNING, 0, Nanos(0)), BalanceAdjusted(D(5), "test")
    then = now.after([phase]).after([cash])
    assert (then.facts, then.cause, then.state.balance) == ((phase, cash), "why", D(1005))
    assert now.facts == ()
    assert now.after([]) is now


@pytest.mark.parametrize(
    "changes",
    [
        {"balance": D(7)},
        {"positions": (position(quantity="2"),)},
        {"positions": ()},
        {"limits": replace(WIDE, maintenance_basis="mark")},
        {"maintenance_rate": D("0.1")},
        {"pending_fees": "fees"},
        {"orders": run(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"))).orders},
        {"conditionals": "stops"},
    ],
)
def test_what_a_number_depends_on_makes_it_new(changes, monkeypatch):
    now = Situation(account(positions=[position()]), market({ETH: "2000", BTC: "60000"}))
    known = now.view
    fresh = object()
    monkeypatch.setattr(margin, "view", lambda *_: fresh)
    other = now.supposing(replace(now.state, **changes))
    assert now.view is known
    assert other.view is fresh


def test_what_it_does_not_depend_on_leaves_it(calls):
    now = Situation(account(positions=[position()]), market())
    view, marks = now.view, now.marks
    then = now.after([PhaseChanged(Phase.WARNING, 0, Nanos(0))])
    assert then.view is view
    assert then.marks is marks
    limited = then.after([LimitsChanged((("max_positions", "5"),))])
    assert limited.marks == marks
    assert limited.marks is not marks
    assert calls["marks_of"] == 2


def test_what_deleverages_holds_no_margin():
    now = Situation(account("1000", EIGHT), market({**dict.fromkeys(NAMES, "1885.4")}))
    view = now.view
    stepped = woken(account("1000", EIGHT), "1885.4").state.orders
    assert now.supposing(replace(now.state, orders=stepped)).view is view
    assert margin.view(replace(now.state, orders=stepped), now.marks) == view


def test_situations_are_equal_by_what_they_are_made_of():
    now = Situation(account(), market(), "a")
    assert now == Situation(account(), market(), "a")
    others = [Situation(account("1"), market(), "a"), Situation(account(), market({}), "a")]
    assert all(now != other for other in [*others, Situation(account(), market(), "b"), "a"])


def test_a_decision_without_a_price_of_a_position_says_so():
    held = account(positions=[position()])
    wake = Wake(ETH, "test")
    assert [decide(held, wake, at).stale for at in (market(), market({}))] == [False, True]
    assert not decide(account(), wake, market({})).stale

"""Funding is due for what was held at the settlement, whatever was traded since and whenever it is told."""

from __future__ import annotations

import itertools
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import LiquidationMode
from actors.core.errors import StateCorrupt
from actors.core.facts import FundingPaid, PositionClosed, PositionTakenOver
from actors.core.messages import ApplyFunding, PlaceOrder, Wake
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold, folded
from actors.subaccount.holdings import TOLD_MS, Settled
from actors.subaccount.state import books_balance
from tests.factories import BTC, BUY, ETH, SELL, account, fill_of, market, position

HOUR = 3_600_000
EIGHT = 480_000 * HOUR
"""A settlement, at a whole hour."""

RATE, MARK = D("0.0001"), D(2000)


class Desk:
    """An account that trades at given milliseconds from the settlement on, at 2000."""

    def __init__(self, state=None):
        self.state = account("100000") if state is None else state
        self.ids = itertools.count(1)
        self.facts = []

    def take(self, message, ms=0, **more):
        decision = decide(self.state, message, market(wall_ms=EIGHT + ms, **more))
        assert replace(folded(self.state, decision.facts), sequence=decision.state.sequence) == decision.state
        self.state = decision.state
        assert books_balance(self.state)
        self.facts += decision.facts
        return decision

    def trade(self, ms, quantity, symbol=ETH):
        """A trade at the exchange ``ms`` after the settlement, which is learned at once."""
        side = BUY if D(quantity) > 0 else SELL
        self.take(PlaceOrder(symbol=symbol, side=side, quantity=abs(D(quantity)), leverage=D(20)), ms)
        self.take(fill_of(self.state.orders[-1], trade_id=next(self.ids), trade_ms=EIGHT + ms), ms)

    def settle(self, at=0, told=60_000, rate=RATE, symbol=ETH):
        """Tell the funding of ``at``; the quantity that was booked, None if nothing was."""
        decision = self.take(ApplyFunding(symbol, rate, MARK, EIGHT + at), told)
        found = [f for f in decision.facts if isinstance(f, FundingPaid)]
        assert decision.duplicate is not bool(found)
        return found[0].quantity if found else None

    @property
    def closed(self):
        return [f for f in self.facts if isinstance(f, PositionClosed)]


def paid(quantity):
    return -D(quantity) * MARK * RATE


@pytest.mark.parametrize(
    ("since", "held"),
    [
        ([(10_000, "-2")], "2"),
        ([(10_000, "-1.5")], "2"),
        ([(10_000, "3")], "2"),
        ([(10_000, "-5")], "2"),
        ([(10_000, "-2"), (20_000, "4")], "2"),
        ([(0, "-2")], "2"),
        ([(-1, "-2")], None),
        ([(-1, "-1.5")], "0.5"),
        ([(-1, "1")], "3"),
        ([(-1, "-5"), (1, "3")], "-3"),
    ],
)
@pytest.mark.parametrize("name_ms", [0, 7, 1_000])
def test_what_counts_is_what_was_held_before_the_settlement_s_hour(since, held, name_ms):
    desk = Desk()
    desk.trade(-5_000_000, "2")
    for ms, quantity in since:
        desk.trade(ms, quantity)
    assert desk.settle(name_ms) == (None if held is None else D(held))
    assert desk.state.funding == (D(0) if held is None else paid(held))
    assert desk.settle(name_ms) is None


def test_close_ten_seconds_after_the_settlement_and_pay_all_the_same():
    desk = Desk()
    desk.trade(-5_000_000, "2")
    desk.trade(10_000, "-2")
    before = desk.state.balance
    desk.settle()
    fact = desk.facts[-1]
    [closed] = desk.closed
    assert (fact.position_id, fact.is_closed, fact.amount) == (closed.position_id, True, D("-0.4"))
    assert desk.state.balance == before - D("0.4")
    assert desk.state.positions == ()


def test_who_opens_after_the_settlement_owes_nothing_and_the_new_position_pays_nothing_of_the_old_one():
    desk = Desk()
    desk.trade(0, "2")
    assert desk.settle() is None
    assert desk.settle(8 * HOUR, told=8 * HOUR + 60_000) == D(2)
    desk.trade(8 * HOUR + 70_000, "-2")
    desk.trade(8 * HOUR + 80_000, "1")
    # Told once more, as after a restart: of before, and of a position that is there again.
    assert desk.settle(8 * HOUR, told=9 * HOUR) is None
    assert desk.settle(0, told=9 * HOUR) is None
    assert desk.state.positions[0].funding == D(0)
    assert desk.state.funding == paid(2)


def test_settlements_of_a_day_are_booked_in_any_order_each_once():
    desk = Desk()
    for hour, quantity in ((-20, "1"), (-10, "1"), (-1, "-2")):
        desk.trade(hour * HOUR + 5, quantity)
    ask = [-24, -16, -8, 0]
    assert [desk.settle(h * HOUR) for h in (ask[2], ask[0], ask[3], ask[1])] == [D(2), None, None, D(1)]
    assert [desk.settle(h * HOUR) for h in ask] == [None] * 4
    assert [(s.funding_ms - EIGHT, s.quantity) for s in desk.state.settled] == [
        (-16 * HOUR, D(1)), (-8 * HOUR, D(2)),
    ]  # fmt: skip


def test_a_trade_of_before_that_is_learned_after_books_the_difference():
    desk = Desk()
    desk.trade(-5_000_000, "2")
    assert desk.settle() == D(2)
    # The stream was away: what was sold before the settlement is learned an hour later.
    desk.trade(-1_000, "-0.5")
    assert desk.settle(told=HOUR) == D("-0.5")
    desk.trade(-500, "-1.5")
    assert desk.settle(told=HOUR) == D("-1.5")
    [closed] = desk.closed
    assert (desk.facts[-1].position_id, desk.facts[-1].is_closed) == (closed.position_id, True)
    assert desk.settle(told=HOUR) is None
    assert desk.state.funding == D(0)


def test_one_settlement_told_under_two_times_is_one():
    desk = Desk()
    desk.trade(-5_000_000, "2")
    assert desk.settle(3) == D(2)
    assert desk.settle(0) is None
    assert desk.settle(900) is None
    desk.trade(-1_000, "-0.5")
    assert desk.settle(0, told=HOUR) == D("-0.5")
    assert [(s.funding_ms - EIGHT, s.quantity) for s in desk.state.settled] == [(3, D("1.5"))]


def test_settlements_of_other_symbols_are_their_own():
    desk = Desk()
    desk.trade(-5_000, "2")
    assert desk.settle(symbol=BTC) is None
    assert desk.settle() == D(2)
    assert desk.settle(symbol=BTC) is None


def test_what_is_older_than_a_day_is_not_booked():
    desk = Desk(account("1000", [position(quantity="1")]))
    assert desk.settle(told=TOLD_MS + 1) is None
    assert desk.settle(told=TOLD_MS) == D(1)


def test_what_is_booked_is_remembered_for_as_long_as_it_may_be_told_again():
    desk = Desk(account("1000", [position(quantity="1")]))
    for hour in (0, 26, 27):
        desk.settle(hour * HOUR, told=hour * HOUR)
        names = [(s.funding_ms - EIGHT) // HOUR for s in desk.state.settled]
        assert names == {0: [0], 26: [0, 26], 27: [26, 27]}[hour]


def test_between_whole_hours_what_is_booked_stays():
    desk = Desk()
    desk.trade(600_000, "2")
    assert desk.settle(600_000, told=700_000) is None
    assert desk.settle(600_001, told=700_000) == D(2)
    desk.trade(600_000, "1")
    assert desk.settle(600_001, told=800_000) is None
    assert desk.settle(600_002, told=800_000) == D(3)
    assert desk.settle(600_001, told=800_000) is None


def test_what_an_earlier_version_booked_is_final():
    old = Settled(ETH, EIGHT, None, "")
    desk = Desk(account("1000", [position(quantity="1")], settled=(old,)))
    assert desk.settle() is None
    assert desk.settle(8 * HOUR, told=8 * HOUR) == D(1)


def test_a_takeover_counts_from_the_time_of_the_wall():
    desk = Desk(account("1000", [position(quantity="5")], mode=LiquidationMode.TAKEOVER))
    decision = desk.take(Wake(ETH, "t"), 10_000, marks={ETH: "1805"})
    [taken] = [f for f in decision.facts if isinstance(f, PositionTakenOver)]
    assert taken.taken_ms == EIGHT + 10_000
    assert desk.settle() == D(5)
    assert desk.settle(8 * HOUR, told=8 * HOUR) is None


def test_funding_that_is_not_due_does_not_fit():
    desk = Desk()
    desk.trade(-5_000, "2")
    desk.trade(5_000, "-1")
    before = desk.state
    desk.settle()
    fact = desk.facts[-1]
    with pytest.raises(StateCorrupt, match="booked already, or not due"):
        fold(desk.state, fact)
    for wrong in ({"quantity": D(1)}, {"is_closed": True}, {"position_id": "other"}):
        with pytest.raises(StateCorrupt, match="not that of"):
            fold(before, replace(fact, **wrong))
    with pytest.raises(StateCorrupt, match="is not that of 2"):
        fold(before, replace(fact, amount=D("-0.2")))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(0, 2 * HOUR), st.integers(-20, 20).filter(bool)),
        st.tuples(st.just("late"), st.integers(0, 6 * HOUR), st.integers(-20, 20).filter(bool)),
        st.tuples(st.just("tell"), st.integers(0, 20), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_once_all_is_known_and_told_again_everything_was_paid_for_what_was_held(steps):
    """Trades in and out of order; settlements each hour told at any moment, any number of times."""
    desk, now, trades = Desk(account("100000000")), 0, []
    hours = range(22)
    for kind, number, tenths in steps:
        if kind == "tell":
            desk.settle(number * HOUR, told=24 * HOUR)
            continue
        if kind == "trade":
            now = min(now + number, 20 * HOUR)
        at = now if kind == "trade" else max(0, now - number)
        desk.trade(at, str(D(tenths) / 10))
        trades.append((at, D(tenths) / 10))
    for hour in hours:
        desk.settle(hour * HOUR, told=24 * HOUR)
    due = [sum((q for at, q in trades if at < hour * HOUR), D(0)) for hour in hours]
    assert desk.state.funding == sum((paid(q) for q in due), D(0))
    parts = sum((p.funding for p in desk.state.positions), D(0)) + sum((c.funding for c in desk.closed), D(0))
    late = sum((f.amount for f in desk.facts if isinstance(f, FundingPaid) and f.is_closed), D(0))
    assert parts + late == desk.state.funding

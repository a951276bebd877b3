"""Funding: booked once, by those who held at its time, and in the books; and the atomicity faults of the platform."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderStatus, Phase
from actors.core.errors import StateCorrupt
from actors.core.facts import FundingPaid, OrderIntended
from actors.core.messages import ApplyFunding, OrderClosed, PlaceOrder, Wake
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold
from actors.subaccount.rejections import RejectCode as Code
from actors.subaccount.state import books_balance
from tests.factories import BUY, ETH, SELL, account, fill_of, market, position, run

AT = 1_700_000_000_000
WAKE = Wake(ETH, "t")


def funding(rate="0.0001", mark="2000", at=AT):
    return ApplyFunding(ETH, D(rate), D(mark), at)


@pytest.mark.parametrize(
    ("quantity", "rate", "amount"),
    [("2", "0.0001", "-0.4"), ("-2", "0.0001", "0.4"), ("2", "-0.0003", "1.2"), ("2", "0", "0")],
)
def test_longs_pay_shorts_a_positive_rate(quantity, rate, amount):
    decision = decide(account("1000", [position(quantity=quantity)]), funding(rate), market())
    [fact] = decision.facts
    assert fact.amount == D(amount)
    after = decision.state
    assert (after.balance, after.funding) == (D(1000) + D(amount), D(amount))
    assert after.positions[0].funding == D(amount)
    assert books_balance(after)


def test_twice_is_once_and_who_opened_later_owes_nothing():
    state = run(account("1000", [position(quantity="2")]), funding())
    assert decide(state, funding(), market()).duplicate
    assert decide(state, funding(at=AT - 1), market()).duplicate
    assert decide(state, funding(at=AT + 1), market()).facts
    late = account("1000", [replace(position(quantity="2"), opened_ms=AT)])
    assert decide(late, funding(), market()).duplicate
    assert decide(account(), funding(), market()).duplicate


def test_funding_may_be_what_breaks_an_account():
    state = account("102", [position(quantity="1")], maintenance_rate=D("0.0405"))
    assert not [f for f in decide(state, WAKE, market()).facts if isinstance(f, OrderIntended)]
    paid = decide(state, funding("0.01"), market())
    assert isinstance(paid.facts[0], FundingPaid)
    assert [f for f in paid.facts if isinstance(f, OrderIntended)]


@pytest.mark.parametrize(
    ("rate", "mark"), [("NaN", "2000"), ("0.1", "NaN"), ("Infinity", "1"), ("0.1", "0"), ("0.1", "-5")]
)
def test_nonsense_is_corrupt_and_changes_nothing(rate, mark):
    with pytest.raises(StateCorrupt):
        decide(account("1000", [position()]), funding(rate, mark), market())


def test_a_fact_that_is_not_that_of_the_position_does_not_fit():
    state = account("1000", [position(quantity="2")])
    [fact] = decide(state, funding(), market()).facts
    with pytest.raises(StateCorrupt, match="not that of"):
        fold(state, replace(fact, amount=D("-0.5")))
    with pytest.raises(StateCorrupt, match="booked already"):
        fold(fold(state, fact), fact)


def test_two_closes_and_a_liquidation_of_one_position_at_once():
    """The platform sent three orders and booked the profit more than once (hazard A 1)."""
    state = account("150", [position(quantity="1", leverage="20")])
    close = PlaceOrder(symbol=ETH, side=SELL, quantity=D(1), reduce_only=True)
    orders = []

    def take(state, message, mid="2000"):
        decision = decide(state, message, market({ETH: mid}))
        orders.extend(f for f in decision.facts if isinstance(f, OrderIntended))
        return decision

    state = take(state, close).state
    second = take(state, close)
    assert [r.code for r in second.reply.rejections] == [Code.NOTHING_TO_REDUCE]
    # The price falls until the account must be liquidated, with the close still under way.
    state = take(second.state, WAKE, "1850").state
    assert state.phase is Phase.LIQUIDATING
    state = take(state, WAKE, "1849").state
    state = take(state, fill_of(orders[0], price="1900"), "1849").state
    again = take(state, fill_of(orders[0], price="1900"), "1849")
    assert again.duplicate
    state = take(state, OrderClosed(orders[0].client_order_id, OrderStatus.FILLED, D(1)), "1849").state
    assert len(orders) == 1
    assert (state.realized, state.balance, state.positions) == (D(-100), D(50), ())
    assert books_balance(state)


def test_a_position_s_fees_are_those_of_all_its_fills():
    state = account("10000")
    for n, (side, quantity, fee) in enumerate(((BUY, "1", "0.5"), (BUY, "1", "0.5"), (SELL, "3", "0.9"))):
        state = run(state, PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(20)))
        state = run(state, fill_of(state.orders[-1], fee=fee, trade_id=n))
    # Two thirds of the last fee closed the long, one third opened the short.
    assert state.positions[0].fees == D("0.3")
    assert state.fees == D("1.9")

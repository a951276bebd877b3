"""A round of a block is divided over accounts: what they book of it is together what one account alone would have booked.

Covers: actors/core/fees.py
"""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core import fact_codec
from actors.core.enums import Alert, OrderType, Purpose, TimeInForce
from actors.core.errors import StateCorrupt
from actors.core.facts import FillApplied, OrderIntended
from actors.core.fees import PendingFee
from actors.core.messages import Fill
from actors.core.trades import Trade
from actors.core.units import AccountId, ClientOrderId
from actors.subaccount import fees, state_codec
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold, folded
from actors.subaccount.state import books_balance
from tests.factories import BUY, ETH, SELL, account, market, position

LOT, UNIT = D("0.001"), D("1e-12")
RICH = "1000000000000"


def owner(name, held, entry, ordered, side):
    """An account that holds ``held`` lots and has a market order of ``ordered`` lots at the exchange."""
    of = ClientOrderId(f"bh-{name}-1")
    # One that called for a human already, so that what a loss alarms about is no matter here.
    positions = [replace(position(ETH, held * LOT, entry), alerts=tuple(Alert))] if held else []
    intent = OrderIntended(
        account_id=AccountId(name), sequence=1, client_order_id=of, symbol=ETH, side=side, order_type=OrderType.MARKET,
        quantity=ordered * LOT, price=None, time_in_force=TimeInForce.GTC, reduce_only=False, leverage=D(10),
        margin_reserved=D(0), purpose=Purpose.USER, tier=0, decided_ms=1, cause="x", reference_price=D(2000),
    )  # fmt: skip
    return fold(account(RICH, positions, account_id=AccountId(name)), intent), of


def part(side, lots, value, fee, trade_id=7, **more):
    """A member's part of a round, as its clearing tells it: the price is rounded, and what it costs is not."""
    quantity = lots * LOT
    price = (value / quantity).quantize(UNIT)
    return Trade(
        exchange_order_id=9_000_000_000_000_000, trade_id=trade_id, symbol=ETH, side=side, quantity=quantity, price=price,
        quote_quantity=value, fee=fee, maker=False, trade_ms=5, **more,
    )  # fmt: skip


def booked(state, of, trade):
    """The account after its fill, which is what its journal makes of it too."""
    decision = decide(state, Fill(state.account_id, of, trade), market({ETH: "2000"}))
    after = decision.state
    again = folded(state, fact_codec.decode(fact_codec.VERSION, fact_codec.encode(decision.facts)))
    assert state_codec.state_hash(replace(again, sequence=after.sequence)) == state_codec.state_hash(after)
    assert books_balance(after)
    fact = next(f for f in decision.facts if isinstance(f, FillApplied))
    assert fact.trade.value == trade.quote_quantity
    return after


def money(states):
    """What accounts have together: quantity, cost with its sign, realized, fees."""
    held = [s.position(ETH) for s in states]
    return (
        sum((p.quantity for p in held if p), D(0)),
        sum((p.signed_cost for p in held if p), D(0)),
        sum((s.realized for s in states), D(0)),
        sum((s.fees for s in states), D(0)),
    )


def shares(total, weights):
    """``total`` by weight in units of 10^-12, all of it: the last one takes what is left."""
    whole = sum(weights)
    cut = [(total * w / whole).quantize(UNIT, rounding="ROUND_DOWN") for w in weights[:-1]]
    return [*cut, total - sum(cut, D(0))]


ENTRIES = st.integers(100_000, 300_000).map(lambda n: D(n) / 100)
MEMBERS = st.lists(st.tuples(st.integers(-2000, 2000), ENTRIES, st.integers(1, 3000)), min_size=1, max_size=6)
AVERAGE = st.integers(10**15, 3 * 10**15).map(lambda n: n * UNIT)
FEE = st.integers(-(10**13), 10**14).map(lambda n: n * UNIT)


def fill_all(members, side, average, fee):
    """The members before and after, each with its part, and one account alone that has and orders all of it."""
    lots = [ordered for _, _, ordered in members]
    value = (average * sum(lots) * LOT).quantize(UNIT)
    values, paid = shares(value, lots), shares(fee, lots)
    before = [owner(f"m{i}", *m, side) for i, m in enumerate(members)]
    after = [
        booked(state, of, part(side, n, v, f))
        for (state, of), n, v, f in zip(before, lots, values, paid, strict=True)
    ]
    return [state for state, _ in before], after, value


@settings(max_examples=200, deadline=None)
@given(MEMBERS, st.sampled_from([BUY, SELL]), AVERAGE, FEE)
@example([(-1000, D("2000.01"), 3000), (7, D(1), 1)], BUY, D("1999.123456789012"), D("1.000000000001"))
def test_what_the_parts_move_is_what_the_round_moved(members, side, average, fee):
    before, after, value = fill_all(members, side, average, fee)
    sign = 1 if side is BUY else -1
    was, now = money(before), money(after)
    assert now[0] - was[0] == sign * sum(ordered for _, _, ordered in members) * LOT
    # All cash that moved is the value: it is realized, or in what is held.
    assert (now[2] - now[1]) - (was[2] - was[1]) == -sign * value
    assert now[3] == fee
    assert sum((s.balance for s in after), D(0)) == sum((s.balance for s in before), D(0)) + now[2] - fee


@settings(max_examples=100, deadline=None)
@given(MEMBERS, st.sampled_from([BUY, SELL]), AVERAGE, FEE, st.booleans())
def test_parts_that_only_open_or_close_all_sum_to_what_one_account_alone_books(
    members, side, average, fee, closes
):
    sign = 1 if side is BUY else -1
    # Entries alike, as one account has one: all that is held costs the sum in either case.
    if closes:
        members = [(-sign * ordered, members[0][1], ordered) for _, _, ordered in members]
    else:
        members = [(sign * abs(held), members[0][1], ordered) for held, _, ordered in members]
    _, after, value = fill_all(members, side, average, fee)
    ordered = sum(n for _, _, n in members)
    alone, of = owner("alone", sum(held for held, _, _ in members), members[0][1], ordered, side)
    assert money(after) == money([booked(alone, of, part(side, ordered, value, fee))])


def test_a_part_that_flips_divides_its_value_without_a_rest():
    state, of = owner("a", -1, D(2000), 3, BUY)
    after = booked(state, of, part(BUY, 3, D("6.000000000001"), D(0)))
    # A third of the value is rounded, and the rest is what is left of it.
    assert after.realized == D(2) - D("2.000000000000")
    assert after.position(ETH).cost == D("6.000000000001") - D("2.000000000000")


def test_a_fill_that_divides_its_value_otherwise_than_its_money_says_is_refused():
    state, of = owner("a", -1, D(2000), 3, BUY)
    decision = decide(state, Fill(state.account_id, of, part(BUY, 3, D("6.1"), D(0))), market({ETH: "2000"}))
    fact = decision.facts[0]
    assert fold(state, fact).position(ETH).cost == fact.cost
    # Another release may round the part otherwise, and its facts fold alike.
    other = replace(fact, cost=fact.cost + UNIT, realized=fact.realized + UNIT)
    assert fold(state, other).realized == fact.realized + UNIT
    for wrong in (replace(fact, cost=fact.cost + UNIT), replace(fact, realized=fact.realized + UNIT)):
        with pytest.raises(StateCorrupt, match="settled on another position"):
            fold(state, wrong)


def test_a_part_that_only_closes_must_have_brought_its_value():
    state, of = owner("a", -5, D(2000), 3, BUY)
    decision = decide(
        state, Fill(state.account_id, of, part(BUY, 3, D("6.000000000001"), D(0))), market({ETH: "2000"})
    )
    fact = decision.facts[0]
    assert fact.realized == D(6) - D("6.000000000001")
    # By the price, which is rounded, it would have been another one.
    assert fact.trade.price * 3 * LOT != fact.trade.value
    with pytest.raises(StateCorrupt, match="settled on another position"):
        fold(state, replace(fact, realized=D(6) - fact.trade.price * 3 * LOT))


def test_what_a_pending_fee_holds_is_a_share_of_the_value():
    state, of = owner("a", 0, D(2000), 3, BUY)
    trade = replace(part(BUY, 3, D("6.1"), None), price=D(1))
    after = booked(state, of, trade)
    (pending,) = after.pending_fees
    assert pending.value == D("6.1")
    assert fees.reserve(after) == D("6.1") * fees.RESERVE
    plain = replace(pending, quote_quantity=None)
    assert plain.value == 3 * LOT
    assert fees.reserve(replace(after, pending_fees=(plain,))) == 3 * LOT * fees.RESERVE


PLAIN = part(BUY, 3, D(6), D("0.1"))


def test_only_a_trade_that_has_another_value_than_its_price_says_has_it_written_down():
    whole = replace(PLAIN, quote_quantity=None)
    assert set(msgspec.to_builtins(whole)) == set(Trade.__struct_fields__) - {"quote_quantity"}
    assert msgspec.json.decode(msgspec.json.encode(whole))["fee_asset"] == ""
    assert msgspec.json.decode(msgspec.json.encode(replace(whole, fee=None)))["fee"] is None
    assert msgspec.to_builtins(PLAIN)["quote_quantity"] == "6"
    for trade in (whole, PLAIN):
        assert msgspec.convert(msgspec.to_builtins(trade), Trade) == trade


def test_a_pending_fee_is_written_as_all_releases_have_written_it():
    pending = PendingFee(
        symbol=ETH, trade_id=1, client_order_id=ClientOrderId("bh-1"), exchange_order_id=2, trade_ms=3, quantity=D(1),
        price=D(2000), closed_quantity=D(0), position_id="p", closed_id="",
    )  # fmt: skip
    assert set(msgspec.to_builtins(pending)) == set(PendingFee.__struct_fields__) - {"quote_quantity"}
    assert msgspec.to_builtins(pending)["amount"] is None
    given_ = replace(pending, quote_quantity=D("2000.1"))
    assert msgspec.convert(msgspec.to_builtins(given_), PendingFee) == given_


def test_a_trade_is_divided_exactly_where_its_price_is_the_whole_truth():
    whole = replace(PLAIN, quote_quantity=None, price=D("2000.123"))
    assert whole.divided(D("0.001")) == (D("2.000123"), D("4.000246"))
    assert PLAIN.divided(D(0)) == (D(0), D(6))
    assert PLAIN.divided(PLAIN.quantity) == (D(6), D(0))

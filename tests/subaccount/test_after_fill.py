"""What an order or a withdrawal would make of the account: below the warning line, by its own basis and brackets."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderType, Phase
from actors.core.instruments import Bracket
from actors.core.messages import AdjustBalance, PlaceOrder
from actors.limits.model import MaintenanceBasis, MarkSource
from actors.subaccount import after_fill
from actors.subaccount.decide import decide
from actors.subaccount.open_order_exposure import OrderExposure
from actors.subaccount.pipeline import Accepted, Rejected
from tests.factories import BTC, BUY, ETH, INSTRUMENTS, SELL, SOL, account, fill_of, market, position, run
from tests.subaccount.pretrade.limit_cases import accepted, codes, limits, order

NO_FEE = {"taker_fee_rate": D(0)}
BRACKETS = tuple(
    Bracket(notional_floor=D(low), notional_cap=D(high), rate=D(rate), cumulative=D(cum), max_leverage=most)
    for low, high, rate, cum, most in (
        (0, 50_000, "0.004", 0, 125), (50_000, 600_000, "0.005", 50, 100), (600_000, 10_000_000, "0.01", 3_050, 50),
    )
)  # fmt: skip
WITH_BRACKETS = {**INSTRUMENTS, ETH: replace(INSTRUMENTS[ETH], brackets=BRACKETS, market_max_qty=D(10_000))}


def bracketed(balance="100000", positions=(), **changes):
    own = limits(maintenance_basis=MaintenanceBasis.BRACKETS, max_leverage=D(125), **changes)
    return account(balance, positions, own)


def at(mid="2000", spread="0", **more):
    return market({ETH: mid}, instruments=WITH_BRACKETS, spread=spread, **more)


def reasons(state, message, now):
    reply = decide(state, message, now).reply
    return [] if isinstance(reply, Accepted) else [r.code for r in reply.rejections]


def test_an_order_that_its_own_fill_would_liquidate_is_refused():
    """Maintenance of 1 % at leverage 100: a ratio of 0.97 right after the fill."""
    state = account("1000", maintenance_rate=D("0.01"), limits=limits(max_leverage=D(100)))
    assert codes(state, order("48.5", leverage=D(100))) == ["MAINTENANCE_MARGIN_EXCEEDED"]
    accepted(state, order("38", leverage=D(100)))


@pytest.mark.parametrize(("quantity", "found"), [("39.999", []), ("40", ["MAINTENANCE_MARGIN_EXCEEDED"])])
def test_the_ratio_after_the_fill_stays_below_the_warning_line(quantity, found):
    """Maintenance of 1 % on 80,000 is 800, 0.8 of the equity; the warning begins there."""
    state = account("1000", maintenance_rate=D("0.01"), limits=limits(**NO_FEE, max_leverage=D(100)))
    assert codes(state, order(quantity, leverage=D(100))) == found


def test_the_fee_and_the_spread_of_the_fill_count():
    state = account("1000", maintenance_rate=D("0.01"), limits=limits(max_leverage=D(100)))
    # 76,800 x 0.01 / (1000 - 38.4) = 0.7987, and 77,000 x 0.01 / (1000 - 38.5) = 0.8008
    assert codes(state, order("38.4", leverage=D(100)), market()) == []
    assert codes(state, order("38.5", leverage=D(100)), market()) == ["MAINTENANCE_MARGIN_EXCEEDED"]
    free = replace(state, limits=limits(**NO_FEE, max_leverage=D(100)))
    assert codes(free, order("39.9", leverage=D(100)), market()) == []
    assert codes(free, order("39.9", leverage=D(100)), market(spread="2")) == ["MAINTENANCE_MARGIN_EXCEEDED"]
    cheap = order("39.9", leverage=D(100), order_type=OrderType.LIMIT, price=D(1999))
    assert codes(free, cheap, market(spread="2")) == []


def test_what_is_accepted_is_not_warned_of_right_after_its_fill():
    state = account("1000", maintenance_rate=D("0.01"), limits=limits(max_leverage=D(100)))
    now = market(spread="2")
    placed = run(state, order("37", leverage=D(100)), now)
    filled = run(placed, fill_of(placed.orders[0], price="2001", fee=str(D(37) * 2001 * D("0.0005"))), now)
    assert filled.phase is Phase.HEALTHY


def test_working_orders_and_positions_count_together():
    state = account("1000", [position(quantity="20", leverage="100")], maintenance_rate=D("0.01"), limits=limits(**NO_FEE, max_leverage=D(100)))  # fmt: skip
    resting = run(state, order("10", leverage=D(100), order_type=OrderType.LIMIT, price=D(1999)))
    assert codes(resting, order("10.01", leverage=D(100))) == ["MAINTENANCE_MARGIN_EXCEEDED"]
    accepted(resting, order("9.99", leverage=D(100)))


def test_the_basis_is_the_account_s_own():
    """A short that was entered at 1000 and is worth 2000 needs twice as much on the mark."""
    held = [position(ETH, "-10", "1000", "100")]
    own = {"maintenance_rate": D("0.01")}
    on_entry = account("10800", held, limits(**NO_FEE, max_leverage=D(100)), **own)
    message = order("25", side=SELL, leverage=D(100))
    accepted(on_entry, message)
    mark = limits(**NO_FEE, max_leverage=D(100), maintenance_basis=MaintenanceBasis.MARK)
    assert codes(replace(on_entry, limits=mark), message) == ["MAINTENANCE_MARGIN_EXCEEDED"]


def test_marks_at_the_exit_value_what_is_opened_at_the_exit():
    own = limits(**NO_FEE, max_leverage=D(100), mark_source=MarkSource.EXIT)
    state = account("1000", maintenance_rate=D("0.01"), limits=own)
    # Bought at the ask of 2001, worth the bid of 1999 at once: 2 a unit.
    assert codes(state, order("37.2", leverage=D(100)), market(spread="2")) == ["MAINTENANCE_MARGIN_EXCEEDED"]
    accepted(
        replace(state, limits=replace(own, mark_source=MarkSource.MID)),
        order("37.2", leverage=D(100)),
        market(spread="2"),
    )


def test_reducing_is_never_refused_for_it():
    sick = account("60", [position(quantity="1")], maintenance_rate=D("0.025"))
    accepted(sick, order("0.5", side=SELL, reduce_only=True))


def test_an_account_that_lacks_margin_is_told_of_that_alone():
    state = account("10", maintenance_rate=D("0.01"), limits=limits(max_leverage=D(100)))
    found = codes(state, order("10", leverage=D(100)))
    assert found == ["INSUFFICIENT_MARGIN", "MARGIN_RATIO_EXCEEDED"]


@pytest.mark.parametrize(
    ("quantity", "leverage", "found"),
    [
        ("24.9", 125, []),
        ("25", 125, ["BRACKET_LEVERAGE_EXCEEDED"]),
        ("25", 100, []),
        ("299.9", 100, []),
        ("300", 100, ["BRACKET_LEVERAGE_EXCEEDED"]),
        ("300", 50, []),
        ("2500", 125, ["BRACKET_LEVERAGE_EXCEEDED"]),
    ],
)
def test_a_bracket_has_a_leverage_as_at_the_exchange(quantity, leverage, found):
    """125x on 5 million was accepted, and liquidated by its own fill (the exchange says -2027)."""
    assert reasons(bracketed(), order(quantity, leverage=D(leverage)), at()) == found


def test_the_bracket_is_that_of_the_whole_position_with_what_works():
    held = bracketed(positions=[position(quantity="20", leverage="125")])
    assert reasons(held, order("4.9", leverage=D(125)), at()) == []
    assert reasons(held, order("5", leverage=D(125)), at()) == ["BRACKET_LEVERAGE_EXCEEDED"]
    limit = order("3", leverage=D(125), order_type=OrderType.LIMIT, price=D(1990))
    resting = run(held, limit, at())
    assert reasons(resting, order("2", leverage=D(125)), at()) == ["BRACKET_LEVERAGE_EXCEEDED"]
    # Another symbol's notional is another bracket, and what a flip closes counts no more.
    assert reasons(held, order("44.9", side=SELL, leverage=D(125)), at()) == []
    assert reasons(held, order("45", side=SELL, leverage=D(125)), at()) == ["BRACKET_LEVERAGE_EXCEEDED"]


def test_brackets_bind_only_accounts_that_are_margined_by_them():
    assert (
        reasons(account("100000", limits=limits(max_leverage=D(125))), order("25", leverage=D(125)), at())
        == []
    )


@pytest.mark.parametrize(("amount", "is_refused"), [("-899.9", False), ("-900", True), ("-900.1", True)])
def test_a_withdrawal_leaves_the_account_below_the_warning_line(amount, is_refused):
    """80 of maintenance needs more than 100 of equity; leverage 100 alone would let 920 go."""
    held = [position(quantity="4", leverage="100")]
    state = account("1000", held, limits(max_leverage=D(100)), maintenance_rate=D("0.01"))
    decision = decide(state, AdjustBalance(D(amount), "out"), market())
    if is_refused:
        assert isinstance(decision.reply, Rejected)
        assert [r.code for r in decision.reply.rejections] == ["MAINTENANCE_MARGIN_EXCEEDED"]
        assert "900.00" in decision.reply.rejections[0].text
    else:
        assert decision.state.phase is Phase.HEALTHY


def test_a_withdrawal_leaves_enough_for_what_works():
    resting = run(
        account("1000", limits=limits(max_leverage=D(100)), maintenance_rate=D("0.01")),
        order("4", leverage=D(100), order_type=OrderType.LIMIT, price=D(2000)),
    )
    assert isinstance(decide(resting, AdjustBalance(D(-905), "out"), market()).reply, Rejected)
    assert isinstance(decide(resting, AdjustBalance(D(-895), "out"), market()).reply, Accepted)


def test_everything_may_go_when_nothing_is_held():
    assert isinstance(decide(account("1000"), AdjustBalance(D(-1000), "out"), market()).reply, Accepted)


def test_a_stuck_account_takes_no_new_risk_but_may_reduce():
    state = account("1000", [position(quantity="1")], phase=Phase.STUCK, refusals=10)
    assert codes(state, order("0.1")) == ["ACCOUNT_LIQUIDATING"]
    assert codes(state, order("0.1", symbol=BTC), market({ETH: "2000", BTC: "60000"})) == [
        "ACCOUNT_LIQUIDATING"
    ]
    assert codes(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D("1.5"))) == ["ACCOUNT_LIQUIDATING"]
    accepted(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.5")))


def test_a_short_that_is_sold_through_the_bid_counts_at_the_bid():
    """With no limit on the price's deviation, a limit of 20 counted as a hundredth of the short that it fills."""
    own = limits(max_price_deviation=None, max_leverage=D(100))
    cheap = order("10", side=SELL, order_type=OrderType.LIMIT, price=D(20), leverage=D(10))
    assert codes(account("1000", limits=own), cheap) == ["INSUFFICIENT_MARGIN", "MARGIN_RATIO_EXCEEDED"]
    accepted(account("3000", limits=own), cheap)
    placed = run(account("3000", limits=own), cheap)
    assert (placed.orders[0].intent.margin_reserved, placed.orders[0].reference_price) == (D(2000), D(2000))
    resting = order("1", side=SELL, order_type=OrderType.LIMIT, price=D(2100), leverage=D(10))
    assert run(account("3000", limits=own), resting).orders[0].reference_price == D(2100)


def test_what_works_is_valued_at_the_mark_that_would_be_its_own():
    """On the basis of the mark: that of the position held, else the side's own, else the order's price."""
    own = limits(maintenance_basis=MaintenanceBasis.MARK, mark_source=MarkSource.EXIT)
    now = market({ETH: "2000", BTC: "60000"}, spread="2")
    short = position(ETH, "-1", "2000")
    state = account("1000", [short], own)
    works = [
        OrderExposure(ETH, BUY, "", D(2), D(4000), D(400)), OrderExposure(BTC, BUY, "", D(3), D(1), D(1)),
        OrderExposure(SOL, SELL, "", D(1), D(77), D(7)),
    ]  # fmt: skip
    found = after_fill.notionals(state, state.positions, works, {ETH: D(2001)}, now)
    assert found == {ETH: 3 * D(2001), BTC: 3 * D(59999), SOL: D(77)}
    sold = after_fill.notionals(state, (), [OrderExposure(BTC, SELL, "", D(3), D(1), D(1))], {}, now)
    assert sold == {BTC: 3 * D(60001)}
    # What a flip closes is no mark for what it opens.
    flipped = after_fill.notionals(
        state, (), [OrderExposure(ETH, BUY, "", D(2), D(1), D(1))], {ETH: D(2001)}, now
    )
    assert flipped == {ETH: 2 * D(1999)}


@pytest.mark.parametrize(("first_tier", "most"), [("0.05", "0.00"), ("0.10", "0.00")])
def test_without_a_ratio_below_the_line_nothing_is_withdrawn_but_from_an_empty_account(first_tier, most):
    own = limits(liquidation_threshold=D(first_tier))
    reply = decide(account("1000", [position()], own), AdjustBalance(D(-1), "out"), market()).reply
    assert isinstance(reply, Rejected)
    assert f"less than {most} may go" in reply.rejections[0].text
    assert isinstance(
        decide(account("1000", limits=own), AdjustBalance(D(-1000), "out"), market()).reply, Accepted
    )


def test_what_is_against_a_position_counts_it_as_gone_whichever_order_takes_the_last_of_it():
    """Sold behind an own order that takes the whole long: the long's margin stood beside that of the short."""
    own = limits(max_leverage=D(100))
    state = account("1000", [position(quantity="4", leverage="10")], own)
    first = order("4", side=SELL, order_type=OrderType.LIMIT, price=D(2050))
    works = run(state, first)
    assert codes(works, order("4.5", side=SELL, leverage=D(10))) == []
    assert codes(works, order("0.8", side=BUY, leverage=D(10))) == []
    assert codes(works, order("1.1", side=BUY, leverage=D(10))) == [
        "INSUFFICIENT_MARGIN",
        "MARGIN_RATIO_EXCEEDED",
    ]

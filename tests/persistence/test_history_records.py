"""What each fact is in a history, and which are none; the kinds that people ask for."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.enums import (
    ConditionalKind,
    ConditionalStatus,
    OrderStatus,
    OrderType,
    Phase,
    Purpose,
    TimeInForce,
)
from actors.core.errors import BadInput
from actors.core.facts import (
    BadDebtRecorded,
    BalanceAdjusted,
    ConditionalEnded,
    ConditionalPlaced,
    FillApplied,
    OrderAcknowledged,
    OrderEnded,
    OrderIntended,
    PhaseChanged,
)
from actors.core.fees import Commission
from actors.core.trades import Trade
from actors.persistence.history_records import HistoryKind, Record, facts_of, kinds_of, records_of
from tests.factories import BUY, ETH

NO_MARGIN = "needs 100.00 margin, available 7.00"


def told(*facts):
    """The lines of one decision."""
    return records_of(7, "acct-1", 5, "test", facts)


def order(purpose=Purpose.USER, tier=0):
    return OrderIntended(
        account_id="acct-1", sequence=1, client_order_id="o-1", symbol=ETH, side=BUY, order_type=OrderType.LIMIT,
        quantity=D(1), price=D(2000), time_in_force=TimeInForce.GTC, reduce_only=False, leverage=D(10),
        margin_reserved=D(200), purpose=purpose, tier=tier, decided_ms=5, cause="test", strategy="grid",
    )  # fmt: skip


def conditional(rate=None):
    return ConditionalPlaced(
        account_id="acct-1", sequence=1, client_order_id="c-1", symbol=ETH, side=BUY, quantity=D(1),
        kind=ConditionalKind.STOP_MARKET if rate is None else ConditionalKind.TRAILING_STOP_MARKET,
        trigger_price=D(2100) if rate is None else None, callback_rate=rate, activation_price=None, extreme=None,
        reduce_only=True, leverage=D(10), margin_reserved=D(0), decided_ms=5, moment=0, cause="test",
    )  # fmt: skip


def fill(commission=None):
    trade = Trade(
        exchange_order_id=1, trade_id=9, symbol=ETH, side=BUY, quantity=D(1), price=D(2000), fee=D("0.5"),
        maker=False, trade_ms=5,
    )  # fmt: skip
    return FillApplied(
        client_order_id="o-1", trade=trade, fee=D("0.5"), closed_quantity=D(1), realized=D(3), closing_fee=D(0), cost=D(0),
        margin=D(0), mae=D(0), mfe=D(0), purpose=Purpose.USER, tier=0, order_type=OrderType.LIMIT, commission=commission,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        (order(), HistoryKind.ORDER),
        (order(Purpose.CLOSE_OUT), HistoryKind.ORDER),
        (order(Purpose.ADL, 1), HistoryKind.LIQUIDATION),
        (order(Purpose.LIQUIDATION, 3), HistoryKind.LIQUIDATION),
        (conditional(), HistoryKind.ORDER),
        (OrderEnded("o-1", OrderStatus.REJECTED, -4003, "Quantity"), HistoryKind.REFUSED),
        (OrderEnded("o-1", OrderStatus.REJECTED, -2019, "Margin"), HistoryKind.INSUFFICIENT_BALANCE),
        (OrderEnded("o-1", OrderStatus.EXPIRED, 0, ""), HistoryKind.REFUSED),
        (OrderEnded("o-1", OrderStatus.NEVER_SENT, 0, "too old"), HistoryKind.REFUSED),
        (OrderEnded("o-1", OrderStatus.NEVER_SENT, 0, ""), None),
        (OrderEnded("o-1", OrderStatus.FILLED, 0, ""), None),
        (OrderEnded("o-1", OrderStatus.CANCELED, 0, "by the owner"), None),
        (ConditionalEnded("c-1", ConditionalStatus.REJECTED, "no price"), HistoryKind.REFUSED),
        (ConditionalEnded("c-1", ConditionalStatus.REJECTED, NO_MARGIN), HistoryKind.INSUFFICIENT_BALANCE),
        (ConditionalEnded("c-1", ConditionalStatus.CANCELED, "by the owner"), None),
        (ConditionalEnded("c-1", ConditionalStatus.TRIGGERED, ""), None),
        (PhaseChanged(Phase.REDUCING, 0, 0), HistoryKind.LIQUIDATION),
        (PhaseChanged(Phase.REDUCING, 1, 99), None),
        (PhaseChanged(Phase.LIQUIDATED, 0, 0), HistoryKind.LIQUIDATION),
        (PhaseChanged(Phase.STUCK, 5, 99), HistoryKind.LIQUIDATION),
        (PhaseChanged(Phase.WARNING, 0, 0), None),
        (PhaseChanged(Phase.HEALTHY, 0, 0), None),
        (fill(), HistoryKind.FILL),
        (BalanceAdjusted(D(5), "DEPOSIT"), HistoryKind.BALANCE),
        (OrderAcknowledged("o-1", 50), None),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "__struct_fields__") else str(value),
)  # fmt: skip
def test_which_facts_are_a_line_and_of_what_kind(fact, kind):
    found = told(fact)
    assert [r.kind for r in found] == ([] if kind is None else [kind])
    if kind is not None:
        assert type(fact).__name__ in facts_of({kind}), "else a question for this kind does not find it"
        assert (found[0].id, found[0].account_id, found[0].at_ms, found[0].cause) == (
            "7-0",
            "acct-1",
            5,
            "test",
        )


def test_a_line_has_the_number_of_its_fact():
    found = told(OrderAcknowledged("o-1", 50), fill(), BalanceAdjusted(D(5), "DEPOSIT"))
    assert [(r.id, r.part, r.kind) for r in found] == [
        ("7-1", 1, HistoryKind.FILL),
        ("7-2", 2, HistoryKind.BALANCE),
    ]


def test_who_asks_for_refusals_gets_those_for_want_of_money_too():
    [poor] = told(OrderEnded("o-1", OrderStatus.REJECTED, -2019, "Margin"))
    assert poor.kinds == {HistoryKind.REFUSED, HistoryKind.INSUFFICIENT_BALANCE}
    [other] = told(OrderEnded("o-1", OrderStatus.REJECTED, -4003, "Quantity"))
    assert other.kinds == {HistoryKind.REFUSED}


def test_an_order_has_what_it_was_and_its_tags():
    [user], [step] = told(order()), told(order(Purpose.ADL, 2))
    assert (user.symbol, user.side, user.order_type, user.quantity, user.price) == (
        ETH,
        "BUY",
        "LIMIT",
        1,
        2000,
    )
    assert (user.strategy, user.text, step.text, step.purpose) == ("grid", "", "tier 2", "ADL")


def test_a_trailing_stop_says_by_how_much_it_trails():
    [stop], [trailing] = told(conditional()), told(conditional(D("0.010")))
    assert (stop.price, stop.text) == (2100, "")
    assert (trailing.price, trailing.text) == (None, "trailing by 0.01")


@pytest.mark.parametrize(
    ("commission", "fee", "asset"),
    [
        (None, D("0.5"), ""),
        (Commission(asset="BNB", amount=D("0.001"), rate=D(500)), D("0.001"), "BNB"),
        (Commission(asset="BNB", amount=D("0.002")), D("0.002"), "BNB"),
        (Commission(), None, ""),
    ],
)
def test_a_fill_has_its_fee_in_the_asset_that_it_was_taken_in(commission, fee, asset):
    [record] = told(fill(commission))
    assert (record.fee, record.fee_asset) == (fee, asset)
    assert record.amount == D("2.5"), "what it did to the balance is in quote asset"


def test_a_change_of_the_balance_has_the_amount_of_its_entry_in_the_ledger():
    [deposit] = told(BalanceAdjusted(D(-5), "WITHDRAWAL"))
    assert (deposit.amount, deposit.text) == (-5, "WITHDRAWAL")
    [debt] = told(BadDebtRecorded(D(3)))
    assert (debt.amount, debt.text) == (3, "bad debt: the house bears it")


def row(status, **more):
    return {
        "symbol": ETH, "side": "SELL", "order_type": "MARKET", "quantity": D(2), "price": None, "purpose": "USER",
        "status": status, "end_code": None, "end_reason": None, **more,
    }  # fmt: skip


def test_the_row_of_an_order_says_what_became_of_it():
    [decided] = told(order())
    assert decided.needs_order
    assert (decided.with_order(row("FILLED")).status, decided.with_order(row("FILLED")).end) == ("FILLED", "")
    ended = decided.with_order(row("REJECTED", end_code=-2019, end_reason="Margin"))
    assert (ended.status, ended.end, ended.quantity) == ("REJECTED", "REJECTED -2019 Margin", 2)


def test_the_row_of_a_refused_order_says_what_it_was_and_the_refusal_keeps_its_own_words():
    [refused] = told(OrderEnded("o-1", OrderStatus.REJECTED, -4003, "Quantity"))
    assert refused.needs_order
    found = refused.with_order(row("FILLED"))
    assert (found.symbol, found.side, found.status, found.end) == (
        ETH,
        "SELL",
        "REJECTED",
        "REJECTED -4003 Quantity",
    )


def test_lines_without_an_order_need_no_row_of_one():
    assert not told(fill())[0].needs_order
    assert not told(PhaseChanged(Phase.LIQUIDATED, 0, 0))[0].needs_order
    assert Record.unreadable(7, "acct-1", 5, "test", "odd").kinds == {HistoryKind.UNREADABLE}


def test_kinds_are_taken_as_people_type_them():
    assert kinds_of(["fill", "Insufficient-Balance", "REFUSED"]) == {
        HistoryKind.FILL,
        HistoryKind.INSUFFICIENT_BALANCE,
        HistoryKind.REFUSED,
    }
    assert kinds_of([]) == frozenset()
    with pytest.raises(BadInput, match=r"kind: there is no 'trade'; there are ORDER, REFUSED, .*UNREADABLE"):
        kinds_of(["fill", "trade"])


def test_no_kinds_are_all_kinds():
    assert facts_of(()) == facts_of(frozenset(HistoryKind))
    assert "FillApplied" in facts_of(())
    assert facts_of({HistoryKind.UNREADABLE}) == []

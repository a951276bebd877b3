"""What is projected of money that moves without a trade: funding, late fees, deposits, bad debt. Pure."""

from __future__ import annotations

from typing import assert_never

from actors.core.enums import Purpose
from actors.core.facts import BadDebtRecorded, BalanceAdjusted, FillApplied, FundingPaid, MoneyFact
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.units import ZERO
from actors.persistence.projection import positions, risk, trades
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.positions import CLOSED
from actors.persistence.projection.row_ids import trade_row_id
from actors.persistence.projection.tables import Table

FUNDING = Table(
    "bulkhead.funding",
    ("account_id", "symbol", "funding_ms"),
    "account_id symbol funding_ms rate mark amount quantity position_id",
    adds=("amount", "quantity"),
    fixed=("rate", "mark"),
)


def project(batch: Batch, decided: Decided, fact: MoneyFact) -> None:
    """What a fact of money writes."""
    match fact:
        case BalanceAdjusted():
            batch.balance(fact.amount, fact.reason, by_platform=fact.by_platform)
            risk.project_state(batch, decided)
        case FundingPaid():
            _funding(batch, decided, fact)
        case FeeLearned():
            trades.project_fee(batch, decided, fact)
        case FeeBooked():
            _fee(batch, decided, fact)
        case BadDebtRecorded():
            batch.balance(fact.amount, "BAD_DEBT")
        case _:
            assert_never(fact)


def project_fill(batch: Batch, decided: Decided, fact: FillApplied) -> None:
    """What a trade makes of the balance; the log names its first leg, as what only opens has none that closes."""
    reason = "LIQUIDATION" if fact.purpose is Purpose.LIQUIDATION else "TRADE_PNL"
    if fact.purpose is Purpose.ADL:
        reason = f"ADL_TIER{fact.tier}"
    elif fact.purpose is Purpose.CLOSE_OUT:
        reason = "CLOSE_OUT"
    leg = int(fact.closed_quantity == ZERO)
    batch.balance(fact.realized - fact.fee, reason, trade_row_id(decided.state, fact.trade, leg))


def _funding(batch: Batch, decided: Decided, fact: FundingPaid) -> None:
    if fact.is_closed:
        batch.of(CLOSED).change(fact.position_id, funding=fact.amount)
    batch.of(FUNDING).put(
        decided.state.account_id,
        fact.symbol,
        fact.funding_ms,
        rate=fact.rate,
        mark=fact.mark,
        amount=fact.amount,
        quantity=fact.quantity,
        position_id=fact.position_id,
    )
    positions.project_held(batch, decided, fact.symbol)
    batch.balance(fact.amount, "FUNDING")


def _fee(batch: Batch, decided: Decided, fact: FeeBooked) -> None:
    fee = fact.pending
    trades.project_fee(batch, decided, fact)
    for share in fact.shares:
        if share.is_closed:
            batch.of(CLOSED).change(share.position_id, fees=share.fee)
    positions.project_held(batch, decided, fee.symbol)
    leg = int(fee.closed_quantity == ZERO)
    batch.balance(-fact.fee, "FEE", trade_row_id(decided.state, fee, leg))

"""What is projected of positions: ours, the platform's, closed ones, and what the house took over. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import assert_never

from actors.core.facts import FillApplied, PositionAlerted, PositionClosed, PositionFact, PositionTakenOver
from actors.core.units import ZERO, Symbol
from actors.persistence.projection import risk
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.spelling import platform_symbol, when
from actors.persistence.projection.tables import Table
from actors.persistence.projection.trades import closing_action
from actors.subaccount.margin import static_liquidation_price
from actors.subaccount.position import Position

HOUSE = "SYSTEM_LIQ"
"""Who takes positions over, in the platform's spelling."""

POSITION = Table(
    "bulkhead.position",
    ("account_id", "symbol"),
    """account_id symbol position_id quantity cost margin realized opened_ms peak fees funding mae mfe since strategy
    alerts""",
)

CLOSED = Table(
    "bulkhead.closed_position",
    ("position_id",),
    """position_id account_id symbol quantity entry_price realized fees funding mae mfe strategy purpose opened_ms
    closed_ms""",
    adds=("fees", "funding"),
)

HOUSE_POSITION = Table("bulkhead.house_position", ("symbol",), "symbol quantity", adds=("quantity",))

PLATFORM_CLOSING = Table(
    "virtual_positions",
    ("sub_account_id", "symbol"),
    "sub_account_id symbol status taken_over realized_pnl closed_at taken_over_by taken_over_at",
    adds=("realized_pnl",),
    only="t.status = 'OPEN'",
)
"""The end of positions that are on the platform already; before ``PLATFORM``, which may open the next in the symbol."""

PLATFORM = Table(
    "virtual_positions",
    ("id",),
    """id sub_account_id symbol side entry_price quantity notional leverage margin liquidation_price realized_pnl
    opened_at babysitter_excluded status taken_over closed_at taken_over_by taken_over_at""",
    fixed=("sub_account_id", "symbol", "side", "opened_at", "babysitter_excluded"),
    conflict={
        "status": "CASE WHEN EXCLUDED.closed_at IS NULL THEN t.status ELSE EXCLUDED.status END",
        "taken_over": "t.taken_over OR EXCLUDED.taken_over",
        "closed_at": "COALESCE(EXCLUDED.closed_at, t.closed_at)",
        "taken_over_by": "COALESCE(EXCLUDED.taken_over_by, t.taken_over_by)",
        "taken_over_at": "COALESCE(EXCLUDED.taken_over_at, t.taken_over_at)",
    },
)
"""Open positions, and what became of those that one batch opened and closed. What the platform wrote to the row of an
open position stays, but for our figures."""


def project(batch: Batch, decided: Decided, fact: PositionFact) -> None:
    """What a fact of a position writes."""
    match fact:
        case PositionTakenOver():
            _close(batch, decided, fact.symbol, fact.realized, "TAKEN_OVER", decided.at)
            batch.of(POSITION).remove(decided.state.account_id, fact.symbol)
            batch.of(HOUSE_POSITION).put(fact.symbol, quantity=fact.quantity)
            batch.balance(fact.realized - fact.fee, "ADMIN_TAKEOVER")
        case PositionAlerted():
            project_held(batch, decided, fact.symbol)
        case PositionClosed():
            _closed(batch, decided, fact)
            risk.project_state(batch, decided)
        case _:
            assert_never(fact)


def project_fill(batch: Batch, decided: Decided, fact: FillApplied) -> None:
    """What a trade makes of the position in its symbol."""
    state, symbol = decided.state, fact.trade.symbol
    held = state.position(symbol)
    if fact.closed_quantity > ZERO and (held is None or fact.trade.quantity > fact.closed_quantity):
        _, status = closing_action(fact)
        _close(batch, decided, symbol, fact.realized, status, None)
        batch.of(POSITION).remove(state.account_id, symbol)
    if held is not None:
        project_held(batch, decided, symbol)
        _project_on_platform(batch, decided, held)


def project_held(batch: Batch, decided: Decided, symbol: Symbol) -> None:
    """The account's open position in a symbol, if it has one."""
    p = decided.state.position(symbol)
    if p is None:
        return
    batch.of(POSITION).put(
        decided.state.account_id,
        symbol,
        position_id=p.position_id,
        quantity=p.quantity,
        cost=p.cost,
        margin=p.margin,
        realized=p.realized,
        opened_ms=p.opened_ms,
        peak=p.peak,
        fees=p.fees,
        funding=p.funding,
        mae=p.mae,
        mfe=p.mfe,
        since=p.since,
        strategy=p.strategy,
        alerts=",".join(p.alerts),
    )


def _project_on_platform(batch: Batch, decided: Decided, p: Position) -> None:
    account_id, symbol = decided.state.account_id, platform_symbol(p.symbol)
    batch.of(PLATFORM).put_at(
        (account_id, symbol),
        id=p.position_id,
        sub_account_id=account_id,
        symbol=symbol,
        side="LONG" if p.quantity > 0 else "SHORT",
        entry_price=p.entry_price,
        quantity=abs(p.quantity),
        notional=p.notional,
        leverage=round(p.leverage, 8),
        margin=p.margin,
        liquidation_price=static_liquidation_price(decided.state, p),
        realized_pnl=p.realized,
        opened_at=when(p.opened_ms),
        babysitter_excluded=True,
        status="OPEN",
        taken_over=False,
    )


def _close(  # noqa: PLR0913 - what a close says
    batch: Batch, decided: Decided, symbol: Symbol, realized: Decimal, status: str, taken_at: datetime | None
) -> None:
    """The platform's open position in a symbol ends; ``taken_at`` is when the house took it."""
    key = (decided.state.account_id, platform_symbol(symbol))
    rows = batch.of(PLATFORM)
    opened = rows.put_of(key)
    ends = {
        "status": status,
        "taken_over": taken_at is not None,
        "closed_at": decided.at,
        "taken_over_by": None if taken_at is None else HOUSE,
        "taken_over_at": taken_at,
    }
    if opened is None:
        batch.of(PLATFORM_CLOSING).change(*key, realized_pnl=realized, **ends)
    else:
        opened.update(ends, realized_pnl=opened["realized_pnl"] + realized)
        rows.move(key, (opened["id"],))


def _closed(batch: Batch, decided: Decided, fact: PositionClosed) -> None:
    batch.of(CLOSED).insert(
        fact.position_id,
        account_id=decided.state.account_id,
        symbol=fact.symbol,
        quantity=fact.quantity,
        entry_price=fact.entry_price,
        realized=fact.realized,
        fees=fact.fees,
        funding=fact.funding,
        mae=fact.mae,
        mfe=fact.mfe,
        strategy=fact.strategy,
        purpose=fact.purpose,
        opened_ms=fact.opened_ms,
        closed_ms=fact.closed_ms,
    )

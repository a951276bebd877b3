"""The risk snapshot of one account, in the shape that the platform's programs read. Pure.

The platform has two shapes, one after an evaluation and one after a trade, each without keys of the other; here every
snapshot has all of them. Money, prices and quantities are JSON numbers there, as its programs are JavaScript.

Where ours is better on purpose: the margin ratio of an account without equity is 1 and not 999; one that has just closed its
last position has a snapshot, of zeros; a price that is missing is never replaced by the entry price; and ``timestamp`` is
when the numbers were true, so a snapshot with an old price says so itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.core.enums import AccountStatus, LiquidationMode
from actors.core.errors import StateCorrupt
from actors.core.instruments import Instrument
from actors.core.units import NANOS_PER_MS, ZERO, AccountId, Symbol
from actors.core.utc import time_of
from actors.persistence.projection.spelling import platform_symbol
from actors.subaccount import margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

TTL_S = 120
"""How long the platform keeps a snapshot (RISK_SNAPSHOT_TTL_SEC)."""

PREFIX = "pms:risk:"

DIGITS = 12
"""Behind the point: what is left out is far below any tick, and a JavaScript number holds no more."""

HUNDRED = Decimal(100)


class SnapshotPosition(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """One open position. Money in quote asset; ``notional`` and ``margin`` as of its entry, ``pnl_percent`` of the margin."""

    id: str
    symbol: str
    side: str
    entry_price: Decimal
    mark_price: Decimal
    quantity: Decimal
    notional: Decimal
    leverage: Decimal
    margin: Decimal
    liquidation_price: Decimal
    unrealized_pnl: Decimal
    pnl_percent: Decimal
    babysitter_excluded: bool | None = None
    opened_at: str | int | None = None


class Snapshot(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """One account. Money in quote asset; ``timestamp`` in Unix milliseconds.

    ``equity`` is ``equity_raw``, but not below zero; ``total_exposure`` is of the entries. What may be None is missing in one
    of the platform's own two shapes, which may stand in Redis, too; ours has all of it, and none is None but the liquidation
    price of an account without positions.
    """

    sub_account_id: str
    timestamp: int
    status: AccountStatus | None = None
    liquidation_mode: LiquidationMode | None = None
    liquidation_threshold: Decimal | None = None
    equity: Decimal
    equity_raw: Decimal
    balance: Decimal
    unrealized_pnl: Decimal
    margin_used: Decimal
    available_margin: Decimal
    total_exposure: Decimal
    maintenance_margin: Decimal
    margin_ratio: Decimal
    account_liq_price: Decimal | None = None
    position_count: int | None = None
    positions: list[SnapshotPosition]


ENCODER = msgspec.json.Encoder(decimal_format="number")
DECODER = msgspec.json.Decoder(Snapshot)


def key_of(account_id: AccountId) -> str:
    """``pms:risk:{subAccountId}``."""
    return f"{PREFIX}{account_id}"


def snapshot_of(state: AccountState, market: Market) -> Snapshot | None:
    """An account at the present prices, as of the oldest of them if one is stale.

    Returns:
        None if a position's symbol never had a price.
    """
    marks = marks_of(state, market, at_any_age=True)
    if marks is None:
        return None
    view = margin.view(state, marks, market.instruments)
    equity = max(ZERO, view.equity)
    cut = margin.account_liquidation_price(state, marks, market.instruments)
    return Snapshot(
        sub_account_id=state.account_id,
        timestamp=market.wall_ms - _stale_ms(state, market),
        status=state.status,
        liquidation_mode=state.mode,
        liquidation_threshold=state.limits.first_tier,
        equity=short(equity),
        equity_raw=short(view.equity),
        balance=short(state.balance),
        unrealized_pnl=short(view.unrealized),
        margin_used=short(view.margin_used),
        available_margin=short(equity - view.margin_used),
        total_exposure=short(view.exposure),
        maintenance_margin=short(view.maintenance),
        margin_ratio=short(view.ratio),
        account_liq_price=None if cut is None else short(cut[1]),
        position_count=len(state.positions),
        positions=[_position(state, p, marks, market.instruments) for p in state.positions],
    )


def encode(snapshot: Snapshot) -> bytes:
    """As it is stored."""
    return ENCODER.encode(snapshot)


def decode(text: bytes, account_id: AccountId) -> Snapshot:
    """What is stored for an account.

    Raises:
        StateCorrupt: it is no snapshot, or another account's; says what is wrong with it.
    """
    try:
        found = DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateCorrupt(f"{key_of(account_id)} holds no snapshot: {error}") from None
    if found.sub_account_id != account_id:
        raise StateCorrupt(f"{key_of(account_id)} holds the snapshot of {found.sub_account_id!r}")
    return found


def _stale_ms(state: AccountState, market: Market) -> int:
    """How old the oldest of the prices is, if it is older than the account takes; else 0."""
    ages = [
        market.now_ns - tick.received_ns + tick.delay_ns
        for symbol in state.symbols
        if (tick := market.ticks.get(symbol)) is not None
    ]
    oldest = max(ages, default=0)
    return oldest // NANOS_PER_MS if oldest > state.limits.price_max_age_ns else 0


def _position(
    state: AccountState,
    p: Position,
    marks: Mapping[Symbol, Decimal],
    instruments: Mapping[Symbol, Instrument],
) -> SnapshotPosition:
    mark = marks[p.symbol]
    profit = p.unrealized(mark)
    return SnapshotPosition(
        id=p.position_id,
        symbol=platform_symbol(p.symbol),
        side="LONG" if p.is_long else "SHORT",
        entry_price=p.entry_price,
        mark_price=mark,
        quantity=abs(p.quantity),
        notional=short(p.notional),
        leverage=short(p.leverage),
        margin=short(p.margin),
        liquidation_price=short(margin.liquidation_price(state, p, marks, instruments)),
        unrealized_pnl=short(profit),
        pnl_percent=short(profit / p.margin * HUNDRED),
        babysitter_excluded=True,
        opened_at=time_of(p.opened_ms),
    )


def short(value: Decimal) -> Decimal:
    """Rounded to ``DIGITS``, without zeros at the end."""
    rounded = round(value, DIGITS).normalize()
    return rounded if rounded != rounded.to_integral_value() else rounded.quantize(Decimal(1))

"""What one account may do: every limit with its unit, meaning, source and default, on the field itself.

``bulkhead limits``, ``deploy/bulkhead.toml``, ``docs/limits.md``, the texts of errors and the names of the ``RISK_*``
variables are all made from ``RiskLimits``. To add a limit, add a field here, use it, and run ``make settings``.

A limit that may be switched off is ``None`` when it is off, and is written ``off``.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Annotated, Any, get_args

import msgspec
from msgspec.structs import fields, force_setattr

from actors.core.constants import WARNING_DISTANCE
from actors.core.units import NANOS_PER_SECOND, ONE, ZERO, Nanos


class Unit(StrEnum):
    """What a limit is measured in, and the range of its values."""

    MONEY = "quote asset"
    RATIO = "ratio, above 0 to 1"
    SHARE = "fraction, above 0"
    LEVERAGE = "times, at least 1"
    COUNT = "count, at least 1"
    SECONDS = "seconds, at least 1"
    CHOICE = "choice"
    TIERS = "ratio:fraction pairs, rising"


class Limit(msgspec.Struct, frozen=True):
    """The metadata of a field of ``RiskLimits``: unit, meaning, and where the limit and its default come from."""

    unit: Unit
    text: str
    source: str


SEED_000 = "seed 000"
RISK_RULES = "seed 000, risk_rules"
"""The platform's table ``risk_rules`` has a column of this name, too."""
SEED_001 = "seed 001"
SEED_002 = "seed 002"
SEED_003 = "seed 003"
SEED_004 = "seed 004"
SEEDS_001_AND_004 = "seeds 001, 004"
OWN = "Bulkhead"
BINANCE = "Binance USD-M, VIP 0"


class AdlTier(msgspec.Struct, frozen=True):
    """At ``margin_ratio`` or above, close ``fraction`` of the largest position (1 = everything)."""

    margin_ratio: Decimal
    fraction: Decimal


SEED_TIERS = (
    AdlTier(Decimal("0.90"), Decimal("0.30")),
    AdlTier(Decimal("0.925"), Decimal("0.50")),
    AdlTier(Decimal("0.95"), ONE),
)
"""Seed 000: 30 % of the largest, 50 % of the largest, all."""

PRICE_MAX_AGE = Nanos(10 * NANOS_PER_SECOND)
"""Older L1 counts as missing; the existing platform's own limit for fresh prices."""


class MaintenanceBasis(StrEnum):
    """What maintenance margin is a share of."""

    ENTRY = "entry"
    """Entry notional x the account's rate, as on the existing platform."""
    MARK = "mark"
    """Notional at the mark x the account's rate."""
    BRACKETS = "brackets"
    """Notional at the mark in the exchange's leverage brackets, with their cumulative amounts."""


class MarkSource(StrEnum):
    """Which L1 price values a position."""

    MID = "mid"
    EXIT = "exit"
    """What closing would bring: the bid for longs, the ask for shorts."""


class AdlOrder(StrEnum):
    """Which position a step of deleveraging cuts."""

    LARGEST = "largest"
    """The largest, by what maintenance margin is counted on (seed 000)."""
    LOSERS = "losers"
    """The one that loses most, in quote asset; the largest while none loses."""


class BreakerReset(StrEnum):
    """How an open breaker closes after its cooldown."""

    MANUAL = "manual"
    TIMED = "timed"
    """By itself to half-open, and from there by a winning trade."""


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """One account's limits, merged from all layers.

    Notionals and losses are in the quote asset; percentages are fractions (0.05 is 5 %). The last three fields are no
    limits: the first is the engine's setting ``price_max_age_ms``, the others follow from the limits.
    """

    max_leverage: Annotated[Decimal, Limit(Unit.LEVERAGE, "leverage of an order", RISK_RULES)] = Decimal(100)
    max_notional_per_trade: Annotated[
        Decimal, Limit(Unit.MONEY, "notional that one order opens", RISK_RULES)
    ] = Decimal(200)
    max_total_exposure: Annotated[
        Decimal, Limit(Unit.MONEY, "entry notional of positions and working orders", RISK_RULES)
    ] = Decimal(500)
    liquidation_threshold: Annotated[
        Decimal, Limit(Unit.RATIO, "margin ratio of the first ADL tier", RISK_RULES)
    ] = Decimal("0.90")
    margin_usage_limit: Annotated[
        Decimal, Limit(Unit.RATIO, "margin used / equity, to stay below", SEED_000)
    ] = Decimal("0.98")
    max_order_notional: Annotated[Decimal | None, Limit(Unit.MONEY, "notional of one order", SEED_001)] = None
    max_order_percent: Annotated[
        Decimal | None, Limit(Unit.SHARE, "notional of one order / equity", SEED_001)
    ] = None
    max_position_notional: Annotated[
        Decimal | None, Limit(Unit.MONEY, "notional of one position", SEED_001)
    ] = None
    max_position_percent: Annotated[
        Decimal | None, Limit(Unit.SHARE, "notional of one position / equity", SEEDS_001_AND_004)
    ] = None
    max_positions: Annotated[int | None, Limit(Unit.COUNT, "open positions", SEED_001)] = None
    max_open_orders: Annotated[int | None, Limit(Unit.COUNT, "working and conditional orders", SEED_001)] = (
        None
    )
    max_daily_loss: Annotated[Decimal | None, Limit(Unit.MONEY, "loss of the trading day", SEED_001)] = None
    max_daily_loss_percent: Annotated[
        Decimal | None, Limit(Unit.RATIO, "loss of the trading day / equity at its start", SEED_001)
    ] = None
    max_cumulative_loss: Annotated[
        Decimal | None, Limit(Unit.MONEY, "loss since the first deposit; closes everything", SEED_003)
    ] = None
    max_exposure_percent: Annotated[Decimal | None, Limit(Unit.SHARE, "exposure / equity", SEED_001)] = None
    max_price_deviation: Annotated[
        Decimal | None, Limit(Unit.SHARE, "distance of a limit price from the mid", SEED_001)
    ] = Decimal("0.05")
    max_slippage_percent: Annotated[
        Decimal | None, Limit(Unit.SHARE, "distance of the touch from the mid for a market order", SEED_001)
    ] = None
    max_orders_per_minute: Annotated[
        int | None, Limit(Unit.COUNT, "orders a minute in one symbol", SEED_001)
    ] = None
    max_correlation: Annotated[
        Decimal | None, Limit(Unit.RATIO, "correlation with a position of the same strategy", SEED_004)
    ] = None
    max_strategy_drawdown: Annotated[
        Decimal | None, Limit(Unit.RATIO, "loss of a strategy's positions / their entry notional", SEED_004)
    ] = None
    max_value_at_risk: Annotated[
        Decimal | None, Limit(Unit.RATIO, "one-minute 95 % value at risk / equity", SEED_003)
    ] = None
    min_liquidity: Annotated[
        Decimal | None, Limit(Unit.MONEY, "notional displayed at the touch", SEED_004)
    ] = None
    max_consecutive_losses: Annotated[
        int | None, Limit(Unit.COUNT, "losing trades in a row that trip the breaker", SEED_001)
    ] = None
    max_consecutive_errors: Annotated[
        int | None, Limit(Unit.COUNT, "refused orders in a row that trip the breaker", SEED_001)
    ] = None
    breaker_loss_percent: Annotated[
        Decimal | None, Limit(Unit.RATIO, "day's loss / equity at its start that trips the breaker", SEED_004)
    ] = None
    breaker_profit_percent: Annotated[
        Decimal | None,
        Limit(Unit.SHARE, "day's profit / equity at its start that trips the breaker", SEED_004),
    ] = None
    breaker_cooldown_seconds: Annotated[
        int, Limit(Unit.SECONDS, "how long the breaker stays open", SEED_001)
    ] = 1_800
    breaker_reset: Annotated[
        BreakerReset, Limit(Unit.CHOICE, "how the breaker closes after that", SEED_001)
    ] = BreakerReset.MANUAL
    half_open_fraction: Annotated[
        Decimal, Limit(Unit.RATIO, "share of every size limit while half-open", SEED_004)
    ] = Decimal("0.25")
    position_timeout_seconds: Annotated[
        int | None, Limit(Unit.SECONDS, "age of a position that raises an alert", SEED_004)
    ] = None
    excessive_loss_percent: Annotated[
        Decimal | None,
        Limit(Unit.RATIO, "loss of a position / entry notional that raises an alert", SEED_004),
    ] = None
    fixed_order_size: Annotated[
        Decimal | None, Limit(Unit.MONEY, "notional of an order sized 'fixed'", SEED_002)
    ] = None
    maintenance_basis: Annotated[
        MaintenanceBasis, Limit(Unit.CHOICE, "what maintenance margin is a share of", SEED_000)
    ] = MaintenanceBasis.ENTRY
    mark_source: Annotated[
        MarkSource,
        Limit(
            Unit.CHOICE,
            "the price that values a position; exit: the bid for longs, the ask for shorts",
            SEED_000,
        ),
    ] = MarkSource.MID
    adl_tiers: Annotated[
        tuple[AdlTier, ...] | None,
        Limit(Unit.TIERS, "margin ratio:fraction of one position to close", SEED_000),
    ] = None
    adl_order: Annotated[
        AdlOrder,
        Limit(
            Unit.CHOICE,
            "the position that a tier closes a part of; losers: the one that loses most",
            SEED_000,
        ),
    ] = AdlOrder.LARGEST
    adl_cooldown_seconds: Annotated[
        int | None, Limit(Unit.SECONDS, "wait between two tier steps; closing everything never waits", OWN)
    ] = None
    adl_all_below: Annotated[
        Decimal | None,
        Limit(Unit.MONEY, "notional at the mark below which the first tier closes everything", OWN),
    ] = None
    taker_fee_rate: Annotated[
        Decimal,
        Limit(Unit.RATIO, "fee on what the house takes, and that an order is expected to pay", BINANCE),
    ] = Decimal("0.0005")
    price_max_age_ns: Nanos = PRICE_MAX_AGE
    needs_day: bool = False
    """Whether a limit is measured from the start of the trading day; follows from the limits."""
    watches_equity: bool = False
    """Whether equity alone, at any time, may trip something; follows from the limits."""

    def __post_init__(self) -> None:
        # Read on every wake, so it is worked out once.
        of_day = (
            self.max_daily_loss, self.max_daily_loss_percent, self.breaker_loss_percent, self.breaker_profit_percent,
        )  # fmt: skip
        needs_day = any(limit is not None for limit in of_day)
        force_setattr(self, "needs_day", needs_day)
        force_setattr(self, "watches_equity", needs_day or self.max_cumulative_loss is not None)

    def tiers(self) -> tuple[AdlTier, ...]:
        """The ADL tiers: ``adl_tiers`` as they are, or the seed's with the first at ``liquidation_threshold``.

        A shifted tier is capped at 1, where the insolvency guard takes over anyway.
        """
        if self.adl_tiers is not None:
            return self.adl_tiers
        shift = self.liquidation_threshold - SEED_TIERS[0].margin_ratio
        if shift == ZERO:
            return SEED_TIERS
        return tuple(AdlTier(min(t.margin_ratio + shift, ONE), t.fraction) for t in SEED_TIERS)

    @property
    def first_tier(self) -> Decimal:
        """The margin ratio at which deleveraging begins."""
        return self.liquidation_threshold if self.adl_tiers is None else self.adl_tiers[0].margin_ratio

    @property
    def warning_line(self) -> Decimal:
        """The margin ratio at which an account is warned; what it decides by itself keeps it below."""
        return self.first_tier - WARNING_DISTANCE


class LimitField(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as the model declares it: the metadata, and what follows from the field's type and default."""

    name: str
    unit: Unit
    text: str
    source: str
    default: Any
    optional: bool
    choice: type[StrEnum] | None
    """The values that a limit of unit ``CHOICE`` can have."""

    @property
    def range(self) -> str:
        """The unit for people: the values of a choice by name."""
        return self.unit if self.choice is None else f"one of {', '.join(self.choice)}"


def _declared() -> dict[str, LimitField]:
    found = {}
    for field in fields(RiskLimits):
        limit = next((m for m in getattr(field.type, "__metadata__", ()) if isinstance(m, Limit)), None)
        if limit is None:
            continue
        kind = get_args(field.type)[0]
        found[field.name] = LimitField(
            name=field.name,
            unit=limit.unit,
            text=limit.text,
            source=limit.source,
            default=field.default,
            optional=NoneType in get_args(kind),
            choice=kind if isinstance(kind, type) and issubclass(kind, StrEnum) else None,
        )
    return found


LIMITS: dict[str, LimitField] = _declared()
"""Every limit by name, in the order of the model."""

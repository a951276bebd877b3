"""What one account may do: every limit, its unit, its source, its default; and the table that they merge to.

Rules
1. A limit that may be switched off is ``None`` when it is off, and is written ``off``.
2. Every value is text outside (TOML, environment, rows, HTTP) and read by ``parse`` alone, which refuses
   what cannot be and names the cure.
3. Later layers win: built-in < profile < file < environment < the platform's rule for all < its rule for
   the account < the account's own override.

Sources: seed 000 and the platform's ``risk_rules`` (the first five), seed 001 (sizes, counts, losses, exposure,
prices, rate, breaker), seed 002 (profiles, fixed size), seed 003 (cumulative loss, value at risk), seed 004
(position percent, correlation, drawdown, liquidity, timeout, breaker thresholds). ``taker_fee_rate``: the exchange's own, Binance USD-M VIP 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from itertools import pairwise
from typing import Any

import msgspec
from msgspec.structs import force_setattr, replace

from actors.core.constants import WARNING_DISTANCE
from actors.core.errors import BadConfig
from actors.core.units import NANOS_PER_SECOND, ONE, ZERO, Nanos, parse_decimal, plain


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
    """One account's limits, merged. ``SPECS`` says each one's unit and meaning.

    Notionals and losses are in the quote asset; percentages are fractions (0.05 is 5 %).
    """

    max_leverage: Decimal = Decimal(100)
    max_notional_per_trade: Decimal = Decimal(200)
    max_total_exposure: Decimal = Decimal(500)
    liquidation_threshold: Decimal = Decimal("0.90")
    margin_usage_limit: Decimal = Decimal("0.98")
    max_order_notional: Decimal | None = None
    max_order_percent: Decimal | None = None
    max_position_notional: Decimal | None = None
    max_position_percent: Decimal | None = None
    max_positions: int | None = None
    max_open_orders: int | None = None
    max_daily_loss: Decimal | None = None
    max_daily_loss_percent: Decimal | None = None
    max_cumulative_loss: Decimal | None = None
    max_exposure_percent: Decimal | None = None
    max_price_deviation: Decimal | None = Decimal("0.05")
    max_slippage_percent: Decimal | None = None
    max_orders_per_minute: int | None = None
    max_correlation: Decimal | None = None
    max_strategy_drawdown: Decimal | None = None
    max_value_at_risk: Decimal | None = None
    min_liquidity: Decimal | None = None
    max_consecutive_losses: int | None = None
    max_consecutive_errors: int | None = None
    breaker_loss_percent: Decimal | None = None
    breaker_profit_percent: Decimal | None = None
    breaker_cooldown_seconds: int = 1_800
    breaker_reset: BreakerReset = BreakerReset.MANUAL
    half_open_fraction: Decimal = Decimal("0.25")
    position_timeout_seconds: int | None = None
    excessive_loss_percent: Decimal | None = None
    fixed_order_size: Decimal | None = None
    maintenance_basis: MaintenanceBasis = MaintenanceBasis.ENTRY
    mark_source: MarkSource = MarkSource.MID
    adl_tiers: tuple[AdlTier, ...] | None = None
    adl_order: AdlOrder = AdlOrder.LARGEST
    adl_cooldown_seconds: int | None = None
    adl_all_below: Decimal | None = None
    taker_fee_rate: Decimal = Decimal("0.0005")
    price_max_age_ns: Nanos = PRICE_MAX_AGE
    needs_day: bool = False
    """Whether a limit is measured from the begin of the trading day; told by the limits themselves."""
    watches_equity: bool = False
    """Whether equity alone, at any moment, may trip something; told by the limits themselves."""

    def __post_init__(self) -> None:
        # Asked on every wake, so it is answered once.
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


class Kind(StrEnum):
    """What values a limit can have."""

    MONEY = "quote asset"
    RATIO = "ratio, above 0 to 1"
    SHARE = "fraction, above 0"
    LEVERAGE = "times, at least 1"
    COUNT = "count, at least 1"
    SECONDS = "seconds, at least 1"
    CHOICE = "choice"
    TIERS = "ratio:fraction pairs, rising"


class Spec(msgspec.Struct, frozen=True):
    """What a limit is: for parsing, for ``--help``, for ``bulkhead limits``."""

    kind: Kind
    text: str
    optional: bool = True
    choice: type[StrEnum] | None = None


SPECS: dict[str, Spec] = {
    "max_leverage": Spec(Kind.LEVERAGE, "leverage of an order", optional=False),
    "max_notional_per_trade": Spec(Kind.MONEY, "notional that one order opens", optional=False),
    "max_total_exposure": Spec(Kind.MONEY, "entry notional of positions and working orders", optional=False),
    "liquidation_threshold": Spec(Kind.RATIO, "margin ratio of the first ADL tier", optional=False),
    "margin_usage_limit": Spec(Kind.RATIO, "margin used / equity, to stay below", optional=False),
    "max_order_notional": Spec(Kind.MONEY, "notional of one order"),
    "max_order_percent": Spec(Kind.SHARE, "notional of one order / equity"),
    "max_position_notional": Spec(Kind.MONEY, "notional of one position"),
    "max_position_percent": Spec(Kind.SHARE, "notional of one position / equity"),
    "max_positions": Spec(Kind.COUNT, "open positions"),
    "max_open_orders": Spec(Kind.COUNT, "working and conditional orders"),
    "max_daily_loss": Spec(Kind.MONEY, "loss of the trading day"),
    "max_daily_loss_percent": Spec(Kind.RATIO, "loss of the trading day / equity at its begin"),
    "max_cumulative_loss": Spec(Kind.MONEY, "loss since the first deposit; closes everything"),
    "max_exposure_percent": Spec(Kind.SHARE, "exposure / equity"),
    "max_price_deviation": Spec(Kind.SHARE, "distance of a limit price from the mid"),
    "max_slippage_percent": Spec(Kind.SHARE, "distance of the touch from the mid for a market order"),
    "max_orders_per_minute": Spec(Kind.COUNT, "orders a minute in one symbol"),
    "max_correlation": Spec(Kind.RATIO, "correlation with a position of the same strategy"),
    "max_strategy_drawdown": Spec(Kind.RATIO, "loss of a strategy's positions / their entry notional"),
    "max_value_at_risk": Spec(Kind.RATIO, "one-minute 95 % value at risk / equity"),
    "min_liquidity": Spec(Kind.MONEY, "notional displayed at the touch"),
    "max_consecutive_losses": Spec(Kind.COUNT, "losing trades in a row that trip the breaker"),
    "max_consecutive_errors": Spec(Kind.COUNT, "refused orders in a row that trip the breaker"),
    "breaker_loss_percent": Spec(Kind.RATIO, "day's loss / equity at its begin that trips the breaker"),
    "breaker_profit_percent": Spec(Kind.SHARE, "day's profit / equity at its begin that trips the breaker"),
    "breaker_cooldown_seconds": Spec(Kind.SECONDS, "how long the breaker stays open", optional=False),
    "breaker_reset": Spec(Kind.CHOICE, "how it closes after that", optional=False, choice=BreakerReset),
    "half_open_fraction": Spec(Kind.RATIO, "share of every size limit while half-open", optional=False),
    "position_timeout_seconds": Spec(Kind.SECONDS, "age of a position that raises an alert"),
    "excessive_loss_percent": Spec(Kind.RATIO, "loss of a position / entry notional that raises an alert"),
    "fixed_order_size": Spec(Kind.MONEY, "notional of an order sized 'fixed'"),
    "maintenance_basis": Spec(
        Kind.CHOICE, "what maintenance margin is a share of", optional=False, choice=MaintenanceBasis
    ),
    "mark_source": Spec(Kind.CHOICE, "the price that values a position", optional=False, choice=MarkSource),
    "adl_tiers": Spec(Kind.TIERS, "margin ratio:fraction of one position to close"),
    "adl_order": Spec(
        Kind.CHOICE, "the position that a tier closes a part of", optional=False, choice=AdlOrder
    ),
    "adl_cooldown_seconds": Spec(Kind.SECONDS, "wait between two tier steps; closing everything never waits"),
    "adl_all_below": Spec(Kind.MONEY, "notional at the mark below which the first tier closes everything"),
    "taker_fee_rate": Spec(
        Kind.RATIO, "fee on what the house takes, and that an order is expected to pay", optional=False
    ),
}

PROFILES: dict[str, dict[str, str]] = {
    "conservative": {"max_leverage": "1", "max_positions": "1", "fixed_order_size": "50"},
    "moderate": {"max_leverage": "3", "max_positions": "2", "fixed_order_size": "100"},
    "aggressive": {"max_leverage": "5", "max_positions": "5", "fixed_order_size": "200"},
    "paranoid": {
        "max_position_notional": "1000",
        "max_position_percent": "0.1",
        "max_order_notional": "5000",
        "max_open_orders": "10",
        "max_daily_loss": "500",
        "max_daily_loss_percent": "0.05",
        "max_consecutive_losses": "3",
        "max_total_exposure": "10000",
        "max_exposure_percent": "0.5",
        "max_positions": "5",
        "max_price_deviation": "0.05",
        "max_slippage_percent": "0.01",
        "max_consecutive_errors": "5",
        "breaker_cooldown_seconds": "1800",
        "max_orders_per_minute": "10",
    },
    "portfolio": {
        "max_position_percent": "0.10",
        "max_strategy_drawdown": "0.15",
        "max_leverage": "5",
        "max_correlation": "0.7",
        "min_liquidity": "10000",
        "max_daily_loss_percent": "0.05",
        "position_timeout_seconds": "3600",
        "excessive_loss_percent": "0.10",
        "breaker_loss_percent": "0.10",
        "breaker_profit_percent": "0.20",
        "breaker_cooldown_seconds": "300",
        "breaker_reset": "timed",
    },
}
"""Seed 002's three, seed 001's example, seed 004's defaults. What a profile does not name keeps its default."""

OFF = "off"

SECONDS_MAX = 10 * 365 * 86_400
"""Ten years; a cooldown beyond that is a typing mistake, and its end no time that a database knows."""

_LEAST = {Kind.LEVERAGE: ONE, Kind.COUNT: ONE, Kind.SECONDS: ONE}


class Layer(msgspec.Struct, frozen=True):
    """Values of one source, as text."""

    source: str
    values: Mapping[str, str]


class LimitRow(msgspec.Struct, frozen=True):
    """One line of ``bulkhead limits``."""

    name: str
    value: str
    source: str
    unit: str
    text: str


def hint(name: str, known: Iterable[str]) -> str:
    """What may have been meant by an unknown name, or all that there is."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


def parse(name: str, text: object) -> Any:
    """The value of limit ``name`` out of text.

    Raises:
        BadConfig: no such limit, or a value that it cannot have; names both and the cure.
    """
    spec = SPECS.get(name)
    if spec is None:
        raise BadConfig(f"{name}: no such limit; {hint(name, SPECS)}")
    text = str(text).strip() if not isinstance(text, str) else text.strip()
    if text.lower() == OFF:
        if not spec.optional:
            raise BadConfig(f"{name}: cannot be switched off; give a number ({spec.kind})")
        return None
    if spec.choice is not None:
        if text not in {c.value for c in spec.choice}:
            raise BadConfig(f"{name}: {text!r} is none of {', '.join(c.value for c in spec.choice)}")
        return spec.choice(text)
    if spec.kind is Kind.TIERS:
        return _tiers(name, text)
    value = _number(name, text)
    if value < _LEAST.get(spec.kind, ZERO) or value == ZERO or (spec.kind is Kind.RATIO and value > ONE):
        raise BadConfig(f"{name}: {text} cannot be; it is a {spec.kind}")
    if spec.kind is Kind.SECONDS and value > SECONDS_MAX:
        raise BadConfig(f"{name}: {text} cannot be; it is at most {SECONDS_MAX} seconds, ten years")
    if spec.kind in {Kind.COUNT, Kind.SECONDS}:
        if value != value.to_integral_value():
            raise BadConfig(f"{name}: {text} must be a whole number")
        return int(value)
    return value


def shown(value: Any) -> str:
    """A limit's value as text that ``parse`` reads back."""
    if value is None:
        return OFF
    if isinstance(value, tuple):
        return ", ".join(f"{plain(t.margin_ratio)}:{plain(t.fraction)}" for t in value)
    return plain(value) if isinstance(value, Decimal) else str(value)


def merge(base: RiskLimits, values: Mapping[str, str]) -> RiskLimits:
    """``base`` with ``values`` over it.

    Raises:
        BadConfig: see ``parse``.
    """
    if not values:
        return base
    return replace(base, **{name: parse(name, text) for name, text in values.items()})


def merged(layers: Sequence[Layer]) -> RiskLimits:
    """All layers over the built-in limits, the last one on top.

    Raises:
        BadConfig: naming the source too.
    """
    limits = RiskLimits()
    for layer in layers:
        try:
            limits = merge(limits, layer.values)
        except BadConfig as error:
            raise BadConfig(f"{layer.source}: {error}") from None
    return limits


def _number(name: str, text: str) -> Decimal:
    try:
        value = parse_decimal(text, name)
    except ValueError as error:
        raise BadConfig(str(error)) from None
    return value


def _tiers(name: str, text: str) -> tuple[AdlTier, ...]:
    tiers = []
    for pair in text.split(","):
        ratio, colon, fraction = (part.strip() for part in pair.partition(":"))
        if not colon:
            raise BadConfig(f"{name}: {pair.strip()!r} is not ratio:fraction, for example 0.90:0.30")
        tiers.append(AdlTier(_number(name, ratio), _number(name, fraction)))
    for tier in tiers:
        if not (ZERO < tier.margin_ratio <= ONE and ZERO < tier.fraction <= ONE):
            raise BadConfig(
                f"{name}: {shown((tier,))} cannot be; ratio and fraction are above 0 and at most 1"
            )
    if any(b.margin_ratio <= a.margin_ratio or b.fraction < a.fraction for a, b in pairwise(tiers)):
        raise BadConfig(f"{name}: {text!r} must rise: a higher margin ratio closes no less")
    return tuple(tiers)

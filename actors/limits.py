"""Every bound, its unit and its reason, checked against its neighbours at import.

Two kinds: the risk limits of one account (``RiskLimits``), and the engine's own bounds.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.units import NANOS_PER_MS, NANOS_PER_SECOND, ONE, ZERO, Nanos


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

WARNING_DISTANCE = Decimal("0.10")
"""An account is warned this far below its first tier, as on the existing platform."""


PRICE_MAX_AGE = Nanos(10 * NANOS_PER_SECOND)
"""Older L1 counts as missing; the existing platform's own limit for fresh prices."""


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one account may do. The first three defaults are the platform's ``risk_rules`` ones.

    Notionals are in the quote asset; ``margin_usage_limit`` is margin used / equity;
    ``price_max_age_ns`` is how old an L1 may be before its price counts as missing.
    """

    max_leverage: Decimal = Decimal(100)
    max_notional_per_trade: Decimal = Decimal(200)
    max_total_exposure: Decimal = Decimal(500)
    liquidation_threshold: Decimal = Decimal("0.90")
    margin_usage_limit: Decimal = Decimal("0.98")
    price_max_age_ns: Nanos = PRICE_MAX_AGE

    def tiers(self) -> tuple[AdlTier, ...]:
        """The ADL tiers, shifted so that the first one stands at ``liquidation_threshold``.

        The last tier is capped just under 1, where the insolvency guard takes over anyway.
        """
        shift = self.liquidation_threshold - SEED_TIERS[0].margin_ratio
        if shift == ZERO:
            return SEED_TIERS
        return tuple(AdlTier(min(t.margin_ratio + shift, ONE), t.fraction) for t in SEED_TIERS)


TRACE_DEPTH = 8
"""Messages remembered per actor: enough to see what led to a crash, 1 KB at the most."""

COMMANDS_MAX = 256
"""Commands waiting in one mailbox. A bot that is 256 commands ahead of its account is broken."""

MAILBOX_HIGH = 1_000
"""Fills waiting in one account's mailbox above which that account takes no new risk."""

MAILBOX_LOW = 200
"""Fills waiting below which it may again."""

ORDER_WAIT_MAX = Nanos(10 * NANOS_PER_SECOND)
"""How long an order may wait in a mailbox. Who asked for it has been told by then that it failed."""

TURN_MESSAGES = 64
"""Messages that one actor handles before the next one runs."""

TURN_NANOS = Nanos(2 * NANOS_PER_MS)
"""Time after which a turn ends even with messages left; half of the commit target."""

HIGHER_LANE_RUN = 16
"""Messages of higher lanes handled in a row before a waiting lower lane gets one."""

WRITER_BATCH_MAX = 512
"""Decisions in one transaction; the measured knee of group commit is between 100 and 1,000."""

WRITER_WAITING_HIGH = 20_000
"""Decisions waiting for the writer above which accounts take no new risk."""

WRITER_WAITING_LOW = 5_000
"""Decisions waiting below which new risk is allowed again."""

ADL_REFUSALS_MAX = 10
"""Refused liquidation steps in a row before the account is STUCK and a human is called."""

ADL_BACKOFF_FIRST = Nanos(200 * NANOS_PER_MS)
"""Wait after the first refused step; doubled after each further one."""

ADL_BACKOFF_MAX = Nanos(30 * NANOS_PER_SECOND)
"""The longest wait between two steps."""

RECV_WINDOW_MS = 2_000
"""How long the exchange honours a signed request. After it, 'no such order' is final."""

ORDER_MAX_AGE_MS = 30_000
"""How old a decision may be when it is sent; the market that it was made for is gone after that."""

UNKNOWN_QUERY_EVERY = Nanos(500 * NANOS_PER_MS)
"""How often an order of unknown fate is asked after."""

CLIENT_ORDER_ID_PREFIX = "bh"
"""Orders on the master account that start with this are ours to cancel."""

assert WRITER_WAITING_LOW < WRITER_WAITING_HIGH
assert MAILBOX_LOW < MAILBOX_HIGH
assert HIGHER_LANE_RUN < TURN_MESSAGES
assert ADL_BACKOFF_FIRST < ADL_BACKOFF_MAX

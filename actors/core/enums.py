"""The closed lists of words: statuses, sides, kinds. Their values are stored and spoken."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never


class Side(StrEnum):
    """Side of an order or a fill, in the exchange's spelling."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Order types that an account may send."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    """How long a LIMIT order lives."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class AccountStatus(StrEnum):
    """The platform's account status."""

    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    LIQUIDATED = "LIQUIDATED"


class Purpose(StrEnum):
    """Why an order exists."""

    USER = "USER"
    ADL = "ADL"
    LIQUIDATION = "LIQUIDATION"
    CLOSE_OUT = "CLOSE_OUT"
    """Everything must go for another reason than margin: a loss limit, or an emergency stop."""


class OrderClass(StrEnum):
    """Who goes first when the exchange's limits make orders wait, in this order."""

    LIQUIDATION = "LIQUIDATION"
    REDUCING = "REDUCING"
    NEW_RISK = "NEW_RISK"


class OrderStatus(StrEnum):
    """Life of an order. The last five are terminal."""

    INTENDED = "INTENDED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    NEVER_SENT = "NEVER_SENT"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen to the order."""
        return self not in {OrderStatus.INTENDED, OrderStatus.ACKNOWLEDGED}

    @property
    def is_refusal(self) -> bool:
        """Whether the exchange did not take the order, or ended it by itself."""
        match self:
            case OrderStatus.REJECTED | OrderStatus.EXPIRED:
                return True
            case OrderStatus.FILLED | OrderStatus.CANCELED | OrderStatus.NEVER_SENT:
                return False
            case OrderStatus.INTENDED | OrderStatus.ACKNOWLEDGED:
                return False
            case _:
                assert_never(self)


class Phase(StrEnum):
    """Where an account stands in its liquidation."""

    HEALTHY = "HEALTHY"
    WARNING = "WARNING"
    REDUCING = "REDUCING"
    LIQUIDATING = "LIQUIDATING"
    LIQUIDATED = "LIQUIDATED"
    STUCK = "STUCK"

    @property
    def is_calm(self) -> bool:
        """Whether nothing is being liquidated, or was: prices alone decide what comes next."""
        match self:
            case Phase.HEALTHY | Phase.WARNING:
                return True
            case Phase.REDUCING | Phase.LIQUIDATING | Phase.LIQUIDATED | Phase.STUCK:
                return False
            case _:
                assert_never(self)

    @property
    def is_deleveraging(self) -> bool:
        """Whether steps are being taken; STUCK takes them now and then only."""
        match self:
            case Phase.REDUCING | Phase.LIQUIDATING:
                return True
            case Phase.HEALTHY | Phase.WARNING | Phase.LIQUIDATED | Phase.STUCK:
                return False
            case _:
                assert_never(self)


class LiquidationMode(StrEnum):
    """What happens at the first tier: tiers, all at once, or the house takes over."""

    ADL_30 = "ADL_30"
    INSTANT_CLOSE = "INSTANT_CLOSE"
    TAKEOVER = "TAKEOVER"


class Breaker(StrEnum):
    """The account's circuit breaker: open lets no new risk in, half-open a share of it."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class CloseOutScope(StrEnum):
    """What a close-out is of. Its values begin the reasons that are stored, and are spoken in dead letters."""

    ACCOUNT = ""
    """This account: a loss limit, or an operator."""
    FLEET = "emergency stop of all"
    """All accounts at once, by an operator; it is called off for all at once."""

    @classmethod
    def of_reason(cls, reason: str) -> CloseOutScope:
        """The scope of a stored reason, for what keeps the reason alone."""
        return cls.FLEET if reason.startswith(cls.FLEET.value) else cls.ACCOUNT


class ReconsiderReason(StrEnum):
    """Why an account looks at itself again. The values are stored in dead letters, and name causes."""

    BACKOFF = "backoff"
    DEADLINE = "deadline"
    FEES = "fees"
    OPERATOR = "operator"
    QUARANTINE = "quarantine"
    ROUTER_RESTARTED = "router restarted"
    RULES = "rules"

    @classmethod
    def _missing_(cls, value: object) -> ReconsiderReason | None:
        # Until 2026 the timers of fees had the actor's incarnation in their cause.
        return cls.FEES if isinstance(value, str) and value.startswith("fees:") else None


class Alert(StrEnum):
    """What the position monitor may say of a position, once."""

    TIMEOUT = "TIMEOUT"
    EXCESSIVE_LOSS = "EXCESSIVE_LOSS"
    UNPROTECTED = "UNPROTECTED"
    """A stop was refused by the exchange again and again, and is not sent any more."""
    NO_RULES = "NO_RULES"
    """It must be closed, and the exchange's rules of its symbol are not known."""


class ConditionalKind(StrEnum):
    """Orders that wait for a price, in the exchange's spelling."""

    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


class ConditionalStatus(StrEnum):
    """How a conditional order ends; WAITING until then."""

    WAITING = "WAITING"
    TRIGGERED = "TRIGGERED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    """The position that it was to reduce is gone."""
    REJECTED = "REJECTED"
    """It triggered, and the checks refused it then."""

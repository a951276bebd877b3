"""Which facts are kept as alerts of an account, by kind: what its owner or an operator looks for afterwards. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never, get_args

from actors.core.enums import Breaker, ConditionalStatus, Phase
from actors.core.facts import (
    AnyFact,
    BadDebtRecorded,
    BreakerChanged,
    CloseOutBegan,
    ConditionalEnded,
    ConditionalPlaced,
    DayStopped,
    FillApplied,
    PhaseChanged,
    PositionAlerted,
    PositionTakenOver,
    QuietFact,
)
from actors.core.fees import FeeLearned


class AlertKind(StrEnum):
    """What an alert is of. The values are stored and spoken."""

    POSITION = "POSITION"
    """The position monitor: too old, loses too much, without a stop that holds, without rules."""
    BREACH = "BREACH"
    """The margin reached a tier, or a limit on the day's loss was."""
    LIQUIDATED = "LIQUIDATED"
    TAKEOVER = "TAKEOVER"
    """The house took a position over."""
    STUCK = "STUCK"
    """The exchange refuses the steps of a liquidation."""
    BAD_DEBT = "BAD_DEBT"
    BREAKER = "BREAKER"
    """The circuit breaker opened, half-opened or closed."""
    CLOSE_OUT = "CLOSE_OUT"
    STOP_REFUSED = "STOP_REFUSED"
    """A conditional order was refused when its price came."""
    FEE_PENDING = "FEE_PENDING"


Found = tuple[AlertKind, str]

_NEVER = frozenset(get_args(QuietFact)) - {PositionTakenOver}


def alert_of(fact: AnyFact) -> Found | None:  # noqa: PLR0912 - one branch per fact
    """Kind and symbol (empty where it is of none) of an alert; None for a fact that is none."""
    if type(fact) in _NEVER:
        return None
    match fact:
        case PositionTakenOver():
            return AlertKind.TAKEOVER, fact.symbol
        case BreakerChanged():
            return AlertKind.BREAKER, ""
        case DayStopped():
            return AlertKind.BREACH, ""
        case CloseOutBegan():
            return AlertKind.CLOSE_OUT, ""
        case PositionAlerted():
            return AlertKind.POSITION, fact.symbol
        case ConditionalPlaced():
            return (AlertKind.STOP_REFUSED, fact.symbol) if fact.attempt else None
        case ConditionalEnded():
            return (AlertKind.STOP_REFUSED, "") if fact.status is ConditionalStatus.REJECTED else None
        case BadDebtRecorded():
            return AlertKind.BAD_DEBT, ""
        case FillApplied():
            taken = fact.commission
            unknown = taken is not None and taken.rate is None and taken.amount is not None
            return (AlertKind.FEE_PENDING, fact.trade.symbol) if unknown else None
        case FeeLearned():
            return AlertKind.FEE_PENDING, fact.symbol
        case PhaseChanged():
            return _of_phase(fact)
        case _ if isinstance(
            fact, QuietFact
        ):  # never here, see above: mypy cannot read a set, and asks for these
            return None
        case _:
            assert_never(fact)


def _of_phase(fact: PhaseChanged) -> Found | None:
    match fact.phase:
        case Phase.STUCK:
            return AlertKind.STUCK, ""
        case Phase.LIQUIDATED:
            return AlertKind.LIQUIDATED, ""
        case Phase.REDUCING | Phase.LIQUIDATING:
            # A round that waits after a refusal is none of its own.
            return None if fact.refusals or fact.unsent or fact.retry_at_ms else (AlertKind.BREACH, "")
        case Phase.HEALTHY | Phase.WARNING:
            return None
        case _:
            assert_never(fact.phase)


def text_of(fact: AnyFact, said: str) -> str:
    """An alert in words; ``said`` is what ``alerts.texts_of`` says of the fact, empty for what only the past knows."""
    if said:
        return said
    match fact:
        case PositionTakenOver():
            return f"the house took {fact.quantity} {fact.symbol} over at {fact.price}"
        case BreakerChanged(breaker=Breaker.OPEN | Breaker.HALF_OPEN | Breaker.CLOSED):
            return (
                f"breaker {fact.breaker.value.lower().replace('_', '-')}: {fact.reason or 'back to normal'}"
            )
        case PhaseChanged():
            return _phase_text(fact)
        case _:
            return type(fact).__name__


def _phase_text(fact: PhaseChanged) -> str:
    match fact.phase:
        case Phase.REDUCING:
            return "the margin ratio reached a tier: positions are being reduced"
        case Phase.LIQUIDATING:
            return "the margin ratio reached the last tier: everything is being closed"
        case Phase.LIQUIDATED:
            return "liquidated: nothing is left"
        case Phase.STUCK:
            return f"STUCK after {fact.refusals} refused liquidation steps"
        case Phase.HEALTHY | Phase.WARNING:
            return fact.phase.value
        case _:
            assert_never(fact.phase)

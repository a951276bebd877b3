"""Which facts a human must hear of, in words."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import assert_never, get_args

from actors.core.alarm_level import Critical
from actors.core.constants import ADL_REFUSALS_MAX, ADL_STUCK_EVERY_MS
from actors.core.enums import Alert, Breaker, ConditionalStatus, Phase
from actors.core.facts import (
    AnyFact,
    BadDebtRecorded,
    BreakerChanged,
    CloseOutBegan,
    ConditionalEnded,
    ConditionalPlaced,
    DayStopped,
    FillApplied,
    OrderEnded,
    PhaseChanged,
    PositionAlerted,
    QuietFact,
)
from actors.core.fees import Commission, FeeLearned
from actors.core.orders import end_text, is_refusal
from actors.core.units import AccountId, Symbol, plain

_QUIET = frozenset(get_args(QuietFact))
"""Asked for with each fact: a set is a tenth of what a row of isinstance checks costs."""


def alerts_of(account_id: AccountId, facts: Iterable[AnyFact]) -> list[str]:
    """One line per fact that is news to an operator."""
    found = []
    for text in texts_of(facts):
        if text:
            line = f"{account_id}: {text}"
            found.append(Critical(line) if isinstance(text, Critical) else line)
    return found


def texts_of(facts: Iterable[AnyFact]) -> list[str]:
    """For each fact what it says to an operator, empty for most; what a refusal led to says what the exchange said."""
    found, refusal = [], ""
    for fact in facts:
        if isinstance(fact, OrderEnded) and is_refusal(fact):
            refusal = f" ({end_text(fact.status, fact.code, fact.reason)})"
        found.append(_text(fact, refusal))
    return found


def _text(fact: AnyFact, refusal: str) -> str:  # noqa: PLR0912 - one branch per fact
    """What a fact says to an operator, ``Critical`` if somebody must act; empty for most."""
    if type(fact) in _QUIET:
        return ""
    match fact:
        case PhaseChanged(phase=Phase.STUCK, refusals=refusals) if refusals == ADL_REFUSALS_MAX:
            return Critical(
                f"STUCK after {refusals} refused liquidation steps{refusal}; its risk is not shrinking. It tries again "
                f"every {ADL_STUCK_EVERY_MS // 1_000} s, and 'bulkhead retry' has it try now"
            )
        case PhaseChanged() | FillApplied(commission=None):  # the most frequent
            return ""
        case BreakerChanged(breaker=Breaker.OPEN):
            return f"breaker open: {fact.reason}"
        case DayStopped():
            return f"no new risk today: the day's loss of {fact.loss:.2f} reached {fact.limit:.2f}"
        case CloseOutBegan():
            return f"everything is being closed: {fact.reason}"
        case PositionAlerted():
            return _of_position(fact, refusal)
        case ConditionalPlaced() if fact.attempt:
            return f"the stop of {fact.symbol} was not taken by the exchange{refusal}; it is sent again ({fact.attempt})"
        case BadDebtRecorded():
            return Critical(f"bad debt of {fact.amount:.2f}")
        case FillApplied(commission=Commission(rate=None, amount=Decimal() as amount, asset=asset)):
            return _fee_pending(fact.trade.symbol, fact.trade.trade_id, amount, asset)
        case FeeLearned():
            return _fee_pending(fact.symbol, fact.trade_id, fact.amount, fact.asset)
        case ConditionalEnded(status=ConditionalStatus.REJECTED):
            return f"conditional order {fact.client_order_id} triggered and was refused: {fact.reason}"
        case BreakerChanged() | FillApplied() | ConditionalPlaced() | ConditionalEnded():
            return ""
        case _ if isinstance(
            fact, QuietFact
        ):  # never here, see above: mypy cannot read a set, and asks for these
            return ""
        case _:
            assert_never(fact)


def _of_position(fact: PositionAlerted, refusal: str) -> str:
    match fact.alert:
        case Alert.UNPROTECTED:
            return Critical(
                f"the stop of {fact.symbol} was refused {fact.value - 1} times and is given up{refusal}; close it by hand"
            )
        case Alert.NO_RULES:
            return (
                f"{plain(fact.value)} {fact.symbol} must be closed, and the exchange's rules of {fact.symbol} are not known; "
                "is it delisted? Close it at the exchange by hand"
            )
        case Alert.TIMEOUT | Alert.EXCESSIVE_LOSS:
            return (
                f"{fact.alert} of the position in {fact.symbol}: {fact.value:.4f}, the limit is {fact.limit}"
            )
        case _:
            assert_never(fact.alert)


def _fee_pending(symbol: Symbol, trade_id: int, amount: Decimal, asset: str) -> str:
    return (
        f"the fee of trade {trade_id} of {symbol}, {plain(amount)} {asset}, is not booked: what {asset} was worth then "
        f"is not known; it is asked for until it is. Is {asset} among fee_assets, and its symbol listed? If nobody will ever know: 'bulkhead book-fee'"
    )

"""What a fact does to an account's balance, as entries of a ledger in Binance's vocabulary of income. Pure.

The sum of all entries of an account is its balance, after any number of its decisions: what ``fold`` adds to a balance is
said here once more, and ``tests/persistence/projection/test_ledger.py`` holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, assert_never, get_args

from actors.core.enums import Purpose
from actors.core.facts import (
    AccountAdopted,
    AccountCarried,
    AccountFact,
    AccountOpened,
    AdoptionUndone,
    AnyFact,
    BadDebtRecorded,
    BalanceAdjusted,
    CancelIntended,
    ConditionalFact,
    FillApplied,
    FundingPaid,
    OrderAcknowledged,
    OrderEnded,
    OrderIntended,
    PositionAlerted,
    PositionClosed,
    PositionTakenOver,
    RiskFact,
)
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.units import ZERO
from actors.subaccount import state_codec


class Income(StrEnum):
    """Why a balance changed: values of ``incomeType`` of Binance USD-M's ``GET /fapi/v1/income``."""

    TRANSFER = "TRANSFER"
    """A deposit, a withdrawal, or what an account had when its journal began."""
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING_FEE = "FUNDING_FEE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    """A loss beyond the balance that the house bore."""


OPENING = "OPENING_BALANCE"
"""``info`` of the entry of an account that is older than its journal, or was adopted with a balance."""


class Entry(NamedTuple):
    """One change of a balance; ``amount`` in quote asset, positive when the account got it, never zero.

    ``asset`` is that in which a commission was taken, empty for the quote asset, and ``asset_amount`` what was taken of it,
    signed as ``amount`` is.
    """

    income: Income
    amount: Decimal
    info: str
    symbol: str = ""
    trade_id: int | None = None
    client_order_id: str | None = None
    asset: str = ""
    asset_amount: Decimal | None = None


FreeFact = (
    OrderIntended | CancelIntended | OrderAcknowledged | OrderEnded | ConditionalFact | RiskFact | FeeLearned
    | PositionClosed | PositionAlerted | AccountFact | AccountOpened
)  # fmt: skip
"""Those that change no balance; of the facts of an account, all but ``AdoptionUndone``."""

_FREE = frozenset(get_args(FreeFact)) - {AdoptionUndone}


def entries(facts: Iterable[AnyFact]) -> list[Entry]:
    """What facts of one decision do to the balance, in order.

    Raises:
        StateCorrupt: the state that an account was carried over with cannot be read.
    """
    return [entry for fact in facts if type(fact) not in _FREE for entry in _of(fact) if entry.amount != ZERO]


def _of(fact: AnyFact) -> tuple[Entry, ...]:
    if isinstance(fact, AdoptionUndone):
        return (Entry(Income.TRANSFER, -fact.balance, "ADOPTION_UNDONE"),)
    if isinstance(fact, FreeFact):
        return ()
    match fact:
        case FillApplied():
            return _of_fill(fact)
        case BalanceAdjusted():
            return (Entry(Income.TRANSFER, fact.amount, fact.reason),)
        case FundingPaid():
            return (Entry(Income.FUNDING_FEE, fact.amount, "FUNDING", fact.symbol),)
        case FeeBooked():
            return (_of_fee(fact),)
        case PositionTakenOver():
            return (
                Entry(Income.REALIZED_PNL, fact.realized, "TAKEN_OVER", fact.symbol),
                Entry(Income.COMMISSION, -fact.fee, "TAKEN_OVER", fact.symbol),
            )
        case BadDebtRecorded():
            return (Entry(Income.INSURANCE_CLEAR, fact.amount, "BAD_DEBT"),)
        case AccountCarried():
            return (Entry(Income.TRANSFER, state_codec.decode(fact.version, fact.state).balance, OPENING),)
        case AccountAdopted():
            return (Entry(Income.TRANSFER, fact.balance, OPENING),)
        case _:
            assert_never(fact)


def _of_fill(fact: FillApplied) -> tuple[Entry, ...]:
    trade, taken, info = fact.trade, fact.commission, _why(fact)
    asset = taken.asset if taken is not None else ""
    amount = -taken.amount if taken is not None and taken.amount is not None else None
    of_trade = (trade.symbol, trade.trade_id, fact.client_order_id)
    return (
        Entry(Income.REALIZED_PNL, fact.realized, info, *of_trade),
        Entry(Income.COMMISSION, -fact.fee, info, *of_trade, asset, amount),
    )


def _of_fee(fact: FeeBooked) -> Entry:
    fee = fact.pending
    amount = -fee.amount if fee.asset and fee.amount is not None else None
    of_trade = (fee.symbol, fee.trade_id, fee.client_order_id)
    return Entry(Income.COMMISSION, -fact.fee, "LATE_FEE", *of_trade, fee.asset, amount)


def _why(fact: FillApplied) -> str:
    match fact.purpose:
        case Purpose.USER:
            return "TRADE"
        case Purpose.ADL:
            return f"ADL_TIER{fact.tier}"
        case Purpose.LIQUIDATION | Purpose.CLOSE_OUT:
            return fact.purpose.value
        case _:
            assert_never(fact.purpose)

"""Decisions to rows: each kind of fact goes to the file that has its tables, its columns and what it writes. Pure.

A new fact with a column for people touches ``core/facts.py``, ``subaccount/fold.py`` (or ``ledger.py``) and one file of this
folder: mypy says which.

Rules
1. Schema ``bulkhead`` holds what people and queries read, exactly. The platform's tables are written so that its own
   programs see the same accounts.
2. The first decision of an account writes nothing of the platform's: its rows were made with it, or are older. The
   positions that an adoption took over become rows of ours. What it does to the balance is in the ledger as any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from actors.core.errors import StateCorrupt
from actors.core.facts import (
    AccountAdopted,
    AccountFact,
    AnyFact,
    ConditionalFact,
    FillApplied,
    FirstFact,
    MoneyFact,
    OrderFact,
    PositionFact,
    RiskFact,
)
from actors.persistence.projection import (
    accounts,
    alerts,
    clearing,
    conditionals,
    ledger,
    money,
    orders,
    positions,
    risk,
)
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import AnyDecided, Decided, DecidedClearing


def gather(batch: Batch, decisions: Iterable[AnyDecided]) -> None:
    """What some decisions write.

    Raises:
        StateCorrupt: a row of the journal that cannot be read.
    """
    lasts: dict[str, Decided] = {}
    for decided in decisions:
        if decided.fault:
            raise StateCorrupt(
                f"{decided.stream}: decision {decided.sequence} cannot be read: {decided.fault}"
            )
        if isinstance(decided, DecidedClearing):
            for clearing_fact in decided.facts:
                clearing.project(batch, decided, clearing_fact)
            continue
        lasts[decided.stream] = decided
        ledger.project(batch, decided)
        alerts.project(batch, decided)
        if decided.is_first:
            for first in decided.facts:
                if isinstance(first, AccountAdopted):
                    accounts.project(batch, decided, first)
            continue
        for number, fact in enumerate(decided.facts):
            batch.begin(number)
            _project(batch, decided, fact)
        batch.end(decided)
    for decided in lasts.values():
        accounts.project_state(batch, decided)


def _project(batch: Batch, decided: Decided, fact: AnyFact) -> None:
    # The most frequent first.
    if isinstance(fact, OrderFact):
        orders.project(batch, decided, fact)
    elif isinstance(fact, AccountFact | FirstFact):
        accounts.project(batch, decided, fact)
    elif isinstance(fact, ConditionalFact):
        conditionals.project(batch, fact)
    elif isinstance(fact, RiskFact):
        risk.project_state(batch, decided)
    elif isinstance(fact, MoneyFact):
        money.project(batch, decided, fact)
    elif isinstance(fact, PositionFact):
        positions.project(batch, decided, fact)
    else:
        assert_never(fact)
    if isinstance(fact, FillApplied):
        money.project_fill(batch, decided, fact)

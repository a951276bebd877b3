"""What is projected of accounts as such: their own row, their own limits, and status and mode on the platform. Pure."""

from __future__ import annotations

from typing import assert_never

from actors.core.facts import (
    AccountAdopted,
    AccountCarried,
    AccountFact,
    AccountOpened,
    AdoptionUndone,
    FirstFact,
    LimitsBelowChanged,
    LimitsChanged,
    MaintenanceRateChanged,
    ModeChanged,
    PhaseChanged,
    StatusChanged,
)
from actors.persistence.projection import positions, risk
from actors.persistence.projection.balances import ACCOUNT, SUB_ACCOUNT
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.tables import Table
from actors.persistence.shards import shard_of

LIMIT = Table("bulkhead.account_limit", ("account_id", "name"), "account_id name value set_ms")


def project(batch: Batch, decided: Decided, fact: AccountFact | FirstFact) -> None:
    """What a fact of an account writes."""
    account_id = decided.state.account_id
    match fact:
        case LimitsChanged():
            _limits(batch, decided, fact)
        case StatusChanged():
            batch.of(SUB_ACCOUNT).change(account_id, status=fact.status, updated_at=decided.at)
            batch.of(ACCOUNT).change(account_id, platform_status=fact.status)
        case ModeChanged():
            batch.of(SUB_ACCOUNT).change(account_id, liquidation_mode=fact.mode, updated_at=decided.at)
            batch.of(ACCOUNT).change(account_id, platform_mode=fact.mode)
        case MaintenanceRateChanged():
            # The platform's own doing: it stands there already.
            batch.of(ACCOUNT).change(account_id, platform_rate=fact.rate)
        case AdoptionUndone():
            for symbol in fact.symbols:
                batch.of(positions.POSITION).remove(account_id, symbol)
            batch.of(risk.RISK).remove(account_id)
            batch.of(ACCOUNT).remove(account_id)
        case AccountAdopted():
            for adopted in fact.positions:
                positions.project_held(batch, decided, adopted.symbol)
        case PhaseChanged() | LimitsBelowChanged() | AccountOpened() | AccountCarried():
            return
        case _:
            assert_never(fact)


def _limits(batch: Batch, decided: Decided, fact: LimitsChanged) -> None:
    rows = batch.of(LIMIT)
    for name, text in fact.changes:
        if text is None:
            rows.remove(decided.state.account_id, name)
        else:
            rows.put(decided.state.account_id, name, value=text, set_ms=decided.wall_ms)
    risk.project_state(batch, decided)


def project_state(batch: Batch, decided: Decided) -> None:
    """The account's own row, of the last decision of a batch."""
    s = decided.state
    if s.is_undone:
        return
    batch.of(ACCOUNT).put(
        s.account_id,
        shard_id=shard_of(s.account_id),
        sequence=decided.sequence,
        next_order_sequence=s.next_order_sequence,
        next_position_sequence=s.next_position_sequence,
        balance=s.balance,
        deposits=s.deposits,
        realized=s.realized,
        fees=s.fees,
        funding=s.funding,
        bad_debt=s.bad_debt,
        phase=s.phase,
        refusals=s.refusals,
    )

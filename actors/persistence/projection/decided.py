"""One decision as it is projected: of the writer's hand-over, or of a row of the journal. Both give the same rows. Pure."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import cast

import msgspec
from msgspec.structs import replace

from actors.clearing.state import ClearingState
from actors.core import fact_codec
from actors.core.clearing_facts import ClearingFact
from actors.core.clearing_messages import is_clearing
from actors.core.durability import Persist
from actors.core.errors import BadConfig, StateCorrupt
from actors.core.facts import AnyFact, begins
from actors.core.units import AccountId
from actors.limits.layers import merge
from actors.limits.model import RiskLimits
from actors.persistence.journal import Entry
from actors.persistence.messages import Committed
from actors.persistence.projection.spelling import when
from actors.persistence.streams import CLEARINGS, StreamState
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState


class _Durable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A durable decision of any stream; ``hash`` is that of its row in the journal.

    ``fault`` says why the row cannot be read; then there are no facts, and the state is blank.
    """

    stream: str
    sequence: int
    position: int
    wall_ms: int
    hash: bytes
    cause: str = ""
    fault: str = ""

    @property
    def at(self) -> datetime:
        """Its time as the platform writes it."""
        return when(self.wall_ms)


class Decided(_Durable, frozen=True, kw_only=True, gc=False):
    """A decision of an account. ``state`` is the account after ``facts``."""

    facts: tuple[AnyFact, ...]
    state: AccountState

    @property
    def is_first(self) -> bool:
        """Whether the account begins with it: its rows were written together with it, or long before."""
        return begins(self.facts)


class DecidedClearing(_Durable, frozen=True, kw_only=True, gc=False):
    """A decision of a symbol's clearing. ``state`` is the clearing after ``facts``."""

    facts: tuple[ClearingFact, ...]
    state: ClearingState


AnyDecided = Decided | DecidedClearing


def of_handover(committed: Committed) -> list[AnyDecided]:
    """What the writer handed over."""
    return [
        _of_decision(decision, committed.first + number, committed.hashes[number])
        for number, decision in enumerate(committed.decisions)
    ]


def _of_decision(decision: Persist, position: int, hash_: bytes) -> AnyDecided:
    if is_clearing(decision.stream):
        return DecidedClearing(
            stream=decision.stream,
            sequence=decision.state.sequence,
            position=position,
            wall_ms=decision.wall_ms,
            hash=hash_,
            cause=decision.cause,
            facts=cast("tuple[ClearingFact, ...]", decision.facts),
            state=cast("ClearingState", decision.state),
        )
    return Decided(
        stream=decision.stream,
        sequence=decision.state.sequence,
        position=position,
        wall_ms=decision.wall_ms,
        hash=hash_,
        cause=decision.cause,
        facts=cast("tuple[AnyFact, ...]", decision.facts),
        state=cast("AccountState", decision.state),
    )


def of_entry(entry: Entry, before: StreamState | None) -> AnyDecided:
    """A row of the journal, with the state that it makes of the one ``before``; None where there is none, or is unknown."""
    if is_clearing(entry.stream):
        return _of_clearing(entry, cast("ClearingState | None", before))
    return _of_account(entry, cast("AccountState | None", before))


def _of_clearing(entry: Entry, before: ClearingState | None) -> DecidedClearing:
    blank = CLEARINGS.blank(entry.stream)
    decided = DecidedClearing(
        stream=entry.stream,
        sequence=entry.sequence,
        position=entry.position,
        wall_ms=entry.wall_ms,
        hash=entry.hash,
        cause=entry.cause,
        facts=(),
        state=blank,
    )
    try:
        facts = CLEARINGS.facts(entry.version, entry.facts)
        if before is None and not CLEARINGS.begins(entry.sequence, facts):
            return replace(decided, fault="the state before it cannot be read")
        state = CLEARINGS.after(before or blank, facts, entry.sequence)
    except (StateCorrupt, ValueError, ArithmeticError, TypeError) as error:
        return replace(decided, fault=str(error) or type(error).__name__)
    return replace(decided, facts=facts, state=state)


def _of_account(entry: Entry, before: AccountState | None) -> Decided:
    blank = AccountState(account_id=AccountId(entry.stream))
    decided = Decided(
        stream=entry.stream,
        sequence=entry.sequence,
        position=entry.position,
        wall_ms=entry.wall_ms,
        hash=entry.hash,
        cause=entry.cause,
        facts=(),
        state=blank,
    )
    try:
        facts = fact_codec.decode(entry.version, entry.facts)
    except StateCorrupt as error:
        return replace(decided, fault=str(error))
    if before is None and not begins(facts):
        return replace(decided, fault="the state before it cannot be read")
    try:
        state = replace(with_known_limits(folded(before or blank, facts)), sequence=entry.sequence)
    except (StateCorrupt, BadConfig, ValueError, ArithmeticError, TypeError) as error:
        return replace(decided, fault=str(error) or type(error).__name__)
    return replace(decided, facts=facts, state=state)


def with_known_limits(state: AccountState) -> AccountState:
    """The account with the limits that it decided on, which facts say: the platform's figures follow from them."""
    limits = _limits(state.below, state.overrides)
    return state if state.limits is limits else replace(state, limits=limits)


@lru_cache(maxsize=10_000)
def _limits(below: tuple[tuple[str, str], ...], own: tuple[tuple[str, str], ...]) -> RiskLimits:
    return merge(merge(RiskLimits(), dict(below)), dict(own))

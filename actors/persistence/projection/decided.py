"""One decision as it is projected: of the writer's hand-over, or of a row of the journal. Both give the same rows. Pure."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import cast

import msgspec
from msgspec.structs import replace

from actors.core import fact_codec
from actors.core.errors import BadConfig, StateCorrupt
from actors.core.facts import AnyFact, begins
from actors.core.units import AccountId
from actors.limits.layers import merge
from actors.limits.model import RiskLimits
from actors.persistence.journal import Entry
from actors.persistence.messages import Committed
from actors.persistence.projection.spelling import when
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState


class Decided(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A durable decision. ``state`` is the account after ``facts``; ``hash`` is that of its row in the journal.

    ``fault`` says why the row cannot be read; then there are no facts, and ``state`` is blank.
    """

    stream: str
    sequence: int
    position: int
    wall_ms: int
    hash: bytes
    facts: tuple[AnyFact, ...]
    state: AccountState
    fault: str = ""

    @property
    def at(self) -> datetime:
        """Its time as the platform writes it."""
        return when(self.wall_ms)

    @property
    def is_first(self) -> bool:
        """Whether the account begins with it: its rows were written together with it, or long before."""
        return begins(self.facts)


def of_handover(committed: Committed) -> list[Decided]:
    """What the writer handed over."""
    return [
        Decided(
            stream=p.stream,
            sequence=p.state.sequence,
            position=committed.first + number,
            wall_ms=p.wall_ms,
            hash=committed.hashes[number],
            facts=cast("tuple[AnyFact, ...]", p.facts),
            state=cast("AccountState", p.state),
        )
        for number, p in enumerate(committed.decisions)
    ]


def of_entry(entry: Entry, before: AccountState | None) -> Decided:
    """A row of the journal, with the state that it makes of the one ``before``; None where there is none, or is unknown."""
    blank = AccountState(account_id=AccountId(entry.stream))
    decided = Decided(
        stream=entry.stream,
        sequence=entry.sequence,
        position=entry.position,
        wall_ms=entry.wall_ms,
        hash=entry.hash,
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

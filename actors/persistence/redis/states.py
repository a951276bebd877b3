"""Every account's state as far as it is durable: it follows the journal, row by row. Pure.

The actor's own state may be a decision ahead of the journal; what platforms read must not be. Nearly always the two are the
same object, which costs a look; where the actor is ahead, the row is folded as the actor did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from msgspec.structs import replace

from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact, FillApplied, PositionClosed, PositionTakenOver, begins
from actors.core.units import AccountId
from actors.persistence.tail import Decided
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState

TOLD = (FillApplied, PositionClosed, PositionTakenOver)
"""What the platform has events of, which need the state between facts."""

Steps = Sequence[AccountState | None]
"""The states before the first fact of a row and after each of them; None where that is not known."""


class DurableStates:
    """See the module.

    Args:
        current: the state of an account's actor now; None if it has none.
    """

    def __init__(self, current: Callable[[AccountId], AccountState | None]) -> None:
        self._current = current
        self._states: dict[AccountId, AccountState] = {}
        self.known: Mapping[AccountId, AccountState] = self._states

    def begin(self, states: Iterable[AccountState]) -> None:
        """These are durable, whatever rows are followed next: older ones change nothing."""
        self._states.update((state.account_id, state) for state in states)

    def follow(self, row: Decided) -> Steps:
        """Take a row in.

        Returns:
            What the account was on the way.
        """
        id_, facts = AccountId(row.stream), cast("tuple[AnyFact, ...]", row.facts)
        unknown: Steps = [None] * (len(facts) + 1)
        known, live = self._states.get(id_), self._current(id_)
        if known is not None and known.sequence >= row.sequence:
            return unknown  # it was known before it was read
        durable = live if live is not None and live.sequence == row.sequence else None
        if durable is not None and not any(isinstance(fact, TOLD) for fact in facts):
            self._states[id_] = durable
            return unknown
        if known is None and begins(facts):
            base = AccountState(account_id=id_)
            known = (
                base if live is None else replace(base, base_limits=live.base_limits, limits=live.base_limits)
            )
        elif known is None or known.sequence != row.sequence - 1:
            self._forget(id_, durable)
            return unknown
        steps = [known]
        try:
            for fact in facts:
                steps.append(folded(steps[-1], (fact,)))
        except StateCorrupt:
            self._forget(id_, durable)
            return unknown
        self._states[id_] = replace(steps[-1], sequence=row.sequence) if durable is None else durable
        return steps

    def _forget(self, id_: AccountId, instead: AccountState | None) -> None:
        """What is known does not lead on; wait until the actor's own state is the durable one."""
        if instead is None:
            self._states.pop(id_, None)
        else:
            self._states[id_] = instead

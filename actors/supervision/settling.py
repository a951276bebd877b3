"""Waiting for a turn in progress: no actor's place is taken while its turn may still write.

A restart by an operator, a guard and a release put another instance, or another actor, where one may
be in the middle of a turn on its dispatcher's thread. What that turn still writes must come before
what the next one reads, so each waits until no message is being handled. Python cannot end a turn:
one that never ends is an alarm, once, and the wait goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.core.units import NANOS_PER_MS, AccountId, Nanos
from actors.supervision.context import SupervisorContext
from actors.supervision.messages import Settled, Then

SETTLE = Nanos(5 * NANOS_PER_MS)
"""How long to wait before looking again at an actor that is in the middle of a turn."""

SETTLE_TRIES = 200
"""Looks after which a turn counts as one that does not end."""


class Settling:
    """See the module.

    Args:
        context: of the supervisor.
        transitions: what to do, by what was waited for; each is called with the actor's name.
    """

    def __init__(self, context: SupervisorContext, transitions: Mapping[Then, Callable[[str], None]]) -> None:
        self._context = context
        self._transitions = transitions

    def wait(self, name: str, then: Then) -> None:
        """Go on at once, or when the turn in progress is over."""
        self.look(Settled(name, then))

    def look(self, waiting: Settled) -> None:
        """Go on if no turn is in progress; look again later otherwise."""
        registry, name = self._context.registry, waiting.name
        # What must be over before a release is the turn of the guard, which stands among the accounts.
        is_release = waiting.then is Then.RELEASE
        ref = registry.accounts.get(AccountId(name)) if is_release else registry.find(name)
        if ref is None:
            return
        if not ref.cell.mailbox.in_hand:
            self._transitions[waiting.then](name)
            return
        if waiting.tries == SETTLE_TRIES:
            registry.alarm(
                f"{name} has been in one turn for over a second, so {waiting.then} waits; "
                "only a restart of the engine frees its thread"
            )
        self._context.later(SETTLE, Settled(name, waiting.then, waiting.tries + 1))

"""What a simulated day checks must hold."""

from __future__ import annotations


class Violation(Exception):  # noqa: N818 - it is one, of an invariant
    """An invariant that does not hold. It ends the day: raised in an actor's turn, it must not restart the actor."""


def must(holds: object, what: object) -> None:
    """Check an invariant; ``what`` says which, or shows what broke it.

    Raises:
        Violation: it does not hold.
    """
    if not holds:
        raise Violation(str(what))

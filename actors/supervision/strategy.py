"""What to do about a failure, as data. Pure.

Strategies say who is restarted together with a failed child, directives what happens to the
child itself; both as in Erlang/OTP and Akka, but past its limit a child is quarantined alone
where OTP would take its healthy siblings down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum


class Strategy(StrEnum):
    """Who is restarted with a failed child of a group."""

    ONE_FOR_ONE = "ONE_FOR_ONE"
    """It alone."""
    REST_FOR_ONE = "REST_FOR_ONE"
    """Those that were started after it, because they build on it."""
    ONE_FOR_ALL = "ONE_FOR_ALL"
    """All, because none is of use without the others."""


class Directive(StrEnum):
    """What happens to the child that failed."""

    RESUME = "RESUME"
    """The message was at fault: set it aside and go on with the same instance."""
    RESTART = "RESTART"
    """A new instance from durable state, after a wait; past the window, ``QUARANTINE``."""
    QUARANTINE = "QUARANTINE"
    """Out of service until an operator releases it."""
    ESCALATE = "ESCALATE"
    """The whole engine cannot be trusted: halt it."""


Directives = Mapping[type[BaseException], Directive]
"""By exception type; the nearest base class decides."""


def directive_of(error: BaseException, directives: Directives) -> Directive:
    """The directive of the nearest class of ``error``; ``RESTART`` if none is named."""
    for kind in type(error).__mro__:
        if kind in directives:
            return directives[kind]
    return Directive.RESTART


def restarted_with(strategy: Strategy, group: Sequence[str], failed: str) -> tuple[str, ...]:
    """Who is restarted when ``failed`` is, itself included, in start order.

    Args:
        strategy: the group's.
        group: the group's children in start order.
        failed: one of them.

    Raises:
        ValueError: ``failed`` is not of the group.
    """
    at = list(group).index(failed)
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return (failed,)
        case Strategy.REST_FOR_ONE:
            return tuple(group[at:])
        case Strategy.ONE_FOR_ALL:
            return tuple(group)

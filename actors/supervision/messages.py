"""The supervisor's messages: from other actors, from operators, and from its own timers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from actors.core.messages import Lane, Message
from actors.core.units import AccountId, Nanos
from actors.runtime.cell import CrashReport


class Crashed(Message, frozen=True, gc=False):
    """The runtime to the supervisor: an actor failed and is held."""

    LANE = Lane.CONTROL

    cell: Any
    report: CrashReport
    error: BaseException


class RestartNow(Message, frozen=True, gc=False):
    """A timer, or an operator, to the supervisor: start this actor again.

    ``paced`` says that it has waited for its place among many restarts.
    """

    LANE = Lane.CONTROL

    name: str
    by_operator: bool = False
    paced: bool = False


class Quarantine(Message, frozen=True, gc=False):
    """An operator to the supervisor: take this account out of service."""

    LANE = Lane.CONTROL

    name: str
    reason: str = "asked for by an operator"


class Release(Message, frozen=True, gc=False):
    """An operator to the supervisor: put this quarantined account back into service."""

    LANE = Lane.CONTROL

    name: str


class StillQuarantined(Message, frozen=True, gc=False):
    """The engine to the supervisor, at its start: this account was left in quarantine."""

    LANE = Lane.CONTROL

    account_id: AccountId
    reason: str


class CheckStarted(Message, frozen=True, gc=False):
    """The supervisor's own timer: has this incarnation of an actor come up?"""

    LANE = Lane.CONTROL

    cell: Any
    incarnation: int
    until_ns: Nanos


class Then(StrEnum):
    """What the supervisor does with an account once no turn of it is in progress."""

    RESTART = "restart"
    """Start it again."""
    GUARD = "guard"
    """Put a guard into its place."""
    RELEASE = "release"
    """Stop its guard and put it back."""


class Settled(Message, frozen=True, gc=False):
    """The supervisor's own timer: look whether a turn in progress is over, and ``then`` go on."""

    LANE = Lane.CONTROL

    name: str
    then: Then
    tries: int = 0


class Probe(Message, frozen=True, gc=False):
    """The supervisor's own timer: try one of the parked actors again."""

    LANE = Lane.CONTROL

    where: str


class ProbeOver(Message, frozen=True, gc=False):
    """The supervisor's own timer: was the probe well all the time?"""

    LANE = Lane.CONTROL

    where: str
    name: str


class Free(Message, frozen=True, gc=False):
    """The supervisor's own timer: restart the next few of those that were parked."""

    LANE = Lane.CONTROL

    names: tuple[str, ...]

"""What a symbol's clearing wants done, and the moment at which it decides. Pure data."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from actors.clearing.state import ClearingState
from actors.core.clearing_facts import ClearingFact, LostOrderBooked
from actors.core.clearing_messages import ReplaceStep, ReturnSlot, StepUnderWay, Want
from actors.core.messages import FeeKnown, Fill, OrderAccepted, OrderClosed
from actors.core.order_messages import AskFees, Resync, Submit
from actors.core.units import AccountId


class Moment(NamedTuple):
    """What the actor knows when it calls: ``now_ms`` never goes back, ``wall_ms`` is Unix time.

    ``mark`` is the symbol's mid in quote asset, None when it is not known or stale. ``depth`` is the most that one block
    may be of by the depth shown, in base asset, None when blocks are not split by it. ``is_crowded``: accounts wait to decide.
    """

    now_ms: int
    wall_ms: int
    mark: Decimal | None = None
    depth: Decimal | None = None
    is_crowded: bool = False


class Decide(msgspec.Struct, frozen=True):
    """Effect: persist these facts of one decision; ``state`` is what they make, with sequence ``previous_sequence`` + 1.

    ``reply`` is for who asked for it, once it is durable.
    """

    previous_sequence: int
    facts: tuple[ClearingFact, ...]
    state: ClearingState
    reply: LostOrderBooked | None = None


class ToGateway(msgspec.Struct, frozen=True):
    """Effect: tell the gateway."""

    message: Submit | Want | ReturnSlot | Resync | AskFees | ReplaceStep


class Deliver(msgspec.Struct, frozen=True):
    """Effect: tell an account."""

    account_id: AccountId
    message: OrderAccepted | Fill | FeeKnown | OrderClosed | StepUnderWay


class Again(msgspec.Struct, frozen=True):
    """Effect: call ``timer`` at ``at_ms``, on the clock of ``Moment.now_ms``; earlier wishes stand."""

    at_ms: int


class Alarm(msgspec.Struct, frozen=True):
    """Effect: an alarm."""

    text: str


Effect = Decide | ToGateway | Deliver | Again | Alarm

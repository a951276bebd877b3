"""What waits in a mailbox, and how it is shown to people."""

from __future__ import annotations

from typing import Any

import msgspec
from pykka.messages import _ActorStop

from actors.core.messages import Lane

Envelope = tuple[Any, Any, int]
"""A message, the future that waits for its answer or None, and when it arrived (monotonic ns)."""


CUT = " ..."
"""Says that a text goes on."""


class QueuedMessage(msgspec.Struct, frozen=True):
    """What an operator sees of one waiting message."""

    lane: str
    kind: str
    age_ms: float
    cause: str
    content: str


def lane_of(message: Any) -> Lane:
    """The lane of any message: ours say it, Pykka's stop is control, the rest are commands."""
    lane: Lane | None = getattr(message, "LANE", None)
    if lane is not None:
        return lane
    return Lane.CONTROL if isinstance(message, _ActorStop) else Lane.COMMANDS


def describe(envelope: Envelope, now_ns: int, width: int = 200) -> QueuedMessage:
    """What an operator sees of a waiting message; ``content`` is cut at ``width`` characters."""
    message, _, at_ns = envelope
    return QueuedMessage(
        lane=lane_of(message).name.lower(),
        kind=type(message).__name__,
        age_ms=max(0, now_ns - at_ns) / 1e6,
        cause=str(getattr(message, "cause", "")),
        content=shown(message, width),
    )


def shown(value: Any, width: int = 4000) -> str:
    """The repr, cut after a word; one that raises must not hide what it describes."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001
        return f"<{type(value).__name__}: its repr raised {error!r}>"
    if len(text) <= width:
        return text
    kept = text[: width - len(CUT) + 1].rpartition(" ")[0] or text[: width - len(CUT)]
    return kept + CUT

"""How far each source is in the audit, as its own lines say it: so the file is its own cursor. Pure.

The journal's events, operators' actions, dead letters and quarantines are in the database, in order and for good; a line
made of one names its place there. Lines that say where the audit stands (``WITH_CURSORS``) have all places, so reading back
to the last of them is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.core.errors import BadInput
from actors.core.events import EventId, event_id
from actors.persistence.audit.line import Kind, Line

WITH_CURSORS = frozenset({Kind.STARTED, Kind.STOPPED, Kind.DAY, Kind.ROOT, Kind.RESTORED, Kind.NOT_KEPT})
CURSORS = "cursors"

BEGIN = EventId(0, 0)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of one database is in the audit: the journal up to an event or a whole row, other records up to their number.

    ``root`` is the last one that was written down, in hex, and ``root_position`` where it was.
    """

    journal: str = "0"
    root_position: int = 0
    root: str = ""
    operator: int = 0
    dead_letter: int = 0
    quarantine_ms: int = 0
    quarantine: str = ""

    @property
    def event(self) -> EventId:
        """The last event that is in the file."""
        try:
            return event_id(self.journal)
        except BadInput:
            return BEGIN


class Progress(msgspec.Struct, frozen=True):
    """Where the audit stands: whose database it is made of now, and the cursor of each that it was ever made of."""

    fleet: str = ""
    cursors: dict[str, Cursor] = {}
    is_running: bool = False
    """Whether the last engine has begun, and did not say that it ended."""

    @property
    def cursor(self) -> Cursor:
        """Of the present database."""
        return self.cursors.get(self.fleet, Cursor())

    def moved(self, **changes: Any) -> Progress:
        """With another cursor of the present database."""
        return replace(self, cursors={**self.cursors, self.fleet: replace(self.cursor, **changes)})


def after(progress: Progress, kind: str, id_: str, data: dict[str, Any]) -> Progress:
    """The progress behind one more line."""
    if id_:
        return progress.moved(journal=id_)
    match kind:
        case Kind.STARTED:
            return replace(progress, fleet=str(data.get("fleet", "")), is_running=True)
        case Kind.STOPPED:
            return replace(progress, is_running=False)
        case Kind.ROOT:
            return _at_root(progress, int(data.get("position", 0)), str(data.get("root", "")))
        case Kind.RESTORED:
            return _at_restore(progress, data)
        case Kind.NOT_KEPT:
            return progress.moved(journal=str(data.get("position", 0)))
        case Kind.OPERATOR:
            return progress.moved(operator=int(data.get("audit_id", 0)))
        case Kind.DEAD_LETTER:
            return progress.moved(dead_letter=int(data.get("dead_letter_id", 0)))
        case Kind.QUARANTINE:
            at = {"quarantine_ms": int(data.get("since_ms", 0)), "quarantine": str(data.get("account", ""))}
            return progress.moved(**at)
    return progress


def _at_root(progress: Progress, position: int, root: str) -> Progress:
    """Behind a root: a commit may end before the last event, of which the rest of its commit was not read yet."""
    ahead = progress.cursor.event.position > position
    journal = progress.cursor.journal if ahead else str(position)
    return progress.moved(journal=journal, root_position=position, root=root)


def _at_restore(progress: Progress, data: dict[str, Any]) -> Progress:
    position, cursor = int(data.get("position", 0)), progress.cursor
    return progress.moved(
        journal=str(position),
        root_position=position,
        root=str(data.get("root", "")),
        operator=int(data.get("operator", cursor.operator)),
        dead_letter=int(data.get("dead_letter", cursor.dead_letter)),
    )


def of_lines(lines: Iterable[Line]) -> Progress:
    """The progress behind lines that begin with one that has cursors, or with the first of all."""
    found = Progress()
    for line in lines:
        if line.kind in WITH_CURSORS and CURSORS in line.data:
            found = _stated(line)
        else:
            found = after(found, line.kind, line.id, line.data)
    return found


def states(line: Line) -> bool:
    """Whether nothing before a line is needed to know where the audit stands behind it."""
    return line.kind in WITH_CURSORS and CURSORS in line.data


def stated(progress: Progress) -> dict[str, Any]:
    """What a line that has cursors adds to its data."""
    return {CURSORS: msgspec.to_builtins(progress)}


def _stated(line: Line) -> Progress:
    try:
        return msgspec.convert(line.data[CURSORS], Progress)
    except msgspec.ValidationError as error:
        raise BadInput(f"line {line.n} of the audit does not say where it stands: {error}") from None

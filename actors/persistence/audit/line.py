"""One line of the audit: JSON that carries the hash of the line before it, and its own. Pure.

    {"n":7,"prev":"<64 hex>","time":"2026-11-22T10:50:41.123Z","kind":"FILL","id":"41-0","account":"acct-1",...,"hash":"<64 hex>"}

``hash`` is the SHA-256 of all bytes of the line before ``,"hash":"``, so any program can compute it. ``n`` counts the lines
of all days from 1, ``prev`` is the hash of line n - 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from actors.core.events import EventKind
from actors.core.utc import time_of

FORMAT = 1
"""Of the lines; a line that begins a run of the engine says which."""

NO_HASH = "0" * 64
"""Stands for the hash of the line before the first one."""

HASH_KEY = b',"hash":"'
END = b'"}'
HASH_HEX = 64
TAIL = len(HASH_KEY) + HASH_HEX + len(END)

LINE_MAX = 1 << 20
"""Bytes of the longest line that is read as one; longer texts are cut before they are written."""

SAID_MAX = 10_000
"""Characters that are left of what is too long for a line."""


class Kind(StrEnum):
    """Kinds of lines that are made here; those of ``core.events.EventKind`` come from the journal."""

    STARTED = "STARTED"
    """An engine began to write. With format, fleet, and how far each source is in the file."""
    STOPPED = "STOPPED"
    """It ended as it should."""
    DAY = "DAY"
    """The first line of each file."""
    ROOT = "ROOT"
    """Everything up to a position of the journal is in the file, and the journal's root there."""
    REJECTION = "REJECTION"
    """A command that an account refused, with every reason."""
    LEFT_OUT = "LEFT_OUT"
    """How many lines were not written because there were too many."""
    ALARM = "ALARM"
    DEAD_LETTER = "DEAD_LETTER"
    QUARANTINE = "QUARANTINE"
    OPERATOR = "OPERATOR"
    """What an operator did."""
    CUT = "CUT"
    """The end of a file was no whole line when an engine began to write, and was cut off."""
    RESTORED = "RESTORED"
    """The database has another history than the file: what follows goes on from an earlier position."""
    NOT_KEPT = "NOT_KEPT"
    """The journal did not have rows any more that the file lacks."""
    COMPRESSED = "COMPRESSED"
    """A file of a day was replaced by a compressed one."""
    REMOVED = "REMOVED"
    """Files of days that are no longer to be kept were removed."""


KINDS = tuple(dict.fromkeys([*map(str, EventKind), *map(str, Kind)]))
"""All that a line can be."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a line says. ``wall_ms`` is when it happened, in Unix milliseconds; ``id`` is that of an event of the journal."""

    wall_ms: int
    kind: str
    id: str = ""
    account: str = ""
    cause: str = ""
    data: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line without its own hash; the fields are in the order of the file."""

    n: int
    prev: str
    time: str
    kind: str
    id: str = ""
    account: str = ""
    cause: str = ""
    data: dict[str, Any] = {}


class Read(msgspec.Struct, frozen=True):
    """A line whose hash is that of what it says."""

    line: Line
    hash: str


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Line).decode


def hash_of(body: bytes) -> str:
    """The hash of a line's bytes before ``,"hash":"``."""
    return hashlib.sha256(body).hexdigest()


def written(content: Content, n: int, prev: str) -> tuple[bytes, str]:
    """A line with its newline, and its hash."""
    line = Line(
        n=n,
        prev=prev,
        time=time_of(content.wall_ms),
        kind=content.kind,
        id=content.id,
        account=content.account,
        cause=content.cause,
        data=dict(content.data),
    )
    body = _body(line)
    own = hash_of(body)
    return body + HASH_KEY + own.encode() + END + b"\n", own


def _body(line: Line) -> bytes:
    """The JSON without its last brace; what JSON cannot hold, or no line, is replaced by what can be said of it."""
    try:
        found = _ENCODE(line)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError) as error:
        return _ENCODE(_said_of(line, f"it cannot be written as JSON: {error}"))[:-1]
    if len(found) > LINE_MAX - TAIL - 1:
        return _ENCODE(_said_of(line, f"it has {len(found):,} bytes"))[:-1]
    return found[:-1]


def _said_of(line: Line, why: str) -> Line:
    texts = {name: ascii(getattr(line, name))[1:-1][:200] for name in ("kind", "id", "account", "cause")}
    return msgspec.structs.replace(
        line, **texts, data={"not_written": why, "text": ascii(line.data)[:SAID_MAX]}
    )


def read(raw: bytes) -> Read | None:
    """A line without its newline; None if its hash is not that of what it says, or it is no line of an audit."""
    if not raw.endswith(END) or raw[-TAIL : -TAIL + len(HASH_KEY)] != HASH_KEY:
        return None
    body = raw[:-TAIL]
    own = hash_of(body)
    if raw[-TAIL + len(HASH_KEY) : -len(END)] != own.encode():
        return None
    try:
        return Read(_DECODE(body + b"}"), own)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None

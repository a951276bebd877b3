"""Durable records of what failed, and what is shown of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.core import replay_codec
from actors.core.records import QuarantineRecord, RecordDeadLetter
from actors.runtime.cell import CrashReport
from actors.runtime.envelope import shown

CRASHES_LISTED = 500
"""The list of all crashes has the latest so many."""


class FailedActor(NamedTuple):
    """A crash, as the list of all crashes shows it."""

    name: str
    report: CrashReport


def dead_letter_of(name: str, report: CrashReport, poison: Any, capture: bytes = b"") -> RecordDeadLetter:
    """The durable record of a message that failed; ``capture`` is what it can be repeated with."""
    return RecordDeadLetter(
        actor=name,
        message_kind=report.message_kind,
        message=report.message,
        payload=replay_codec.encode(poison),
        error=report.error,
        traceback=report.traceback,
        state=report.state,
        cause=report.cause,
        wall_ms=report.wall_ms,
        capture=capture,
    )


def unread_letter(name: str, message: Any, why: str, wall_ms: int) -> RecordDeadLetter:
    """The durable record of a message that its actor never came to."""
    return RecordDeadLetter(
        actor=name,
        message_kind=type(message).__name__,
        message=shown(message),
        payload=replay_codec.encode(message),
        error=why,
        traceback="",
        state="",
        cause=str(getattr(message, "cause", "")),
        wall_ms=wall_ms,
    )


def report_of(record: QuarantineRecord) -> CrashReport:
    """The crash report of an account that an earlier run of the engine quarantined."""
    return CrashReport(
        message_kind="",
        message="see its dead letters",
        error=record.error or record.reason,
        traceback=record.traceback,
        where="",
        state=record.state,
        at_ns=0,
        wall_ms=record.since_ms,
        cause="",
    )

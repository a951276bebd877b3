"""Times as people type them: dates and ISO times, UTC unless they say otherwise."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from actors.core.errors import BadInput
from actors.core.names import shown
from actors.core.units import NANOS_PER_MS
from actors.core.utc import MS_MAX, day_of

MS = 1_000
HOUR_MS = 3_600_000
HOURS_MAX = 87_600
"""Ten years."""

EXAMPLES = "2026-11-01, 2026-11-01T08:30 or 2026-11-01T08:30:00+01:00"


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // NANOS_PER_MS


def parse_time(text: str, name: str) -> int:
    """A time in Unix milliseconds; a date is its midnight, and what names no zone is in UTC.

    Raises:
        BadInput: it is no time, or before 1970; names it and shows how one looks.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{name}: {shown(text)} is no time; it looks like {EXAMPLES}") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    try:
        since = round(found.timestamp() * MS)
    except (OverflowError, ValueError):
        since = -1
    if since < 0:
        raise BadInput(f"{name}: {shown(text)} is before 1970; it looks like {EXAMPLES}")
    if since > MS_MAX:
        raise BadInput(f"{name}: {shown(text)} is after {day_of(MS_MAX)}; it looks like {EXAMPLES}")
    return since


def period(
    from_: str | None, to: str | None, hours: float | None, now_ms: int, default_hours: float
) -> tuple[int, int | None]:
    """Begin and end of a history in Unix milliseconds; no end where none was given.

    Raises:
        BadInput: times that are none or the wrong way round, hours that cannot be, or both ways to say the begin.
    """
    if from_ is not None and hours is not None:
        raise BadInput("give --from or --hours, not both: each says where the history begins")
    if hours is not None and not 0 < hours <= HOURS_MAX:
        raise BadInput(f"--hours: {hours:g} is not above 0 and at most {HOURS_MAX:,}; the default is 24")
    until = None if to is None else parse_time(to, "--to")
    if from_ is not None:
        since = parse_time(from_, "--from")
    else:
        end = now_ms if until is None else until
        since = max(0, end - round((default_hours if hours is None else hours) * HOUR_MS))
    if until is not None and since >= until:
        raise BadInput(
            f"--from {from_ or '(24 hours before)'} is not before --to {to}; give the earlier time first"
        )
    return since, until

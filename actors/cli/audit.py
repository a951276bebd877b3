"""Commands about the audit: what operators did, and the files that are chained line by line: verified, shown."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import cyclopts
from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import audit_tables, engine_tables
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, err, given, out, print_answer, print_json
from actors.cli.db import connected, present, progress_bar
from actors.cli.safe import escaped
from actors.cli.times import parse_time
from actors.core.errors import BadInput
from actors.core.names import checked_id, shown
from actors.core.utc import time_of

if TYPE_CHECKING:
    from actors.persistence.audit.against_journal import Compared
    from actors.persistence.audit.files import Day
    from actors.persistence.audit.line import Read
    from actors.persistence.audit.verify import Range
    from actors.persistence.verify import Report as JournalReport

audit = cyclopts.App(
    name="audit",
    help="What operators did; and the audit's files, in which each line is chained to the one before: verify, show.\n\n"
    "Example: bulkhead audit acct-42",
)
app.command(audit)

HEX = re.compile(r"[0-9a-f]{64}|[0-9a-f]{32}", re.ASCII)
DAY_MS = 86_400_000
LIMIT = 200
LIMIT_MAX = 1_000_000

Against = Annotated[bool, Parameter("--against-journal", negative=())]
Kinds = Annotated[tuple[str, ...], Parameter("--kind", negative=())]
Roots = Annotated[tuple[str, ...], Parameter("--root", negative=())]
From = Annotated[str | None, Parameter("--from")]
To = Annotated[str | None, Parameter("--to")]


@audit.default
def actions(
    target: str | None = None, *, limit: int = 50, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """List what operators did, to one actor or to all, as the running engine has it.

    Example: bulkhead audit acct-42

    Args:
        target: an account or another actor; one whose name is a command of this noun is given as --target verify.
        limit: show at most this many, the newest first.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    print_answer(
        client(data_dir).get("/v1/audit", target=target, limit=limit), engine_tables.audit, json=json
    )


@audit.command
def verify(  # noqa: PLR0913 - one per option
    *,
    day: str | None = None,
    from_: From = None,
    to: To = None,
    against_journal: Against = False,
    root: Roots = (),
    dsn: str | None = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Verify the audit's files: no line changed, added, moved, taken out or cut off, and no day missing.

    Example: bulkhead audit verify
             bulkhead audit verify --day 2026-11-22 --against-journal
             bulkhead audit verify --root 5f0c...e1

    Each fault is named with file and line, and makes the exit code 1. It reads files alone, so no engine and no database is
    needed, and one may write meanwhile. A chain cannot prove that nobody wrote all of it anew: keep the hash of the last line,
    which this prints, on another machine, and give it as --root later.

    Args:
        day: this UTC day only.
        from_: this day and later ones.
        to: this day and earlier ones.
        against_journal: also compare with the journal in the database, and verify that.
        root: the hash of a line, or a root of the journal, that must be found; may be given more than once.
        dsn: DSN of the database; by default the embedded one.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    from actors.persistence.audit import verify as check  # noqa: PLC0415
    from actors.persistence.audit.files import FOLDER  # noqa: PLC0415

    days = _days(day, from_, to)
    if given(dsn) is not None and not against_journal:
        raise BadInput("--dsn: the database is read with --against-journal only; add it, or leave --dsn out")
    roots = [_root(text) for text in root]
    with progress_bar(counts=False) as progress:
        found = check.verify(data_dir / FOLDER, days, roots, progress)
    compared, journal = None, None
    if against_journal:
        compared, journal = _against_journal(dsn, data_dir, days)
    ok = found.ok and not (compared and compared.faults) and (journal is None or journal.ok)
    if json:
        print_json(audit_tables.as_json(found, compared, journal, ok=ok))
    else:
        audit_tables.verified(found, compared, journal, out)
    if not ok:
        sys.exit(1)


@audit.command
def show(  # noqa: PLR0913 - one per option
    account: str | None = None,
    *,
    kind: Kinds = (),
    from_: From = None,
    to: To = None,
    limit: int | None = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show lines of the audit, of one account or of all, in their order; reads files alone.

    Example: bulkhead audit show acct-42 --from 2026-11-22T09:00 --to 2026-11-22T10:00
             bulkhead audit show --kind REJECTION --kind FILL --json

    A table has the last lines of those that fit, JSON has all of them, as they stand in the files.

    Args:
        account: its lines only.
        kind: lines of this kind only, for example ORDER, FILL, CANCEL, REJECTION, BREACH, ALARM, OPERATOR; may be given more
            than once.
        from_: a day or a time, UTC, for example 2026-11-22 or 2026-11-22T09:30.
        to: up to before this time, or to the end of this day.
        limit: the last so many lines; 200 in a table.
        data_dir: the engine's data folder.
        json: print the lines as JSON.
    """
    from actors.persistence.audit.files import FOLDER  # noqa: PLC0415

    if limit is not None and not 1 <= limit <= LIMIT_MAX:
        raise BadInput(f"--limit: {limit} must be 1 to {LIMIT_MAX:,}")
    wanted = Wanted(
        None if account is None else checked_id(account, "account"),
        frozenset(map(_kind, kind)),
        "" if from_ is None else _time(from_, "--from", is_end=False),
        "" if to is None else _time(to, "--to", is_end=True),
    )
    if wanted.first and wanted.end and wanted.first >= wanted.end:
        raise BadInput(f"--from {from_} is not before --to {to}")
    lines = _Lines(data_dir / FOLDER, wanted)
    most = limit if limit is not None or json else LIMIT
    if json and most is None:
        for raw, _ in lines.found():
            _print_raw(raw)
    else:
        with progress_bar(counts=False) as progress:
            last = deque(lines.found(progress), maxlen=most)
        if json:
            for raw, _ in last:
                _print_raw(raw)
        else:
            audit_tables.lines([read.line for _, read in last], lines.count, out)
    if lines.bad:
        err.print(
            f"{lines.bad:,} lines are not what was written, and not shown; 'bulkhead audit verify' names them"
        )
        sys.exit(1)


class Wanted(NamedTuple):
    """Which lines; times as lines have them, ``end`` the first that is not wanted."""

    account: str | None
    kinds: frozenset[str]
    first: str
    end: str

    def has_day(self, day: str, days: list[Day]) -> bool:
        """Whether lines of these times may be in a day's file: what came late is in the next one that there is."""
        after = [one.day for one in days if self.end and one.day >= self.end[:10]]
        return day >= self.first[:10] and (not self.end or day < self.end[:10] or day in after[:2])

    def takes(self, read: Read) -> bool:
        """Whether a line is one of them."""
        line = read.line
        return (
            (self.account is None or line.account == self.account)
            and (not self.kinds or line.kind in self.kinds)
            and line.time >= self.first
            and (not self.end or line.time < self.end)
        )


class _Lines:
    def __init__(self, folder: Path, wanted: Wanted) -> None:
        from actors.persistence.audit import files  # noqa: PLC0415

        self._wanted = wanted
        try:
            self._days = files.days_in(folder)
        except OSError as error:
            raise BadInput(f"the audit in {folder} cannot be read ({error.strerror})") from None
        if not self._days:
            raise BadInput(
                f"there is no audit in {folder}; give --data-dir the data folder of an engine that ran with audit on"
            )
        self.count = self.bad = 0

    def found(
        self, progress: Callable[[str, int, int], None] = lambda _step, _done, _total: None
    ) -> Iterator[tuple[bytes, Read]]:
        """The lines that are wanted, as they stand in the files and read."""
        from actors.persistence.audit import files  # noqa: PLC0415
        from actors.persistence.audit.chain import Unreadable  # noqa: PLC0415
        from actors.persistence.audit.line import read  # noqa: PLC0415

        for number, day in enumerate(self._days):
            if not self._wanted.has_day(day.day, self._days):
                continue
            progress(day.path.name, number, len(self._days))
            try:
                for physical in files.lines_of(day):
                    found = read(physical.raw)
                    if found is None:
                        # The last line of the newest file may be in the middle of being written.
                        self.bad += physical.ends or day is not self._days[-1]
                    elif self._wanted.takes(found):
                        self.count += 1
                        yield physical.raw, found
            except Unreadable:
                self.bad += 1


def _print_raw(raw: bytes) -> None:
    out.write(escaped(raw.decode(errors="replace")) + "\n")


def _against_journal(dsn: str | None, data_dir: Path, days: Range) -> tuple[Compared, JournalReport]:
    from actors.persistence import verify as journal_check  # noqa: PLC0415
    from actors.persistence.archive.folder import folder_of  # noqa: PLC0415
    from actors.persistence.audit import against_journal as check  # noqa: PLC0415
    from actors.persistence.audit.chain import Unreadable  # noqa: PLC0415
    from actors.persistence.audit.files import FOLDER  # noqa: PLC0415
    from actors.supervision.operator_log import read_roots  # noqa: PLC0415

    with connected(dsn, data_dir) as connection, progress_bar(counts=False) as progress:
        present(connection)
        roots = read_roots(data_dir)
        try:
            compared = check.compare(connection, data_dir / FOLDER, days, progress)
        except Unreadable as broken:
            raise BadInput(f"{broken.file} line {broken.line}: {broken.text}") from None
        roots += check.as_root(compared)
        archive = folder_of(None, data_dir)
        report = journal_check.verify(
            connection,
            folds=False,
            roots=roots,
            folder=archive,
            reads_archive=archive.is_dir(),
            progress=progress,
        )
        return compared, report


# -- what a person writes


def _days(day: str | None, first: str | None, last: str | None) -> Range:
    from actors.persistence.audit.verify import Range  # noqa: PLC0415

    if day is not None:
        if first is not None or last is not None:
            raise BadInput("--day is one day; give it, or --from and --to, not both")
        only = _day(day, "--day")
        return Range(only, only)
    found = Range(
        "" if first is None else _day(first, "--from"),
        "" if last is None else _day(last, "--to"),
    )
    if found.first and found.last and found.first > found.last:
        raise BadInput(f"--from {found.first} is after --to {found.last}")
    return found


def _day(text: str, option: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).strftime("%Y-%m-%d")
    except ValueError:
        raise BadInput(f"{option}: {shown(text)} is no day; write it like 2026-11-22") from None


def _time(text: str, option: str, *, is_end: bool) -> str:
    """A time as lines have it; the end of a day is the begin of the next."""
    is_day = is_end and len(text) == len("2026-11-22")
    return time_of(parse_time(text, option) + (DAY_MS if is_day else 0))


def _kind(text: str) -> str:
    from actors.limits.parse import hint  # noqa: PLC0415
    from actors.persistence.audit.line import KINDS  # noqa: PLC0415

    found = text.upper()
    if found not in KINDS:
        raise BadInput(f"--kind: {shown(text)} is no kind of line; {hint(found, KINDS)}")
    return found


def _root(text: str) -> str:
    found = text.strip().lower()
    if not HEX.fullmatch(found):
        raise BadInput(
            f"--root: {shown(text)} is neither the hash of a line (64 hex digits) nor a root of the journal (32)"
        )
    return found

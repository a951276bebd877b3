"""``bulkhead db archive``: old rows of the journal into compressed files, and back."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.common import DataDir, Json, err, out, print_json
from actors.cli.db import DryRun, connected, db, owned, present, progress_bar
from actors.cli.times import now_ms, parse_time
from actors.core.errors import BadInput
from actors.core.names import shown
from actors.core.utc import time_of

if TYPE_CHECKING:
    import psycopg

    from actors.persistence.archive.plan import Plan, Reader
    from actors.persistence.archive.tables import ArchivedFile

To = Annotated[Path | None, Parameter("--to", alias="--archive")]
Restore = Annotated[str | None, Parameter("--restore")]

DAY_MS = 86_400_000
DAYS = re.compile(r"(\d{1,5})d")
MEGABYTE = 1_000_000


@db.command
def archive(  # noqa: PLR0913 - one per option
    dsn: str | None = None,
    *,
    before: str | None = None,
    older_than: str | None = None,
    to: To = None,
    restore: Restore = None,
    dry_run: DryRun = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Move old rows of the journal into compressed files that can be verified and are still read; or bring them back.

    Example: bulkhead db archive --older-than 90d --dry-run
             bulkhead db archive --older-than 90d
             bulkhead db archive --before 2026-09-01 --to /mnt/archive
             bulkhead db archive --restore all

    No engine may use the database. A file is written, read back and verified before its rows are deleted; whatever ends
    the command in between loses nothing, and the next one goes on. What stands in the way is named; exit code 2.
    docs/retention.md has all of it.

    Args:
        dsn: DSN of the database; by default the embedded one.
        before: rows that were committed before this date or time in UTC.
        older_than: or rows older than so many days, as 90d, counted from the last midnight in UTC.
        to: folder of the files; by default archive in the data folder.
        restore: bring the rows of this file and all behind it back into the journal; or all.
        dry_run: show what would be done, and change nothing; exit code 1 if something stands in the way.
        data_dir: the engine's data folder, and that of the embedded database.
        json: print the answer as JSON.
    """
    if [before, older_than, restore].count(None) != 2:  # noqa: PLR2004 - of three
        raise BadInput(
            "give one of --before DATE, --older-than DAYS (as 90d) and --restore FILE; --dry-run shows what would be done"
        )
    if restore is not None and dry_run:
        raise BadInput("--restore has no --dry-run: it changes nothing unless every file is what was written")
    from actors.persistence.archive.folder import folder_of  # noqa: PLC0415 - slow to import

    folder = folder_of(to, data_dir)
    if restore is not None:
        _restore(dsn, data_dir, folder, restore, json=json)
        return
    wall_ms = now_ms()
    before_ms = _before(before, older_than, wall_ms)
    if dry_run:
        with connected(dsn, data_dir) as connection:
            present(connection)
            found = _plan(connection, before_ms, data_dir)
        _say(found, before_ms, folder, json=json)
        if found.obstacles:
            sys.exit(1)
    else:
        _archive(dsn, data_dir, folder, before_ms, wall_ms, json=json)


def _before(before: str | None, older_than: str | None, wall_ms: int) -> int:
    """In Unix milliseconds.

    Raises:
        BadInput: it is no time, or in the future.
    """
    if before is not None:
        found = parse_time(before, "--before")
        if found > wall_ms:
            raise BadInput(f"--before: {shown(before)} is in the future; it is {time_of(wall_ms)} now")
        return found
    match = DAYS.fullmatch(older_than or "")
    if match is None:
        raise BadInput(f"--older-than: {shown(older_than or '')} is no number of days; it looks like 90d")
    return wall_ms // DAY_MS * DAY_MS - int(match[1]) * DAY_MS


def _plan(connection: psycopg.Connection[Any], before_ms: int, data_dir: Path) -> Plan:
    from actors.persistence.archive.plan import plan  # noqa: PLC0415
    from actors.persistence.verify import fleet_of  # noqa: PLC0415

    return plan(connection, before_ms, _readers(data_dir, fleet_of(connection)))


def _readers(data_dir: Path, fleet: str) -> Iterator[Reader]:
    """What of the data folder reads the journal on."""
    from actors.persistence.archive.plan import Reader  # noqa: PLC0415
    from actors.persistence.audit.append import stands_at  # noqa: PLC0415
    from actors.persistence.audit.files import FOLDER, days_in  # noqa: PLC0415
    from actors.supervision.journal_roots import binding  # noqa: PLC0415
    from actors.supervision.operator_log import read_roots  # noqa: PLC0415

    if days_in(data_dir / FOLDER):
        cursor = stands_at(data_dir / FOLDER).cursors.get(fleet)
        cure = (
            "run the engine with audit = on until it has caught up, and stop it; if no audit is wanted any more, move that folder "
            "away"
        )
        yield Reader(f"the audit in {data_dir / FOLDER}", 0 if cursor is None else cursor.root_position, cure)
    known = binding(read_roots(data_dir), fleet)
    if known:
        cure = "start the engine, and stop it: it writes down where the journal ends"
        yield Reader(f"{data_dir}, which knows where the journal ends,", max(r.position for r in known), cure)


def _say(found: Plan, before_ms: int, folder: Path, *, json: bool) -> None:
    if json:
        print_json(
            {
                "before": time_of(before_ms),
                "first": found.after + 1 if found.rows else None,
                "last": found.last if found.rows else None,
                "rows": found.rows,
                "files": found.files,
                "folder": str(folder),
                "obstacles": list(found.obstacles),
                "ahead": found.ahead,
            }
        )
        return
    if found.ahead:
        err.print(found.ahead, highlight=False)
    if not found.rows:
        out.print(f"nothing to archive before {time_of(before_ms)}", highlight=False)
        return
    out.print(
        f"{found.rows:,} rows before {time_of(before_ms)}, positions {found.after + 1} to {found.last}, would go into "
        f"{found.files:,} files in {folder}",
        highlight=False,
    )
    for obstacle in found.obstacles:
        out.print(f"not yet: {obstacle}", highlight=False)
    out.print("nothing was changed: this is a dry run")


def _archive(  # noqa: PLR0913 - what of what goes where
    dsn: str | None, data_dir: Path, folder: Path, before_ms: int, wall_ms: int, *, json: bool
) -> None:
    from actors.persistence.archive import folder as files  # noqa: PLC0415
    from actors.persistence.archive import tables, writing  # noqa: PLC0415
    from actors.persistence.archive.plan import spans  # noqa: PLC0415
    from actors.persistence.connection import connect  # noqa: PLC0415
    from actors.persistence.verify import fleet_of  # noqa: PLC0415

    done: list[ArchivedFile] = []
    with (
        owned(dsn, data_dir) as database,
        connect(database.dsn) as connection,
        progress_bar() as progress,
    ):
        found = _plan(connection, before_ms, data_dir)
        if found.obstacles:
            raise BadInput("; ".join(found.obstacles))

        def show(position: int) -> None:
            database.renew()
            progress("rows", position - found.after, found.rows)

        fleet = fleet_of(connection)
        for span in list(spans(connection, found.after, found.last)):
            file = writing.archive(
                connection, database.store.at_rest, folder, span, fleet=fleet, now_ms=wall_ms, progress=show
            )
            done.append(file)
        unknown = files.unknown(folder, tables.files(connection))
    rows, size = sum(f.last - f.first + 1 for f in done), sum(f.bytes for f in done)
    if json:
        print_json(
            {
                "rows": rows,
                "bytes": size,
                "folder": str(folder),
                "files": [
                    {"file": f.file, "first": f.first, "last": f.last, "sha256": f.sha256} for f in done
                ],
                "unknown": unknown,
            }
        )
        return
    if done:
        out.print(
            f"{rows:,} rows, positions {done[0].first} to {done[-1].last}, are in {len(done):,} files in {folder}, "
            f"{size / MEGABYTE:,.1f} MB; keep them with the backups of this database",
            highlight=False,
        )
    else:
        out.print(f"nothing to archive before {time_of(before_ms)}", highlight=False)
    if found.ahead:
        err.print(found.ahead, highlight=False)
    for name in unknown:
        err.print(f"{folder / name} is of no use to this database: it does not know it", highlight=False)


def _restore(dsn: str | None, data_dir: Path, folder: Path, wanted: str, *, json: bool) -> None:
    from actors.persistence.archive import restoring, tables  # noqa: PLC0415
    from actors.persistence.archive.folder import Archive  # noqa: PLC0415
    from actors.persistence.connection import connect  # noqa: PLC0415

    with (
        owned(dsn, data_dir) as database,
        connect(database.dsn, read_only=True) as connection,
        progress_bar() as progress,
    ):
        archived = Archive(folder, tables.files(connection))
        files = restoring.chosen(archived, wanted)

        def show(position: int) -> None:
            progress("rows", position, archived.last)

        count = database.store.at_rest(
            lambda at_rest, _append: restoring.restore(at_rest, archived, files, show)
        )
    if json:
        print_json({"rows": count, "files": [f.file for f in files], "folder": str(folder)})
        return
    out.print(
        f"{count:,} rows, positions {files[0].first} to {files[-1].last}, are in the journal again; the files in {folder} "
        "are not needed any more",
        highlight=False,
    )

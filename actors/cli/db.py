"""Commands about the database: check, prepare, verify its journal, hash the fleet, accept a restored backup."""

from __future__ import annotations

import getpass
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import cyclopts
from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.assembly import folder_lock
from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import Archive, DataDir, Json, err, given, out, print_json
from actors.core.errors import BadInput, StoreUnreachable
from actors.core.names import checked_text, shown
from actors.runtime import logs

if TYPE_CHECKING:
    import psycopg

    from actors.limits.model import RiskLimits
    from actors.persistence.store import Store

db = cyclopts.App(
    name="db", help="The database: check it, prepare it, verify its journal, hash the fleet's state."
)

app.command(db)

NoArchive = Annotated[bool, Parameter("--read-archive", negative="--no-archive")]
NoFold = Annotated[bool, Parameter("--fold", negative="--no-fold")]
Yes = Annotated[bool, Parameter("--yes", alias="-y", negative=())]
DryRun = Annotated[bool, Parameter("--dry-run", negative=())]

LEASE_SECONDS = 60
"""How long no engine can take the accounts after a command that owns them was killed."""

Accounts = Annotated[bool, Parameter("--accounts", negative=())]


@db.command
def init(dsn: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Prepare an empty database, or add our schema beside the platform's tables.

    Example: bulkhead db init postgresql://me@localhost/firm

    Args:
        dsn: DSN of the database; by default the embedded one.
        data_dir: folder of the embedded one.
    """
    from actors.persistence import schema  # noqa: PLC0415

    meaning = {
        "EMPTY": "empty: both schemas were made",
        "PLATFORM": "the platform's: schema bulkhead was added",
        "OLDER": "schema bulkhead was upgraded",
        "READY": "ready",
    }
    with connected(dsn, data_dir, read_only=False) as connection:
        found = schema.init(connection)
    out.print(f"{found}: {meaning[found]}")


@db.command
def check(dsn: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Check whether a database can be used. Changes nothing.

    Example: bulkhead db check postgresql://me@localhost/firm

    Args:
        dsn: DSN of the database; by default the embedded one.
        data_dir: folder of the embedded one.
    """
    from actors.persistence import schema  # noqa: PLC0415

    meaning = {
        "EMPTY": "empty: 'bulkhead db init' prepares it",
        "PLATFORM": "the platform's: 'bulkhead db init' adds schema bulkhead beside its tables",
        "OLDER": "ours, of an older version: 'bulkhead db init' upgrades it",
        "READY": "ready",
    }
    with connected(dsn, data_dir) as connection:
        found = schema.check(connection)
    out.print(f"{found}: {meaning[found]}")


@db.command
def status(dsn: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show what a database holds: schema, journal, how far the tables made from it are behind, parked accounts.

    Example: bulkhead db status

    Args:
        dsn: DSN of the database; by default the embedded one.
        data_dir: folder of the embedded one.
        json: print the answer as JSON.
    """
    from actors.cli import db_tables  # noqa: PLC0415
    from actors.persistence import database_status  # noqa: PLC0415

    with connected(dsn, data_dir) as connection:
        found = database_status.status(connection)
    if json:
        print_json(db_tables.plain(found))
    else:
        db_tables.status(found, out)


@db.command
def verify(  # noqa: PLR0913 - one per option
    dsn: str | None = None,
    *,
    fold: NoFold = True,
    archive: Archive = None,
    read_archive: NoArchive = True,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Verify the journal: that no row was changed, moved, taken out or cut off, and that it makes what the tables say.

    Example: bulkhead db verify
             bulkhead db verify postgresql://me@localhost/firm --data-dir .data/bulkhead --no-fold

    It names the first row that is not what was written, and exits with 1. An engine may use the database meanwhile. Rows
    that are missing at the end are found by the roots that the engine writes into its data folder.

    Args:
        dsn: DSN of the database; by default the embedded one.
        fold: also fold every account, and compare snapshots and trades; without, hashes and roots only.
        archive: folder of archived files; by default archive in the data folder.
        read_archive: verify those files, too; without, the check begins behind them.
        data_dir: folder of the embedded one, and of the engine that used the database.
        json: print the answer as JSON.
    """
    from actors.cli import db_tables  # noqa: PLC0415
    from actors.persistence import verify as journal_check  # noqa: PLC0415
    from actors.persistence.archive.folder import folder_of  # noqa: PLC0415
    from actors.supervision.operator_log import read_roots  # noqa: PLC0415

    with connected(dsn, data_dir) as connection, progress_bar() as progress:
        present(connection)
        # Before the transaction begins: what an engine writes down meanwhile is in what is read then.
        roots = read_roots(data_dir)
        folder = folder_of(archive, data_dir)
        found = journal_check.verify(
            connection, folds=fold, roots=roots, folder=folder, reads_archive=read_archive, progress=progress
        )
    if json:
        print_json(db_tables.plain(found))
    else:
        db_tables.report(found, out)
    if not found.ok:
        sys.exit(1)


@db.command(name="hash")
def fleet_state(
    dsn: str | None = None,
    *,
    accounts: Accounts = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show the hash of all accounts' states, as an engine says it when it starts and stops.

    Example: bulkhead db hash --accounts

    Args:
        dsn: DSN of the database; by default the embedded one.
        accounts: also each account's.
        data_dir: folder of the embedded one.
        json: print the answer as JSON.
    """
    from actors.cli import db_tables  # noqa: PLC0415
    from actors.persistence import verify as journal_check  # noqa: PLC0415

    with connected(dsn, data_dir) as connection, progress_bar() as progress:
        present(connection)
        found = journal_check.hashes(connection, progress)
    if json:
        print_json(db_tables.as_json(found))
    else:
        db_tables.hashes(found, out, accounts=accounts)


@db.command
def accept_restore(dsn: str | None = None, *, reason: str, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Accept that a journal ends before what this data folder knows, as after a restore of an older backup.

    Example: bulkhead db accept-restore --reason "restored the dump of 04:00 after the disk failed"

    Without it an engine refuses to start on such a database. What came after the backup is not in it: read 'Backup and
    restore' in docs/database.md first. The audit keeps who accepted it and why.

    Args:
        dsn: DSN of the database; by default the embedded one.
        reason: why; for the audit.
        data_dir: the engine's data folder.
    """
    from actors.assembly import journal_ends  # noqa: PLC0415

    why = checked_text(reason, "--reason")
    if not why:
        raise BadInput("--reason is empty; say why the database ends before what this data folder knows")
    with folder_lock.held(data_dir), connected(dsn, data_dir) as connection:
        present(connection)
        accepted = journal_ends.accept(connection, data_dir, user(), why)
    if accepted is None:
        out.print("nothing to accept: the journal has what this data folder knows of it")
    else:
        out.print(
            f"accepted: the journal ends at position {accepted.position} with the root {accepted.journal_root}",
            highlight=False,
        )


@db.command
def rebuild(  # noqa: PLR0913 - one per option
    dsn: str | None = None,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    archive: Archive = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Make our own tables anew from the journal; the journal and the platform's tables stay as they are.

    Example: bulkhead db rebuild --dry-run
             bulkhead db rebuild --yes

    No engine may use the database. All of it is one transaction: what interrupts it leaves everything as it was.

    Args:
        dsn: DSN of the database; by default the embedded one.
        yes: do it; without, nothing is done.
        dry_run: show how the tables differ from what would come out, and change nothing; exit code 1 if they do.
        archive: folder of archived files; by default archive in the data folder.
        data_dir: the engine's data folder, and that of the embedded database.
        json: print the answer as JSON.
    """
    from actors.cli import db_tables  # noqa: PLC0415
    from actors.persistence.archive.folder import folder_of  # noqa: PLC0415
    from actors.persistence.connection import connect  # noqa: PLC0415
    from actors.persistence.projection import differences as compare  # noqa: PLC0415
    from actors.persistence.projection import rebuild as again  # noqa: PLC0415

    if yes == dry_run:
        raise BadInput(
            "give --yes to make the tables anew from the journal, or --dry-run to see what that would change; not both"
        )
    folder = folder_of(archive, data_dir)
    with (
        owned(dsn, data_dir) as database,
        connect(database.dsn) as connection,
        progress_bar() as progress,
    ):

        def show(done: int, total: int) -> None:
            database.renew()
            progress("decisions", done, total)

        if yes:
            count = again.rebuild(connection, show, folder)
        else:
            found = compare.differences(connection, show, folder)
    if yes and json:
        print_json({"projected": count})
    elif yes:
        out.print(f"our tables are made anew of {count} decisions", highlight=False)
    elif json:
        print_json(db_tables.plain(found))
    else:
        db_tables.differences(found, out)
    if not yes and any(table.wrong or table.lacking for table in found):
        sys.exit(1)


@db.command
def unpark(account: str, dsn: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Try again to bring the tables of a parked account up to date; no engine may use the database.

    Example: bulkhead db unpark acct-42

    A running engine tries by itself, every minute and at its start. 'bulkhead db status' lists what is parked, and why.

    Args:
        account: the account.
        dsn: DSN of the database; by default the embedded one.
        data_dir: the engine's data folder, and that of the embedded database.
    """
    from actors.persistence.projection.store import Projection  # noqa: PLC0415

    with owned(dsn, data_dir) as database:
        projection = Projection(database.dsn)
        try:
            projection.begin()
            if account not in projection.parked:
                raise BadInput(f"{shown(account)} is not parked; 'bulkhead db status' lists what is")
            count = projection.release(account)
        finally:
            projection.close()
    out.print(f"{account} is not parked any more: {count} decisions were projected", highlight=False)


class Owned(NamedTuple):
    """A database whose accounts no engine can take: its DSN, the store that owns them, and what keeps it so.

    ``renew`` is called more often than each 15 seconds by what may last longer than a minute.
    """

    dsn: str
    store: Store
    renew: Callable[[], None]


def present(connection: psycopg.Connection[Any]) -> None:
    """Refuse a database without a journal of the present version.

    Raises:
        BadInput: it is none of ours, or of an older version; says what makes it one.
    """
    from actors.persistence import schema  # noqa: PLC0415

    found = schema.check(connection)
    if found is schema.Found.OLDER:
        raise BadInput(
            "schema bulkhead is of an older version, which this program does not read; 'bulkhead db init', or a start of the engine, "
            "upgrades it"
        )
    if found is not schema.Found.READY:
        raise BadInput(f"the database is {found}: it has no schema bulkhead; 'bulkhead db init' makes it")


@contextmanager
def owned(
    dsn: str | None,
    data_dir: Path,
    check: Callable[[psycopg.Connection[Any]], object] = present,
    defaults: RiskLimits | None = None,
) -> Iterator[Owned]:
    """Own a database's accounts meanwhile.

    Args:
        dsn: of the database; None for the embedded one.
        data_dir: the engine's data folder.
        check: raises for a database that will not do, before anything is changed.
        defaults: the limits below all accounts, where the command makes accounts.

    Raises:
        Fenced: an engine owns them.
        BadConfig: one runs on the data folder.
    """
    from actors.limits.model import RiskLimits  # noqa: PLC0415 - slow to import
    from actors.persistence.connection import connect, owner_of  # noqa: PLC0415
    from actors.persistence.store import Store  # noqa: PLC0415

    with folder_lock.held(data_dir), running(dsn, data_dir) as address:
        with connect(address, read_only=True) as connection:
            check(connection)
        store = Store.open(address, defaults or RiskLimits())
        try:
            store.acquire(owner_of(data_dir), LEASE_SECONDS)
            renewed = time.monotonic()

            def renew() -> None:
                nonlocal renewed
                if time.monotonic() > renewed + LEASE_SECONDS / 4:
                    store.renew()
                    renewed = time.monotonic()

            yield Owned(address, store, renew)
        finally:
            store.close()


def user() -> str:
    """Who gives the command, for the audit."""
    try:
        return f"{getpass.getuser()} (bulkhead db)"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "bulkhead db"


@contextmanager
def connected(
    dsn: str | None, data_dir: Path, *, read_only: bool = True
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database, or to the embedded one, which runs meanwhile.

    Raises:
        StoreUnreachable: it does not answer, or not any more.
    """
    from actors.persistence.connection import connect  # noqa: PLC0415

    with running(dsn, data_dir) as address, connect(address, read_only=read_only) as connection:
        yield connection


@contextmanager
def running(dsn: str | None, data_dir: Path) -> Iterator[str]:
    """The DSN of a database, or of the embedded one, which runs meanwhile.

    Raises:
        StoreUnreachable: it does not start, or does not answer any more.
    """
    import psycopg  # noqa: PLC0415 - slow to import, and most commands need none

    from actors.persistence.connection import one_line  # noqa: PLC0415
    from actors.persistence.embedded import EmbeddedPostgres  # noqa: PLC0415

    logs.configure(json=False, level=logging.WARNING)  # what is printed is the answer
    embedded = None if given(dsn) else EmbeddedPostgres(data_dir, err.print)
    try:
        yield dsn or (embedded.start() if embedded else "")
    except psycopg.Error as error:
        raise StoreUnreachable(f"Postgres cannot answer: {one_line(error)}") from None
    finally:
        if embedded:
            embedded.stop()


@contextmanager
def progress_bar(*, counts: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on a terminal, one step after the other; ``counts`` are for what people count, else per cent."""
    amount = MofNCompleteColumn() if counts else TextColumn("{task.percentage:>3.0f} %")
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def show(step: str, done: int, total: int) -> None:
            progress.update(task, description=step, completed=done, total=total or None)

        yield show

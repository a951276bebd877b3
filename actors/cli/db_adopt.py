"""``bulkhead db adopt``: take the platform's accounts over, or give them back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.assembly.config import EngineConfig, environment, load
from actors.cli.common import Json, err, given, out, print_json
from actors.cli.db import DryRun, connected, db, owned, user
from actors.cli.times import now_ms
from actors.core.errors import BadInput

if TYPE_CHECKING:
    import psycopg

    from actors.assembly.adoption import Request
    from actors.persistence.store import Store

Names = Annotated[tuple[str, ...], Parameter("--account", consume_multiple=True, negative=())]
Beside = Annotated[tuple[str, ...], Parameter("--beside", consume_multiple=True, negative=())]
Stopped = Annotated[bool, Parameter("--i-stopped-the-platform", negative=())]
Partial = Annotated[bool, Parameter("--partial", negative=())]
Undo = Annotated[bool, Parameter("--undo", negative=())]


@db.command
def adopt(  # noqa: PLR0913 - one per option
    dsn: str | None = None,
    *,
    account: Names = (),
    dry_run: DryRun = False,
    i_stopped_the_platform: Stopped = False,
    partial: Partial = False,
    beside: Beside = (),
    undo: Undo = False,
    config: Path | None = None,
    data_dir: Path | None = None,
    exchange: str | None = None,
    json: Json = False,
) -> None:
    """Take the platform's accounts, balances and OPEN positions over; or give them back.

    Example: bulkhead db adopt postgresql://me@localhost/firm --dry-run
             bulkhead db adopt "$DSN" --i-stopped-the-platform
             bulkhead db adopt "$DSN" --undo --account acct-42

    Begin with --dry-run, which changes nothing. No engine may run, and the platform must be stopped. The platform's rows
    stay as they are. What is refused is named with its cure; exit code 1. An adoption can be undone until the account's
    first decision. docs/adoption.md has all of it.

    Args:
        dsn: DSN of the platform's database; by default the one in the settings.
        account: only these accounts; by default all that are not run here yet.
        dry_run: show what would be done, and change nothing.
        i_stopped_the_platform: the platform's server and its bots are stopped, and stay so.
        partial: leave out the accounts that are refused, and take over the others.
        beside: application_name of programs that may stay connected to the database, as a monitor.
        undo: give accounts back that decided nothing since they were taken over.
        config: the engine's TOML file: limits, exchange and keys are those of 'bulkhead run'.
        data_dir: the engine's data folder.
        exchange: REST base URL of the exchange.
        json: print the answer as JSON.
    """
    if dry_run and undo:
        raise BadInput("--undo has no --dry-run: it refuses by itself what cannot be undone")
    if undo and (partial or i_stopped_the_platform or beside):
        raise BadInput("--undo takes --account and nothing else that concerns accounts")
    options = {
        "dsn": given(dsn),
        "data_dir": None if data_dir is None else str(data_dir),
        "exchange": exchange,
    }
    settings = load(config, environment(), options)
    from actors.assembly import adoption  # noqa: PLC0415 - a second of imports

    request = adoption.Request(
        config=settings,
        wanted=account,
        beside=beside,
        is_stopped=i_stopped_the_platform,
        partial=partial,
        who=user(),
    )
    if undo:
        _undo(settings, request, json=json)
    elif dry_run:
        _look(settings, request, json=json)
    else:
        _adopt(settings, request, json=json)


def _look(settings: EngineConfig, request: Request, *, json: bool) -> None:
    from actors.assembly import adoption  # noqa: PLC0415
    from actors.cli import adopt_tables  # noqa: PLC0415

    with connected(settings.dsn or None, Path(settings.data_dir)) as connection:
        found = adoption.look(connection, request, now_ms(), _progress)
    if json:
        print_json(adopt_tables.as_json(found.plan, done=False, at_work=found.at_work))
    else:
        adopt_tables.plan(found.plan, out)
        adopt_tables.at_work(found.at_work, out)
        out.print("nothing was changed: this is a dry run")
    if found.plan.refusals or found.at_work:
        sys.exit(1)


def _adopt(settings: EngineConfig, request: Request, *, json: bool) -> None:
    from actors.assembly import adoption  # noqa: PLC0415
    from actors.cli import adopt_tables  # noqa: PLC0415

    if not request.is_stopped:
        raise BadInput(adoption.NOT_SAID)
    with _owned(settings, adoption.check_platform) as store:
        try:
            made = adoption.adopt(store, request, now_ms(), _progress)
        except adoption.Refused as refused:
            if json:
                print_json({**adopt_tables.as_json(refused.plan, done=False), "refused": str(refused)})
            else:
                adopt_tables.plan(refused.plan, out)
            err.print(f"refused: {refused}", style="red", markup=False)
            sys.exit(1)
    if json:
        print_json(adopt_tables.as_json(made, done=True))
    else:
        adopt_tables.plan(made, out)
        adopt_tables.done(made, out)
    if made.refusals:
        sys.exit(1)


@contextmanager
def _owned(settings: EngineConfig, check: Callable[[psycopg.Connection[Any]], object]) -> Iterator[Store]:
    """The database's store, owned by nobody else, once ``check`` found nothing wrong; what was done is projected then."""
    from actors.assembly import adoption  # noqa: PLC0415

    folder, defaults = Path(settings.data_dir), adoption.defaults_of(settings)
    with owned(settings.dsn or None, folder, check, defaults) as database:
        yield database.store
        adoption.project(database.dsn)


def _undo(settings: EngineConfig, request: Request, *, json: bool) -> None:
    from actors.assembly import adoption  # noqa: PLC0415
    from actors.cli import adopt_tables  # noqa: PLC0415

    with _owned(settings, adoption.check_ours) as store:
        found = adoption.undo(store, request, now_ms())
    if json:
        print_json(adopt_tables.undone_json(found))
    else:
        adopt_tables.undone(found, out)
    if any(one.why_not for one in found):
        sys.exit(1)


def _progress(text: str) -> None:
    err.print(text, markup=False)

"""Commands about the past: an account as it was, what changed, and its decisions made again."""

from __future__ import annotations

import os
import pdb  # noqa: T100 - "b" of --step
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import Archive, DataDir, Json, client, out, path, print_json
from actors.cli.db import progress_bar
from actors.cli.past import ask
from actors.cli.times import now_ms
from actors.core.errors import BadInput
from actors.core.names import shown

if TYPE_CHECKING:
    import psycopg

    from actors.api.client import Client
    from actors.subaccount.capture import CapturedDecision
    from actors.subaccount.state import AccountState

At = Annotated[str, Parameter(allow_leading_hyphen=True)]
"""A point in time; ``-15m`` is one and no option."""

Output = Annotated[Path | None, Parameter(("--output", "-o"))]
Step = Annotated[bool, Parameter(negative=())]
Force = Annotated[bool, Parameter(negative=())]

LAST = 16
"""Decisions in a capture, unless fewer are asked for; the engine keeps no more of one account."""

CAPTURE_MAX = 1 << 28
"""Bytes of a file that are read; no capture is as large."""

FACTS_SHOWN = 1_000
DIFFERENT = 1
"""Exit code of a rerun that differs."""


def show_past(  # noqa: PLR0913 - one per option
    account: str, at: str, dsn: str | None, data_dir: Path, archive: Path | None, *, limits: bool, json: bool
) -> None:
    """Print an account as it was."""
    from actors.cli import actors_tables, time_travel_tables  # noqa: PLC0415
    from actors.persistence.archive.folder import folder_of  # noqa: PLC0415

    def of_engine(engine: Client) -> Any:
        return engine.get(path("accounts", account, "at"), point=at)

    def of_database(connection: psycopg.Connection[Any]) -> Any:
        from actors.api.time_travel import past_of  # noqa: PLC0415

        with progress_bar() as progress:
            show = partial(progress, "decisions")
            return past_of(connection, account, at, now_ms(), show, folder_of(archive, data_dir))

    found = ask(data_dir, dsn, of_engine, of_database)
    if json:
        print_json(found)
        return
    time_travel_tables.where(found, out)
    actors_tables.past(found, out, limits=limits)


@app.command
def diff(  # noqa: PLR0913 - one per option
    account: str,
    before: At,
    after: At = "now",
    *,
    limit: int = FACTS_SHOWN,
    dsn: str | None = None,
    archive: Archive = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show what changed of an account between two points in time: field by field, and by which facts.

    Example: bulkhead diff acct-42 -15m
             bulkhead diff acct-42 2026-11-22T09:30 2026-11-22T09:45
             bulkhead diff acct-42 '#17' '#21'

    Args:
        account: the account.
        before: a time in UTC or -15m, a position of the journal, or #SEQUENCE of the account.
        after: the same; by default now.
        limit: show at most so many decisions between them.
        dsn: read this database itself, not through an engine.
        archive: with that, folder of archived files; by default archive in the data folder.
        data_dir: the engine's data folder, or that of the embedded database.
        json: print the answer as JSON.
    """
    from actors.cli import time_travel_tables  # noqa: PLC0415
    from actors.persistence.archive.folder import folder_of  # noqa: PLC0415

    if not 1 <= limit <= 10_000:  # noqa: PLR2004 - as of the API's lists
        raise BadInput(f"--limit: {limit} must be 1 to 10000")

    def of_engine(engine: Client) -> Any:
        return engine.get(path("accounts", account, "diff"), before=before, after=after, limit=limit)

    def of_database(connection: psycopg.Connection[Any]) -> Any:
        from actors.api.time_travel import diff_of  # noqa: PLC0415

        with progress_bar() as progress:
            show, folder = partial(progress, "decisions"), folder_of(archive, data_dir)
            return diff_of(connection, account, before, after, limit, now_ms(), show, folder)

    found = ask(data_dir, dsn, of_engine, of_database)
    if json:
        print_json(found)
    else:
        time_travel_tables.diff(found, out)


@app.command
def capture(
    account: str,
    *,
    last: int = LAST,
    output: Output = None,
    force: Force = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write an account's last decisions, with all that they were made of, into one file for 'bulkhead rerun'.

    Example: bulkhead capture acct-42
             bulkhead capture acct-42 --last 3 -o acct-42.capture

    The engine remembers the last 16 decisions of an account that decided something, and orders that were refused; besides
    them the file has what the account would decide now.

    Args:
        account: the account.
        last: at most so many decisions, 0 to 16.
        output: the file; by default ACCOUNT.capture.
        force: overwrite a file that exists.
        data_dir: the engine's data folder.
    """
    if not 0 <= last <= LAST:
        raise BadInput(
            f"--last: {last} must be 0 to {LAST}, which is what the engine remembers of one account"
        )
    target = free(output or Path(f"{account}.capture"), force=force)
    data = client(data_dir).download(path("accounts", account, "capture"), last=last)
    write_capture(data, target)


def free(target: Path, *, force: bool) -> Path:
    """A file that may be written.

    Raises:
        BadInput: it exists.
    """
    if target.exists() and not force:
        raise BadInput(f"{target} exists; give another one with -o, or --force")
    return target


def write_capture(data: bytes, target: Path) -> None:
    """Write a capture that an engine gave, and say what is in it.

    Raises:
        BadInput: it cannot be written, or is not whole.
    """
    from actors.cli import time_travel_tables  # noqa: PLC0415
    from actors.subaccount.capture import decode  # noqa: PLC0415

    found = decode(data, "the engine's answer")
    try:
        _write_whole(target, data)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}") from None
    time_travel_tables.written(found, str(target), len(data), out)


def _write_whole(target: Path, data: bytes) -> None:
    """Write a file whole or not at all: on a full disk the one that was there is kept, and no part of a new one."""
    if target.exists() and not target.is_file():
        target.write_bytes(data)  # a device or a pipe, which nothing can take the place of
        return
    fresh = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


@app.command
def rerun(file: Path, *, step: Step = False, json: Json = False) -> None:
    """Make the decisions of a capture again, offline, and compare them with those recorded; exit code 1 if one differs.

    Example: bulkhead rerun acct-42.capture
             bulkhead rerun acct-42.capture --step
             python -m pdb -m actors.cli rerun acct-42.capture

    Nothing is sent and no database is used: the same functions decide from the recorded state, message, prices, rules,
    limits and clock. Facts are compared byte for byte with the journal's, a failure by its error and its lines.

    Args:
        file: of 'bulkhead capture' or 'bulkhead deadletters export'.
        step: stop before each decision: Enter goes on, p prints the state, b drops into pdb, q ends.
        json: print the outcome as JSON.
    """
    from actors.assembly.rerun import Verdict  # noqa: PLC0415
    from actors.assembly.rerun import rerun as again  # noqa: PLC0415
    from actors.cli import time_travel_tables  # noqa: PLC0415

    if step and json:
        raise BadInput("--step talks to a person; leave out --json")
    found = read_capture(file)
    if not json:
        time_travel_tables.head(found, str(file), out)
    outcomes = []
    for one in again(found, _stop_before) if step else again(found):
        outcomes.append(one)
        if not json:
            time_travel_tables.outcome(one, out)
    if json:
        print_json(time_travel_tables.plain(found, outcomes))
    else:
        time_travel_tables.summary(found, outcomes, out)
    if any(one.verdict is Verdict.DIFFERENT for one in outcomes):
        sys.exit(DIFFERENT)


def read_capture(file: Path) -> Any:
    """A capture from a file.

    Raises:
        BadInput: there is no such file, or it is no whole capture.
    """
    from actors.subaccount.capture import HEAD_MAX, MAGIC, decode  # noqa: PLC0415

    try:
        with file.open("rb") as content:
            data = content.read(HEAD_MAX)
            if data.startswith(MAGIC):
                # Of anything else, however large or endless, no more is needed to say that it is no capture.
                data += content.read(CAPTURE_MAX)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from None
    return decode(data, str(file))


def _stop_before(number: int, recorded: CapturedDecision, state: AccountState, message: Any) -> None:
    """Let a person look before a decision is made again."""
    from actors.cli import time_travel_tables  # noqa: PLC0415

    time_travel_tables.before(number, recorded, state, message, out)
    while True:
        out.print("Enter: decide  p: state  b: debugger  q: end > ", end="", style="dim")
        try:
            answer = input().strip()
        except EOFError:
            answer = ""
            out.print()
        if answer == "q":
            sys.exit(0)
        if answer == "p":
            print_json(msgspec.to_builtins(state))
        elif answer == "b":
            # In this frame: state, message and recorded are at hand, and "up" leads to the decision that follows.
            pdb.set_trace()  # noqa: T100 - it is what was asked for
            return
        elif answer:
            out.print(f"{shown(answer)} is none of Enter, p, b, q")
        else:
            return

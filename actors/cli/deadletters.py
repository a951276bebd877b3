"""Commands about dead letters: messages that no actor could handle."""

from __future__ import annotations

from pathlib import Path

import cyclopts
from rich.console import Console
from rich.text import Text

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_answer, print_done
from actors.cli.table import Sheet
from actors.cli.time_travel import Force, Output, free, write_capture
from actors.cli.values import Found, brief, day_time

deadletters = cyclopts.App(
    name="deadletters",
    help="List, show, export, replay or drop messages that no actor could handle.\n\nExample: bulkhead deadletters list acct-42",
)

app.command(deadletters)


@deadletters.command(name="list")
def deadletters_list(
    actor: str | None = None,
    *,
    status: str | None = None,
    limit: int = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List dead letters, of one actor or of all, newest first.

    Example: bulkhead deadletters list acct-42 --status open
    """
    found = client(data_dir).get("/v1/deadletters", actor=actor, status=status, limit=limit)
    print_answer(found, dead_letters_table, json=json)


@deadletters.command(name="show")
def deadletters_show(number: int, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show one dead letter: message, error, traceback, the account's state at that time.

    Example: bulkhead deadletters show 7
    """
    print_answer(client(data_dir).get(path("deadletters", number)), dead_letter_table, json=json)


@deadletters.command(name="replay")
def deadletters_replay(number: int, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Send the message to its account again, for example after a fix; a dead letter can be replayed once.

    Example: bulkhead deadletters replay 7
    """
    answer = client(data_dir).post(path("deadletters", number, "replay"))
    print_done(answer, f"dead letter {number} replayed to {answer['actor']}", json=json)


@deadletters.command(name="export")
def deadletters_export(
    number: int, *, output: Output = None, force: Force = False, data_dir: DataDir = DEFAULT_DATA_DIR
) -> None:
    """Write a dead letter with the state that it met, message, prices and limits into a file for 'bulkhead rerun'.

    Example: bulkhead deadletters export 7 -o letter-7.capture

    Args:
        number: of the dead letter.
        output: the file; by default deadletter-NUMBER.capture.
        force: overwrite a file that exists.
        data_dir: the engine's data folder.
    """
    target = free(output or Path(f"deadletter-{number}.capture"), force=force)
    write_capture(client(data_dir).download(path("deadletters", number, "export")), target)


@deadletters.command(name="drop")
def deadletters_drop(number: int, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Close a dead letter without a replay; it stays readable.

    Example: bulkhead deadletters drop 7
    """
    print_done(
        client(data_dir).post(path("deadletters", number, "drop")), f"dead letter {number} dropped", json=json
    )


def dead_letters_table(found: Found, out: Console) -> None:
    """One line per dead letter."""
    table = Sheet("Number", "time", "actor", "kind", "status", "error")
    for letter in found:
        table.add_row(
            str(letter["dead_letter_id"]),
            day_time(letter["at_ms"]),
            letter["actor"],
            letter["message_kind"],
            letter["status"],
            brief(letter["error"], 100),
        )
    out.print(table if found else "no dead letters")


def dead_letter_table(found: Found, out: Console) -> None:
    """Everything about one dead letter."""
    rest = f" {found['actor']} {day_time(found['at_ms'])} {found['status']}"
    out.print(Text.assemble((f"#{found['dead_letter_id']}", "bold"), rest))
    if found["resolved_by"]:
        out.print(f"by {found['resolved_by']} at {day_time(found['resolved_ms'])}", markup=False)
    out.print("can be replayed" if found["payload"] else "cannot be replayed, only dropped")
    for title in ("message", "error", "state", "traceback"):
        out.print(Text(f"\n{title}", "bold"))
        out.print(found[title] or "none", markup=False, highlight=False)

"""The command about drop copies: events of accounts, from any place in the journal on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, err, out, print_json_line
from actors.cli.safe import safe
from actors.cli.values import day_time

HEAD = frozenset(
    {"id", "position", "account", "wall_ms", "cause", "kind", "action", "possible_resend", "root"}
)
INDENT = 4
BAD = frozenset({"LIQUIDATION", "BREACH", "UNREADABLE", "CLOSE_OUT", "HOUSE"})


@app.command(name="drop-copy")
def drop_copy(  # noqa: PLR0913 - what one may ask for
    *accounts: str,
    after: str | None = None,
    root: tuple[str, ...] = (),
    kinds: str | None = None,
    follow: Annotated[bool, Parameter(negative=())] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Print what happened to accounts: orders, fills, liquidations, breaches, balances, in the order of the journal.

    Example: bulkhead drop-copy acct-42 --kinds fill,position_closed
             bulkhead drop-copy --follow --json --after 4711-0

    Each event has an id and comes once. With --follow it goes on, also over restarts of the engine, until Ctrl-C; whoever
    is ended itself begins again with the last id that it printed, and the root beside it, as --json prints it: after a
    restore of a backup, which uses ids again for other events, that is refused.

    Args:
        accounts: whose; without one those of all.
        after: an id or a position to go on behind, 0 for the begin, or now. By default 0, and with --follow now.
        root: 'root' of the event that --after names, and of older ones if there are: a refusal names the last common one.
        kinds: separated by commas: ORDER, ORDER_ACKNOWLEDGED, FILL, ORDER_ENDED, CANCEL, CONDITIONAL, POSITION_CLOSED,
            LIQUIDATION, BREACH, BALANCE, FUNDING, FEE, LIMITS, STATUS, CLOSE_OUT, HOUSE.
        follow: wait for what comes.
        data_dir: the engine's data folder.
        json: one JSON object per line.
    """
    # An empty one is no default: a program that has lost its last id must not go on behind what it did not read.
    place = after if after is not None else "now" if follow else "0"
    wanted = [] if kinds is None else [kind.strip() for kind in kinds.split(",")]

    def note(text: str) -> None:
        err.print(f"-- {text}", style="dim")

    reader = client_of(data_dir, accounts, wanted, place, note, root)
    try:
        for event in reader.events(follow=follow):
            if json:
                print_json_line(event)
            else:
                event_line(event, out)
    except KeyboardInterrupt:
        with_root = f" --root {reader.root}" if reader.root else ""
        err.print(f"-- ended; go on with --after {reader.after}{with_root}", style="dim")


def client_of(  # noqa: PLR0913 - what one may ask for
    data_dir: Path,
    accounts: tuple[str, ...],
    kinds: list[str],
    after: str,
    note: Callable[[str], None],
    roots: tuple[str, ...],
) -> Any:
    """The client of a drop copy."""
    from actors.api.drop_copy_client import DropCopyClient  # noqa: PLC0415 - a second of imports

    return DropCopyClient(data_dir, accounts, kinds, after, note, roots=roots)


def event_line(event: dict[str, Any], console: Console) -> None:
    """One event: id, time, account and kind, and the fields that have a value; below if they do not fit beside."""
    kind = f"{event['kind']} {event['action']}" if event.get("action") else event["kind"]
    head = f"{event['id']:<9} {day_time(event['wall_ms'])}  {event['account']}  {kind}  "
    fields = safe("  ".join(f"{name}={_shown(value)}" for name, value in event.items() if _says(name, value)))
    style = "red" if event["kind"] in BAD else ""
    if console.soft_wrap or cell_len(head) + cell_len(fields) <= console.width:
        console.print(Text.assemble((safe(head), style), fields))
        return
    console.print(Text(safe(head).rstrip(), style))
    console.print(Padding(Text(fields), (0, 0, 0, INDENT), expand=False))


def _says(name: str, value: Any) -> bool:
    return name not in HEAD and bool(value)


def _shown(value: Any) -> str:
    return "yes" if value is True else str(value)

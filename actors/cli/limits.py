"""Commands about an account's limits."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_answer, print_outcome
from actors.cli.table import Sheet
from actors.cli.values import Found


@app.command
def limits(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show every limit of an account, and where each comes from.

    Example: bulkhead limits acct-42
    """
    print_answer(client(data_dir).get(path("accounts", account, "limits")), limits_table, json=json)


@app.command
def set_limit(
    account: str, name: str, value: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Set a limit of one account; 'off' disables it. Takes effect immediately.

    Example: bulkhead set-limit acct-42 max_daily_loss 500       ('bulkhead unset-limit' removes it)
    """
    answer = client(data_dir).post(path("accounts", account, "limits"), {"changes": {name: value}})
    print_outcome(answer, f"{account}: {name} = {value}", json=json)


@app.command
def unset_limit(account: str, name: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Remove an account's own value of a limit: the inherited value applies again.

    Example: bulkhead unset-limit acct-42 max_daily_loss
    """
    answer = client(data_dir).post(path("accounts", account, "limits"), {"changes": {name: None}})
    print_outcome(answer, f"{account}: {name} removed, the inherited value applies again", json=json)


def limits_table(found: Found, out: Console) -> None:
    """One line per limit; values that are not built-in are bold."""
    table = Sheet("limit", "Value", "comes from", "unit", "meaning")
    for row in found:
        own = row["source"] != "built-in"
        value = Text(row["value"], "bold" if own else "")
        table.add_row(row["name"], value, row["source"], row["unit"], row["text"])
    out.print(table)

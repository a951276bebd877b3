"""Commands about an account's limits."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, outcome, path, show
from actors.cli.table import Sheet
from actors.cli.values import Found


@app.command
def limits(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show every limit of an account, and where each comes from.

    Example: bulkhead limits acct-42
    """
    show(client(data_dir).get(path("accounts", account, "limits")), limits_table, json=json)


@app.command
def set_limit(
    account: str, name: str, value: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Set a limit of one account; 'off' switches it off. It acts at once.

    Example: bulkhead set-limit acct-42 max_daily_loss 500       ('bulkhead unset-limit' takes it back)
    """
    answer = client(data_dir).post(path("accounts", account, "limits"), {"changes": {name: value}})
    outcome(answer, f"{account}: {name} = {value}", json=json)


@app.command
def unset_limit(account: str, name: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Take an account's own limit back: what lies below holds again.

    Example: bulkhead unset-limit acct-42 max_daily_loss
    """
    answer = client(data_dir).post(path("accounts", account, "limits"), {"changes": {name: None}})
    outcome(answer, f"{account}: {name} is what lies below again", json=json)


def limits_table(found: Found, out: Console) -> None:
    """One line per limit; those that somebody set are bold."""
    table = Sheet("limit", "Value", "comes from", "unit", "meaning")
    for row in found:
        own = row["source"] != "built-in"
        value = Text(row["value"], "bold" if own else "")
        table.add_row(row["name"], value, row["source"], row["unit"], row["text"])
    out.print(table)

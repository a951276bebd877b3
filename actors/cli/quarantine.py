"""Commands about quarantine: take an account out of service, list those that are, put one back."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_answer, print_done
from actors.cli.table import Sheet
from actors.cli.values import Found, day_time

Replay = Annotated[bool, Parameter("--replay", negative=())]


@app.command
def quarantine(
    account: str,
    *,
    reason: str = "asked for by an operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Take one account out of service; its orders are cancelled, a guard watches its liquidation.

    Example: bulkhead quarantine acct-42 --reason "odd fills"

    'bulkhead release' puts it back into service.
    """
    answer = client(data_dir).post(path("accounts", account, "quarantine"), {"reason": reason})
    print_done(answer, f"{account}: in quarantine", json=json)


@app.command
def release(
    account: str, *, replay: Replay = False, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Put an account back into service; the message that failed is dropped, or replayed.

    Example: bulkhead release acct-42 --replay

    Args:
        account: an account in quarantine.
        replay: send it the message that failed again, for example after a fix.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    body = {"poison": "replay" if replay else "drop"}
    answer = client(data_dir).post(path("accounts", account, "release"), body)
    number = answer["dead_letter_id"]
    done = (
        "no message was waiting"
        if number is None
        else f"dead letter {number} {'replayed' if replay else 'dropped'}"
    )
    print_done(answer, f"{account}: released, {done}", json=json)


@app.command
def quarantined(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """List accounts that are out of service, and why.

    Example: bulkhead quarantined
    """
    print_answer(client(data_dir).get("/v1/quarantine"), quarantined_table, json=json)


def quarantined_table(found: Found, out: Console) -> None:
    """One line per account."""
    table = Sheet("account", "since", "reason")
    for record in found:
        table.add_row(record["account_id"], day_time(record["since_ms"]), record["reason"])
    out.print(table if found else "no account is in quarantine")

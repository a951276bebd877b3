"""Commands about an account's circuit breaker."""

from __future__ import annotations

import cyclopts

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, outcome, path

breaker = cyclopts.App(
    name="breaker",
    help="Open or close an account's circuit breaker.\n\nExample: bulkhead breaker trip acct-42 --reason 'odd fills'",
)

app.command(breaker)


@breaker.command
def trip(
    account: str,
    *,
    reason: str = "asked for by an operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Open the breaker: no new risk, what may open it is cancelled, reducing goes on.

    Example: bulkhead breaker trip acct-42 --reason "odd fills"
    """
    answer = client(data_dir).post(path("accounts", account, "breaker"), {"reason": reason})
    outcome(answer, f"{account}: breaker open", json=json)


@breaker.command
def reset(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Close the breaker; refused while it cools down.

    Example: bulkhead breaker reset acct-42
    """
    outcome(
        client(data_dir).delete(path("accounts", account, "breaker")), f"{account}: breaker closed", json=json
    )

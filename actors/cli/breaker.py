"""Commands about an account's circuit breaker."""

from __future__ import annotations

import cyclopts

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_outcome

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
    """Open the breaker: no new risk, orders that may open risk are cancelled, reducing stays possible.

    Example: bulkhead breaker trip acct-42 --reason "odd fills"
    """
    answer = client(data_dir).post(path("accounts", account, "breaker"), {"reason": reason})
    print_outcome(answer, f"{account}: breaker open", json=json)


@breaker.command
def reset(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Close the breaker; refused during its cooldown.

    Example: bulkhead breaker reset acct-42
    """
    print_outcome(
        client(data_dir).delete(path("accounts", account, "breaker")), f"{account}: breaker closed", json=json
    )

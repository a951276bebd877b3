"""The commands that talk to a running engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console

from actors import cli_show
from actors.config import DEFAULT_DATA_DIR

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

DataDir = Annotated[Path, Parameter("--data-dir", env_var="BULKHEAD_DATA_DIR")]
Json = Annotated[bool, Parameter("--json", negative=())]

_commands: list[Callable[..., None]] = []


def live(command: Callable[..., None]) -> Callable[..., None]:
    """Collect a command."""
    _commands.append(command)
    return command


def register(app: cyclopts.App) -> None:
    """Add all of them to the command line."""
    for command in _commands:
        app.command(command)


@live
def accounts(
    *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 20, offset: int = 0, json: Json = False
) -> None:
    """List accounts.

    Example: bulkhead accounts --limit 50
    """
    _show(_client(data_dir).get("/v1/accounts", limit=limit, offset=offset), cli_show.accounts, json=json)


@live
def positions(
    account: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 50, json: Json = False
) -> None:
    """List open positions, of one account or of all.

    Example: bulkhead positions acct-42
    """
    _show(
        _client(data_dir).get("/v1/positions", account_id=account, limit=limit), cli_show.positions, json=json
    )


@live
def inspect(actor: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Look inside one actor without stopping it: state, mailbox, last messages, crashes, triggers.

    Example: bulkhead inspect acct-42
    """
    _show(_client(data_dir).get(f"/v1/actors/{actor}"), cli_show.actor, json=json)


@live
def mailbox(actor: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show what waits in one actor's mailbox: lane, kind, age, cause.

    Example: bulkhead mailbox acct-42
    """
    _show(_client(data_dir).get(f"/v1/actors/{actor}")["snapshot"], cli_show.mailbox, json=json)


@live
def restart(actor: str, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Restart one actor from its durable state; its mailbox is kept, nobody else notices.

    Example: bulkhead restart acct-42
    """
    answer = _client(data_dir).post(f"/v1/actors/{actor}/restart")
    out.print(f"{actor}: {'restarting' if answer['restarted'] else 'not restarted'}")


@live
def deadletters(actor: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show the messages that an actor could not handle.

    Example: bulkhead deadletters acct-42
    """
    _show(_client(data_dir).get(f"/v1/actors/{actor}/deadletters"), cli_show.dead_letters, json=json)


@live
def order(  # noqa: PLR0913 - one per field of an order
    account: str,
    side: str,
    quantity: str,
    symbol: str,
    *,
    price: str | None = None,
    leverage: str | None = None,
    reduce_only: Annotated[bool, Parameter(negative=())] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Place an order for an account: MARKET, or LIMIT with --price.

    Example: bulkhead order acct-42 buy 0.01 BTCUSDT --leverage 20
    """
    body = {
        "symbol": symbol.upper(),
        "side": side.upper(),
        "quantity": quantity,
        "order_type": "LIMIT" if price else "MARKET",
        "price": price,
        "leverage": leverage,
        "reduce_only": reduce_only,
    }
    _outcome(_client(data_dir).post(f"/v1/accounts/{account}/orders", body), "accepted and durable")


@live
def cancel(account: str, client_order_id: str, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Cancel a working order.

    Example: bulkhead cancel acct-42 bh-0123456789abcdef-3
    """
    _outcome(
        _client(data_dir).delete(f"/v1/accounts/{account}/orders/{client_order_id}"), "cancel is on its way"
    )


@live
def create(account: str, deposit: str, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Create an account with a first deposit.

    Example: bulkhead create acct-42 1000
    """
    _client(data_dir).post("/v1/accounts", [{"account_id": account, "deposit": deposit}])
    out.print(f"{account}: created")


@live
def deposit(account: str, amount: str, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Deposit, or withdraw with a negative amount.

    Example: bulkhead deposit acct-42 250        (bulkhead deposit acct-42 -- -250 takes it back)
    """
    _outcome(_client(data_dir).post(f"/v1/accounts/{account}/balance", {"amount": amount}), "booked")


@live
def freeze(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Freeze an account: no new risk; liquidation stays on.

    Example: bulkhead freeze acct-42
    """
    _outcome(_client(data_dir).post(f"/v1/accounts/{account}/freeze"), "frozen")


@live
def unfreeze(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Take a freeze back.

    Example: bulkhead unfreeze acct-42
    """
    _outcome(_client(data_dir).post(f"/v1/accounts/{account}/unfreeze"), "active")


@live
def stats(*, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print the engine's counters as JSON.

    Example: bulkhead stats
    """
    out.print_json(msgspec.json.encode(_client(data_dir).get("/v1/stats")).decode())


@live
def alarms(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """List the latest alarms.

    Example: bulkhead alarms
    """
    _show(_client(data_dir).get("/v1/alarms"), cli_show.alarms, json=json)


@live
def reconcile(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Compare the accounts' positions with the exchange's, per symbol; exit 1 if they differ.

    Example: bulkhead reconcile
    """
    found = _client(data_dir).get("/v1/reconciliation", settle_seconds=5)
    _show(found, cli_show.reconciliation, json=json)
    if any(Decimal(d["difference"]) for d in found):
        sys.exit(1)


def _client(data_dir: Path) -> Any:
    from actors.api.client import Client  # noqa: PLC0415 - a second of imports

    return Client(data_dir)


def _show(found: Any, table: Any, *, json: bool) -> None:
    if json:
        out.print_json(msgspec.json.encode(found).decode())
    else:
        table(found, out)


def _outcome(answer: dict[str, Any], done: str) -> None:
    if answer["type"] == "Accepted":
        out.print(f"{answer['client_order_id'] or ''} {done}".strip())
        return
    for rejection in answer["rejections"]:
        err.print(f"rejected: {rejection['code']}: {rejection['text']}", style="red", markup=False)
    sys.exit(1)

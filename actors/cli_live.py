"""The commands about accounts and orders of a running engine."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from actors import cli_show
from actors.cli_common import DataDir, Json, client, live, outcome, path, show, told
from actors.config import DEFAULT_DATA_DIR


@live
def accounts(
    *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 20, offset: int = 0, json: Json = False
) -> None:
    """List accounts.

    Example: bulkhead accounts --limit 50
    """
    show(client(data_dir).get("/v1/accounts", limit=limit, offset=offset), cli_show.accounts, json=json)


@live
def positions(
    account: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 50, json: Json = False
) -> None:
    """List open positions, of one account or of all.

    Example: bulkhead positions acct-42
    """
    show(
        client(data_dir).get("/v1/positions", account_id=account, limit=limit), cli_show.positions, json=json
    )


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
    json: Json = False,
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
    outcome(
        client(data_dir).post(path("accounts", account, "orders"), body), "accepted and durable", json=json
    )


@live
def cancel(
    account: str, client_order_id: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Cancel a working order.

    Example: bulkhead cancel acct-42 bh-0123456789abcdef-3
    """
    outcome(
        client(data_dir).delete(path("accounts", account, "orders", client_order_id)),
        "cancel is on its way",
        json=json,
    )


@live
def create(account: str, deposit: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Create an account with a first deposit.

    Example: bulkhead create acct-42 1000
    """
    answer = client(data_dir).post("/v1/accounts", [{"account_id": account, "deposit": deposit}])
    told(answer, f"{account}: created", json=json)


@live
def deposit(account: str, amount: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Deposit, or withdraw with a negative amount.

    Example: bulkhead deposit acct-42 250        (bulkhead deposit acct-42 -- -250 takes it back)
    """
    outcome(
        client(data_dir).post(path("accounts", account, "balance"), {"amount": amount}), "booked", json=json
    )


@live
def freeze(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Freeze an account: no new risk; liquidation stays on.

    Example: bulkhead freeze acct-42
    """
    outcome(client(data_dir).post(path("accounts", account, "freeze")), "frozen", json=json)


@live
def unfreeze(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Take a freeze back.

    Example: bulkhead unfreeze acct-42
    """
    outcome(client(data_dir).post(path("accounts", account, "unfreeze")), "active", json=json)

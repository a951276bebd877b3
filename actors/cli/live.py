"""The commands about accounts and orders of a running engine."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import formats
from actors.cli.common import DataDir, Json, client, live, outcome, path, show, told
from actors.core.errors import BadInput

if TYPE_CHECKING:
    from actors.api.client import Client

LOOK_SECONDS = 0.1
"""Between two looks at an order that is waited for."""

NOT_OVER = frozenset({"INTENDED", "ACKNOWLEDGED", "WAITING"})
REFUSED = frozenset({"REJECTED", "EXPIRED", "NEVER_SENT"})


@live
def accounts(
    *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 20, offset: int = 0, json: Json = False
) -> None:
    """List accounts.

    Example: bulkhead accounts --limit 50
    """
    show(client(data_dir).get("/v1/accounts", limit=limit, offset=offset), formats.accounts, json=json)


@live
def positions(
    account: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 50, json: Json = False
) -> None:
    """List open positions, of one account or of all.

    Example: bulkhead positions acct-42
    """
    show(client(data_dir).get("/v1/positions", account_id=account, limit=limit), formats.positions, json=json)


@live
def order(  # noqa: PLR0913 - one per field of an order
    account: str,
    side: str,
    quantity: str,
    symbol: str,
    *,
    price: str | None = None,
    stop: str | None = None,
    take_profit: str | None = None,
    trail: str | None = None,
    activation: str | None = None,
    leverage: str | None = None,
    strategy: str = "",
    reduce_only: Annotated[bool, Parameter(negative=())] = False,
    wait: int = 0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Place an order for an account: MARKET, LIMIT with --price, or one that waits for a price.

    Example: bulkhead order acct-42 buy 0.01 BTCUSDT --leverage 20
             bulkhead order acct-42 sell 0.01 BTCUSDT --stop 58000 --reduce-only
             bulkhead order acct-42 sell 0.01 BTCUSDT --trail 0.02 --reduce-only
             bulkhead order acct-42 buy 0.01 BTCUSDT --wait 5

    Args:
        account: whose.
        side: buy or sell.
        quantity: in base asset.
        symbol: for example BTCUSDT.
        price: limit price; it rests at the exchange.
        stop: send a market order once the mid is there: below for a sell, above for a buy.
        take_profit: the same, in the other direction.
        trail: trailing stop; a fraction of the best price, 0.001 to 0.2.
        activation: the trailing stop begins once the mid is there.
        leverage: of what opens; 10, or the account's limit, by default.
        strategy: a tag, for correlation, drawdown and performance.
        reduce_only: refuse what would open anything.
        wait: for so many seconds, until the order has ended, and say how; exit 1 if the exchange refused it.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    chosen = {
        name: value
        for name, value in (
            ("LIMIT", price),
            ("STOP_MARKET", stop),
            ("TAKE_PROFIT_MARKET", take_profit),
            ("TRAILING_STOP_MARKET", trail),
        )
        if value is not None
    }
    if len(chosen) > 1:
        raise BadInput("give one of --price, --stop, --take-profit and --trail; each is an order of its own")
    kind = next(iter(chosen), "MARKET")
    body = {
        "symbol": symbol.upper(),
        "side": side.upper(),
        "quantity": quantity,
        "order_type": kind,
        "price": price,
        "trigger_price": stop or take_profit,
        "callback_rate": trail,
        "activation_price": activation,
        "leverage": leverage,
        "strategy": strategy,
        "reduce_only": reduce_only,
    }
    engine = client(data_dir)
    answer = engine.post(path("accounts", account, "orders"), body)
    waits = wait > 0 and answer["type"] == "Accepted" and answer["client_order_id"] is not None
    if not (waits and json):
        outcome(answer, "accepted and durable", json=json)
    if waits:
        _say_how_it_ends(engine, answer["client_order_id"], wait, json=json)


def _say_how_it_ends(engine: Client, client_order_id: str, seconds: int, *, json: bool) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = engine.get(path("orders", client_order_id))
        is_over = found["status"] not in NOT_OVER
        if is_over or time.monotonic() >= deadline:
            break
        time.sleep(LOOK_SECONDS)
    late = "" if is_over else f" after {seconds} s"
    text = f"{client_order_id} {found['end'] or found['status']}{late}, {found['filled']} of {found['quantity']} filled"
    told(found, text, json=json)
    if found["status"] in REFUSED:
        sys.exit(1)


@live
def cancel(
    account: str, client_order_id: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Cancel a working order.

    Example: bulkhead cancel acct-42 bh-k7m2qx-4t0w9c5e8h2r6v1n-3
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

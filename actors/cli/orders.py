"""Commands about orders: place, cancel, list, why there is one, and closing positions with orders."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import accounts_tables, clearing_tables, orders_tables
from actors.cli.app import app
from actors.cli.common import (
    DataDir,
    Json,
    client,
    err,
    out,
    path,
    print_answer,
    print_done,
    print_json,
    print_outcome,
)
from actors.core.enums import Side
from actors.core.errors import BadInput

if TYPE_CHECKING:
    from actors.api.client import Client

POLL_SECONDS = 0.1
"""Interval of polls while waiting for an order."""

NOT_OVER = frozenset({"INTENDED", "ACKNOWLEDGED", "WAITING"})

REFUSED = frozenset({"REJECTED", "EXPIRED", "NEVER_SENT"})


@app.command
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
        account: the account that trades.
        side: buy or sell.
        quantity: in base asset.
        symbol: for example BTCUSDT.
        price: limit price; the order rests at the exchange.
        stop: send a market order when the mid reaches this price: below for a sell, above for a buy.
        take_profit: the same, in the other direction.
        trail: trailing stop; a fraction of the best price, 0.001 to 0.2.
        activation: the trailing stop starts when the mid reaches this price.
        leverage: of the position that it opens; by default 10, or the account's limit.
        strategy: a tag, for correlation, drawdown and performance.
        reduce_only: refuse the order if it would open anything.
        wait: wait up to this many seconds for the order's end and print it; exit 1 if the exchange refused it.
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
        raise BadInput(
            "give one of --price, --stop, --take-profit and --trail; each makes an order of another type"
        )
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
        print_outcome(answer, "accepted and durable", json=json)
    if waits:
        _print_end(engine, answer["client_order_id"], wait, json=json)


def _print_end(engine: Client, client_order_id: str, seconds: int, *, json: bool) -> None:
    from actors.api.client import NotKnown  # noqa: PLC0415 - a second of imports, which Client made already

    deadline = time.monotonic() + seconds
    while True:
        try:
            found = engine.get(path("orders", client_order_id))
        except NotKnown:
            # It is durable; the table that it is looked up in is written behind the journal.
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_SECONDS)
            continue
        is_over = found["status"] not in NOT_OVER
        if is_over or time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    late = "" if is_over else f" after {seconds} s"
    text = f"{client_order_id} {found['end'] or found['status']}{late}, {found['filled']} of {found['quantity']} filled"
    print_done(found, text, json=json)
    if found["status"] in REFUSED:
        sys.exit(1)


@app.command
def cancel(
    account: str, client_order_id: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Cancel a working order.

    Example: bulkhead cancel acct-42 bh-k7m2qx-4t0w9c5e8h2r6v1n-3
    """
    print_outcome(
        client(data_dir).delete(path("accounts", account, "orders", client_order_id)),
        "cancel requested",
        json=json,
    )


@app.command
def orders(
    account: str | None = None,
    *,
    waiting: Annotated[bool, Parameter(negative=())] = False,
    limit: int = 100,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List an account's working orders, and those that wait for a price; 'bulkhead history' lists the others.

    Example: bulkhead orders acct-42
             bulkhead orders --waiting

    With --waiting: the orders of all accounts that wait to be sent, in the order in which they go. Those that go out as one
    block order are one line.

    Args:
        account: whose orders.
        waiting: list what waits to be sent instead.
        limit: with --waiting, show at most this many lines.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    if (account is None) != waiting:
        raise BadInput("give an account, or --waiting for what waits to be sent of all accounts")
    if waiting:
        print_answer(client(data_dir).get("/v1/waiting", limit=limit), clearing_tables.line, json=json)
        return
    found = client(data_dir).get(path("accounts", account))
    if json:
        print_json({"orders": found["orders"], "conditionals": found["conditionals"]})
    else:
        orders_tables.orders(found, out)


@app.command
def why(client_order_id: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Follow an order from its decision to its end: cause, waiting, block, trades, price, fees, the exchange's words.

    Example: bulkhead why bh-k7m2qx-4t0w9c5e8h2r6v1n-3

    The id of a block order shows the block's rounds and its members.
    """
    print_answer(client(data_dir).get(path("why", client_order_id)), clearing_tables.trail, json=json)


@app.command
def caused(cause: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show all orders with the same cause, for example a tick.

    Example: bulkhead caused tick:BTCUSDT:5123107839020
    """
    print_answer(client(data_dir).get(path("causes", cause)), orders_tables.caused, json=json)


@app.command
def close(  # noqa: PLR0913 - one per option
    account: str,
    symbol: str | None = None,
    *,
    yes: Annotated[bool, Parameter(alias="-y", negative=())] = False,
    wait: int = 10,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Close an account's positions, or one of them, with reducing market orders, as its owner.

    Example: bulkhead close acct-42 ETHUSDT --yes

    Its resting orders on the closing side are cancelled first. Other orders stay, and no breaker opens;
    'bulkhead emergency-stop' does both. A remainder below the exchange's minimum is taken over by the house.

    Args:
        account: the account whose positions are closed.
        symbol: close only this position.
        yes: do not ask for confirmation.
        wait: wait up to this many seconds until all is closed; exit 1 if something is left.
        data_dir: the engine's data folder.
        json: print the outcome as JSON.
    """
    engine = client(data_dir)
    wanted = symbol.upper() if symbol else None
    found = engine.get(path("accounts", account))
    held = _held(found, wanted)
    if not held:
        raise BadInput(_no_position(found, wanted))
    if not yes:
        _ask_first(account, held)
    deadline = time.monotonic() + max(0, wait)
    _cancel_resting(engine, found, held, deadline)
    answers = engine.post(path("accounts", account, "close"), {"symbol": wanted})
    left = _left_after(engine, account, wanted, answers, deadline)
    if json:
        print_json({"answers": answers, "left": left})
    else:
        _print_closed(account, answers, left)
    if left or any(a["answer"]["type"] != "Accepted" for a in answers):
        sys.exit(1)


def _held(found: Any, symbol: str | None) -> list[Any]:
    return [p for p in found["positions"] if symbol in {None, p["symbol"]}]


def _no_position(found: Any, symbol: str | None) -> str:
    held = ", ".join(p["symbol"] for p in found["positions"])
    of_it = f"no position in {symbol}" if symbol else "no position"
    return f"{found['account_id']} has {of_it}" + (f"; it holds {held}" if held else "")


def _closing_side(position: Any) -> str:
    return str(Side.BUY if position["quantity"].startswith("-") else Side.SELL)


def _ask_first(account: str, held: list[Any]) -> None:
    """Ask for confirmation, and exit with 1 without it.

    Raises:
        BadInput: standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise BadInput("there is no terminal to ask for confirmation; give --yes to close without it")
    accounts_tables.positions(held, out, of_one=True)
    err.print(f"close {len(held)} position{'s'[: len(held) != 1]} of {account} at the market? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        err.print("nothing was done")
        sys.exit(1)


def _cancel_resting(engine: Client, found: Any, held: list[Any], deadline: float) -> None:
    """Cancel resting orders on the closing side; the quantity that they hold could not be closed.

    Raises:
        BadInput: one still rests at the deadline.
    """
    sides = {p["symbol"]: _closing_side(p) for p in held}
    account = found["account_id"]
    ids = {o["client_order_id"] for o in found["orders"] if sides.get(o["symbol"]) == o["side"]}
    for id_ in ids:
        engine.delete(path("accounts", account, "orders", id_))
    while ids and time.monotonic() < deadline:
        ids &= {o["client_order_id"] for o in engine.get(path("accounts", account))["orders"]}
        if ids:
            time.sleep(POLL_SECONDS)
    if ids:
        raise BadInput(f"{', '.join(sorted(ids))} still rests after its cancel was requested; try again")


def _left_after(
    engine: Client, account: str, symbol: str | None, answers: list[Any], deadline: float
) -> list[Any]:
    """The positions that are left when the orders have ended, or at the deadline."""
    ids = {a["answer"].get("client_order_id") for a in answers} - {None}
    while True:
        found = engine.get(path("accounts", account))
        works = ids & {o["client_order_id"] for o in found["orders"]}
        if not works or time.monotonic() >= deadline:
            return _held(found, symbol)
        time.sleep(POLL_SECONDS)


def _print_closed(account: str, answers: list[Any], left: list[Any]) -> None:
    for a in answers:
        what = f"{a['side']} {a['quantity']} {a['symbol']}"
        answer = a["answer"]
        if answer["type"] == "Accepted":
            out.print(f"{what}: {accepted_text(answer)}")
        for rejection in answer.get("rejections", ()):
            err.print(f"{what}: rejected: {rejection['code']}: {rejection['text']}", style="red")
    if left:
        err.print(
            f"{account} still holds " + ", ".join(f"{p['quantity']} {p['symbol']}" for p in left), style="red"
        )
    else:
        out.print(f"{account}: closed")


def accepted_text(answer: Any) -> str:
    """The result of an accepted order: its id, or what the house took over."""
    if answer["client_order_id"] or not answer.get("house"):
        return f"{answer['client_order_id']} accepted and durable"
    took = answer["house"]
    return f"too small for the exchange, so the house took it at {took['price']} for a fee of {took['fee']}"

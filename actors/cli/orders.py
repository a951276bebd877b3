"""The commands about the orders of one account: what works, what was, and closing what is held."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import formats, show_actor, show_ops
from actors.cli.common import DataDir, Json, as_json, client, err, live, out, path, show
from actors.core.enums import Side
from actors.core.errors import BadInput

if TYPE_CHECKING:
    from actors.api.client import Client

LOOK_SECONDS = 0.1
"""Between two looks at what is waited for."""


@live
def orders(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """List an account's working orders, and those that wait for a price; 'bulkhead history' has the others.

    Example: bulkhead orders acct-42
    """
    found = client(data_dir).get(path("accounts", account))
    if json:
        as_json({"orders": found["orders"], "conditionals": found["conditionals"]})
    else:
        show_actor.orders(found, out)


@live
def history(
    account: str, *, limit: int = 20, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """List an account's last orders, newest first: what became of each, and why.

    Example: bulkhead history acct-42 --limit 50
    """
    found = client(data_dir).get(path("accounts", account, "history"), limit=limit)
    show(found, show_ops.history, json=json)


@live
def close(  # noqa: PLR0913 - what, and how sure
    account: str,
    symbol: str | None = None,
    *,
    yes: Annotated[bool, Parameter(alias="-y", negative=())] = False,
    wait: int = 10,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Close an account's positions, or one of them, with reducing market orders of its owner.

    Example: bulkhead close acct-42 ETHUSDT --yes

    Its resting orders that would close the same are cancelled first. No breaker opens and other orders stay:
    'bulkhead emergency-stop' is for that. A rest below the exchange's minimum is taken by the house.

    Args:
        account: whose.
        symbol: of which; all without it.
        yes: do not ask.
        wait: for so many seconds, until all is closed; exit 1 if something is left.
        data_dir: the engine's data folder.
        json: print the outcome as JSON.
    """
    engine = client(data_dir)
    wanted = symbol.upper() if symbol else None
    found = engine.get(path("accounts", account))
    held = _held(found, wanted)
    if not held:
        raise BadInput(_nothing(found, wanted))
    if not yes:
        _ask_first(account, held)
    deadline = time.monotonic() + max(0, wait)
    _clear_the_way(engine, found, held, deadline)
    answers = engine.post(path("accounts", account, "close"), {"symbol": wanted})
    left = _until_closed(engine, account, wanted, answers, deadline)
    if json:
        as_json({"answers": answers, "left": left})
    else:
        _say(account, answers, left)
    if left or any(a["answer"]["type"] != "Accepted" for a in answers):
        sys.exit(1)


def _held(found: Any, symbol: str | None) -> list[Any]:
    return [p for p in found["positions"] if symbol in {None, p["symbol"]}]


def _nothing(found: Any, symbol: str | None) -> str:
    held = ", ".join(p["symbol"] for p in found["positions"])
    of_it = f"no position in {symbol}" if symbol else "no position"
    return f"{found['account_id']} has {of_it}" + (f"; it holds {held}" if held else "")


def _closing_side(position: Any) -> str:
    return str(Side.BUY if position["quantity"].startswith("-") else Side.SELL)


def _ask_first(account: str, held: list[Any]) -> None:
    """Have a person agree.

    Raises:
        BadInput: nobody is there to ask.
    """
    if not sys.stdin.isatty():
        raise BadInput("nobody can be asked here; give --yes to close without a question")
    formats.positions(held, out, of_one=True)
    err.print(f"close {len(held)} position{'s'[: len(held) != 1]} of {account} at the market? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        err.print("nothing was done")
        sys.exit(1)


def _clear_the_way(engine: Client, found: Any, held: list[Any], deadline: float) -> None:
    """Cancel what rests and would close the same; what is spoken for cannot be closed twice."""
    sides = {p["symbol"]: _closing_side(p) for p in held}
    account = found["account_id"]
    ids = {o["client_order_id"] for o in found["orders"] if sides.get(o["symbol"]) == o["side"]}
    for id_ in ids:
        engine.delete(path("accounts", account, "orders", id_))
    while ids and time.monotonic() < deadline:
        ids &= {o["client_order_id"] for o in engine.get(path("accounts", account))["orders"]}
        if ids:
            time.sleep(LOOK_SECONDS)
    if ids:
        raise BadInput(f"{', '.join(sorted(ids))} still rests after its cancel; try again in a moment")


def _until_closed(
    engine: Client, account: str, symbol: str | None, answers: list[Any], deadline: float
) -> list[Any]:
    """What is left once the orders have ended, or at the deadline."""
    ids = {a["answer"].get("client_order_id") for a in answers} - {None}
    while True:
        found = engine.get(path("accounts", account))
        works = ids & {o["client_order_id"] for o in found["orders"]}
        if not works or time.monotonic() >= deadline:
            return _held(found, symbol)
        time.sleep(LOOK_SECONDS)


def _say(account: str, answers: list[Any], left: list[Any]) -> None:
    for a in answers:
        what = f"{a['side']} {a['quantity']} {a['symbol']}"
        answer = a["answer"]
        if answer["type"] == "Accepted":
            out.print(f"{what}: {taken(answer)}")
        for rejection in answer.get("rejections", ()):
            err.print(f"{what}: rejected: {rejection['code']}: {rejection['text']}", style="red")
    if left:
        err.print(
            f"{account} still holds " + ", ".join(f"{p['quantity']} {p['symbol']}" for p in left), style="red"
        )
    else:
        out.print(f"{account}: closed")


def taken(answer: Any) -> str:
    """What became of an order that was accepted: its id, or what the house took."""
    if answer["client_order_id"] or not answer.get("house"):
        return f"{answer['client_order_id']} accepted and durable"
    took = answer["house"]
    return f"too small for the exchange, so the house took it at {took['price']} for a fee of {took['fee']}"

"""How one actor is shown: what an operator asks first stands first, and its limits only when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from actors.cli.formats import Found, conditional_text, day_time, order_text, positions, price, short
from actors.cli.table import Sheet, pairs
from actors.core.units import plain

KIND_OF_ACCOUNTS = "AccountActor"
SHOWN_ELSEWHERE = frozenset(
    {
        "account_id",
        "status",
        "phase",
        "limits",
        "base_limits",
        "overrides",
        "positions",
        "orders",
        "conditionals",
    }
)
"""Of an account's state: what has its own place, or is asked for by ``--limits``."""
UNSET: tuple[Any, ...] = ("", "0", 0, None, [], {}, False)
DECIMAL = re.compile(r"-?\d+(\.\d+|(\.\d+)?E[+-]?\d{1,3})")


def actor(found: Found, account: Found, out: Console, *, limits: bool) -> None:
    """Everything about one actor.

    Args:
        found: the answer about the actor.
        account: the answer about its account, with today's prices; None for the engine's own.
        out: where to.
        limits: show an account's limits, too.
    """
    snapshot, state = found["snapshot"], found["state"]
    _head(snapshot, state, out)
    if found["guard"] is not None:
        guard = found["guard"]
        out.print(Text(f"in quarantine; {guard['name']} stands in for it and is {guard['status']}", "yellow"))
    if account is not None:
        _account(account, out)
    mailbox(snapshot, out)
    _last_crash(snapshot["crashes"], out)
    if snapshot["busy_with"]:
        busy = snapshot["busy_with"]
        out.print(Text(f"in hand: {busy['kind']} for {busy['age_ms']:.1f} ms", "yellow"))
    _triggers(found, out)
    counters = {name.replace("_", " "): count for name, count in snapshot["counters"].items()}
    out.print(Text("messages", "bold"))
    _print_pairs(counters, out)
    trace(snapshot["trace"], out)
    _state(state, out)
    if limits:
        _limits(state, out)
    for crash in snapshot["crashes"]:
        out.print(Text.assemble(("crash", "red"), f" {day_time(crash['wall_ms'])} {crash['error']}"))
        out.print(crash["traceback"], highlight=False)


def _head(snapshot: Found, state: Found, out: Console) -> None:
    of_account = isinstance(state, dict) and "phase" in state
    kind = "account" if snapshot["kind"] == KIND_OF_ACCOUNTS else snapshot["kind"]
    standing = f"  {state['status']}, {state['phase']}" if of_account else ""
    restarts = f"restarts {snapshot['restarts']}"
    out.print(
        Text.assemble(
            (snapshot["name"], "bold"), f"  {kind}{standing}  actor {snapshot['status']}, {restarts}"
        )
    )


def _account(account: Found, out: Console) -> None:
    """Money, positions and orders."""
    names = {"balance": "balance", "equity": "equity", "available": "available", "maintenance": "maintenance"}
    figures = {name: short(account[key]) for key, name in names.items()}
    _print_pairs({**figures, "margin ratio": short(account["margin_ratio"], 4)}, out)
    if account["closing_out"]:
        out.print(Text(f"closing everything: {account['closing_out']}", "red"))
    if account["breaker"] != "CLOSED":
        out.print(
            Text(f"breaker {account['breaker']}; 'bulkhead risk {account['account_id']}' says why", "yellow")
        )
    if account["positions"]:
        positions(account["positions"], out, of_one=True)
    else:
        out.print("no positions")
    orders(account, out)


def orders(account: Found, out: Console) -> None:
    """Working orders, and those that wait for a price."""
    table = Sheet("what", "Filled", "status", "order", "why", "strategy")
    for o in account["orders"]:
        table.add_row(order_text(o), o["filled"], o["status"], o["client_order_id"], o["purpose"], "")
    for c in account["conditionals"]:
        status = "WAITING" if not c["attempt"] else f"WAITING, attempt {c['attempt'] + 1}"
        table.add_row(conditional_text(c), "0", status, c["client_order_id"], "USER", c["strategy"])
    out.print(table if table.rows else "no orders")


def _last_crash(crashes: list[Found], out: Console) -> None:
    if not crashes:
        out.print("last crash: none")
        return
    crash = crashes[-1]
    out.print(Text.assemble(("last crash", "red"), f" {day_time(crash['wall_ms'])} {crash['error']}"))
    out.print(f"  poison message: {crash['message']}")


def _triggers(found: Found, out: Console) -> None:
    if found["triggers"] is None:
        return
    prices = (f"{t['symbol']} {'<=' if t['below'] else '>='} {price(t['price'])}" for t in found["triggers"])
    out.print(Text.assemble(("triggers", "bold"), f" {', '.join(prices) or 'none'}"))
    if found["every_tick"]:
        out.print(f"woken on every tick of {', '.join(found['every_tick'])}")


def _state(state: Found, out: Console) -> None:
    if not isinstance(state, dict) or "phase" not in state:
        out.print(Text("state", "bold"))
        out.print(msgspec.json.format(msgspec.json.encode(state)).decode())
        return
    out.print(Text("state", "bold"))
    rest = {name: value for name, value in state.items() if name not in SHOWN_ELSEWHERE}
    flat = {name: value for name, value in _flat(rest) if value not in UNSET}
    _print_pairs({name: value for name, value in flat.items() if _as_text(value) != "0"}, out)


def _flat(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        title = before + name.replace("_", " ")
        if isinstance(inner, dict):
            yield from _flat(inner, f"{title} ")
        elif isinstance(inner, list) and any(isinstance(one, dict | list) for one in inner):
            yield title, f"{len(inner):,} in --json"
        else:
            yield title, inner


def _limits(state: Found, out: Console) -> None:
    table = Sheet("limit", "Value")
    found = state.get("limits") if isinstance(state, dict) else None
    for name, value in (found or {}).items():
        table.add_row(name, "off" if value is None else _as_text(value))
    out.print(table if found else "it has no limits; accounts have")


def _print_pairs(values: dict[str, Any], out: Console) -> None:
    for line in pairs([(name, Text(_as_text(value))) for name, value in values.items()], out.width):
        out.print(line)


def _as_text(value: Any) -> str:
    """A value in one line; a number is written without exponent and idle zeros."""
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return plain(Decimal(value)) if DECIMAL.fullmatch(value) else value


def trace(found: Found, out: Console) -> None:
    """The last messages of an actor, oldest first."""
    table = Sheet("time", "last messages", "Took us", "cause", "content")
    for t in found:
        table.add_row(day_time(t["at_ms"])[11:], t["kind"], f"{t['took_us']:,.1f}", t["cause"], t["content"])
    if found:
        out.print(f"{day_time(found[-1]['at_ms'])[:10]}, times in UTC")
    out.print(table)


def mailbox(found: Found, out: Console) -> None:
    """What waits in a mailbox."""
    table = Sheet("lane", "kind", "Age ms", "cause", "content", title=f"mailbox of {found['name']}")
    for m in found["mailbox"]:
        table.add_row(m["lane"], m["kind"], f"{m['age_ms']:,.1f}", m["cause"], m["content"])
    queued = found["counters"]["queued"]
    out.print(table if found["mailbox"] else Text(f"mailbox of {found['name']}: empty"))
    if queued > len(found["mailbox"]):
        out.print(f"... and {queued - len(found['mailbox'])} more")

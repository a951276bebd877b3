"""Tables of the commands about actors; of one actor, what an operator needs first stands first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from actors.cli import accounts_tables, orders_tables
from actors.cli.safe import safe
from actors.cli.table import INDENT, Sheet, pairs
from actors.cli.values import Found, brief, day_time, number, price
from actors.core.units import plain

KIND_OF_ACCOUNTS = "AccountActor"
COUNTERS = {"in_hand": "being handled"}
"""Counters of a mailbox that are shown by another name."""

SHOWN_ELSEWHERE = frozenset(
    {
        "account_id",
        "status",
        "phase",
        "limits",
        "base_limits",
        "overrides",
        "below",
        "positions",
        "orders",
        "conditionals",
    }
)
"""Parts of an account's state that stand elsewhere in the output, or are shown with ``--limits``."""

UNSET: tuple[Any, ...] = ("", "0", 0, None, [], {}, False)

DECIMAL = re.compile(r"-?\d+(\.\d+|(\.\d+)?E[+-]?\d{1,3})")

COLOUR = {"RUNNING": "green", "QUARANTINED": "red", "CRASHED": "red", "STOPPED": "red"}


def actor(found: Found, account: Found, out: Console, *, limits: bool) -> None:
    """Everything about one actor.

    Args:
        found: the answer about the actor.
        account: the answer about its account, with today's prices; None for the engine's own.
        out: console to print to.
        limits: also show an account's limits.
    """
    snapshot, state = found["snapshot"], found["state"]
    _head(snapshot, state, out)
    if found["guard"] is not None:
        guard = found["guard"]
        out.print(
            Text(f"in quarantine; it is replaced by {guard['name']}, which is {guard['status']}", "yellow")
        )
    if account is not None:
        _account(account, out)
    mailbox(snapshot, out)
    _last_crash(snapshot["crashes"], out)
    if snapshot["busy_with"]:
        busy = snapshot["busy_with"]
        out.print(Text(f"working on: {busy['kind']} for {busy['age_ms']:.1f} ms", "yellow"))
    _triggers(found, out)
    counters = {COUNTERS.get(n, n.replace("_", " ")): count for n, count in snapshot["counters"].items()}
    out.print(Text("messages", "bold"))
    _print_pairs(counters, out)
    trace(snapshot["trace"], out)
    _state(state, out)
    if limits:
        _limits(state, out)
    for crash in snapshot["crashes"]:
        out.print(Text.assemble(("crash", "red"), f" {day_time(crash['wall_ms'])} {crash['error']}"))
        out.print(crash["traceback"], highlight=False)


def past(found: Found, out: Console, *, limits: bool) -> None:
    """An account as it was: what ``actor`` shows of a live one, without what only a running engine knows."""
    account = found["account"]
    standing = f"  account  {account['status']}, {account['phase']}"
    out.print(
        Text.assemble((found["account_id"], "bold"), standing, f"  as of {day_time(found['wall_ms'])} UTC")
    )
    _account(account, out)
    _state(found["state"], out)
    if limits:
        _limits(found["state"], out)


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
    figures = {name: number(account[key]) for key, name in names.items()}
    _print_pairs({**figures, "margin ratio": number(account["margin_ratio"], 4)}, out)
    out.print(
        f"state {account['state_hash']} after decision {account['sequence']} in the journal", highlight=False
    )
    if account["closing_out"]:
        out.print(Text(f"closing everything: {account['closing_out']}", "red"))
    if account["breaker"] != "CLOSED":
        out.print(
            Text(f"breaker {account['breaker']}; 'bulkhead risk {account['account_id']}' says why", "yellow")
        )
    if account["positions"]:
        accounts_tables.positions(account["positions"], out, of_one=True)
    else:
        out.print("no positions")
    orders_tables.orders(account, out)


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
    out.print(table if found else "no limits; only accounts have them")


def _print_pairs(values: dict[str, Any], out: Console) -> None:
    for line in pairs([(name, Text(_as_text(value))) for name, value in values.items()], out.width):
        out.print(line)


def _as_text(value: Any) -> str:
    """A value in one line; a number is written without exponent and trailing zeros."""
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return plain(Decimal(value)) if DECIMAL.fullmatch(value) else value


def mailbox(found: Found, out: Console) -> None:
    """What waits in a mailbox."""
    table = Sheet("lane", "kind", "Age ms", "cause", "content", title=f"mailbox of {found['name']}")
    for m in found["mailbox"]:
        table.add_row(m["lane"], m["kind"], f"{m['age_ms']:,.1f}", m["cause"], m["content"])
    queued = found["counters"]["queued"]
    out.print(table if found["mailbox"] else Text(f"mailbox of {found['name']}: empty"))
    if queued > len(found["mailbox"]):
        out.print(f"... and {queued - len(found['mailbox'])} more")


def trace(found: Found, out: Console) -> None:
    """The last messages of an actor, oldest first."""
    table = Sheet("time", "last messages", "Took us", "cause", "content")
    for t in found:
        table.add_row(day_time(t["at_ms"])[11:], t["kind"], f"{t['took_us']:,.1f}", t["cause"], t["content"])
    if found:
        out.print(f"{day_time(found[-1]['at_ms'])[:10]}, times in UTC")
    out.print(table)


def followed(entry: dict[str, Any], out: Console) -> None:
    """One message of a live trace, or its end."""
    if "ended" in entry:
        out.print(f"-- {entry['ended']}; {entry['skipped']} more messages were above the rate", style="dim")
        return
    at = day_time(entry["at_ms"])[11:]
    head = f"{at}  {entry['kind']:<18} {entry['took_us']:>9,.1f} us  {entry['cause']:<32} "
    content = Text(safe(entry["content"]))
    if cell_len(head) + cell_len(content.plain) <= out.width:
        out.print(Text.assemble(head, content))
    else:
        out.print(Text(head.rstrip()))
        out.print(Padding(content, (0, 0, 0, INDENT), expand=False))


def top(found: Found, out: Console) -> None:
    """One line per actor."""
    out.print(top_table(found))


def top_table(found: Found) -> Sheet:
    """One row per actor."""
    table = Sheet("actor", "status", "Waiting", "Oldest ms", "Slowest us", "Restarts", "Margin ratio")
    for row in found:
        ratio = row["margin_ratio"]
        table.add_row(
            row["name"],
            row["status"],
            f"{row['depth']:,}",
            f"{row['oldest_ms']:,.1f}",
            f"{row['slowest_turn_us']:,.0f}",
            str(row["restarts"]),
            "" if ratio is None else f"{float(ratio):.4f}",
        )
    return table


def tree(found: Found, out: Console) -> None:
    """The supervision tree."""
    root = Tree(_label(found))
    _grow(root, found)
    out.print(root)


def _grow(branch: Tree, node: dict[str, Any]) -> None:
    for child in node["children"]:
        _grow(branch.add(_label(child)), child)


def _label(node: dict[str, Any]) -> Text:
    status = node["status"]
    colour = COLOUR.get(status, "yellow" if status in {"STARTING", "LOADING"} else "")
    text = Text.assemble((node["name"], "bold"), " ", (status, colour))
    if node["counts"]:
        text += " (" + ", ".join(f"{n:,} {s.lower()}" for s, n in sorted(node["counts"].items())) + ")"
    if node["restarts"]:
        text += f", restarts {node['restarts']}"
    if node["strategy"] not in {"", "ONE_FOR_ONE"}:
        text += f", {node['strategy'].lower().replace('_', '-')} in group {node['group']}"
    if node["last_error"]:
        text += ", last error: " + node["last_error"]
    text.plain = safe(text.plain)
    return text


def crashes(found: Found, out: Console) -> None:
    """One block per crash."""
    for crash in found:
        report = crash["report"]
        when = day_time(report["wall_ms"])
        out.print(Text.assemble((crash["actor"], "bold"), f" {when} {report['error']}"))
        out.print(
            f"  {report['where']}, on {report['message_kind']}: {brief(report['message'], 200)}", markup=False
        )
    if not found:
        out.print("no crashes")


def stuck(found: Found, out: Console) -> None:
    """One block per stuck turn."""
    for turn in found:
        out.print(
            f"{day_time(turn['wall_ms'])} {turn['actor']} on {turn['dispatcher']}: {turn['for_ms']:,.0f} ms on "
            f"{turn['message']}",
            markup=False,
        )
        out.print(turn["stack"], markup=False, highlight=False)
    if not found:
        out.print("no turn was stuck")

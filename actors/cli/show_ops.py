"""Tables of the operator's commands."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from actors.cli.formats import Found, brief, day_time
from actors.cli.safe import safe
from actors.cli.table import INDENT, Sheet

COLOUR = {"RUNNING": "green", "QUARANTINED": "red", "CRASHED": "red", "STOPPED": "red"}


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


def quarantined(found: Found, out: Console) -> None:
    """One line per account."""
    table = Sheet("account", "since", "reason")
    for record in found:
        table.add_row(record["account_id"], day_time(record["since_ms"]), record["reason"])
    out.print(table if found else "nobody is in quarantine")


def dead_letters(found: Found, out: Console) -> None:
    """One line per dead letter."""
    table = Sheet("Number", "time", "actor", "kind", "status", "error")
    for letter in found:
        table.add_row(
            str(letter["dead_letter_id"]),
            day_time(letter["at_ms"]),
            letter["actor"],
            letter["message_kind"],
            letter["status"],
            brief(letter["error"], 100),
        )
    out.print(table if found else "no dead letters")


def dead_letter(found: Found, out: Console) -> None:
    """Everything about one dead letter."""
    rest = f" {found['actor']} {day_time(found['at_ms'])} {found['status']}"
    out.print(Text.assemble((f"#{found['dead_letter_id']}", "bold"), rest))
    if found["resolved_by"]:
        out.print(f"by {found['resolved_by']} at {day_time(found['resolved_ms'])}", markup=False)
    out.print("can be replayed" if found["payload"] else "cannot be replayed, only dropped")
    for title in ("message", "error", "state", "traceback"):
        out.print(Text(f"\n{title}", "bold"))
        out.print(found[title] or "none", markup=False, highlight=False)


def caused(found: Found, out: Console) -> None:
    """One line per order, from its cause to its trades."""
    table = Sheet("cause", "account", "order", "why", "what", "Filled", "status", "trades")
    for order in found:
        tier = f" tier {order['tier']}" if order["tier"] else ""
        table.add_row(
            order["cause"],
            order["account_id"],
            order["client_order_id"],
            f"{order['purpose']}{tier}",
            f"{order['side']} {order['quantity']} {order['symbol']} {order['order_type']}",
            order["filled"],
            order["status"],
            ", ".join(map(str, order["trade_ids"])),
        )
    out.print(table if found else "it set off no order")
    for order in found:
        if order["end"]:
            out.print(f"{order['client_order_id']}: {order['end']}", markup=False, highlight=False)
        if order["became"]:
            out.print(
                f"{order['client_order_id']} was sent as {order['became']}", markup=False, highlight=False
            )


def history(found: Found, out: Console) -> None:
    """One line per order, newest first."""
    table = Sheet("time", "what", "Filled", "end", "why", "order", "cause")
    for order in found:
        tier = f" tier {order['tier']}" if order["tier"] and order["purpose"] != "USER" else ""
        table.add_row(
            day_time(order["decided_ms"]),
            f"{order['side']} {order['quantity']} {order['symbol']} {order['order_type']}",
            order["filled"],
            order["end"] or order["status"],
            f"{order['purpose']}{tier}",
            order["client_order_id"],
            order["cause"],
        )
    out.print(table if found else "no orders yet")


def master(found: Found, out: Console) -> None:
    """The master's settings, and one line per symbol."""
    answers = {True: "yes", False: "no", None: "not told"}
    tier = "not told" if found["fee_tier"] is None else found["fee_tier"]
    out.print(
        f"{found['position_mode']} mode, {found['margin_mode']} mode, margin in {found['margin_asset']}"
    )
    out.print(
        f"may trade: {answers[found['can_trade']]}, pays commission in BNB: {answers[found['bnb_burn']]}, "
        f"fee tier {tier}"
    )
    out.print(f"rules read {found['rules_read_s_ago']:.0f} s ago")
    table = Sheet("symbol", "status", "Leverage", "margin", "May hold", "Holds")
    for row in found["symbols"]:
        table.add_row(
            row["symbol"],
            row["status"],
            "not told" if row["leverage"] is None else str(row["leverage"]),
            row["margin_type"] or "not told",
            "not told" if row["notional_cap"] is None else f"{float(row['notional_cap']):,.0f}",
            f"{float(row['held']):,.2f}",
        )
    out.print(table)


def audit(found: Found, out: Console) -> None:
    """One line per deed."""
    table = Sheet("time", "who", "action", "target", "detail")
    for entry in found:
        table.add_row(
            day_time(entry["at_ms"]),
            entry["who"],
            entry["action"],
            entry["target"],
            brief(entry["detail"], 100),
        )
    out.print(table if found else "nothing was done yet")


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

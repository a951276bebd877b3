"""Tables about clearing: what waits, in which order it goes, and what became of one order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from actors.cli.safe import safe
from actors.cli.table import Sheet
from actors.cli.values import Found, day_time, number, price
from actors.core.clearing_messages import clearing_name
from actors.core.units import plain

OFF = 'clearing is off (setting clearing = "off"): every order is sent by itself'

TRADES_NAMED = 10
"""So many trades of a round are named in a table; all are in --json."""

COUNTERS = (
    ("blocks", "block orders"),
    ("members", "orders in them"),
    ("rounds", "rounds"),
    ("splits", "splits"),
    ("alone", "sent alone"),
    ("given_back", "given back"),
    ("late_cancels", "cancels too late"),
)
"""Of a run, in the order in which they are shown; the others are in --json."""


# -- what waits and what is in flight


def overview(found: Found, out: Console) -> None:
    """All symbols."""
    _slots(found["slots"], out)
    if found["clearing"] != "on" and not found["symbols"]:
        out.print(OFF)
        return
    groups = [group for one in found["symbols"] for group in one["groups"]]
    blocks = [block for one in found["symbols"] for block in one["blocks"]]
    _groups([group for group in groups if group["orders"]], out)
    _blocks(blocks, out)
    alone = sum(one["alone"] for one in found["symbols"])
    if alone:
        out.print(f"{alone:,} order{'s'[: alone != 1]} in flight alone")
    for one in found["symbols"]:
        _trouble(one, out)
    _counters(found["counters"], out)
    busy = len(found["symbols"])
    out.print(f"{busy:,} symbol{'s'[: busy != 1]} with orders on their way, {found['idle']:,} without")


def of_symbol(found: Found, out: Console) -> None:
    """One symbol, with the orders that wait and the members of its blocks."""
    if found["status"] == "off":
        out.print(OFF)
        return
    out.print(Text.assemble((found["symbol"], "bold"), f"  clearing {found['status']}"))
    if found.get("why"):
        _trouble(found, out)
        _held(found["held_orders"], out)
    _groups([group for group in found["groups"] if group["orders"]], out)
    _waiting(found["waiting"], found["more_waiting"], out)
    _blocks(found["blocks"], out)
    for block in found["blocks"]:
        _members(block, out)
    kept = f"{found['remembered']:,} that ended and are not booked by all their members"
    out.print(
        f"in flight: {len(found['blocks']):,} blocks, {found['alone']:,} orders alone; blocks kept: {kept}"
    )
    if found["not_durable"]:
        out.print(f"{found['not_durable']:,} decisions wait for Postgres", style="yellow")
    _counters(found["counters"], out)


def _slots(slots: Found, out: Console) -> None:
    if slots is None:
        out.print("the gateway is starting or stopping; nothing is sent", style="red")
        return
    now = f"{slots['liquidations']:,} liquidations, {slots['reducing']:,} reducing, {slots['new_risk']:,} new risk"
    out.print(f"may be sent now: {now}")
    out.print(
        f"waiting in the order of service: {slots['waiting']:,}; on their way: {slots['in_flight']:,}; "
        f"slots held: {slots['held']:,}"
    )
    if slots["paused_ms"]:
        out.print(f"nothing is sent for another {seconds(slots['paused_ms'])} s", style="yellow")


def _groups(groups: Found, out: Console) -> None:
    table = Sheet(
        "Place", "class", "symbol", "side", "Orders", "Quantity", "Shortfall", "Oldest s", title="waiting"
    )
    for group in groups:
        table.add_row(
            _place(group),
            group["order_class"],
            group["symbol"],
            group["side"],
            f"{group['orders']:,}",
            plain(Decimal(group["quantity"])),
            number(group["shortfall"]),
            seconds(group["oldest_ms"]),
        )
    out.print(table if groups else "no order waits")


def _place(entry: Found) -> str:
    return "-" if entry["place"] is None else f"{entry['place']:,}"


def _waiting(waiting: Found, more: int, out: Console) -> None:
    if not waiting:
        return
    table = Sheet("In group", "class", "side", "account", "Quantity", "Shortfall", "Waited s", "order")
    for one in waiting:
        table.add_row(
            f"{one['place']:,}",
            one["order_class"],
            one["side"],
            one["account_id"],
            plain(Decimal(one["quantity"])),
            number(one["shortfall"]),
            seconds(one["waited_ms"]),
            one["client_order_id"],
        )
    out.print(table)
    _and_more(more, out)


def _blocks(blocks: Found, out: Console) -> None:
    if not blocks:
        return
    table = Sheet(
        "Block", "what", "class", "Members", "Executed", "Rounds", "state", "order", title="blocks in flight"
    )
    for block in blocks:
        table.add_row(
            f"{block['number']:,}",
            f"{block['side']} {plain(Decimal(block['quantity']))} {block['symbol']}",
            block["order_class"],
            f"{block['members']:,}",
            plain(Decimal(block["executed"])),
            f"{block['rounds']:,}",
            "sent" if block["sent"] else "not durable yet",
            block["client_order_id"],
        )
    out.print(table)


def _members(block: Found, out: Console) -> None:
    table = Sheet("account", "Quantity", "Got", "order", title=f"members of block {block['number']:,}")
    for member in block["named"]:
        table.add_row(
            member["account_id"],
            plain(Decimal(member["quantity"])),
            plain(Decimal(member["allocated"])),
            member["client_order_id"],
        )
    if block["named"]:
        out.print(table)
        _and_more(block["more"], out)


def _and_more(count: int, out: Console) -> None:
    if count:
        out.print(f"... and {count:,} more")


def _trouble(one: Found, out: Console) -> None:
    if one["status"] == "RUNNING":
        return
    name = clearing_name(one["symbol"])
    if not one.get("why"):
        out.print(f"{name} is {one['status']}; 'bulkhead inspect {name}' shows why", style="red")
        return
    held = one["held"]
    rest = f"; {held:,} order{'s'[: held != 1]} of unknown fate" if held else ""
    text = (
        f"{name}: no new risk, orders go one by one{rest}, until 'bulkhead restart {name}'. Why: {one['why']}"
    )
    out.print(Text(safe(text), "red"))


def _held(orders: Found, out: Console) -> None:
    if not orders:
        return
    table = Sheet(
        "account", "class", "side", "Quantity", "order", title="in a block, or may be; of unknown fate"
    )
    for one in orders:
        table.add_row(
            one["account_id"],
            one["order_class"],
            one["side"],
            plain(Decimal(one["quantity"])),
            one["client_order_id"],
        )
    out.print(table)


def _counters(counters: dict[str, int], out: Console) -> None:
    said = [f"{text} {counters.get(name, 0):,}" for name, text in COUNTERS]
    out.print(f"since the start: {', '.join(said)}")


def seconds(milliseconds: int) -> str:
    """A duration in seconds, to the tenth; to the millisecond below one."""
    return f"{milliseconds / 1_000:,.3f}" if milliseconds < 1_000 else f"{milliseconds / 1_000:,.1f}"  # noqa: PLR2004


# -- the order of service


def line(found: Found, out: Console) -> None:
    """One row for each order that will be sent."""
    table = Sheet("Place", "class", "what", "whose", "Waited s", "Expected s", "Shortfall", "order")
    for one in found["entries"]:
        whose = one["account_id"] or f"block of {one['orders']:,}"
        quantity = Decimal(one["quantity"])
        amount = f" {plain(quantity)}" if quantity else ""
        expected = one["expected_ms"]
        table.add_row(
            _place(one),
            one["order_class"],
            f"{one['side']}{amount} {one['symbol']}",
            whose,
            seconds(one["waited_ms"]),
            "-" if expected is None else seconds(expected),
            number(one["shortfall"]),
            one["client_order_id"],
        )
    if not found["entries"]:
        out.print("no order waits to be sent")
        return
    out.print(table)
    _and_more(found["more"], out)
    sent = len(found["entries"]) + found["more"]
    out.print(f"{found['orders']:,} orders of accounts wait, to be sent as {sent:,}")
    if any(one["place"] is None for one in found["entries"]):
        out.print("without a place: its group's order is in flight, or more of them are arriving")


# -- one order


def trail(found: Found, out: Console) -> None:
    """An order from its decision to its end; or a block, with its members."""
    whose = "block order of" if found["is_block"] else "account"
    _pair("order", found["client_order_id"], out)
    _pair(whose, found["account_id"], out)
    _pair(
        "what",
        f"{found['side']} {found['quantity']} {found['symbol']} {found['order_type']}{_of(found)}",
        out,
    )
    if found["cause"]:
        _pair("cause", found["cause"], out)
    filled, quantity = plain(Decimal(found["filled"])), plain(Decimal(found["quantity"]))
    _pair("status", f"{found['status']}, {filled} of {quantity} filled", out)
    if found["now"]:
        _pair("now", found["now"], out)
    _price(found, out)
    _company(found, out)
    if found["earlier_blocks"]:
        _pair("earlier", f"blocks {', '.join(map(str, found['earlier_blocks']))}, which were not sent", out)
    _steps(found, out)
    if found["is_block"]:
        _members_of(found, out)
    if found["end"]:
        out.print(f"{found['client_order_id']}: {found['end']}", markup=False, highlight=False)
    if found["became"]:
        out.print(f"{found['client_order_id']} was sent as {found['became']}", markup=False, highlight=False)


def _company(found: Found, out: Console) -> None:
    """Whether an account's order went in a block or by itself."""
    block = found["in_block"]
    if found["is_block"]:
        return
    if block is not None:
        others = block["members"] - 1
        text = f"{block['block']:,} of {block['symbol']}, {block['client_order_id']}, with {others:,} other{'s'[: others != 1]}"
        _pair("block", text, out)
    elif any(step["what"] in {"ACKNOWLEDGED", "TRADED"} for step in found["steps"]):
        _pair("block", "none; it was sent by itself", out)


def _pair(name: str, value: str, out: Console) -> None:
    out.print(Text.assemble((f"{name} ", "bold"), value))


def _of(found: Found) -> str:
    """What it is of; a block's class, an order's purpose."""
    if found["is_block"]:
        # Of which class one was that the journal had lost nobody knows.
        return f", {found['in_block']['order_class']}" if found["members"] else ""
    tier = f" tier {found['tier']}" if found["tier"] and found["purpose"] != "USER" else ""
    lacking = Decimal(found["shortfall"])
    short = f", its account lacked {number(lacking)} of margin" if lacking else ""
    return f", {found['purpose']}{tier}{short}"


def _price(found: Found, out: Console) -> None:
    if found["average_price"] is None:
        return
    text = f"{price(found['average_price'])} on average, {number(found['value'])} in all"
    if found["worse_by"] is not None:
        worse = Decimal(found["worse_by"])
        by = (
            f"{plain(round(abs(worse) * 100, 4))} % {'worse' if worse > 0 else 'better'} than"
            if worse
            else "at"
        )
        text += f"; {by} the touch when it was decided, {price(found['reference_price'])}"
    _pair("price", text, out)
    fees = [_fee(fee["amount"], fee["asset"]) for fee in found["fees"]]
    if found["pending_fees"]:
        fees.append(f"{found['pending_fees']:,} not known yet")
    _pair("fees", ", ".join(fees) or "none", out)


def _fee(amount: Any, asset: str) -> str:
    if asset == "*":
        return "in several assets"
    return f"{plain(Decimal(amount))} {asset}".strip()


def _steps(found: Found, out: Console) -> None:
    steps = found["steps"]
    if not steps:
        if not found["became"] and found["order_type"] in {"MARKET", "LIMIT"}:
            out.print("the journal has nothing of it; it is older, or is not written yet")
        return
    table = Sheet("time", "After s", "what happened")
    begin_ms = found["decided_ms"]
    for step in steps:
        table.add_row(
            day_time(step["at_ms"]),
            f"{(step['at_ms'] - begin_ms) / 1_000:,.3f}",
            TEXTS[step["what"]](step),
        )
    out.print(table)
    _and_more(found["more_steps"], out)


def _accepted(step: Found) -> str:
    return f"accepted, with order number {step['order_id']}"


def _traded(step: Found) -> str:
    what = f"{step['quantity']} at {price(step['price'])}, {_fee_text(step)}"
    if step["pooled"]:
        return f"got {what}; its part of round {step['trade_id']}, {_trades(step)}"
    return f"traded {what}; trade {step['trade_id']}"


def _round(step: Found) -> str:
    what = f"{step['quantity']} at {price(step['price'])}, {_fee_text(step)}"
    return f"round {step['trade_id']}: {what}; {_trades(step)}"


def _trades(step: Found) -> str:
    """How many trades of the exchange a round is of, and which."""
    count, ids = step["pooled"], step["pooled_trades"][:TRADES_NAMED]
    rest = f" and {count - len(ids):,} more" if ids and count > len(ids) else ""
    named = f": {', '.join(map(str, ids))}{rest}" if ids else ""
    return f"{count:,} trade{'s'[: count != 1]}{named}"


def _fee_text(step: Found) -> str:
    return "fee not known yet" if step["fee"] is None else f"fee {_fee(step['fee'], step['fee_asset'])}"


TEXTS: dict[str, Callable[[Found], str]] = {
    "DECIDED": lambda step: f"decided: {step['text']}",
    "CANCEL_WANTED": lambda step: f"cancel wanted, by {step['text']}",
    "IN_BLOCK": lambda step: step["text"],
    "ACKNOWLEDGED": _accepted,
    "TRADED": _traded,
    "ROUND": _round,
    "ENDED": lambda step: f"ended: {step['text']}",
}


def _members_of(found: Found, out: Console) -> None:
    if not found["members"]:
        _pair("members", "none known here: the journal had lost it, and the house has what it traded", out)
        return
    table = Sheet("account", "Quantity", "Got", "Value", "Fee", "order", title="members")
    for member in found["members"]:
        table.add_row(
            member["account_id"],
            plain(Decimal(member["quantity"])),
            plain(Decimal(member["allocated"])),
            number(member["value"]),
            plain(Decimal(member["fee"])),
            member["client_order_id"],
        )
    out.print(table)
    _and_more(found["more_members"], out)

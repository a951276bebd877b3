"""Tables of the commands about orders."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Console

from actors.cli.table import Sheet
from actors.cli.values import Found, price
from actors.core.order_tags import TAGS
from actors.core.units import plain


def order_text(order: Found) -> str:
    """An order in one line."""
    at = "" if order["price"] is None else f" at {price(order['price'])}"
    return f"{order['side']} {order['quantity']} {order['symbol']} {order['order_type']}{at}"


def conditional_text(order: Found) -> str:
    """An order that waits for a price, in one line."""
    parts = [f"{order['side']} {order['quantity']} {order['symbol']} {order['kind']}"]
    if order["trigger_price"] is not None:
        parts.append(f"at {price(order['trigger_price'])}")
    if order["callback_rate"] is not None:
        parts.append(f"trailing by {plain(Decimal(order['callback_rate']))}")
    if order["activation_price"] is not None:
        parts.append(f"from {price(order['activation_price'])}")
    return " ".join([*parts, "reduce-only"] if order["reduce_only"] else parts)


def orders(account: Found, out: Console) -> None:
    """Working orders, and those that wait for a price."""
    tags = _tags([*account["orders"], *account["conditionals"]])
    table = Sheet("what", "Filled", "status", "order", "why", *tags)
    for o in account["orders"]:
        of_it = (o["filled"], o["status"], o["client_order_id"], o["purpose"])
        table.add_row(order_text(o), *of_it, *(o[tag] for tag in tags))
    for c in account["conditionals"]:
        status = "WAITING" if not c["attempt"] else f"WAITING, attempt {c['attempt'] + 1}"
        of_it = ("0", status, c["client_order_id"], "USER")
        table.add_row(conditional_text(c), *of_it, *(c[tag] for tag in tags))
    out.print(table if table.rows else "no orders")


def _tags(found: Found) -> list[str]:
    """The tags that an order has, each a column."""
    return [tag for tag in TAGS if any(order[tag] for order in found)]


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
    out.print(table if found else "no order has this cause")
    for order in found:
        if order["end"]:
            out.print(f"{order['client_order_id']}: {order['end']}", markup=False, highlight=False)
        if order["became"]:
            out.print(
                f"{order['client_order_id']} was sent as {order['became']}", markup=False, highlight=False
            )

"""A statement as a page of text that a customer may get, and as CSV. At most 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rich.console import Console

from actors.cli.common import out as console
from actors.cli.spreadsheet import csv_text
from actors.cli.values import Found
from actors.core.errors import BooksWrong
from actors.core.units import plain
from actors.core.utc import second_of

WIDTH = 78

LISTED = 30
"""Trades, and entries without a trade, that the page lists; CSV and JSON have all."""

PRICE_MAX = 11

WORDS = {
    "TRANSFER": "deposits and withdrawals",
    "REALIZED_PNL": "realized profit and loss",
    "FUNDING_FEE": "funding",
    "COMMISSION": "trading fees",
    "INSURANCE_CLEAR": "losses borne by the house",
}
INFO = {"OPENING_BALANCE": "balance carried over", "BAD_DEBT": "loss borne by the house"}
IN_TRADES = frozenset({"REALIZED_PNL", "COMMISSION", "FUNDING_FEE"})


def check(found: Found) -> None:
    """See once more, where it is printed, that it adds up.

    Raises:
        BooksWrong: it does not; names the first entry that does not fit.
    """
    balance = Decimal(found["opening"])
    for entry in found["entries"]:
        balance += Decimal(entry["amount"])
        if balance != Decimal(entry["balance"]):
            raise BooksWrong(
                f"{found['account_id']}: the entry {entry['income_type']} {entry['amount']} at position {entry['position']}, "
                f"part {entry['part']}, does not make the balance {entry['balance']}; the statement is not printed"
            )
    if balance != Decimal(found["closing"]):
        raise BooksWrong(
            f"{found['account_id']}: the entries come to {plain(balance)}, not to the closing balance {found['closing']}; "
            "the statement is not printed"
        )


def page(found: Found, out: Console) -> None:
    """The page."""
    for line in lines(found):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def lines(found: Found) -> Iterator[str]:
    """The lines of the page."""
    title, name = "ACCOUNT STATEMENT", found["account_id"]
    if len(title) + len(name) < WIDTH:
        yield f"{title}{name:>{WIDTH - len(title)}}"
    else:
        yield title
        yield f"{name:>{WIDTH}}"
    yield f"from {second_of(found['from_ms'])} to {second_of(found['to_ms'])} UTC, the end not included"
    if found["asset"]:
        yield f"Amounts are in {found['asset']} unless another asset is named."
    else:
        yield "Amounts are in the quote asset unless another asset is named."
    yield ""
    yield from _balances(found)
    yield from _fees(found)
    yield from _others(found)
    yield from _trades(found)
    yield from _positions(found)


def _balances(found: Found) -> Iterator[str]:
    yield _line("Opening balance", money(found["opening"]))
    order = list(WORDS)
    for each in sorted(
        found["sums"], key=lambda s: order.index(s["name"]) if s["name"] in WORDS else len(order)
    ):
        name = f"  {each['name']:<16} {WORDS.get(each['name'], '')}"
        yield _line(f"{name:<47}{each['count']:>7,}", money(each["amount"], sign=True))
    if not found["sums"]:
        yield "  no entries in this period"
    yield "-" * WIDTH
    yield _line("Closing balance", money(found["closing"]))
    yield ""


def _fees(found: Found) -> Iterator[str]:
    if found["fees"]:
        yield "Fees by the asset that they were taken in"
        for each in found["fees"]:
            taken = "" if each["of_asset"] is None else f"{plain(Decimal(each['of_asset']))} {each['name']}"
            yield _line(
                f"  {each['name'] or 'quote asset':<12}{each['count']:>7,}  {taken}",
                money(each["amount"], sign=True),
            )
    if found["fees_pending"]:
        many = "fee of a trade is" if found["fees_pending"] == 1 else "fees of trades are"
        yield f"  {found['fees_pending']} {many} not known yet, and not in this statement"
    if found["funding"]:
        yield "Funding by symbol"
        for each in found["funding"]:
            yield _line(f"  {each['name']:<12}{each['count']:>7,}", money(each["amount"], sign=True))
    if found["fees"] or found["fees_pending"] or found["funding"]:
        yield ""


def _others(found: Found) -> Iterator[str]:
    rows = [e for e in found["entries"] if e["income_type"] not in IN_TRADES]
    if not rows:
        return
    yield "Deposits, withdrawals, corrections"
    for e in rows[:LISTED]:
        text = INFO.get(e["info"], e["info"])
        yield _line(f"  {second_of(e['at_ms'])}  {text[:30]}", money(e["amount"], sign=True))
    yield from _more(len(rows))


def _trades(found: Found) -> Iterator[str]:
    rows = found["trades"]
    if not rows:
        return
    yield f"Trades ({len(rows):,})"
    yield f"  {'time':<17}{'':<5}{'quantity':>9} {'symbol':<11}{'price':>12}{'realized':>10}{'fee':>11}"
    for t in rows[:LISTED]:
        yield _trade(t)
    yield from _more(len(rows))


def _trade(t: Found) -> str:
    closed = "" if not Decimal(t["realized"]) else f"{Decimal(t['realized']):+,.2f}"
    quantity, price = plain(Decimal(t["quantity"])), plain(Decimal(t["price"]))
    # A part of several trades has a price of more digits than anybody reads.
    price = price if len(price) <= PRICE_MAX else f"{Decimal(t['price']):.4f}"
    if t["fee"] is None:
        fee = "not known"
    elif t["fee_asset"]:
        fee = f"{plain(round(Decimal(t['fee']), 6))} {t['fee_asset']}"
    else:
        fee = f"{Decimal(t['fee']):,.4f}"
    why = "" if t["purpose"] == "USER" else f"  {t['purpose']}"
    left = f"  {second_of(t['trade_ms'])[:16]:<17}{t['side']:<5}{quantity:>9} {t['symbol']:<11}"
    return f"{left}{price:>12}{closed:>10}{fee:>11}{why}"


def _more(count: int) -> Iterator[str]:
    if count > LISTED:
        yield f"  and {count - LISTED:,} more: --csv and --json have all"
    yield ""


def _positions(found: Found) -> Iterator[str]:
    if found["positions"] is None:
        yield "Open positions at the end: not worked out, the account has decided too often"
        yield "since; ask for a period that ends today."
        return
    if not found["positions"]:
        yield "No open positions at the end."
        return
    yield "Open positions at the end"
    yield f"  {'symbol':<14}{'quantity':>20}{'entry price':>22}  since"
    for p in found["positions"]:
        entry = plain(round(Decimal(p["entry_price"]), 8))
        yield f"  {p['symbol']:<14}{plain(Decimal(p['quantity'])):>20}{entry:>22}  {second_of(p['opened_ms'])[:16]}"


def _line(left: str, right: str) -> str:
    return f"{left:<{WIDTH - len(right)}}{right}" if len(left) + len(right) < WIDTH else f"{left} {right}"


def money(value: str, *, sign: bool = False) -> str:
    """All digits of an amount, at least two behind the point: what is printed adds up."""
    number = Decimal(plain(Decimal(value)))
    digits = max(2, -int(number.as_tuple().exponent))
    return f"{number:{'+' if sign else ''},.{digits}f}"


COLUMNS = (
    "income_type", "amount", "balance", "asset", "asset_amount", "symbol", "trade_id", "client_order_id", "info",
    "position", "part", "cause",
)  # fmt: skip


def csv_of(found: Found) -> None:
    """Print each entry with the balance after it, between a line of the opening and one of the closing balance."""
    empty = [""] * (len(COLUMNS) - 3)
    entries = (
        [second_of(entry["at_ms"]), *(entry[column] for column in COLUMNS)] for entry in found["entries"]
    )
    rows = [
        ["time", *COLUMNS],
        [second_of(found["from_ms"]), "OPENING", "", found["opening"], *empty],
        *entries,
        [second_of(found["to_ms"]), "CLOSING", "", found["closing"], *empty],
    ]
    console.write(csv_text(rows))

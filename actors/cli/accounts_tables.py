"""Tables of the commands about accounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Console

from actors.cli.table import Sheet
from actors.cli.values import Found, day_time, number, price


def accounts(found: Found, out: Console) -> None:
    """One line per account."""
    table = Sheet(
        "account",
        "status",
        "phase",
        "actor",
        "Balance",
        "Equity",
        "Available",
        "Ratio",
        "Positions",
        "Restarts",
    )
    for a in found:
        table.add_row(
            a["account_id"],
            a["status"],
            a["phase"],
            a["actor"],
            number(a["balance"]),
            number(a["equity"]),
            number(a["available"]),
            number(a["margin_ratio"], 4),
            str(len(a["positions"])),
            str(a["restarts"]),
        )
    out.print(table)


def positions(found: Found, out: Console, *, of_one: bool = False) -> None:
    """One line per position; of one account, without its name."""
    columns = ("account", "symbol", "Quantity", "Entry", "Mark", "Unrealized", "Liquidation", "Notional")
    table = Sheet(*columns[of_one:], "Leverage", "Margin")
    for p in found:
        row = (
            p["account_id"],
            p["symbol"],
            p["quantity"],
            price(p["entry_price"]),
            price(p["mark"]),
            number(p["unrealized"]),
            liquidation(p["liquidation_price"]),
            number(p["notional"]),
            number(p["leverage"], 1),
            number(p["margin"]),
        )
        table.add_row(*row[of_one:])
    out.print(table if found else "no positions")


def liquidation(value: Any) -> str:
    """A liquidation price; none if the equity covers a fall to zero."""
    return "none" if value is not None and not Decimal(value) else price(value)


def closed(found: Found, out: Console) -> None:
    """One line per closed position."""
    table = Sheet("closed", "symbol", "Quantity", "Entry", "Net", "Worst", "Best", "strategy", "why")
    for p in found:
        table.add_row(
            day_time(p["closed_ms"]),
            p["symbol"],
            p["quantity"],
            price(p["entry_price"]),
            number(p["net"]),
            number(p["mae"]),
            number(p["mfe"]),
            p["strategy"],
            p["purpose"],
        )
    out.print(table if found else "no closed positions")


def report(found: Found, out: Console) -> None:
    """The whole report."""
    out.print(
        f"value {number(found['portfolio_value'])}, profit {number(found['total_pnl'])}, peak {number(found['peak'])}"
    )
    out.print(f"drawdown {Decimal(found['drawdown']):.2%}: {found['risk_level']}", markup=False)
    out.print(
        f"per closed position: Sharpe ratio {Decimal(found['sharpe_ratio']):.3f}, 95 % value at risk {number(found['value_at_risk'])}"
    )
    out.print(
        f"{found['positions']} positions ({found['long_positions']} long, {found['short_positions']} short), "
        f"exposure {number(found['exposure'])}, daily loss {Decimal(found['daily_loss_share']):.2%}"
    )
    table = Sheet("strategy", "Open", "Closed", "Profit", "Wins", "Hold s")
    for s in found["strategies"]:
        wins = "" if s["win_rate"] is None else f"{Decimal(s['win_rate']):.0%}"
        hold = "" if s["average_hold_s"] is None else f"{Decimal(s['average_hold_s']):,.0f}"
        row = (s["open_positions"], s["closed_positions"], f"{Decimal(s['total_pnl']):,.2f}", wins, hold)
        table.add_row(s["strategy"] or "(none)", *map(str, row))
    if found["strategies"]:
        out.print(table)
    for text in found["alerts"]:
        out.print(f"alert: {text}", style="yellow", markup=False)
    for text in found["recommendations"]:
        out.print(f"recommended: {text}", style="red", markup=False)

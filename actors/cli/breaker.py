"""Commands about an account's circuit breaker: open it, close it, and the losses that open it by themselves."""

from __future__ import annotations

from decimal import Decimal

import cyclopts
from rich.console import Console

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_answer, print_outcome
from actors.cli.values import Found, day_time, number
from actors.core.units import plain

breaker = cyclopts.App(
    name="breaker",
    help="Open or close an account's circuit breaker.\n\nExample: bulkhead breaker trip acct-42 --reason 'odd fills'",
)

app.command(breaker)


@breaker.command
def trip(
    account: str,
    *,
    reason: str = "asked for by an operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Open the breaker: no new risk, orders that may open risk are cancelled, reducing stays possible.

    Example: bulkhead breaker trip acct-42 --reason "odd fills"
    """
    answer = client(data_dir).post(path("accounts", account, "breaker"), {"reason": reason})
    print_outcome(answer, f"{account}: breaker open", json=json)


@breaker.command
def reset(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Close the breaker; refused during its cooldown.

    Example: bulkhead breaker reset acct-42
    """
    print_outcome(
        client(data_dir).delete(path("accounts", account, "breaker")), f"{account}: breaker closed", json=json
    )


@app.command
def risk(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show an account's breaker, its loss today and in total, pending fees, and its liquidation price.

    Example: bulkhead risk acct-42
    """
    print_answer(client(data_dir).get(path("accounts", account, "risk")), risk_table, json=json)


def risk_table(found: Found, out: Console) -> None:
    """Breaker, loss today and in total, pending fees, liquidation price."""
    why = f" ({found['breaker_reason']})" if found["breaker_reason"] else ""
    until = (
        f", cooling down until {day_time(found['breaker_until_ms'])}" if found["breaker"] == "OPEN" else ""
    )
    out.print(f"breaker            {found['breaker']}{why}{until}", markup=False)
    if found["closing_out"]:
        out.print(f"closing everything {found['closing_out']}", markup=False, style="red")
    if found["day_start_ms"]:
        stopped = ", no new risk today" if found["day_stopped"] else ""
        out.print(
            f"day since          {day_time(found['day_start_ms'])}, equity then {number(found['day_equity'])}, "
            f"loss {number(found['day_loss'])}{stopped}"
        )
    out.print(f"loss so far        {number(found['cumulative_loss'])} since the first deposit")
    out.print(
        f"in a row           {found['consecutive_losses']} losses, {found['consecutive_errors']} refused orders"
    )
    if found["last_refusal"]:
        out.print(f"last refusal       {found['last_refusal']}", markup=False, highlight=False)
    for fee in found["pending_fees"]:
        amount = (
            "not reported yet"
            if fee["amount"] is None
            else f"{plain(Decimal(fee['amount']))} {fee['asset']}, rate not known"
        )
        out.print(
            f"fee not booked     trade {fee['trade_id']} of {fee['symbol']}: {amount}",
            style="yellow",
            markup=False,
        )
    if found["liquidation_symbol"]:
        at = Decimal(found["liquidation_price"])
        where = plain(at) if at else "at no price: its equity covers a fall to zero"
        out.print(f"liquidation at     {found['liquidation_symbol']} {where}")

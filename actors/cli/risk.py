"""The commands about what an account may do: limits, mode, breaker, emergency stop, sizes, closed positions."""

from __future__ import annotations

from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import show_risk
from actors.cli.common import DataDir, Json, client, live, outcome, path, show, told
from actors.core.enums import LiquidationMode
from actors.core.errors import BadInput

breaker = cyclopts.App(
    name="breaker",
    help="Open or close an account's circuit breaker.\n\nExample: bulkhead breaker trip acct-42 --reason 'odd fills'",
)


@live
def limits(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show every limit of an account, and where each comes from.

    Example: bulkhead limits acct-42
    """
    show(client(data_dir).get(path("accounts", account, "limits")), show_risk.limits, json=json)


@live
def set_limit(
    account: str, name: str, value: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Set a limit of one account; 'off' switches it off. It acts at once.

    Example: bulkhead set-limit acct-42 max_daily_loss 500       ('bulkhead unset-limit' takes it back)
    """
    answer = client(data_dir).post(path("accounts", account, "limits"), {"changes": {name: value}})
    outcome(answer, f"{account}: {name} = {value}", json=json)


@live
def unset_limit(account: str, name: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Take an account's own limit back: what lies below holds again.

    Example: bulkhead unset-limit acct-42 max_daily_loss
    """
    answer = client(data_dir).post(path("accounts", account, "limits"), {"changes": {name: None}})
    outcome(answer, f"{account}: {name} is what lies below again", json=json)


@live
def mode(
    account: str,
    mode: Annotated[LiquidationMode, Parameter(name_transform=str)],
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Set how an account is liquidated: in tiers, all at once, or by the house. It acts at once.

    Example: bulkhead mode acct-42 INSTANT_CLOSE
    """
    answer = client(data_dir).post(path("accounts", account, "mode"), {"mode": mode})
    outcome(answer, f"{account}: {mode}", json=json)


@live
def risk(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show an account's breaker, its loss of the day and of its life, and its liquidation price.

    Example: bulkhead risk acct-42
    """
    show(client(data_dir).get(path("accounts", account, "risk")), show_risk.risk, json=json)


@live
def report(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show how an account did: drawdown, Sharpe ratio, value at risk, strategies, and what to worry about.

    Example: bulkhead report acct-42
    """
    show(client(data_dir).get(path("accounts", account, "report")), show_risk.report, json=json)


@breaker.command
def trip(
    account: str,
    *,
    reason: str = "asked for by an operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Open the breaker: no new risk, what may open it is cancelled, reducing goes on.

    Example: bulkhead breaker trip acct-42 --reason "odd fills"
    """
    answer = client(data_dir).post(path("accounts", account, "breaker"), {"reason": reason})
    outcome(answer, f"{account}: breaker open", json=json)


@breaker.command
def reset(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Close the breaker; refused while it cools down.

    Example: bulkhead breaker reset acct-42
    """
    outcome(
        client(data_dir).delete(path("accounts", account, "breaker")), f"{account}: breaker closed", json=json
    )


@live
def book_fee(  # noqa: PLR0913 - which fee, and what it is worth
    account: str,
    symbol: str,
    trade_id: int,
    *,
    rate: str | None = None,
    amount: str | None = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Book a pending fee by hand, when nobody will ever tell what it lacks; 'bulkhead risk' lists them.

    Example: bulkhead book-fee acct-42 ETHUSDT 7 --rate 512.5

    Args:
        account: whose.
        symbol: what was traded.
        trade_id: the exchange's id of the trade.
        rate: what one of the fee's asset was worth at that time, in quote asset.
        amount: the fee in quote asset, if the exchange never told it; then without a rate.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    body = {"symbol": symbol.upper(), "trade_id": trade_id, "rate": rate, "amount": amount}
    outcome(client(data_dir).post(path("accounts", account, "fees"), body), "booked", json=json)


@live
def emergency_stop(  # noqa: PLR0913 - who, why, or the way back
    account: str | None = None,
    *,
    everybody: Annotated[bool, Parameter(negative=())] = False,
    call_off: Annotated[bool, Parameter(negative=())] = False,
    reason: str = "asked for by an operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Cancel and close everything, of one account or of all; breakers open, the money stays.

    Example: bulkhead emergency-stop acct-42 --reason "wrong strategy"
             bulkhead emergency-stop --everybody
             bulkhead emergency-stop acct-42 --call-off

    Args:
        account: whose.
        everybody: of all accounts; no new risk until it is called off.
        call_off: stop closing; what is closed stays closed, breakers stay open.
        reason: for the audit and the alarm.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    if (account is None) != everybody:
        raise BadInput("name an account, or give --everybody; not both")
    address = "/v1/close-out" if account is None else path("accounts", account, "close-out")
    engine = client(data_dir)
    answer = engine.delete(address) if call_off else engine.post(address, {"reason": reason})
    done = "called off" if call_off else "everything is being cancelled and closed"
    if account is None:
        told(answer, f"{answer['told']} accounts: {done}", json=json)
    else:
        outcome(answer, f"{account}: {done}", json=json)


@live
def retry(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Have a STUCK account try its liquidation again.

    Example: bulkhead retry acct-42
    """
    answer = client(data_dir).post(path("accounts", account, "retry"))
    told(answer, f"{account}: told; 'bulkhead inspect {account}' shows what came of it", json=json)


@live
def reopen(account: str, *, reason: str, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Let a LIQUIDATED account that has money trade again; a deposit comes first, its breaker stays as it is.

    Example: bulkhead reopen acct-42 --reason "paid in again"

    Args:
        account: whose.
        reason: for the audit.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    answer = client(data_dir).post(path("accounts", account, "reopen"), {"reason": reason})
    outcome(answer, f"{account}: ACTIVE again", json=json)


@live
def closed(
    account: str,
    *,
    strategy: str | None = None,
    limit: int = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List an account's closed positions, with their worst and best moment.

    Example: bulkhead closed acct-42 --strategy trend
    """
    found = client(data_dir).get(path("accounts", account, "closed"), limit=limit, strategy=strategy)
    show(found, show_risk.closed, json=json)


@live
def size(  # noqa: PLR0913 - one per factor
    account: str,
    symbol: str,
    *,
    method: Literal["dynamic", "kelly", "fixed"] = "dynamic",
    signal: str = "0.5",
    volatility: str | None = None,
    strategy: str = "",
    win_rate: str | None = None,
    average_win: str | None = None,
    average_loss: str | None = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Say how large a position should be. Nothing is sent.

    Example: bulkhead size acct-42 BTCUSDT --signal 0.8 --volatility 0.6
             bulkhead size acct-42 BTCUSDT --method kelly --win-rate 0.55 --average-win 120 --average-loss 100

    Args:
        account: whose equity, limits and past trades.
        symbol: for example BTCUSDT.
        method: dynamic (2 % by signal, volatility and performance), kelly (half of it), fixed.
        signal: strength of the signal, 0 to 1.
        volatility: annualized, 0.6 for 60 %; from the minutes that the engine has seen if left out.
        strategy: whose trades performance and Kelly's numbers are taken from.
        win_rate: share of winning trades, for kelly.
        average_win: quote asset, for kelly.
        average_loss: quote asset, for kelly.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    body = {
        "symbol": symbol.upper(),
        "method": method,
        "signal_strength": signal,
        "volatility": volatility,
        "strategy": strategy,
        "win_rate": win_rate,
        "average_win": average_win,
        "average_loss": average_loss,
    }
    show(client(data_dir).post(path("accounts", account, "size"), body), show_risk.size, json=json)

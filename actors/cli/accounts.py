"""Commands about accounts: list, create, money, status, liquidation mode, risk, report, positions."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import accounts_tables
from actors.cli.app import app
from actors.cli.common import DataDir, Json, client, path, print_answer, print_done, print_outcome
from actors.core.enums import LiquidationMode


@app.command
def accounts(
    *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 20, offset: int = 0, json: Json = False
) -> None:
    """List accounts.

    Example: bulkhead accounts --limit 50
    """
    print_answer(
        client(data_dir).get("/v1/accounts", limit=limit, offset=offset), accounts_tables.accounts, json=json
    )


@app.command
def create(account: str, deposit: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Create an account with a first deposit.

    Example: bulkhead create acct-42 1000
    """
    answer = client(data_dir).post("/v1/accounts", [{"account_id": account, "deposit": deposit}])
    print_done(answer, f"{account}: created", json=json)


@app.command
def deposit(account: str, amount: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Deposit, or withdraw with a negative amount.

    Example: bulkhead deposit acct-42 250        (bulkhead deposit acct-42 -- -250 withdraws it)
    """
    print_outcome(
        client(data_dir).post(path("accounts", account, "balance"), {"amount": amount}), "booked", json=json
    )


@app.command
def freeze(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Freeze an account: no new risk; liquidation stays active.

    Example: bulkhead freeze acct-42
    """
    print_outcome(client(data_dir).post(path("accounts", account, "freeze")), "frozen", json=json)


@app.command
def unfreeze(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Unfreeze an account: it may take new risk again.

    Example: bulkhead unfreeze acct-42
    """
    print_outcome(client(data_dir).post(path("accounts", account, "unfreeze")), "active", json=json)


@app.command
def positions(
    account: str | None = None, *, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 50, json: Json = False
) -> None:
    """List open positions, of one account or of all.

    Example: bulkhead positions acct-42
    """
    print_answer(
        client(data_dir).get("/v1/positions", account_id=account, limit=limit),
        accounts_tables.positions,
        json=json,
    )


@app.command
def closed(
    account: str,
    *,
    strategy: str | None = None,
    limit: int = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List an account's closed positions, with the worst and the best result that each had while open.

    Example: bulkhead closed acct-42 --strategy trend
    """
    found = client(data_dir).get(path("accounts", account, "closed"), limit=limit, strategy=strategy)
    print_answer(found, accounts_tables.closed, json=json)


@app.command
def mode(
    account: str,
    mode: Annotated[LiquidationMode, Parameter(name_transform=str)],
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Set how an account is liquidated: in tiers, all at once, or by the house. Takes effect immediately.

    Example: bulkhead mode acct-42 INSTANT_CLOSE
    """
    answer = client(data_dir).post(path("accounts", account, "mode"), {"mode": mode})
    print_outcome(answer, f"{account}: {mode}", json=json)


@app.command
def report(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show an account's performance: drawdown, Sharpe ratio, value at risk, strategies, warnings.

    Example: bulkhead report acct-42
    """
    print_answer(client(data_dir).get(path("accounts", account, "report")), accounts_tables.report, json=json)


@app.command
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
    """Book a pending fee by hand, when the exchange will not report what is missing; 'bulkhead risk' lists pending fees.

    Example: bulkhead book-fee acct-42 ETHUSDT 7 --rate 512.5

    Args:
        account: the account that traded.
        symbol: what was traded.
        trade_id: the exchange's id of the trade.
        rate: price of the fee's asset at that time, in quote asset.
        amount: the fee in quote asset, if the exchange never reported it; no rate is needed then.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    body = {"symbol": symbol.upper(), "trade_id": trade_id, "rate": rate, "amount": amount}
    print_outcome(client(data_dir).post(path("accounts", account, "fees"), body), "booked", json=json)


@app.command
def retry(account: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Make a STUCK account retry its liquidation now.

    Example: bulkhead retry acct-42
    """
    answer = client(data_dir).post(path("accounts", account, "retry"))
    print_done(
        answer, f"{account}: retry requested; 'bulkhead inspect {account}' shows the result", json=json
    )


@app.command
def reopen(account: str, *, reason: str, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Let a LIQUIDATED account trade again; it needs a deposit first, and its breaker stays as it is.

    Example: bulkhead reopen acct-42 --reason "paid in again"

    Args:
        account: whose.
        reason: for the audit.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    answer = client(data_dir).post(path("accounts", account, "reopen"), {"reason": reason})
    print_outcome(answer, f"{account}: ACTIVE again", json=json)

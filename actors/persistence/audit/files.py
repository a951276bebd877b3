"""The files of the audit: one for each UTC day, those of days that have ended compressed.

I/O: reads and writes files in the audit's folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

import msgspec

from actors.persistence.audit.chain import Known, Physical, Place, Unreadable
from actors.persistence.audit.line import LINE_MAX, read
from actors.runtime.local_file import sync_folder, write_all

FOLDER = "audit"
"""In the data folder."""

LOCK_FILE = "writer.lock"
END_FILE = "end.json"

NAME = re.compile(r"(\d{4}-\d\d-\d\d)\.jsonl(\.gz)?", re.ASCII)

CHUNK = 1 << 20
TAIL_FIRST = 1 << 16
"""How much of a file's end is looked at first for its last lines."""

GZIP_HEADER_TIME = 0
"""No time in the compressed file: the same lines are the same bytes."""


class Day(NamedTuple):
    """The file of one day."""

    day: str
    path: Path

    @property
    def is_compressed(self) -> bool:
        """Whether it is."""
        return self.path.suffix == ".gz"


class End(msgspec.Struct, frozen=True):
    """The last line that was on the disk, as ``end.json`` has it: a file that was cut off later is found by it."""

    n: int
    hash: str
    file: str


def days_in(folder: Path) -> list[Day]:
    """The files of an audit, by day; of a day that has both the uncompressed one.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    found: dict[str, Day] = {}
    try:
        names = sorted((path.name for path in folder.iterdir()), reverse=True)
    except FileNotFoundError:
        return []
    for name in names:
        match = NAME.fullmatch(name)
        if match:
            found[match[1]] = Day(match[1], folder / name)
    return [found[day] for day in sorted(found)]


def lines_of(day: Day, on_bytes: Callable[[int], None] = lambda _count: None) -> Iterator[Physical]:
    """The lines of a file; ``on_bytes`` is called with how many bytes of lines were read, now and then.

    Raises:
        Unreadable: it cannot be read on.
    """
    name, number, told = day.path.name, 0, 0
    try:
        with opened(day) as file:
            while raw := file.readline(LINE_MAX):
                number += 1
                ends = raw.endswith(b"\n")
                told += len(raw)
                if told > CHUNK:
                    on_bytes(told)
                    told = 0
                yield Physical(name, number, raw[:-1] if ends else raw, ends)
    except (OSError, EOFError, zlib.error) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(name, number + 1, f"it cannot be read on: {what}") from None
    on_bytes(told)


def opened(day: Day) -> IO[bytes]:
    """The lines of a file, to read; of a compressed one a ``GzipFile``.

    Raises:
        OSError: it is not there, or cannot be opened.
    """
    try:
        return _open(day.path)
    except FileNotFoundError:
        # An engine compresses the file of a day that has ended while others read.
        return _open(day.path.with_name(f"{day.day}.jsonl.gz"))


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- the end of a file


class Tail(NamedTuple):
    """The last lines of a file: whole ones, oldest first, and what comes behind the last of them."""

    whole: list[bytes]
    torn: bytes
    size: int
    """Bytes of the file without what is torn."""


def tail_of(path: Path, is_enough: Callable[[Sequence[bytes]], bool]) -> Tail:
    """Read a file from its end until ``is_enough`` says so of the whole lines, or to its begin.

    What is torn is all behind the last line whose hash fits.
    """
    length = path.stat().st_size
    want = TAIL_FIRST
    with path.open("rb") as file:
        while True:
            begin = max(0, length - want)
            file.seek(begin)
            content = file.read(length - begin)
            if begin:
                content = content[content.find(b"\n") + 1 :] if b"\n" in content else b""
            lines = _split(content)
            kept = len(lines)
            while kept and not (lines[kept - 1].endswith(b"\n") and read(lines[kept - 1][:-1]) is not None):
                kept -= 1
            torn = b"".join(lines[kept:])
            whole = [line[:-1] for line in lines[:kept]]
            if not begin or (whole and is_enough(whole)):
                return Tail(whole, torn, length - len(torn))
            want *= 4


def _split(content: bytes) -> list[bytes]:
    """Lines by newlines alone; a damaged line may hold any other byte."""
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def last_place(day: Day) -> Place | None:
    """The last whole line of a file; None if it has none.

    Raises:
        Unreadable: it cannot be read.
    """
    last: Place | None = None
    if not day.is_compressed:
        with contextlib.suppress(FileNotFoundError):
            tail = tail_of(day.path, lambda _lines: True)
            found = read(tail.whole[-1]) if tail.whole else None
            return None if found is None else Place(day.path.name, found.line.n, found.hash)
    for line in lines_of(day):
        found = read(line.raw)
        last = last if found is None else Place(day.path.name, found.line.n, found.hash)
    return last


# -- beside the files


def known_end(folder: Path) -> list[Known]:
    """What ``end.json`` says; nothing if there is none.

    Raises:
        Unreadable: it is there, and is not what the engine wrote.
    """
    path = folder / END_FILE
    try:
        end = msgspec.json.decode(path.read_bytes(), type=End)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        raise Unreadable(END_FILE, 1, f"it is not what the engine wrote: {error}") from None
    return [Known(end.n, end.hash, END_FILE)]


def keep_end(folder: Path, end: End) -> None:
    """Replace ``end.json``, durably.

    Raises:
        OSError: it cannot be written.
    """
    fresh = folder / f"{END_FILE}.new"
    _write_whole(fresh, msgspec.json.encode(end) + b"\n")
    fresh.replace(folder / END_FILE)
    sync_folder(folder)


def compressed(day: Day, goes_on: Callable[[], bool] = lambda: True) -> Path | None:
    """Write a compressed copy beside a file, and compare it; it gets its name by ``replace_by``.

    Returns:
        Its path; None when ``goes_on`` said no.

    Raises:
        OSError: it cannot be written, or does not hold the same.
    """
    fresh = day.path.with_name(f"{day.path.name}.gz.new")
    with day.path.open("rb") as source, fresh.open("wb") as raw:
        os.fchmod(raw.fileno(), 0o600)
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=GZIP_HEADER_TIME) as target:
            while chunk := source.read(CHUNK):
                if not goes_on():
                    return None
                target.write(chunk)
        raw.flush()
        os.fsync(raw.fileno())
    digest = hashlib.sha256()
    with gzip.open(fresh, "rb") as again:
        while chunk := again.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != sha256_of(day.path):
        raise OSError(0, f"{fresh.name} does not hold what {day.path.name} does")
    return fresh


def replace_by(day: Day, fresh: Path) -> None:
    """Put a compressed copy in the place of a file."""
    fresh.replace(day.path.with_name(f"{day.path.name}.gz"))
    sync_folder(day.path.parent)
    day.path.unlink()
    sync_folder(day.path.parent)


def _write_whole(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- who writes


def locked(folder: Path) -> int | None:
    """Take the right to write, until the descriptor is closed; None while another process has it.

    Raises:
        OSError: the folder cannot be used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_being_written(folder: Path) -> bool:
    """Whether a process writes the audit now."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

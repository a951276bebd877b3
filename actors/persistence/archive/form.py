"""What a file of archived rows says: bytes from rows, and rows from bytes. Pure.

A file is gzip of lines of JSON. The first line is the ``Header``; then each commit's rows in order, and behind them the
commit; ``facts`` is the text that was hashed. The header is a gzip member of its own, so that it is read without the rest.
The same rows make the same bytes.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import IO

import msgspec

from actors.core.errors import StateCorrupt
from actors.persistence.journal import Entry
from actors.persistence.verify_chain import Commit

VERSION = 1
LEVEL = 6
NAME = re.compile(r"journal-(\d{12,18})-(\d{12,18})\.jsonl\.gz", re.ASCII)
LINE_MAX = 1 << 26
"""Bytes of the longest line that is read: a header of 1,000,000 streams, or a decision of a million facts."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. Roots in hex; times in Unix milliseconds; ``streams`` has first and last sequence of each."""

    bulkhead: str = "archive"
    version: int = VERSION
    fleet: str
    shard: int
    schema: int
    first: int
    last: int
    commits: int
    first_ms: int
    last_ms: int
    root_before: str
    root: str
    streams: dict[str, tuple[int, int]]


class Row(msgspec.Struct, frozen=True):
    """One row of the journal, as a line; ``hash`` in hex."""

    position: int
    stream: str
    sequence: int
    wall_ms: int
    cause: str
    version: int
    facts: str
    hash: str


class CommitLine(msgspec.Struct, frozen=True):
    """One row of ``journal_commit``, as a line; ``root`` in hex."""

    commit: int
    rows: int
    wall_ms: int
    root: str


class Line(msgspec.Struct, frozen=True):
    """Either of them."""

    commit: int = 0
    rows: int = 0
    root: str = ""
    position: int = 0
    stream: str = ""
    sequence: int = 0
    wall_ms: int = 0
    cause: str = ""
    version: int = 0
    facts: str = ""
    hash: str = ""


class TimedCommit(msgspec.Struct, frozen=True):
    """A row of ``journal_commit`` with its time, Unix milliseconds."""

    commit: Commit
    wall_ms: int


_LINE = msgspec.json.Decoder(Line)
_HEADER = msgspec.json.Decoder(Header)


def name_of(first: int, last: int) -> str:
    """The name of the file of these positions."""
    return f"journal-{first:012d}-{last:012d}.jsonl.gz"


class Body:
    """The lines behind the header, compressed as they come."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._file = _compressing(self._bytes)

    def row(self, row: Entry) -> None:
        """Add a row.

        Raises:
            StateCorrupt: its facts are no text, so they are not what the engine writes.
        """
        try:
            facts = row.facts.decode()
        except UnicodeDecodeError as error:
            raise StateCorrupt(f"position {row.position} of {row.stream} cannot be read: {error}") from None
        fields = (row.position, row.stream, row.sequence, row.wall_ms, row.cause, row.version)
        self._file.write(msgspec.json.encode(Row(*fields, facts, row.hash.hex())) + b"\n")

    def commit(self, timed: TimedCommit) -> None:
        """Add a commit."""
        commit = timed.commit
        line = CommitLine(commit.position, commit.rows, timed.wall_ms, commit.root.hex())
        self._file.write(msgspec.json.encode(line) + b"\n")

    def whole(self, header: Header) -> bytes:
        """The file's bytes; nothing can be added any more."""
        self._file.close()
        first = io.BytesIO()
        with _compressing(first) as file:
            file.write(msgspec.json.encode(header) + b"\n")
        return first.getvalue() + self._bytes.getvalue()


def _compressing(into: io.BytesIO) -> gzip.GzipFile:
    # No name and no time: the same rows are the same bytes.
    return gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=into, mtime=0)


def header_of(file: IO[bytes], name: str) -> Header:
    """The header of a file.

    Raises:
        StateCorrupt: it is none of ours, or of a version that this program does not know; names the file.
    """
    return next(_lines_of(file, name, is_header_alone=True))[0]


def lines_of(file: IO[bytes], name: str) -> Iterator[Entry | TimedCommit]:
    """What is behind the header, in order.

    Raises:
        StateCorrupt: a line cannot be read; names file and line.
    """
    for _, line in _lines_of(file, name):
        if line is not None:
            yield line


def _lines_of(
    file: IO[bytes], name: str, *, is_header_alone: bool = False
) -> Iterator[tuple[Header, Entry | TimedCommit | None]]:
    number = 1
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as lines:
            header = _HEADER.decode(lines.readline(LINE_MAX))
            if (header.bulkhead, header.version) != ("archive", VERSION):
                raise StateCorrupt(
                    f"{name} is {header.bulkhead} {header.version}; this program reads archive {VERSION}"
                )
            yield header, None
            if is_header_alone:
                return
            while raw := lines.readline(LINE_MAX):
                number += 1
                yield header, _read(_LINE.decode(raw))
    except (msgspec.MsgspecError, ValueError, EOFError, zlib.error, OSError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StateCorrupt(f"{name}, line {number}: it cannot be read: {text}") from None


def _read(line: Line) -> Entry | TimedCommit:
    if line.commit:
        return TimedCommit(Commit(line.commit, line.rows, bytes.fromhex(line.root)), line.wall_ms)
    return Entry(
        line.position,
        line.stream,
        line.sequence,
        line.wall_ms,
        line.cause,
        line.version,
        line.facts.encode(),
        bytes.fromhex(line.hash),
    )

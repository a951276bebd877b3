"""Lines of a day's file that hold some bytes, newest first. Of a file of gigabytes only those lines cost anything.

I/O: reads files of the audit's folder.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from gzip import GzipFile
from typing import IO, TypeVar, cast

from actors.persistence.audit.chain import Unreadable
from actors.persistence.audit.files import CHUNK, Day, opened
from actors.persistence.audit.line import LINE_MAX

T = TypeVar("T")


def newest(day: Day, needle: bytes, made: Callable[[bytes], T | None], most: int) -> Iterator[T]:
    """What ``made`` makes of the lines of a file that hold ``needle``, the last line first.

    A file that is not compressed is read from its end, and no further than the caller takes from this. A compressed one has
    to be read from its begin: then the last ``most`` are kept.

    Args:
        day: the file.
        needle: in the line, without a newline.
        made: of a line without its newline; None if it is not wanted.
        most: bounds what is kept of a compressed file.

    Raises:
        Unreadable: it cannot be read; names the file.
    """
    try:
        with opened(day) as file:
            if isinstance(cast("object", file), GzipFile):
                yield from reversed(deque(_made(_from_begin(file, needle), made), maxlen=most))
            else:
                yield from _made(_from_end(file, needle), made)
    except (OSError, EOFError, zlib.error) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable(day.path.name, 0, f"{day.path.name} cannot be read: {what}") from None


def _made(lines: Iterator[bytes], made: Callable[[bytes], T | None]) -> Iterator[T]:
    return (found for raw in lines if (found := made(raw)) is not None)


def _from_begin(file: IO[bytes], needle: bytes) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(CHUNK):
        block = rest + chunk
        whole = block.rfind(b"\n") + 1
        yield from _lines_with(block[:whole], needle)
        rest = _bounded(block[whole:])
    yield from _lines_with(rest, needle)


def _from_end(file: IO[bytes], needle: bytes) -> Iterator[bytes]:
    end, rest = file.seek(0, 2), b""
    while end:
        begin = max(0, end - CHUNK)
        file.seek(begin)
        block = file.read(end - begin) + rest
        # What the block begins with may be the end of a line.
        whole = block.find(b"\n") + 1 if begin else 0
        if begin and not whole:
            rest = _bounded(block)
        else:
            rest = block[:whole]
            yield from reversed(list(_lines_with(block[whole:], needle)))
        end = begin


def _bounded(part: bytes) -> bytes:
    """A part of a line; one without an end is damaged, and must not fill the memory."""
    return part if len(part) <= LINE_MAX else b""


def _lines_with(block: bytes, needle: bytes) -> Iterator[bytes]:
    place = 0
    while (at := block.find(needle, place)) >= 0:
        begin = block.rfind(b"\n", 0, at) + 1
        # Of a last line without an end the -1 becomes the end of the block.
        place = block.find(b"\n", at) % (len(block) + 1)
        yield block[begin:place]

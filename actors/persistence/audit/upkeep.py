"""Files of days that have ended: compressed, and removed when they need not be kept; and the last root that still holds.

I/O: files in the audit's folder; questions on read-only connections.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from actors.persistence import journal
from actors.persistence.audit import files
from actors.persistence.audit.append import Appender
from actors.persistence.audit.chain import Unreadable
from actors.persistence.audit.line import Content, Kind, read
from actors.persistence.audit.progress import CURSORS
from actors.persistence.tail import Asked
from actors.runtime.local_file import sync_folder


def compress_one(file: Appender, wall_ms: int, goes_on: Callable[[], bool] = lambda: True) -> bool:
    """Compress the oldest file of a day that has ended, if there is one that is not.

    The line that says so has the hash of the compressed file, and is written before that gets its place.

    Returns:
        Whether one was compressed; not when ``goes_on`` said no.

    Raises:
        OSError: it cannot be written.
    """
    for day in files.days_in(file.folder)[:-1]:
        if not day.is_compressed:
            fresh = files.compressed(day, goes_on)
            if fresh is None:
                return False
            data = {
                "file": f"{day.path.name}.gz",
                "sha256": files.sha256_of(fresh),
                "bytes": fresh.stat().st_size,
                "bytes_before": day.path.stat().st_size,
            }
            file.append([Content(wall_ms=wall_ms, kind=Kind.COMPRESSED, data=data)])
            files.replace_by(day, fresh)
            return True
    return False


def remove_old(file: Appender, days_kept: int, wall_ms: int) -> int:
    """Remove the files of all days but the last ``days_kept`` that have lines; 0 keeps all.

    A line says what was removed, and with which line it ended, so that the rest can be verified.

    Returns:
        How many were removed.

    Raises:
        OSError: one cannot be removed.
    """
    old = files.days_in(file.folder)[:-days_kept] if days_kept else []
    if not old:
        return 0
    last = files.last_place(old[-1])
    if last is not None:
        data = {"files": [day.path.name for day in old], "through": last.n, "hash": last.hash}
        file.append([Content(wall_ms=wall_ms, kind=Kind.REMOVED, data=data)])
    for day in old:
        day.path.unlink()
    sync_folder(file.folder)
    return len(old)


def common_root(folder: Path, fleet: str, reader: Asked) -> tuple[int, str]:
    """The last root in the files that the database has too, newest first; position 0 where it has none of them.

    Raises:
        StoreUnreachable, StoreBusy: it does not answer.
    """
    for day in reversed(files.days_in(folder)):
        known: dict[int, str] = {}
        with suppress(Unreadable):
            for physical in files.lines_of(day):
                found = read(physical.raw)
                if found is None or found.line.kind not in {Kind.ROOT, Kind.RESTORED}:
                    continue
                data = found.line.data
                if data.get(CURSORS, {}).get("fleet") == fleet:
                    known[int(data["position"])] = str(data["root"])
        there = reader.ask(lambda connection, known=known: journal.roots_at(connection, list(known)))  # type: ignore[misc]
        common = [position for position, root in known.items() if there.get(position) == root]
        if common:
            return max(common), known[max(common)]
    return 0, ""

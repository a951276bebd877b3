"""The folder of archived files: written so that a name stands for a whole file, and read so that a changed one is noticed.

I/O: reads and writes files in that folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from actors.core.errors import BadInput, NotKept, NotRecorded, StateCorrupt
from actors.persistence.archive.form import NAME, Header, TimedCommit, header_of, lines_of
from actors.persistence.archive.tables import ArchivedFile
from actors.persistence.journal import Entry
from actors.runtime.local_file import sync_folder

PARTIAL = ".partial"
"""Behind the name of a file that is being written; what a crash left of one is written over."""


def write(folder: Path, name: str, content: bytes) -> None:
    """Write a file so that it is on the disk, whole, before it has its name.

    Raises:
        NotRecorded: it is not; names folder and reason, and nothing is left of it.
    """
    partial = folder / (name + PARTIAL)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(folder / name)
        sync_folder(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise NotRecorded(
            f"{name} cannot be written in {folder}: {error.strerror or error}; nothing was deleted from the journal. Make room, "
            "or name another folder"
        ) from None


def sha256_of(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def unknown(folder: Path, known: Iterable[ArchivedFile]) -> list[str]:
    """Names of files of archived rows that the database knows nothing of."""
    names = {file.file for file in known}
    try:
        found = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(name for name in found if NAME.fullmatch(name) and name not in names)


class Archive:
    """Reads the files that a database says it has.

    Args:
        folder: where they are; None where nobody knows it.
        files: in order of their positions.
    """

    def __init__(self, folder: Path | None, files: Iterable[ArchivedFile]) -> None:
        self.folder, self.files = folder, list(files)
        self._whole: set[str] = set()

    @property
    def last(self) -> int:
        """The last archived position; 0 for none."""
        return self.files[-1].last if self.files else 0

    def check(self, file: ArchivedFile) -> None:
        """See that a file is there and has the bytes that were written; each is looked at once.

        Raises:
            NotKept: it is not there; names it, its positions and the cure.
            StateCorrupt: it is not what was written, or cannot be read.
        """
        if file.file in self._whole:
            return
        path = self._path(file)
        try:
            with path.open("rb") as opened:
                size = os.fstat(opened.fileno()).st_size
                told = hashlib.file_digest(opened, "sha256").hexdigest()
        except FileNotFoundError:
            raise NotKept(
                f"positions {file.first} to {file.last} of the journal are archived in {file.file}, which is not in "
                f"{path.parent}; bring it there, or name the folder that it is in (--archive; archive_dir for the engine)"
            ) from None
        except OSError as error:
            raise StateCorrupt(f"{path} cannot be read: {error.strerror or error}") from None
        if size != file.bytes:
            raise StateCorrupt(
                f"{path}, positions {file.first} to {file.last}, is not what was archived: it has {size} "
                f"bytes and had {file.bytes}"
            )
        if told != file.sha256:
            raise StateCorrupt(
                f"{path}, positions {file.first} to {file.last}, is not what was archived: its SHA-256 is "
                f"{told}, and was {file.sha256}"
            )
        self._whole.add(file.file)

    def _path(self, file: ArchivedFile) -> Path:
        if self.folder is None:
            raise NotKept(
                f"positions {file.first} to {file.last} of the journal are archived in {file.file}; name its folder with "
                "--archive, or archive_dir for the engine"
            )
        return self.folder / file.file

    def header(self, file: ArchivedFile) -> Header:
        """The header of a file.

        Raises:
            NotKept, StateCorrupt: see ``check``.
        """
        self.check(file)
        with self._path(file).open("rb") as opened:
            return header_of(opened, file.file)

    def lines(self, file: ArchivedFile) -> Iterator[Entry | TimedCommit]:
        """All lines of a file.

        Raises:
            NotKept, StateCorrupt: see ``check``.
        """
        self.check(file)
        with self._path(file).open("rb") as opened:
            yield from lines_of(opened, file.file)

    def of_stream(self, stream: str, first: int, last: int) -> Iterator[Entry]:
        """Rows of one stream with sequences ``first`` to ``last``, in order.

        Raises:
            NotKept, StateCorrupt: see ``check``.
        """
        wanted: list[ArchivedFile] = []
        for file in reversed(self.files):
            its = self.header(file).streams.get(stream)
            if its is not None and its[0] <= last and its[1] >= first:
                wanted.append(file)
            if its is not None and its[0] <= first:
                break
        for file in reversed(wanted):
            for line in self.lines(file):
                if isinstance(line, Entry) and line.stream == stream and first <= line.sequence <= last:
                    yield line

    def newest_of(
        self, stream: str, *, until_ms: int | None = None, before: int | None = None
    ) -> Entry | None:
        """The last row of a stream that is not later than a time, or that stands before a position.

        Raises:
            NotKept, StateCorrupt: see ``check``.
        """
        for file in reversed(self.files):
            if until_ms is not None and file.first_ms > until_ms:
                continue
            if before is not None and file.first >= before:
                continue
            if stream not in self.header(file).streams:
                continue
            found: Entry | None = None
            for line in self.lines(file):
                if not isinstance(line, Entry) or line.stream != stream:
                    continue
                is_late = until_ms is not None and line.wall_ms > until_ms
                if not is_late and (before is None or line.position < before):
                    found = line
            if found is not None:
                return found
        return None

    def at(self, position: int) -> Entry | None:
        """The row of a position; None if it is in no file.

        Raises:
            NotKept, StateCorrupt: see ``check``.
        """
        for file in self.files:
            if file.first <= position <= file.last:
                rows = (line for line in self.lines(file) if isinstance(line, Entry))
                return next((row for row in rows if row.position == position), None)
        return None


def folder_of(given: Path | str | None, data_dir: Path) -> Path:
    """The folder that was named, or else ``archive`` in the data folder.

    Raises:
        BadInput: what was named is no folder.
    """
    folder = Path(given).expanduser() if given else data_dir / "archive"
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is no folder; name the one of the archived files")
    return folder

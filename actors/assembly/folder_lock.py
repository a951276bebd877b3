"""One engine per data folder. The lock ends with the process that holds it, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.core.errors import BadConfig

LOCK_FILE = "engine.lock"


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold a data folder, which is made if it is not there.

    Two engines of one folder have one name at the database: the second would not wait for the first one's lease,
    but take everything over from an engine that is well.

    Raises:
        BadConfig: another process holds it, or it cannot be used; names folder, process and cure.
    """
    folder = data_dir.expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadConfig(
            f"the data folder {folder} cannot be used ({error.strerror}); choose another --data-dir"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise BadConfig(
                f"an engine runs on the data folder {folder} already: process {pid}. Stop it first, or give this one "
                "a --data-dir, and with it a database, of its own"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)

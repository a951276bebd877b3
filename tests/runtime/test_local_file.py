"""A line is on the disk before anybody is told so; a disk that is full is told, and tried anew."""

from __future__ import annotations

import os
import resource
import signal
import threading

import pytest

from actors.core.errors import NotRecorded
from actors.runtime.local_file import REWRITE_BYTES, LocalFile

WAIT = 5


@pytest.fixture
def kept():
    return []


@pytest.fixture
def faults():
    return []


@pytest.fixture
def file(tmp_path, kept, faults):
    made = LocalFile(tmp_path / "x.jsonl", lambda: list(kept), faults.append)
    made.start()
    yield made
    made.stop()


def test_what_was_told_to_be_written_is_there_and_belongs_to_its_owner_only(file):
    done = [file.append(f'{{"n":{n}}}'.encode()) for n in range(200)]
    for future in done:
        future.result(WAIT)
    assert file.read() == [f'{{"n":{n}}}'.encode() for n in range(200)]
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_torn_spoils_no_other(file):
    file.append(b"one").result(WAIT)
    file.stop()
    with file.path.open("ab") as torn:
        torn.write(b'{"ha')
    again = LocalFile(file.path, list)
    again.start()
    again.append(b"two").result(WAIT)
    again.stop()
    assert [line for line in again.read() if line] == [b"one", b'{"ha', b"two"]


def test_a_full_disk_is_told_once_and_tried_anew(file, faults):
    """A limit on the size of files is what a quota and a full disk are to a write."""
    file.append(b"before").result(WAIT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        for _ in range(2):
            with pytest.raises(NotRecorded, match=r"x\.jsonl cannot be written \(File too large\)"):
                file.append(b"much too long for what is left").result(WAIT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert len(faults) == 1
    file.append(b"after").result(WAIT)
    assert faults[1:] == [""]
    assert [line for line in file.read() if line][-1] == b"after"


def test_what_does_not_count_any_more_leaves_the_file(file, kept):
    kept.append(b"kept")
    line = b"x" * 10_000
    for _ in range(REWRITE_BYTES // len(line) + 2):
        file.append(line).result(WAIT)
    assert file.path.stat().st_size < REWRITE_BYTES / 2
    assert file.read()[0] == b"kept"


def test_a_folder_that_cannot_be_made_is_named(tmp_path, faults):
    (tmp_path / "taken").write_text("a file")
    file = LocalFile(tmp_path / "taken" / "x.jsonl", list, faults.append)
    file.start()
    with pytest.raises(NotRecorded, match="cannot be written"):
        file.append(b"one").result(WAIT)
    file.stop()
    assert not os.path.exists(file.path)  # noqa: PTH110 - below a file
    assert threading.active_count() < 100

"""A data folder has one engine at a time, and the lock ends with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors.assembly.folder_lock import LOCK_FILE, held
from actors.core.errors import BadConfig

HOLDER = """
import sys, time
from pathlib import Path
from actors.assembly.folder_lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_with_folder_and_process(tmp_path):
    folder = tmp_path / "deep" / "data"
    with held(folder):
        assert (folder / LOCK_FILE).read_text() == f"{os.getpid()}\n"
        assert (folder / LOCK_FILE).stat().st_mode & 0o777 == 0o600
        with (
            pytest.raises(BadConfig, match=f"{folder} already: process {os.getpid()}\\. Stop it first"),
            held(folder),
        ):
            pass
        with held(tmp_path / "another"):
            pass
    with held(folder):
        pass


def test_the_lock_ends_with_its_process_even_when_that_is_killed(tmp_path):
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "held\n"
    with pytest.raises(BadConfig, match=f"process {child.pid}\\b"), held(tmp_path):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    with held(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(BadConfig, match=r"file cannot be used .* choose another --data-dir"),
        held(tmp_path / "file"),
    ):
        pass

"""Ctrl-C and SIGTERM while the engine starts: it ends at once, in a few words, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil
import pytest

from tests.e2e.processes import until
from tests.e2e.terminal import CTRL_C, Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

END_SECONDS = 25
"""Far below the minute and more that the exchange below would be waited for, and enough on a busy machine."""


@pytest.fixture
def silent():
    """An exchange that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def servers_of(folder):
    """Processes of a Postgres in a folder."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and str(folder) in " ".join(process.info["cmdline"] or ())
    ]


@pytest.mark.parametrize("way", ["ctrl-c", "sigterm", "ctrl-c, again and again"])
@pytest.mark.parametrize(
    "moment", ["creating a database", "opening the database", "reading the exchange's rules"]
)
def test_an_end_during_the_start(moment, way, silent, tmp_path):
    with Terminal("run", "--data-dir", tmp_path / "data", "--exchange", silent, "--api-port", 0) as terminal:
        terminal.until(moment)
        if moment == "creating a database":
            time.sleep(0.3)  # in the middle of it
        began = time.monotonic()
        if way == "sigterm":
            os.kill(terminal.child.pid, signal.SIGTERM)
        else:
            for _ in range(1 if way == "ctrl-c" else 4):
                terminal.type(CTRL_C)
                time.sleep(0.05)
        code = terminal.wait(END_SECONDS)
        took = time.monotonic() - began
    assert code == 0, terminal.shown()
    assert "stopped before it was ready" in " ".join(terminal.text.split()), terminal.shown()
    assert "Traceback" not in terminal.text, terminal.shown()
    assert "engine ready" not in terminal.text
    assert took < END_SECONDS
    until(lambda: not servers_of(tmp_path), "the end of Postgres", 10)
    assert not (tmp_path / "data" / "api.json").exists()


def test_after_it_the_same_folder_starts(paper, silent, tmp_path):
    """What was interrupted half way, a database being made too, is no obstacle."""
    for moment in ("creating a database", "reading the exchange's rules"):
        with Terminal("run", "--data-dir", tmp_path, "--exchange", silent, "--api-port", 0) as terminal:
            terminal.until(moment)
            terminal.type(CTRL_C)
            assert terminal.wait(END_SECONDS) == 0, terminal.shown()
    address = paper.address.rest
    with Terminal("run", "--data-dir", tmp_path, "--exchange", address, "--api-port", 0) as terminal:
        terminal.until("engine ready")
        terminal.type(CTRL_C)
        assert terminal.wait(40) == 0, terminal.shown()
    until(lambda: not servers_of(tmp_path), "the end of Postgres", 10)

"""Whoever logs never waits and never fails; what is lost is counted; secrets are taken out."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import structlog

from actors.runtime import logs
from actors.runtime.logs import LINE_COST, Outlet, OutletStream

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    open_ends = {reader, writer}

    def close(end):
        open_ends.discard(end)
        os.close(end)

    yield reader, writer, close
    for end in open_ends:
        os.close(end)


@pytest.fixture
def configured():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def started(**options):
    outlet = Outlet(**options)
    outlet.start()
    return outlet


def test_lines_come_out_in_order(pipe):
    reader, writer, _ = pipe
    outlet = started()
    for n in range(100):
        outlet.put(writer, f"{n}\n")
    assert outlet.flush(5)
    assert os.read(reader, 10_000).decode().split() == [str(n) for n in range(100)]
    assert outlet.state() == logs.LogState(0, 0, "")


def test_a_frozen_reader_keeps_nobody_waiting_and_what_has_no_room_is_counted(pipe):
    reader, writer, _ = pipe
    line = "x" * 999 + "\n"
    outlet = started(bytes_max=200 * (1_000 + LINE_COST))
    began = time.monotonic()
    for _ in range(1_000):
        outlet.put(writer, line)
    assert time.monotonic() - began < 2
    assert not outlet.flush(0.3)
    state = outlet.state()
    assert state.stuck_s > 0.2
    assert 0 < state.waiting <= 200 * (1_000 + LINE_COST)
    assert state.dropped >= 1_000 - 200 - 80, "64 kB were in the pipe, 200 lines wait"
    # Whoever reads again gets what waited, whole, and new lines have room again.
    got, deadline = b"", time.monotonic() + 5
    while outlet.state().waiting and time.monotonic() < deadline:
        got += read_all(reader)
    got += read_all(reader)
    assert outlet.state().waiting == 0
    assert got.count(b"\n") == 1_000 - outlet.state().dropped
    outlet.put(writer, "again\n")
    assert outlet.flush(5)
    assert read_all(reader) == b"again\n"


def read_all(reader):
    got = b""
    while True:
        try:
            chunk = os.read(reader, 65_536)
        except BlockingIOError:
            return got
        if not chunk:
            return got
        got += chunk


def test_a_reader_that_went_is_no_failure(pipe):
    reader, writer, close = pipe
    outlet = started()
    close(reader)
    for _ in range(5):
        outlet.put(writer, "two\nlines\n")
    assert outlet.flush(5)
    state = outlet.state()
    assert (state.dropped, state.waiting) == (10, 0)
    assert "BrokenPipeError" in state.error


def test_after_a_full_disk_the_next_line_begins_anew(pipe, monkeypatch):
    reader, writer, _ = pipe
    outlet, write = Outlet(), os.write
    room = [4]

    def full_disk(descriptor, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr("actors.runtime.logs.os.write", full_disk)
    outlet.start()
    outlet.put(writer, "a long line\n")
    assert outlet.flush(5)
    assert "No space left" in outlet.state().error
    room[0] = 1_000
    outlet.put(writer, "next\n")
    assert outlet.flush(5)
    assert read_all(reader) == b"a lo\nnext\n"
    assert outlet.state().error == ""
    assert outlet.state().dropped == 1


def test_a_collection_that_begins_inside_may_log(pipe):
    _, writer, _ = pipe
    outlet = started()

    class Logs:
        """Part of a cycle; whoever collects it logs."""

        def __init__(self):
            self.me = self

        def __del__(self):
            outlet.put(writer, "collected\n")

    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        done = threading.Thread(
            target=lambda: [(Logs(), outlet.put(writer, "line\n")) for _ in range(500)], daemon=True
        )
        done.start()
        done.join(10)
    finally:
        gc.set_threshold(*thresholds)
    assert not done.is_alive(), "it waits for itself"
    assert outlet.flush(5)


def test_a_stand_in_for_standard_error_says_what_it_is(pipe):
    reader, writer, _ = pipe
    outlet = started()
    with os.fdopen(os.dup(writer), "w") as original:
        stream = OutletStream(outlet, original)
        assert stream.writable()
        assert not stream.isatty()
        assert stream.fileno() == original.fileno()
        assert stream.encoding == "utf-8"
        assert stream.write("caf\u00e9 \ud800\n") == 7
        stream.flush()
        assert outlet.flush(5)
    assert read_all(reader) == "caf\u00e9 \\ud800\n".encode()


def test_secrets_are_taken_out_and_lines_are_json(configured):
    out = io.StringIO()
    logs.configure(json=True, stream=out)
    structlog.get_logger("x").warning(
        "asked", api_key="k1", Signature="s1", dsn_password="p1", symbol="BTCUSDT"
    )
    line = json.loads(out.getvalue())
    assert (line["api_key"], line["Signature"], line["dsn_password"]) == ("***", "***", "***")
    assert (line["event"], line["level"], line["symbol"]) == ("asked", "warning", "BTCUSDT")


def test_a_line_that_cannot_be_written_any_more_fails_nobody(configured):
    out = io.StringIO()
    logs.configure(json=False, stream=out)
    out.close()
    structlog.get_logger().error("into the void")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_value_that_cannot_be_shown_fails_nobody(configured, as_json):
    class Bad:
        def __repr__(self):
            raise ValueError("no")

    out = io.StringIO()
    logs.configure(json=as_json, stream=out)
    structlog.get_logger("x").error("told", value=Bad())
    assert "told" in out.getvalue()
    assert "not_shown" in out.getvalue()


PROGRAM = """
import sys, threading, warnings, structlog
from actors.runtime import logs
logs.write_apart()
logs.write_apart()
logs.configure(json=True)
structlog.get_logger("x").info("first", n=1)
warnings.warn("a warning of Python's own")
sys.stdout.write("on standard output\\n")
threading.Thread(target=lambda: 1 / 0).start()
raise SystemExit(7)
"""


def test_a_process_that_ends_has_written_everything_that_was_said():
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert found.returncode == 7
    assert found.stdout == "on standard output\n"
    for text in ('"event": "first"', "a warning of Python's own", "ZeroDivisionError"):
        assert text in found.stderr


def test_a_process_whose_log_nobody_reads_ends_all_the_same():
    flood = 'print("x" * 200_000, file=sys.stderr)\nraise SystemExit(7)'
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("raise SystemExit(7)", flood)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    began = time.monotonic()
    assert child.wait(20) == 7
    assert time.monotonic() - began < 15
    child.stdout.close()
    child.stderr.close()

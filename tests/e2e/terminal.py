"""A command in a real pseudo-terminal, and what a person sees there.

The child's standard streams are the terminal, its size is set before it starts, and Ctrl-C is a
byte typed into it. `pyte` is the terminal's other half: it turns what was written into a screen.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import psutil
import pyte
from pyte.screens import wcwidth

CTRL_C = b"\x03"
START = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from actors.cli.main import main
sys.argv[0] = "bulkhead"
main()
"""
"""``bulkhead`` with its terminal as the controlling one, so that a typed Ctrl-C is a signal."""

WAIT = 90.0

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class Terminal:
    """``bulkhead`` with some arguments in a terminal of a given size.

    Args:
        arguments: of the command.
        columns: width of the terminal, in cells.
        rows: its height.
        cwd: where the command is started.
        environment: added to ours; ``None`` takes a variable away.
    """

    def __init__(self, *arguments, columns=80, rows=24, cwd=None, **environment):
        self.columns, self.rows = columns, rows
        self.screen = pyte.HistoryScreen(columns, rows, history=100_000)
        self.screens = []
        self._stream = pyte.ByteStream(self.screen)
        self._raw = bytearray()
        self._lock = threading.Lock()
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.child = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, arguments)], cwd=cwd, env=_environment(environment),
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._master = master
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError as error:  # Linux says so when the last process has closed the terminal
                if error.errno == errno.EIO:
                    return
                raise
            if not data:
                return
            with self._lock:
                self._raw += data
                self._stream.feed(data)
                self.screens.append("\n".join(self.screen.display))

    def type(self, data):
        """Type into it."""
        os.write(self._master, data)

    def wait(self, seconds=WAIT):
        """Wait for the end of the command, bounded.

        Returns:
            Its exit code, negative for a signal.
        """
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.close()
            raise AssertionError(f"it did not end within {seconds} s; the screen:\n{self.shown()}") from None
        self._reader.join(10)
        return code

    def until(self, text, seconds=WAIT):
        """Wait until a text was written, bounded."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} was not shown within {seconds} s:\n{self.shown()}"
            assert self.child.poll() is None or text in self.text or self._reader.is_alive(), self.shown()
            time.sleep(0.05)

    def close(self):
        """End the command and all that it started, by their ids."""
        if self.child.poll() is None:
            started = psutil.Process(self.child.pid).children(recursive=True)
            self.child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(20)
            for process in (*started, self.child):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.child.wait(10)
        self._reader.join(10)
        with contextlib.suppress(OSError):
            os.close(self._master)
        self._master = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def raw(self):
        """All that was written, in bytes."""
        with self._lock:
            return bytes(self._raw)

    @property
    def text(self):
        """All that was written, without colours and cursor movements."""
        return _ESCAPE.sub("", self.raw.decode(errors="replace")).replace("\r\n", "\n")

    @property
    def lines(self):
        """The lines as they were written, each time that they were."""
        return [line for part in self.text.split("\n") for line in part.split("\r")]

    def shown(self):
        """What stands on the screen, and what has scrolled out above it."""
        with self._lock:
            above = ["".join(row[x].data for x in range(self.columns)) for row in self.screen.history.top]
            return "\n".join(line.rstrip() for line in (*above, *self.screen.display)).rstrip()

    def too_wide(self):
        """Lines that the terminal had to break itself, wherever its edge was."""
        return [line for line in self.lines if cells(line) > self.columns]


def cells(line):
    """The width of a line, in cells."""
    return sum(max(wcwidth(character), 0) for character in line)


def _environment(changes):
    plain = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}}
    plain |= {"TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2]), **changes}
    return {k: v for k, v in plain.items() if v is not None}

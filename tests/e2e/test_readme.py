"""Every command of README, pasted from it into a fresh shell, works; every command in the other documents is one.

The shell knows nothing of ours, and its folder has a space in its name. Only three variables are set, so that
no port of this machine is taken from somebody else.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from actors.cli import main
from tests.e2e.processes import ROOT, WAIT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

COMMAND = re.compile(r" {4}((?:bulkhead|make|\.|source) .*?)(?:\s+#.*)?")
INLINE = re.compile(r"`(\.venv/bin/bulkhead [^`]*|bulkhead [^`]*)`")
GO_ON = {"bulkhead paper": '"rest"', "bulkhead run": "engine ready"}
"""What does not end by itself, and what it says when it is ready."""
ELSEWHERE = {"make demo": ".venv/bin/bulkhead demo", "make test": "pytest"}
"""A minute and more: test_terminal_demo.py runs the demo, and this is one of the tests."""
SECONDS = 60.0


def blocks(path):
    """The commands of a document's indented blocks, as they are pasted: with their comments."""
    lines = path.read_text().split("\n")
    return [line[4:] for line in lines if COMMAND.fullmatch(line)]


def command_of(line):
    """A pasted line without its comment."""
    return COMMAND.fullmatch("    " + line)[1].strip()


README = blocks(ROOT / "README.md")
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *(p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "docs").rglob("*.md"))),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the project as a newcomer has it after ``make setup``, in a folder with a space in its name."""
    place = tmp_path_factory.mktemp("readme") / "my bulkhead"
    (place / ".venv").mkdir(parents=True)
    for name in (
        "Makefile",
        "README.md",
        "pyproject.toml",
        *(p.name for p in ROOT.glob("requirements*.lock")),
    ):
        (place / name).write_bytes((ROOT / name).read_bytes())
    for part in Path(sys.prefix).iterdir():
        if part.name != ".installed":
            (place / ".venv" / part.name).symlink_to(part)
    (place / ".venv" / ".installed").touch()  # newer than what it is made from: nothing is to be done
    return place


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh shell's, and three settings."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "BULKHEAD_PAPER_PORT": str(port),
        "BULKHEAD_EXCHANGE": f"http://127.0.0.1:{port}",
        "BULKHEAD_API_PORT": "0",
    }


class Shell:
    """A fresh shell into which lines are pasted."""

    def __init__(self, folder, environment, *lines):
        self.child = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e"], cwd=folder, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.child.stdin.write("\n".join(lines) + "\n")
        self.child.stdin.close()

    def _read(self):
        for line in self.child.stdout:
            self.said += line

    def ends(self):
        code = self.child.wait(SECONDS)
        self._reader.join(10)
        return code

    def says(self, text):
        deadline = time.monotonic() + WAIT
        while text not in self.said and time.monotonic() < deadline and self.child.poll() is None:
            time.sleep(0.05)
        assert text in self.said, self.said

    def stop(self):
        """End what runs in it, by its group's id."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(WAIT)
        # The shell is gone at once; an engine in it still stops its Postgres.
        deadline = time.monotonic() + WAIT
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.child.pid, 0)
                time.sleep(0.05)
            os.killpg(self.child.pid, signal.SIGKILL)


def test_it_has_the_commands_that_a_newcomer_needs():
    names = {command_of(line) for line in README}
    assert {*GO_ON, *ELSEWHERE} <= names
    assert len(names) > 20
    assert any("activate" in name for name in names), "how 'bulkhead' is found"


def test_every_command_of_it_works_in_a_fresh_shell(folder, environment):
    activate = next(line for line in README if "activate" in line)
    running, failed = [], []
    try:
        for line in README:
            command = command_of(line)
            if command in ELSEWHERE:
                shell = Shell(folder, environment, line.replace("make ", "make -n ", 1))
                assert shell.ends() == 0, shell.said
                assert ELSEWHERE[command] in shell.said
                continue
            shell = Shell(folder, environment, activate, line)
            if command in GO_ON:
                running.append(shell)
                shell.says(GO_ON[command])
            elif (code := shell.ends()) != 0:
                failed.append(f"{line!r} ended with {code}:\n{shell.said[-1500:]}")
            assert "Traceback" not in shell.said, shell.said
    finally:
        for shell in reversed(running):
            shell.stop()
    assert not failed, "\n\n".join(failed)


def pasted():
    """Every line with ``bulkhead`` in a document, in blocks and between backticks."""
    for name in DOCUMENTS:
        text = (ROOT / name).read_text()
        found = [command_of(line) for line in blocks(ROOT / name)] + INLINE.findall(text)
        for line in dict.fromkeys(found):
            if "bulkhead " in line and not line.startswith(("make", ".", "source")):
                yield name, line.replace("\\|", "|").partition(" | ")[0]


@pytest.mark.parametrize(("document", "line"), list(pasted()))
def test_every_command_in_a_document_is_one(document, line):
    """It is parsed as it would be when typed; a word in capitals, or in brackets, stands for a value."""
    words = shlex.split(line.removeprefix(".venv/bin/"))[1:]
    inner = [app for app in (main.app,) if words and not words[0].startswith("-")]
    if len(words) == 1 or words[-1].startswith("-"):
        for app in inner:
            assert words[0] in [n for n in app if not n.startswith("-")], f"{document}: {line}"
        return
    try:
        main.app.parse_args(words, exit_on_error=False, print_error=False)
    except Exception as error:  # noqa: BLE001 - what is missing is left out on purpose, what is strange is not
        assert "requires an argument" in str(error), f"{document}: {line}: {error}"

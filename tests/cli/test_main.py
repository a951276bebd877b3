"""The command line without an engine.

Covers: actors/cli/interrupt.py
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from rich.console import Console

from actors.cli import main
from tests.e2e.processes import ROOT, bulkhead

FOLDER = Path(main.__file__).parent
FULL = "error: the output cannot be written: No space left on device; what came before is not whole\n"

pytestmark = pytest.mark.timeout(240)


def commands(app, before=()):
    """Every command, as it is typed."""
    for name in app:
        if not name.startswith("-"):
            inner = [n for n in app[name] if not n.startswith("-")]
            yield from commands(app[name], (*before, name)) if inner else (" ".join((*before, name)),)


COMMANDS = list(commands(main.app))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    main.app(
        [*command.split(), "--help"],
        exit_on_error=False,
        console=Console(width=200),
        result_action="return_value",
    )
    assert f"Example: bulkhead {command}" in capsys.readouterr().out


def test_a_file_with_commands_is_one_of_the_nouns():
    """A command is added by its decorator; a new file of commands needs its name in ``NOUNS``."""
    nouns = {Path(noun.__file__).name for noun in main.NOUNS}
    decorated = re.compile(r"^@\w+\.command\b", re.MULTILINE)
    assert nouns == {p.name for p in FOLDER.glob("*.py") if decorated.search(p.read_text())}


def test_the_module_and_the_entry_point_are_the_same_command():
    shown = bulkhead("deadletters", "--help")
    assert shown.returncode == 0
    assert "Example: bulkhead deadletters list" in shown.stdout
    [entry] = entry_points(group="console_scripts", name="bulkhead")
    assert entry.load() is main.main


def test_without_an_engine_the_cure_is_named(tmp_path):
    shown = bulkhead("accounts", "--data-dir", tmp_path)
    assert shown.returncode == 2
    assert "start one with 'bulkhead run'" in shown.stderr
    (tmp_path / "api.json").write_text("{")
    assert "cannot be read" in bulkhead("accounts", "--data-dir", tmp_path).stderr
    (tmp_path / "api.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "token": "t", "pid": 1}))
    assert "does not answer" in bulkhead("accounts", "--data-dir", tmp_path).stderr


PROGRAM = """
from actors.cli import common, main
main.app.command(lambda: common.out.print("x " * 9_000), name="text")
main.app.command(lambda: common.print_json(["x"] * 9_000), name="json")
main.main()
"""


@pytest.mark.parametrize(("output", "code", "text"), [(">/dev/full", 2, FULL), (">&-", 0, "")])
@pytest.mark.parametrize("command", ["text", "json"])
def test_an_output_without_room_is_one_line_and_one_that_is_closed_is_no_error(command, output, code, text):
    """Exit code 1 would be a fault that 'audit verify' found, or a rerun that differs."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {command} {output}', sys.executable, PROGRAM],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, text)


INTERRUPTED = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from actors.cli.main import main
main(["top", "--data-dir", "nowhere"])
"""


@pytest.mark.parametrize("module", ["actors.cli.statement", "actors.api.client"])
def test_ctrl_c_ends_quietly_while_the_program_or_a_command_is_imported(module):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module],
        cwd=ROOT, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run", "--exchange", "ftp://x"), "is not a http"),
        (("run", "--dsn", "postgresql://nobody@127.0.0.1:9/x"), "Postgres cannot be reached"),
        (("run", "--api-port", "99999"), "not a port"),
        (("db", "check", "not a dsn"), "the DSN cannot be read"),
        (("demo", "--accounts", "1"), "--accounts: 1"),
        (("demo", "--seconds", "1"), "--seconds: 1"),
        (("paper", "--symbols", "NOPEUSDT"), "NOPEUSDT"),
        (("replay", "prices.csv"), "name it like"),
        (("replay", "XYZUSDT-bookTicker-1.csv"), "trading rules are not known"),
        (("replay", "BTCUSDT-bookTicker-none.csv"), "cannot be read"),
    ],
)
def test_a_bad_argument_is_one_clear_line_and_exit_2(arguments, text, tmp_path):
    extra = ("--data-dir", tmp_path) if arguments[0] == "run" else ()
    shown = bulkhead(*arguments, *extra)
    assert shown.returncode == 2, shown.stderr
    assert text in shown.stderr
    assert "Traceback" not in shown.stderr

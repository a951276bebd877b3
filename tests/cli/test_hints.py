"""A command line that is not understood: one line, with the command that was probably meant."""

from __future__ import annotations

import re

import pytest

from actors.cli.hints import HINTS, unknown
from actors.cli.main import app
from tests.e2e.processes import bulkhead

COMMANDS = [name for name in app if not name.startswith("-")]
NO_COMMANDS = {"of", "in", "and", "or", "db"}


@pytest.mark.parametrize("name", HINTS)
def test_each_hint_names_commands_that_there_are(name):
    assert name not in COMMANDS, "it is a command now"
    text = HINTS[name]
    # A command stands at the begin, after a comma, a colon or "or", and before a word in capitals or a bracket.
    firsts = re.findall(r"(?:^|, (?:or )?|: |; | or )([a-z][a-z-]+)", text)
    named = [word for word in firsts if word in COMMANDS]
    assert named or "--" in text or "'bulkhead run'" in text, text
    for word in re.findall(r"([a-z-]+) ACCOUNT", text):
        assert word in COMMANDS, f"{word!r} in {text!r}"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("stop", "Ctrl-C"),
        ("balance", "inspect ACCOUNT"),
        ("BALANCE", "inspect ACCOUNT"),
        ("balanc", "inspect ACCOUNT"),
        ("pos", "positions"),
        ("buy", "order ACCOUNT buy QUANTITY SYMBOL"),
        ("accoutns", "Did you mean accounts"),
        ("xyzzy", "--help"),
    ],
)
def test_what_was_meant_is_named(typed, said):
    assert said in unknown(typed, COMMANDS)
    assert len(unknown("x" * 10_000, COMMANDS)) < 200


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stop", "of one account: close, freeze, quarantine or emergency-stop ACCOUNT"),
        ("deadletters foo", "bulkhead deadletters knows list, show, replay, export, drop"),
        ("accounts --limt 3", "Did you mean --limit"),
        ("run --api-port abc", "'bulkhead run --help' has an example"),
        ("[/]", 'Unknown command "[/]"'),
        ("\x1b[31m", 'Unknown command "\u241b[31m"'),
    ],
)
def test_it_is_one_line_and_exit_2(line, said):
    shown = bulkhead(*line.split(), COLUMNS="400")
    assert shown.returncode == 2
    assert said in shown.stderr
    assert shown.stderr.startswith("error: ")
    assert len(shown.stderr.strip().split("\n")) == 1
    assert "\x1b" not in shown.stderr


def test_the_version_is_the_packages():
    shown = bulkhead("--version")
    assert re.fullmatch(r"bulkhead \d+\.\d+\.\d+\n", shown.stdout)
    assert "0.0.0" not in shown.stdout

"""The command line without an engine."""

from __future__ import annotations

import json

import pytest

from tests.e2e.processes import bulkhead

COMMANDS = (
    "accounts alarms audit cancel caused close crashes create deadletters demo deposit freeze history inspect mailbox "
    "order orders paper positions quarantine quarantined reconcile release replay restart run sample-recording stats "
    "status stuck top trace tree unfreeze why"
).split()

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    "command",
    [*COMMANDS, "db init", "db check", *(f"deadletters {c}" for c in ("list", "show", "replay", "drop"))],
)
def test_help_has_an_example(command):
    shown = bulkhead(*command.split(), "--help")
    assert shown.returncode == 0
    assert f"Example: bulkhead {command}" in shown.stdout


def test_without_an_engine_the_cure_is_named(tmp_path):
    shown = bulkhead("accounts", "--data-dir", tmp_path)
    assert shown.returncode == 2
    assert "start one with 'bulkhead run'" in shown.stderr
    (tmp_path / "api.json").write_text("{")
    assert "cannot be read" in bulkhead("accounts", "--data-dir", tmp_path).stderr
    (tmp_path / "api.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "token": "t", "pid": 1}))
    assert "does not answer" in bulkhead("accounts", "--data-dir", tmp_path).stderr


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

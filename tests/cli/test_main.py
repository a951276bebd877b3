"""The command line without an engine, and replay byte for byte."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from actors.cli import formats
from actors.venues.paper.recording import write_recording
from tests.e2e.processes import bulkhead
from tests.factories import BTC, ETH

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


def test_no_exchange_is_named(tmp_path, dsn):
    shown = bulkhead(
        "run", "--exchange", "http://127.0.0.1:9", "--data-dir", tmp_path, "--dsn", dsn, "--api-port", 0
    )
    assert shown.returncode == 2
    assert "does not answer as an exchange" in shown.stderr
    assert "bulkhead paper" in shown.stderr


def test_db_init_makes_an_empty_database_ready_and_check_says_so(dsn):
    assert "EMPTY" in bulkhead("db", "check", dsn).stdout
    assert "both schemas were made" in bulkhead("db", "init", dsn).stdout
    assert "READY" in bulkhead("db", "check", dsn).stdout


def test_a_foreign_database_is_refused(dsn):
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE invoices (id int)")
    shown = bulkhead("db", "init", dsn)
    assert shown.returncode == 2
    assert "invoices" in shown.stderr


def test_replay_of_100_000_rows_twice_is_the_same_byte_for_byte(tmp_path):
    files = [tmp_path / "BTCUSDT-bookTicker-1.csv.gz", tmp_path / "ETHUSDT-bookTicker-1.csv"]
    for path, symbol in zip(files, (BTC, ETH), strict=True):
        write_recording(path, symbol, 50_000, seed=11)
    outputs = []
    for number in (1, 2):
        log = tmp_path / f"decisions-{number}.jsonl"
        done = bulkhead("replay", *files, "--accounts", 30, "--output", log)
        assert done.returncode == 0, done.stderr
        outputs.append((done.stdout, log.read_bytes()))
    assert outputs[0] == outputs[1]
    shown, log = outputs[0]
    assert "rows 100000" in shown
    assert "wakes " in shown
    assert all(f"acct-{n:05d}" in shown for n in range(1, 31))
    decisions = [json.loads(line) for line in log.splitlines()]
    assert len(decisions) >= 90
    assert {d["refused"] for d in decisions} == {None}
    other = bulkhead("replay", *files, "--accounts", 30, "--seed", 2)
    assert other.stdout != shown


def test_replay_says_what_it_did_not_place_and_why(tmp_path):
    path = tmp_path / "BTCUSDT-bookTicker-1.csv.gz"
    write_recording(path, BTC, 3_000, seed=11)
    done = bulkhead("replay", path, "--accounts", 700)
    assert done.returncode == 0, done.stderr
    line = next(x for x in done.stdout.splitlines() if x.startswith("opening orders 700"))
    lost = int(line.rsplit(maxsplit=1)[1])
    # 240 may be sent at once; the other 460 wait for the limits of ten seconds and a minute.
    held = sum(" BTCUSDT" in x for x in done.stdout.splitlines() if x.startswith("acct-"))
    assert lost > 0
    assert held + lost == 700
    assert "turn to be sent" in done.stdout


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        ("0", "accounts + house = exchange, for every symbol"),
        ("-0.06", "accounts + house differ from the exchange in ETHUSDT"),
    ],
)
def test_a_reconciliation_says_whether_the_books_agree(difference, said):
    row = {"virtual": "1", "house": "0", "master": "1", "difference": "0"}
    found = [{"symbol": BTC, **row}, {"symbol": ETH, **row, "difference": difference}]
    text = io.StringIO()
    formats.reconciliation(found, Console(file=text, width=100))
    assert text.getvalue().splitlines()[-1] == said
    assert text.getvalue().count(" = ") == (difference == "0")

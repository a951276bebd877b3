"""The commands about the audit's files: what they print, what they refuse, and with what they exit.

Covers: actors/cli/audit_tables.py
"""

from __future__ import annotations

import json

import pytest

from actors.persistence.audit import files
from actors.persistence.audit.line import Kind
from actors.persistence.audit.verify import verify
from tests.persistence.audit.made import content, written

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def folder(tmp_path):
    """An audit of three days, with a rejection and an alarm in the last."""
    file = written(tmp_path / files.FOLDER, (3, 2, 4))
    file.open()
    rejection = {
        "command": "PlaceOrder",
        "order": {"symbol": "BTCUSDT", "price": None},
        "rejections": [{"code": "NO_PRICE", "text": "there is no price", "value": "", "limit": ""}],
    }
    file.append([content(50, 2, kind=Kind.REJECTION, data=rejection, account="acct-9")])
    file.append([content(51, 2, kind=Kind.ALARM, data={"text": "\x1b[31mred", "count": 7}, account="")])
    file.close()
    files.keep_end(file.folder, file.end)
    return tmp_path


def test_verify_says_what_it_looked_at_and_what_to_keep(cli, folder):
    ran = cli(f"audit verify --data-dir {folder}")
    last = verify(folder / files.FOLDER).last_hash
    assert ran.code == 0, ran
    assert "3 days, lines 1 to 15 of all" in ran.out
    assert "the chain holds" in ran.out
    assert last in ran.out
    found = json.loads(cli(f"audit verify --data-dir {folder} --json --root {last}").out)
    assert (found["ok"], found["lines"], found["last_hash"]) == (True, 15, last)
    assert found["against_journal"] is None
    assert "1 day, lines 6 to 8" in cli(f"audit verify --day 2026-11-23 --data-dir {folder}").out
    assert "2 days" in cli(f"audit verify --from 2026-11-23 --to 2026-11-24 --data-dir {folder}").out


def test_verify_names_each_fault_and_exits_with_one(cli, folder):
    path = folder / "audit" / "2026-11-23.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[2], lines[1].replace(b"acct-", b"acct+")]))
    ran = cli(f"audit verify --data-dir {folder}")
    assert ran.code == 1
    assert "2026-11-23.jsonl line 2: missing: line 7 of all is missing before it" in ran.out
    assert "2026-11-23.jsonl line 3: added" in ran.out
    assert "the audit is not what was written" in ran.out
    found = json.loads(cli(f"audit verify --data-dir {folder} --json").out)
    assert not found["ok"]
    assert found["faults"][0]["line"] == 2
    ran = cli(f"audit verify --data-dir {folder} --root {'a' * 64}")
    assert "the audit: root not found" in ran.out


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("verify --day yesterday", "--day: 'yesterday' is no day; write it like 2026-11-22"),
        ("verify --day 2026-11-22 --from 2026-11-22", "--day is one day"),
        ("verify --from 2026-11-24 --to 2026-11-22", "--from 2026-11-24 is after --to 2026-11-22"),
        ("verify --day 2031-01-01", "no such day; it has 2026-11-22 to 2026-11-24"),
        ("verify --root xyz", "--root: 'xyz' is neither the hash of a line"),
        ("verify --dsn postgresql://x", "--dsn: the database is read with --against-journal only"),
        ("show --kind ORDRE", "--kind: 'ORDRE' is no kind of line"),
        ("show --from noon", "--from: 'noon' is no time; it looks like"),
        ("show --to 2026-13-01", "--to: '2026-13-01' is no time"),
        ("show --from 2026-11-24 --to 2026-11-22", "--from 2026-11-24 is not before --to 2026-11-22"),
        ("show --limit 0", "--limit: 0 must be 1 to 1,000,000"),
        ("show a/b", "account: 'a/b' cannot be an id"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(cli, folder, line, text):
    ran = cli(f"audit {line} --data-dir {folder}")
    assert ran.code == 2
    assert text in " ".join(ran.err.split())


@pytest.mark.parametrize("command", ["verify", "show"])
def test_without_an_audit_it_is_said_where_one_would_be(cli, tmp_path, command):
    ran = cli(f"audit {command} --data-dir {tmp_path}")
    assert ran.code == 2
    assert "there is no audit in" in ran.err
    (tmp_path / "audit").write_text("a file")
    assert "cannot be read (Not a directory)" in cli(f"audit {command} --data-dir {tmp_path}").err


def shown(cli, folder, options):
    ran = cli(f"audit show --json --data-dir {folder} {options}")
    assert ran.code == 0, ran
    return [json.loads(line) for line in ran.out.splitlines()]


def test_show_takes_account_kind_and_times(cli, folder):
    everything = shown(cli, folder, "")
    assert [line["n"] for line in everything] == list(range(1, 16))
    assert {line["account"] for line in shown(cli, folder, "acct-1")} == {"acct-1"}
    assert [line["kind"] for line in shown(cli, folder, "--kind rejection --kind ALARM")] == [
        "REJECTION",
        "ALARM",
    ]
    assert [line["n"] for line in shown(cli, folder, "--to 2026-11-22")] == [1, 2, 3, 4, 5]
    assert [line["n"] for line in shown(cli, folder, "--from 2026-11-23 --to 2026-11-23")] == [6, 7, 8]
    assert [line["n"] for line in shown(cli, folder, "--from 2026-11-24T00:00:00.050 --limit 9")] == [14, 15]
    assert [line["n"] for line in shown(cli, folder, "--from 2026-11-24T01:00:00.051+01:00")] == [15]
    assert shown(cli, folder, "--limit 2") == everything[-2:]


def test_show_draws_a_table_without_what_would_move_a_cursor(cli, folder):
    ran = cli(f"audit show --data-dir {folder} --limit 3")
    assert ran.code == 0
    for word in (
        "NO_PRICE: there is no price (PlaceOrder symbol BTCUSDT)",
        "acct-9",
        "count 7",
        "\u241b[31mred",
    ):
        assert word in ran.out
    assert "\x1b[31m" not in ran.out
    assert "the last 3 of 15 lines" in ran.out
    assert "no lines" in cli(f"audit show nobody --data-dir {folder}").out


def test_show_says_that_lines_are_not_what_was_written(cli, folder):
    path = folder / "audit" / "2026-11-22.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"quantity":"2"', b'"quantity":"3"'))
    ran = cli(f"audit show --json --data-dir {folder}")
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 14
    assert "1 lines are not what was written, and not shown" in ran.err


def test_a_file_of_zeros_as_after_the_loss_of_power_is_named_once_and_hides_no_other(cli, folder):
    (folder / "audit" / "2026-11-21.jsonl").write_bytes(b"\0" * (25 << 20))
    ran = cli(f"audit verify --data-dir {folder}")
    assert ran.code == 1
    assert "4 days, lines 1 to 15 of all: 15 lines that are what was written" in ran.out
    assert ran.out.count("2026-11-21.jsonl line ") == 1
    shown = cli(f"audit show --data-dir {folder}")
    assert shown.code == 1
    assert "lines are not what was written, and not shown" in shown.err


def test_what_operators_did_is_the_engines_answer_as_before(cli, engine):
    engine.answers["GET", "/v1/audit"] = []
    assert "no operator actions yet" in cli("audit --target verify").out
    assert engine.requests == [("GET", "/v1/audit", {"target": "verify", "limit": 50})]

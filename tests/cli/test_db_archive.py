"""``bulkhead db archive`` on a real database: what it prints, with what it exits, and what it refuses.

Covers: actors/cli/db_archive.py
"""

from __future__ import annotations

import json
import time

import pytest

from actors.cli import db_archive
from actors.cli.main import main
from actors.core.errors import BadInput
from actors.persistence.audit.append import Appender, stands_at
from actors.persistence.audit.files import FOLDER
from actors.persistence.audit.line import Content, Kind
from actors.persistence.store import Store
from actors.persistence.verify import fleet_of
from tests.factories import BUY
from tests.persistence.authors import Author, create, project

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def fleet(dsn):
    """Two accounts with a few decisions of 2023, in several commits; nobody owns them. Its id."""
    store = Store.open(dsn)
    store.acquire("me", 30)
    for state in create(store, 2):
        author = Author(state)
        author.trade(BUY, "0.1")
        for decision in author.batch:
            assert store.commit([decision]) == [None]
    project(dsn)
    found = fleet_of(store._connection)
    store.close()
    return found


@pytest.fixture
def run(dsn, tmp_path, capsys):
    """Run a command in this process: its code, what it printed, and its error."""

    def ran(*arguments):
        code = 0
        try:
            main(["db", *arguments, dsn, "--data-dir", str(tmp_path / "data")])
        except SystemExit as end:
            code = end.code
        told = capsys.readouterr()
        return code or 0, " ".join(told.out.split()), " ".join(told.err.split())

    return ran


def test_rows_go_into_files_and_come_back(fleet, run, tmp_path):
    folder = tmp_path / "data" / "archive"
    code, said, _ = run("archive", "--older-than", "90d", "--dry-run")
    assert (code, "rows before" in said, folder.exists()) == (0, True, False)
    assert "positions 1 to" in said
    assert "nothing was changed: this is a dry run" in said
    planned = json.loads(run("archive", "--before", "2024-01-01", "--dry-run", "--json")[1])
    assert (planned["first"], planned["rows"], planned["obstacles"]) == (1, planned["last"], [])
    code, said, _ = run("archive", "--before", "2024-01-01")
    assert (code, f"{planned['rows']} rows, positions 1 to {planned['last']}, are in" in said) == (0, True)
    code, said, _ = run("verify")
    assert (
        code,
        f"positions 1 to {planned['last']} are archived; those files are what was written, too" in said,
    ) == (0, True)
    assert "those files were not read" in run("verify", "--no-archive")[1]
    code, said, _ = run("verify", "--archive", str(tmp_path / "elsewhere"))
    assert (code, "NOT OK" in said, "archived rows" in said) == (1, True, True)
    assert "nothing to archive before 2024-01-01" in run("archive", "--before", "2024-01-01")[1]
    assert run("rebuild", "--dry-run")[0] == 0
    (folder / "journal-000000000500-000000000600.jsonl.gz").write_bytes(b"of nobody")
    name = next(path.name for path in sorted(folder.iterdir()))
    back = json.loads(run("archive", "--restore", name, "--json")[1])
    assert (back["rows"], back["files"][0]) == (planned["rows"], name)
    code, _, error = run("archive", "--restore", "all")
    assert (code, "nothing of this journal is archived" in error) == (2, True)
    _, said, error = run("archive", "--before", "2024-01-01", "--json")
    assert json.loads(said)["unknown"] == ["journal-000000000500-000000000600.jsonl.gz"]


def test_an_engine_that_owns_the_accounts_and_an_audit_that_is_behind_are_named(dsn, fleet, run, tmp_path):
    owner = Store.open(dsn)
    owner.acquire("an engine", 30)
    code, _, error = run("archive", "--older-than", "1d")
    assert (code, "an engine owns this database's accounts for" in error) == (2, True)
    owner.close()
    appender = Appender(tmp_path / "data" / FOLDER)
    appender.folder.mkdir(parents=True)
    assert appender.open() is None
    assert stands_at(appender.folder).cursors == {}
    now_ms = time.time_ns() // 1_000_000
    appender.append([Content(wall_ms=now_ms, kind=Kind.STARTED, data={"fleet": fleet})])
    appender.append([Content(wall_ms=now_ms, kind=Kind.ROOT, data={"position": 3, "root": "00"})])
    appender.append([Content(wall_ms=now_ms, kind=Kind.ALARM, data={"text": "behind it"})])
    appender.close()
    assert stands_at(appender.folder) == appender.progress
    code, said, _ = run("archive", "--older-than", "1d", "--dry-run")
    assert (code, "audit is at position 3 only: run the engine with audit = on" in said) == (1, True)
    code, _, error = run("archive", "--older-than", "1d")
    assert (code, "audit is at position 3 only" in error, (tmp_path / "data" / "archive").exists()) == (
        2,
        True,
        False,
    )


WRONG = [
    ((), "give one of --before DATE, --older-than DAYS (as 90d) and --restore FILE"),
    (("--before", "2024-01-01", "--older-than", "9d"), "give one of --before DATE"),
    (("--before", "soon"), "--before: 'soon' is no time"),
    (("--before", "2999-01-01"), "--before: '2999-01-01' is in the future; it is"),
    (("--older-than", "90"), "--older-than: '90' is no number of days; it looks like 90d"),
    (("--older-than", "-1d"), "parameter --older-than requires an argument"),
    (("--older-than", ""), "--older-than: '' is no number of days"),
    (("--older-than", "999999d"), "'999999d' is no number of days"),
    (("--restore", "all", "--dry-run"), "--restore has no --dry-run"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_what_cannot_be_done_is_named_with_what_can(arguments, text, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["db", "archive", *arguments])
    assert ended.value.code == 2
    assert text in " ".join(capsys.readouterr().err.split())


def test_a_file_is_no_folder_and_days_are_counted_from_midnight(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="is no folder"):
        db_archive.archive(older_than="1d", to=tmp_path / "file")
    assert db_archive._before(None, "2d", 10 * db_archive.DAY_MS + 5) == 8 * db_archive.DAY_MS

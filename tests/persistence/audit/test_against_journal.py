"""The files against a real journal: a database that was changed is noticed by the file, and the reverse."""

from __future__ import annotations

import shutil
from datetime import datetime

import psycopg
import pytest

from actors.core.messages import AdjustBalance
from actors.persistence.audit import against_journal, files
from actors.persistence.audit.append import Appender
from actors.persistence.audit.chain import Wrong
from actors.persistence.audit.line import Content, Kind
from actors.persistence.audit.progress import CURSORS
from actors.persistence.audit.trail import AuditTrail
from actors.persistence.audit.verify import EVERYTHING, Range, verify
from actors.persistence.reader import Reader
from actors.persistence.tail import JournalTail
from actors.persistence.verify import fleet_of
from actors.runtime.clock import SystemClock
from tests.factories import BUY, D
from tests.persistence.audit.made import lines_in
from tests.persistence.authors import NOW, Author, create

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def world(store, dsn, tmp_path):
    """A database with decisions of two accounts, and its audit of two runs; gives what makes a further run."""
    reader = Reader(dsn)
    authors = [Author(state) for state in create(store, 2)]
    alarms = []

    def run(folder=tmp_path):
        trail = AuditTrail(folder, SystemClock(), lambda text, _key: alarms.append(str(text)), alarms.append)
        trail.start(JournalTail(reader, store.root[1]), reader, reader.ask(fleet_of))
        trail.stop(20)
        return folder / files.FOLDER

    for author in authors:
        author.trade(BUY, "0.1")
        assert not any(store.commit(author.batch))
        run()
        author.batch.clear()
    for author in authors:
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
        assert not any(store.commit(author.batch))
    run()
    assert alarms == []
    yield run
    reader.close()


def rewritten(folder, source, change):
    """An audit with all lines of another one, changed, in a chain of its own that holds."""
    file = Appender(folder)
    file.open()
    for line in lines_in(source):
        if line.kind == Kind.DAY:
            continue
        data = {name: value for name, value in line.data.items() if name != CURSORS}
        content = Content(
            wall_ms=_wall_ms(line.time),
            kind=line.kind, id=line.id, account=line.account, cause=line.cause, data=data,
        )  # fmt: skip
        file.append(change(content))
    file.close()
    assert verify(folder).ok
    return folder


def _wall_ms(time):

    return round(datetime.fromisoformat(time).timestamp() * 1_000)


LAST = "(SELECT max(position) FROM bulkhead.journal_commit)"
MEDDLED = {
    "a cause": ("UPDATE bulkhead.journal SET cause = 'other' WHERE position = 4", "cause is"),
    "a time": ("UPDATE bulkhead.journal SET wall_ms = wall_ms + 1 WHERE position = 4", "time is"),
    "a row": ("DELETE FROM bulkhead.journal WHERE position = 4", "is not in the journal"),
    "a root": (
        rf"UPDATE bulkhead.journal_commit SET root = '\x0011' WHERE position = {LAST}",
        "the journal had the root",
    ),
    "a commit": (
        f"DELETE FROM bulkhead.journal_commit WHERE position = {LAST}",
        "no commit that ends there",
    ),
    "facts": (
        "UPDATE bulkhead.journal SET facts = (SELECT facts FROM bulkhead.journal WHERE position = 3) WHERE position = 2",
        "in the journal",
    ),
    "unreadable facts": (
        r"UPDATE bulkhead.journal SET facts = '\x00' WHERE position = 3",
        "in the journal",
    ),
}


def test_what_is_changed_on_either_side_is_found(world, dsn, tmp_path):
    folder = tmp_path / files.FOLDER
    with psycopg.connect(dsn) as connection:
        found = against_journal.compare(connection, folder)
        assert found.faults == ()
        assert found.events == sum(bool(line.id) for line in lines_in(folder)) > 8
        assert (found.roots, found.behind, found.superseded) == (3, 0, 0)
        [root] = against_journal.as_root(found)
        assert root.position == found.root_position > 4
        for name, (statement, text) in MEDDLED.items():
            assert connection.execute(statement).rowcount == 1, name
            [fault, *_] = against_journal.compare(connection, folder).faults
            connection.rollback()
            assert fault.wrong == Wrong.JOURNAL, name
            assert text in fault.text, (name, fault.text)
            assert fault.line, name
        _changed_files(connection, folder, tmp_path)


def _changed_files(connection, folder, tmp_path):
    def richer(content):
        if content.kind == "BALANCE":
            content = Content(
                wall_ms=content.wall_ms, kind=content.kind, id=content.id, account=content.account,
                cause=content.cause, data={**content.data, "amount": "1000000"},
            )  # fmt: skip
        return [content]

    made = rewritten(tmp_path / "richer", folder, richer)
    faults = against_journal.compare(connection, made).faults
    assert {f.wrong for f in faults} == {Wrong.JOURNAL}
    assert "amount is '1000000' here, and '1000' in the journal" in faults[0].text
    made = rewritten(tmp_path / "less", folder, lambda c: [] if c.id == "2-0" else [c])
    [fault] = against_journal.compare(connection, made).faults
    assert "event 2-0 of acct-2 (STATUS) is in the journal, and not in the file" in fault.text
    forged = Content(wall_ms=1, kind="FILL", id="2-7", account="acct-1")
    last = [line.id for line in lines_in(folder) if line.id][-1]
    made = rewritten(tmp_path / "end", folder, lambda c: [] if c.id == last else [c])
    [fault] = against_journal.compare(connection, made).faults
    assert f"event {last} of acct-2" in fault.text
    made = rewritten(tmp_path / "more", folder, lambda c: [c, forged] if c.id == "2-1" else [c])
    [fault] = against_journal.compare(connection, made).faults
    assert "event 2-7 of acct-1 (FILL) is not in the journal" in fault.text
    assert "event 2-7" in fault.text


def _at(content, **changes):
    fields = {name: getattr(content, name) for name in content.__struct_fields__}
    return Content(**{**fields, **changes})


def test_faults_beyond_so_many_are_not_looked_for(world, dsn, tmp_path):
    folder = tmp_path / files.FOLDER
    events = sum(bool(line.id) for line in lines_in(folder))
    with psycopg.connect(dsn) as connection:
        for most in (1, 2, events - 1, events, events + 1):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(against_journal, "FAULTS_MAX", most)
                # Every line says another cause: as many faults as lines, unless there are more than are named.
                made = rewritten(
                    tmp_path / f"causes-{most}", folder, lambda c: [_at(c, cause="other") if c.id else c]
                )
                assert len(against_journal.compare(connection, made).faults) == min(most, events)
                none = rewritten(tmp_path / f"none-{most}", folder, lambda c: [] if c.id else [c])
                assert len(against_journal.compare(connection, none).faults) == min(most, events)


def test_a_row_whose_events_stand_on_two_days(world, dsn, tmp_path):
    """A run ended within a row, and the next one began on another day: each day's file is compared with its part."""
    folder = tmp_path / files.FOLDER
    with psycopg.connect(dsn) as connection:
        whole = against_journal.compare(connection, folder)
        began = Content(wall_ms=NOW + 86_400_000, kind=Kind.STARTED, data={"fleet": whole.fleet})
        made = rewritten(tmp_path / "two", folder, lambda c: [c, began] if c.id == "2-0" else [c])
        assert against_journal.compare(connection, made).faults == ()
        days = [day.day for day in files.days_in(made)]
        found = [against_journal.compare(connection, made, Range(day, day)) for day in days]
        assert [part.faults for part in found] == [()] * len(days)
        assert sum(part.events for part in found) == whole.events
        # The first one ends within the second row of twelve.
        assert [found[0].behind, found[-1].behind] == [whole.root_position - 1, 0]


def test_what_a_line_says_was_not_kept_is_not_looked_for(world, dsn, tmp_path):
    folder = tmp_path / files.FOLDER
    with psycopg.connect(dsn) as connection:
        events = against_journal.compare(connection, folder).events
        gap = Content(wall_ms=NOW, kind=Kind.NOT_KEPT, data={"position": 3, "since": 3})

        def change(content, lacking):
            if content.id == "3-0":
                return [gap]
            return [] if content.id in lacking else [content]

        third = [line.id for line in lines_in(folder) if line.id.startswith("3-")]
        made = rewritten(tmp_path / "gap", folder, lambda c: change(c, third))
        found = against_journal.compare(connection, made)
        assert (found.faults, found.events) == ((), events - len(third))
        made = rewritten(tmp_path / "more", folder, lambda c: change(c, [*third, "4-0"]))
        [fault] = against_journal.compare(connection, made).faults
        assert "event 4-0" in fault.text, "what is behind it is looked for"


def test_a_part_of_the_days_what_is_behind_and_a_restored_database(world, store, dsn, tmp_path):
    folder = tmp_path / files.FOLDER
    days = [day.day for day in files.days_in(folder)]
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy / files.FOLDER)
    with psycopg.connect(dsn, autocommit=True) as connection:
        # The file was two decisions ahead: the database is an older backup.
        last = connection.execute("SELECT max(position) FROM bulkhead.journal").fetchone()[0]
        connection.execute("DELETE FROM bulkhead.journal_commit WHERE position > %s", (last - 2,))
        connection.execute("DELETE FROM bulkhead.journal WHERE position > %s", (last - 2,))
        assert against_journal.compare(connection, folder).faults
        world()
        found = against_journal.compare(connection, folder)
        assert found.faults == ()
        assert found.superseded == 2
        assert found.behind == 0
        assert against_journal.compare(connection, folder, EVERYTHING).events == found.events
        only = against_journal.compare(connection, folder, type(EVERYTHING)(days[-1], days[-1]))
        assert only.faults == ()
        # Cut behind its third line: what is missing is not a fault, as an engine may come to it yet.
        path = max(copy.glob("audit/*.jsonl"))
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
        late = against_journal.compare(connection, copy / files.FOLDER)
        assert late.faults == ()
        assert late.behind > 0

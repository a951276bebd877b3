"""An archive that is interrupted anywhere, has no room, or whose files are damaged: nothing is lost, and it is named.

Covers: actors/persistence/archive/plan.py
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal

import pytest
from msgspec.structs import replace

from actors.core.errors import BadInput, Fenced, NotKept, NotRecorded, StateCorrupt
from actors.persistence.archive import folder as files
from actors.persistence.archive import plan, tables, writing
from actors.persistence.archive.plan import Reader
from actors.persistence.past import stand, when
from actors.persistence.projection.rebuild import rebuild
from actors.persistence.projection.store import MS_PER_DAY
from actors.persistence.store import Store
from actors.persistence.verify import verify
from actors.persistence.verify_chain import Wrong
from tests.persistence.archive.worlds import DAY, DAYS, EVER, World, over_days
from tests.persistence.projection.lives import copy_of

ROWS = 40
CONTENT = ("journal", "journal_commit", "archive", "archived_stream", "snapshot")


@pytest.fixture
def world(projected, monkeypatch, tmp_path):
    monkeypatch.setattr(plan, "ROWS_PER_FILE", ROWS)
    found = World(copy_of(projected.dsn), projected.decisions, tmp_path / "archive")
    yield found
    found.close()


def die(*_arguments, **_named):
    os.kill(os.getpid(), signal.SIGKILL)


def dies_before(module, name):
    return lambda patch: patch.setattr(module, name, die)


def dies_behind(module, name):
    def planted(patch):
        its = getattr(module, name)

        def done(*arguments, **named):
            its(*arguments, **named)
            die()

        patch.setattr(module, name, done)

    return planted


DEATHS = {
    "nothing is written": dies_before(files, "write"),
    "the file has no name yet": dies_before(os, "fsync"),
    "its name is not on the disk": dies_before(files, "sync_folder"),
    "it was not read back": dies_before(writing, "verified"),
    "it was read back": dies_behind(writing, "verified"),
    "the rows are deleted, and it is not committed": dies_behind(writing, "record"),
    "committed": dies_behind(Store, "at_rest"),
}


def killed(world, plant):
    """Archive in a process of its own, which kills itself; the first file is there already."""
    child = os.fork()
    if not child:
        try:
            with pytest.MonkeyPatch.context() as patch:
                store = Store.open(world.dsn)
                store.acquire("me", 30)
                world.store, world.connection = store, store._connection
                plant(patch)
                world.archive(only=1)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_whatever_kills_it_nothing_is_lost_and_the_next_run_goes_on(world):
    everything = world.rows("journal", "journal_commit")
    [first] = world.archive(only=1)
    for name, plant in DEATHS.items():
        before = world.rows(*CONTENT)
        killed(world, plant)
        is_done = name == "committed"
        assert (world.rows(*CONTENT) == before) is not is_done, name
        assert verify(world.connection, folder=world.folder).ok, name
        world.store.acquire("me", 30)
        second = world.rows("archive")["archive"][1:] if is_done else world.archive(only=1)
        assert len(second) == 1, name
        assert verify(world.connection, folder=world.folder).ok, name
        assert min(p.name for p in world.folder.iterdir() if p.suffix == ".gz") == first.file
        assert not list(world.folder.glob("*.partial")), name
        second_name = sorted(p.name for p in world.folder.iterdir())[1]
        world.restore(second_name)
        assert world.rows(*CONTENT)["journal"] == before["journal"], name
        (world.folder / second_name).unlink()
    world.restore()
    assert world.rows("journal", "journal_commit") == everything


def test_without_room_nothing_is_deleted_and_the_error_says_so(world):
    before = world.rows(*CONTENT)
    world.folder.mkdir()
    span = next(plan.spans(world.connection, 0, world.plan().last))
    name = f"journal-{1:012d}-{span.last:012d}.jsonl.gz.partial"
    (world.folder / name).symlink_to("/dev/full")
    with pytest.raises(NotRecorded, match="No space left on device; nothing was deleted"):
        world.archive()
    assert (world.rows(*CONTENT), list(world.folder.iterdir())) == (before, [])
    world.folder.rmdir()
    world.folder.write_text("no folder")
    with pytest.raises(NotRecorded, match="nothing was deleted"):
        world.archive()
    assert world.rows(*CONTENT) == before


def test_a_file_is_on_the_disk_before_it_has_its_name_and_both_before_a_row_is_deleted(world, monkeypatch):
    seen = []

    def noted(module, name, text):
        its = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **named: (seen.append(text), its(*args, **named))[1])

    noted(os, "fsync", "fsync")
    noted(files.Path, "rename", "rename")
    noted(writing, "verified", "read back")
    noted(writing, "record", "delete")
    world.archive(only=1)
    assert seen == ["fsync", "rename", "fsync", "read back", "delete"]


def test_what_was_not_written_as_it_was_meant_is_noticed_before_a_row_is_deleted(world, monkeypatch):
    before = world.rows(*CONTENT)
    its = files.write
    monkeypatch.setattr(files, "write", lambda folder, name, content: its(folder, name, content[:-1] + b"\1"))
    with pytest.raises(StateCorrupt, match="is not what was archived: its SHA-256 is"):
        world.archive()
    assert world.rows(*CONTENT) == before


def test_another_file_of_that_name_is_left_alone(world):
    before = world.rows(*CONTENT)
    [file] = world.archive(only=1)
    world.restore()
    (world.folder / file.file).write_bytes(b"of somebody else")
    with pytest.raises(BadInput, match="that this database does not know and that is another"):
        world.archive()
    assert (world.folder / file.file).read_bytes() == b"of somebody else"
    assert world.rows(*CONTENT)["journal"] == before["journal"]


def test_a_changed_row_or_snapshot_is_not_archived(world, monkeypatch):
    changes = {
        "UPDATE bulkhead.journal SET cause = 'forged' WHERE position = 7": "position 7: its hash is not that",
        "DELETE FROM bulkhead.journal WHERE position = 7": "position 7: position 7 is missing",
        "UPDATE bulkhead.snapshot_day SET hash = hash || 'x'": "is not what the journal makes",
    }
    for change, text in changes.items():
        with world.connection.transaction(force_rollback=True):
            assert world.connection.execute(change).rowcount
            # In the same transaction: nobody else sees the change.
            monkeypatch.setattr(writing, "one_moment", lambda connection: connection.transaction())
            with pytest.raises(StateCorrupt, match=text):
                writing.make(world.connection, plan.Span(0, world.plan().last), "fleet")


def test_what_stands_in_the_way_is_named(world):
    last = world.plan().last
    end = world.connection.execute("SELECT max(position) FROM bulkhead.journal").fetchone()[0]
    assert 0 < last < end  # the newest commit stays
    assert world.plan(0).rows == 0
    with world.connection.transaction(force_rollback=True):
        world.connection.execute("UPDATE bulkhead.projection SET position = %s", (last - 1,))
        [text] = world.plan().obstacles
        assert f"made from the journal up to position {last - 1} only" in text
    with world.connection.transaction(force_rollback=True):
        world.connection.execute(
            "INSERT INTO bulkhead.parked (stream, sequence, position, since_ms, error) VALUES ('acct-1', 3, 5, 0, 'why')"
        )
        [text] = world.plan().obstacles
        assert "acct-1 is parked at position 5 (why): repair that" in text
        assert world.plan(0).obstacles == ()
    [text] = world.plan(readers=[Reader("the audit", last - 1, "do this"), Reader("it", last, "")]).obstacles
    assert text == f"the audit is at position {last - 1} only: do this"


def test_a_row_of_a_clock_that_was_ahead_is_not_archived_before_its_time(decided, tmp_path):
    """Else each statement of a year to come would need it."""
    decisions = over_days(decided.decisions, 1)
    now = (DAY + DAYS) * MS_PER_DAY
    decisions[12] = replace(decisions[12], wall_ms=now + 365 * MS_PER_DAY)
    assert decisions[21].wall_ms < now, "the commit of both says the time of its last decision"
    world = World.made(copy_of(decided.dsn), decisions, tmp_path / "archive")
    [(late,)] = world.connection.execute(
        "SELECT position FROM bulkhead.journal WHERE wall_ms > %s", (now,)
    ).fetchall()
    found = world.plan(now)
    assert 0 < found.last < late <= found.last + 11
    assert f"the clock was ahead at position {late}, which says 2025-" in found.ahead
    world.archive(now)
    assert tables.said(world.connection, None, now) is None, "nothing that is archived is of later times"
    assert tables.said(world.connection, decisions[12].stream, now) is None
    later = world.plan(now + 366 * MS_PER_DAY)
    assert (later.last > late, later.ahead) == (True, "")
    world.close()


def test_who_does_not_own_the_accounts_deletes_nothing(world):
    before = world.rows(*CONTENT)
    other = Store.open(world.dsn)
    world.connection.execute("UPDATE bulkhead.shard SET lease_until = now() - interval '1 s'")
    other.acquire("another", 30)
    with pytest.raises(Fenced):
        world.archive()
    assert world.rows(*CONTENT) == before
    other.close()


def damaged(path, how):
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "cut off":
        path.write_bytes(content[:-20])
    elif how == "changed":
        path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    elif how == "forged":
        text = gzip.decompress(content).replace(b'"cause":""', b'"cause":"x"', 1)
        path.write_bytes(gzip.compress(text))


DAMAGES = [
    ("missing", "archived in {file}, which is not in"),
    ("cut off", "{file}, positions {first} to {last}, is not what was archived: it has"),
    ("changed", "{file}, positions {first} to {last}, is not what was archived: its SHA-256"),
    ("forged", "{file}, positions {first} to {last}, is not what was archived"),
]


def test_a_damaged_file_is_named_by_all_who_read_it(world):
    file = world.archive()[1]
    path = world.folder / file.file
    before, content = world.rows(*CONTENT), path.read_bytes()

    def at(point):
        return stand(world.connection, "life-0", when(point, EVER), folder=world.folder)

    for how, text in DAMAGES:
        damaged(path, how)
        expected = text.format(file=file.file, first=file.first, last=file.last)
        fault = verify(world.connection, folder=world.folder).fault
        assert (fault.wrong, fault.position, fault.until) == (Wrong.ARCHIVE, file.first, file.last)
        assert expected in fault.text
        assert verify(world.connection, folder=world.folder, reads_archive=False).ok
        calls = [
            lambda: at(str(file.first)),
            lambda: rebuild(world.connection, folder=world.folder),
            world.restore,
        ]
        for call in calls:
            with pytest.raises((NotKept, StateCorrupt), match=expected):
                call()
        assert at("now").point == at("now").last  # needs no file
        assert world.rows(*CONTENT) == before
        path.write_bytes(content)
    with pytest.raises(NotKept, match="name its folder with --archive"):
        stand(world.connection, "life-0", when(str(file.first), EVER))


def test_files_of_another_database_or_in_another_order_are_refused(world, tmp_path):
    done = world.archive()
    one, two = (world.folder / file.file for file in done[:2])
    kept = tmp_path / "kept"
    shutil.move(one, kept)
    shutil.move(two, one)
    shutil.move(kept, two)
    assert done[0].file in verify(world.connection, folder=world.folder).fault.text
    with pytest.raises(BadInput, match="this database has no such file; it has"):
        world.restore("journal-1-2.jsonl.gz")


def test_what_the_database_says_of_archived_streams_is_compared_with_the_files(world):
    world.archive()
    for change in ("state = (SELECT state FROM bulkhead.archived_stream WHERE stream = 'life-1')", "sequence = sequence + 1",
                   "first_ms = 5", "latest_ms = latest_ms + 1"):  # fmt: skip
        with world.connection.transaction(force_rollback=True), pytest.MonkeyPatch.context() as patch:
            world.connection.execute(f"UPDATE bulkhead.archived_stream SET {change} WHERE stream = 'life-0'")
            patch.setattr("actors.persistence.verify.one_moment", lambda connection: connection.transaction())
            fault = verify(world.connection, folder=world.folder).fault
            assert (fault.wrong, fault.stream) == (Wrong.ARCHIVE, "life-0"), change

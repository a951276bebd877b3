"""Rows of the journal into files and back: nothing is different for whoever reads the past, and nothing is lost.

Covers: actors/persistence/archive/ends.py, actors/persistence/archive/form.py, actors/persistence/archive/tables.py
Covers: actors/persistence/archive/writing.py, actors/persistence/archive/restoring.py
Covers: actors/persistence/archive/verifying.py, actors/persistence/archive/folder.py
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.persistence.archive import plan
from actors.persistence.projection.differences import differences
from actors.persistence.projection.store import MS_PER_DAY
from actors.persistence.verify import hashes, verify
from tests.persistence.archive.worlds import DAY, DAYS, World, over_days
from tests.persistence.projection.lives import copy_of


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(1, DAYS), min_size=1, max_size=2),
    rows=st.integers(1, 60),
    size=st.integers(1, 20),
)
def test_the_past_is_the_same_wherever_its_rows_are_and_comes_back_whole(
    decided, tmp_path_factory, monkeypatch, seed, cuts, rows, size
):
    monkeypatch.setattr(plan, "ROWS_PER_FILE", rows)
    folder = tmp_path_factory.mktemp("archive")
    world = World.made(copy_of(decided.dsn), over_days(decided.decisions, seed), folder, size)
    try:
        before = world.pasts(), world.at_times(), hashes(world.connection)
        everything = world.rows("journal", "journal_commit")
        report = verify(world.connection)
        assert report.ok
        files = [file for cut in cuts for file in world.archive((DAY + cut) * MS_PER_DAY)]
        left = world.rows("journal")["journal"]
        assert len(left) + sum(file.last - file.first + 1 for file in files) == len(everything["journal"])
        assert (world.pasts(), world.at_times(), hashes(world.connection)) == before
        after = verify(world.connection, folder=world.folder)
        same = ("ok", "rows", "streams", "clearings", "trades", "snapshots", "root", "fleet_hash", "commits")
        assert [getattr(after, name) for name in same] == [getattr(report, name) for name in same]
        assert verify(world.connection, reads_archive=False).fleet_hash == report.fleet_hash
        assert not [d for d in differences(world.connection, folder=world.folder) if d.wrong or d.lacking]
        if files:
            middle = files[len(files) // 2]
            assert world.restore(middle.file) == files[-1].last - middle.first + 1
            assert (world.pasts(), verify(world.connection, folder=world.folder).ok) == (before[0], True)
            if len(files) > 1:
                world.restore()
            assert world.rows("archive", "archived_stream") == {"archive": [], "archived_stream": []}
        assert world.rows("journal", "journal_commit") == everything
        assert verify(world.connection) == report
    finally:
        world.close()

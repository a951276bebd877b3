"""The thread that writes the audit: from stand-ins of the journal and the database, through faults and restarts.

Covers: actors/persistence/audit/records.py
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from contextlib import contextmanager

import pytest

from actors.core.enums import Side
from actors.core.errors import NotKept
from actors.core.events import ALL_PARTS, EventId
from actors.core.messages import PlaceOrder
from actors.core.units import AccountId, Symbol
from actors.persistence.audit import append, files, records, trail
from actors.persistence.audit.line import Kind
from actors.persistence.audit.rejections import OF_ACCOUNT
from actors.persistence.audit.trail import AuditTrail
from actors.persistence.audit.verify import verify
from actors.runtime.clock import VirtualClock
from actors.subaccount.rejections import RejectCode, reject
from actors.supervision.alarms import AlarmEntry
from tests.e2e.processes import until
from tests.persistence.audit.made import (
    BEGIN_MS,
    DAY_MS,
    D,
    Database,
    Rows,
    decided,
    ids_in,
    lines_in,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in {
        "EVERY_S": 0.01,
        "RECORDS_EVERY_S": 0.0,
        "RETRY_FIRST_S": 0.02,
        "PAUSE_S": 0.0,
    }.items():
        monkeypatch.setattr(trail, name, seconds)


class World:
    """An audit with everything around it; ``engine`` is one run."""

    def __init__(self, folder):
        self.data = folder
        self.folder = folder / files.FOLDER
        self.rows = Rows()
        self.database = Database(self.rows)
        self.clock = VirtualClock(BEGIN_MS + 1_000)
        self.alarms, self.over = [], []

    def decide(self, count, **more):
        for _ in range(count):
            self.rows.rows.append(decided(len(self.rows.rows) + 1, **more))

    def made(self, days_kept=0, is_crowded=lambda: False):
        return AuditTrail(
            self.data,
            self.clock,
            lambda text, key: self.alarms.append((str(text), key)),
            self.over.append,
            days_kept,
            is_crowded,
        )

    @contextmanager
    def engine(self, fleet="f", **more):
        run = self.made(**more)
        run.start(self.rows, self.database, fleet)
        try:
            yield run
        finally:
            run.stop(5)
            assert not any(t.name == "audit" and t.is_alive() for t in threading.enumerate())

    def kinds(self):
        return [line.kind for line in lines_in(self.folder)]

    def of(self, kind):
        return [line for line in lines_in(self.folder) if line.kind == kind]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def all_ids(count, since=1):
    return [f"{n}-{part}" for n in range(since, count + 1) for part in (0, 1)]


def rejected(run, account="acct-1", wall_ms=BEGIN_MS + 1_000):
    order = PlaceOrder(symbol=Symbol("BTCUSDT"), side=Side.BUY, quantity=D("1.50"), cause="req-1")
    why = (reject(RejectCode.MAX_NOTIONAL_EXCEEDED, "too much", D("7.5"), D(5)),)
    run.rejected(AccountId(account), order, why, wall_ms, "req-1")


def test_while_a_crowd_decides_lines_wait(world, monkeypatch):
    crowd = threading.Event()
    looks = []
    monkeypatch.setattr(trail, "CROWD_WAIT_S", 600.0)
    with world.engine(is_crowded=lambda: looks.append(1) or crowd.is_set()) as run:
        world.decide(3)
        until(lambda: run.stats.behind == 0 and run.stats.lines, "the first 3")
        crowd.set()
        seen = len(looks)
        until(lambda: len(looks) > seen + 2, "it lets the crowd go first")
        before = ids_in(world.folder)
        world.decide(200)
        seen = len(looks)
        until(lambda: len(looks) > seen + 5, "it looks again and again")
        assert ids_in(world.folder) == before
        crowd.clear()
        until(lambda: ids_in(world.folder) == all_ids(203), "all of it")


@pytest.mark.parametrize(
    "limit",
    [
        {"CROWD_WAIT_S": 0.05},
        {"CROWD_WAIT_S": 600.0, "CROWD_BEHIND": 100},
        {"CROWD_WAIT_S": 600.0, "CROWD_BEHIND": 250},
    ],
)
def test_no_crowd_keeps_lines_waiting_for_ever_nor_many_of_them(world, monkeypatch, limit):
    for name, value in limit.items():
        monkeypatch.setattr(trail, name, value)
    with world.engine(is_crowded=lambda: True):
        world.decide(250)
        until(lambda: ids_in(world.folder) == all_ids(250), "all of it, as it is behind" + str(limit))


def test_a_stop_waits_for_no_crowd(world, monkeypatch):
    monkeypatch.setattr(trail, "CROWD_WAIT_S", 600.0)
    world.decide(3)
    with world.engine(is_crowded=lambda: True):
        pass
    assert ids_in(world.folder) == all_ids(3)


def test_every_decision_is_in_the_file_once_over_runs(world):
    world.decide(250)
    with world.engine() as run:
        until(lambda: run.stats.behind == 0 and run.stats.lines, "the first 250")
        world.decide(30)
    with world.engine():
        world.decide(5)
    assert ids_in(world.folder) == all_ids(285)
    assert world.kinds()[:2] == [Kind.DAY, Kind.STARTED]
    assert world.kinds().count(Kind.STOPPED) == 2
    assert [line.data["the_one_before_ended"] for line in world.of(Kind.STARTED)] == [True, True]
    root = world.of(Kind.ROOT)[-1]
    assert (root.data["position"], root.data["root"]) == (285, world.database.root(285).hex())
    found = verify(world.folder)
    assert found.ok
    assert found.events == 570
    assert [known.n for known in files.known_end(world.folder)] == [found.last_n]
    assert world.alarms == []
    [event] = [line for line in lines_in(world.folder) if line.id == "7-1"]
    assert (event.account, event.cause, event.kind) == ("acct-1", "test", "BALANCE")
    assert event.data == {"action": "ADJUSTED", "amount": "14", "reason": "DEPOSIT"}


@pytest.mark.parametrize("lines_lost", range(1, 7))
def test_a_row_of_which_only_a_part_is_in_the_file_is_continued(world, lines_lost):
    world.decide(4)
    with world.engine() as run:
        until(lambda: run.stats.lines > 8, "four decisions")
    path = world.folder / "2026-11-22.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-lines_lost]) + lines[-lines_lost][:40])
    (world.folder / files.END_FILE).unlink()
    with world.engine():
        pass
    assert ids_in(world.folder) == all_ids(4)
    [cut] = world.of(Kind.CUT)
    assert cut.data["bytes"] == 40
    assert any("no whole line" in text for text, _ in world.alarms)
    assert verify(world.folder).ok


def test_a_stop_writes_all_that_is_behind(world):
    world.decide(350)
    with world.engine():
        pass
    assert ids_in(world.folder) == all_ids(350)
    assert world.kinds()[-1] == Kind.STOPPED


def test_while_it_catches_up_a_root_is_written_now_and_then(world, monkeypatch):
    monkeypatch.setattr(trail, "ROOT_EVERY", 200)
    world.decide(550)
    with world.engine():
        pass
    assert [line.data["position"] for line in world.of(Kind.ROOT)] == [200, 400, 550]


def test_a_root_is_written_once_and_not_asked_for_while_nothing_is_decided(world):
    looks = []
    with world.engine(is_crowded=lambda: bool(looks.append(1))) as run:
        world.decide(3)
        until(lambda: run.stats.behind == 0 and world.of(Kind.ROOT), "the root")
        seen, asked = len(looks), world.database.asked.count(records.ROOT_UP_TO)
        until(lambda: len(looks) > seen + 5, "it looks again and again")
        assert world.database.asked.count(records.ROOT_UP_TO) == asked
        # Rows are there, and the commit that ends behind them is not seen yet.
        world.database.roots[4] = None
        world.decide(1)
        until(lambda: run.stats.behind == 0 and "4-1" in ids_in(world.folder), "the row")
        seen = len(looks)
        until(lambda: len(looks) > seen + 3, "it looks again and again")
        del world.database.roots[4]
    assert [line.data["position"] for line in world.of(Kind.ROOT)] == [3, 4]


def test_the_end_is_noted_while_it_runs(world):
    with world.engine() as run:
        world.decide(3)
        until(lambda: files.known_end(world.folder), "a note")
        assert files.known_end(world.folder)[0].n <= run.stats.last_line


def test_a_day_that_ends_while_it_runs_is_compressed(world):
    world.decide(1)
    with world.engine() as run:
        until(lambda: run.stats.behind == 0 and run.stats.lines, "the first day")
        world.clock.advance_to(DAY_MS * 1_000_000)
        world.decide(1, wall_ms=BEGIN_MS + DAY_MS)
        until((world.folder / "2026-11-22.jsonl.gz").exists, "its file")
    assert verify(world.folder).ok


def test_rejections_are_written_with_every_reason_and_capped(world):
    with world.engine() as run:
        for _ in range(OF_ACCOUNT + 4):
            rejected(run)
        rejected(run, "acct-2")
        assert run.stats.left_out == 4
    found = world.of(Kind.REJECTION)
    assert [line.account for line in found] == ["acct-1"] * OF_ACCOUNT + ["acct-2"]
    assert found[0].data["command"] == "PlaceOrder"
    assert found[0].data["order"]["quantity"] == "1.50"
    assert found[0].data["rejections"] == [
        {"code": "MAX_NOTIONAL_EXCEEDED", "text": "too much", "value": "7.5", "limit": "5"}
    ]
    assert found[0].cause == "req-1"
    [left] = world.of(Kind.LEFT_OUT)
    assert (left.data["total"], left.data["accounts"]) == (4, {"acct-1": 4})


def test_a_refused_command_of_any_shape_is_written(world):
    with world.engine() as run:
        run.rejected(AccountId("acct-1"), object(), (), BEGIN_MS, "")
    assert "object object" in world.of(Kind.REJECTION)[0].data["order"]["text"]


def test_alarms_operators_dead_letters_and_quarantines(world):
    database = world.database
    database.actions = [(n, BEGIN_MS + n, "ann", "freeze", "acct-1", "why") for n in (1, 2)]
    database.letters = [(4, BEGIN_MS, "acct-2", "Fill", "Fill(...)", "ValueError: x", "trade-1")]
    database.quarantines = [("acct-2", BEGIN_MS + 7, "five failures", "ValueError: x")]
    with world.engine() as run:
        run.alarmed(AlarmEntry(alarm_id=1, at_ms=1, text="acct-2: odd"))
        until(lambda: run.stats.lines > 5, "them")
        database.actions.append((3, BEGIN_MS, "bob", "release", "acct-2", ""))
    with world.engine():
        pass
    assert [line.data["who"] for line in world.of(Kind.OPERATOR)] == ["ann", "ann", "bob"]
    assert [line.data["error"] for line in world.of(Kind.DEAD_LETTER)] == ["ValueError: x"]
    assert [line.account for line in world.of(Kind.QUARANTINE)] == ["acct-2"]
    assert [line.data["text"] for line in world.of(Kind.ALARM)] == ["acct-2: odd"]


def test_the_utc_day_begins_a_file_and_what_is_late_stays_in_order(world):
    world.decide(3, wall_ms=BEGIN_MS - 5)
    with world.engine() as run:
        until(lambda: run.stats.lines >= 7, "the day before")
        world.decide(1, wall_ms=BEGIN_MS + 5)
        world.decide(1, wall_ms=BEGIN_MS - 1)
    assert [day.day for day in files.days_in(world.folder)] == ["2026-11-21", "2026-11-22"]
    assert ids_in(world.folder) == all_ids(5)
    assert verify(world.folder).ok


def test_days_that_ended_are_compressed_and_removed(world, monkeypatch):
    for day in range(4):
        world.decide(1, wall_ms=BEGIN_MS + day * DAY_MS)
    world.clock = VirtualClock(BEGIN_MS + 3 * DAY_MS + 500)
    with world.engine(days_kept=3) as run:
        until(lambda: run.stats.lines >= 8, "four days")
        left = ["2026-11-23.jsonl.gz", "2026-11-24.jsonl.gz", "2026-11-25.jsonl"]
        until(
            lambda: [d.path.name for d in files.days_in(world.folder)] == left,
            "the last three, two compressed",
        )
    assert verify(world.folder).ok


# -- what goes wrong


def _write_in_small_pieces(descriptor, content):
    while content:
        content = content[files.os.write(descriptor, content[:100]) :]
        time.sleep(0.0002)


def _run_until_killed(world):
    """In a child: a writer that is in the middle of a line nearly always."""
    append.write_all = _write_in_small_pieces
    with world.engine():
        time.sleep(60)


def test_killed_at_any_moment_nothing_is_lost_and_nothing_twice(world):
    world.decide(1_500)
    rng, fork = random.Random(5), multiprocessing.get_context("fork")
    for _ in range(8):
        child = fork.Process(target=_run_until_killed, args=(world,))
        child.start()
        size = sum(path.stat().st_size for path in world.folder.glob("*.jsonl"))
        until(lambda size=size: sum(p.stat().st_size for p in world.folder.glob("*.jsonl")) > size, "a write")
        time.sleep(rng.random() * 0.02)
        child.kill()
        child.join()
    cut = len(world.of(Kind.CUT))
    with world.engine():
        until(lambda: len(ids_in(world.folder)) >= 1_500, "all of them")
    assert ids_in(world.folder) == all_ids(1_500)
    assert verify(world.folder).ok
    assert len(world.of(Kind.CUT)) >= cut > 0


def test_a_disk_that_is_full_is_an_alarm_and_nothing_is_lost(world, monkeypatch):
    full = threading.Event()

    def write(descriptor, content, real=append.write_all):
        if full.is_set():
            real(descriptor, content[:30])
            raise OSError(28, "No space left on device")
        real(descriptor, content)

    monkeypatch.setattr(append, "write_all", write)
    with world.engine() as run:
        world.decide(3)
        until(lambda: run.stats.behind == 0 and run.stats.lines > 6, "the first three")
        full.set()
        world.decide(200)
        rejected(run)
        until(lambda: world.alarms, "an alarm")
        assert "No space left on device" in run.stats.fault
        for n in range(5):
            rejected(run, f"acct-{n}")
        time.sleep(0.1)
        full.clear()
        until(lambda: world.over == [trail.KEY], "the end of the fault")
    [(text, _)] = [alarm for alarm in world.alarms if alarm[1] == trail.KEY]
    assert "cannot be written (No space left on device): trading goes on" in text
    assert ids_in(world.folder) == all_ids(203)
    assert len(world.of(Kind.REJECTION)) == 6
    assert verify(world.folder).ok


def test_a_folder_that_cannot_be_one_is_an_alarm(world):
    world.folder.write_text("a file")
    with world.engine() as run:
        world.decide(3)
        until(lambda: world.alarms, "an alarm")
        world.folder.unlink()
        until(lambda: run.stats.lines > 5, "lines")
    assert ids_in(world.folder) == all_ids(3)


def test_another_process_that_writes_is_waited_for(world):
    lock = files.locked(world.folder)
    with world.engine() as run:
        world.decide(3)
        until(lambda: world.alarms, "an alarm")
        assert "another process writes the audit" in world.alarms[0][0]
        files.os.close(lock)
        until(lambda: run.stats.lines > 5, "lines")
    assert ids_in(world.folder) == all_ids(3)


def test_without_postgres_what_is_not_in_it_is_written(world):
    world.rows.away = True
    with world.engine() as run:
        rejected(run)
        until(lambda: run.stats.lines >= 2, "the rejection")
        world.decide(5)
        world.rows.away = False
        until(lambda: run.stats.behind == 0 and run.stats.lines > 10, "the decisions")
    assert ids_in(world.folder) == all_ids(5)
    assert world.alarms == []


def test_a_row_that_makes_no_events_is_said_and_passed_over(world, monkeypatch):
    world.decide(3)

    def events(row, real=trail.events_of):
        if row.position == 2:
            raise ValueError("odd")
        return real(row)

    monkeypatch.setattr(trail, "events_of", events)
    with world.engine():
        pass
    assert ids_in(world.folder) == ["1-0", "1-1", "2-0", "3-0", "3-1"]
    assert world.of("UNREADABLE")[0].data == {"fault": "ValueError: odd"}


def test_an_end_of_the_thread_that_nobody_asked_for_is_an_alarm(world, monkeypatch):
    monkeypatch.setattr(AuditTrail, "_step", lambda _self: (_ for _ in ()).throw(SystemExit))
    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    with world.engine():
        until(lambda: world.alarms, "an alarm")
    assert "the audit's thread has ended" in world.alarms[0][0]


def test_an_error_of_ours_is_an_alarm_and_it_begins_again(world, monkeypatch):
    faults = [1, 1]

    def over(self, wall_ms, real=trail.RejectionLimit.over):
        if faults:
            faults.pop()
            raise RuntimeError("a bug")
        return real(self, wall_ms)

    monkeypatch.setattr(trail.RejectionLimit, "over", over)
    world.decide(2)
    with world.engine():
        until(lambda: world.over, "it is over")
    assert "the audit failed (RuntimeError: a bug)" in world.alarms[0][0]
    assert ids_in(world.folder) == all_ids(2)


def test_too_much_that_waits_is_counted(world, monkeypatch):
    monkeypatch.setattr(trail, "NOTES_MAX", 3)
    run = world.made()
    for n in range(5):
        run.alarmed(AlarmEntry(alarm_id=n, at_ms=1, text="x"))
    run.start(world.rows, world.database, "f")
    run.stop(5)
    assert len(world.of(Kind.ALARM)) == 3
    assert [line.data["count"] for line in world.of(Kind.LEFT_OUT)] == [2]
    assert run.stats.left_out == 2


def test_no_thread_that_was_never_started_is_waited_for(world):
    world.made().stop(5)
    assert not world.folder.exists()


# -- another history


def test_a_database_that_went_back_is_an_alarm_and_the_file_goes_on_behind_the_last_common_root(world):
    world.decide(2)
    for count in (0, 3, 4):
        with world.engine():
            world.decide(count)
    world.database.actions = [(n, BEGIN_MS, "ann", f"{n}", "acct-1", "") for n in (1, 2, 3)]
    with world.engine():
        pass
    world.rows.rows = world.rows.rows[:7]
    world.database.actions = world.database.actions[:1]
    with world.engine():
        world.decide(1, amounts=(5, 6))
    # The older database gives its numbers once more.
    world.database.actions += [(2, BEGIN_MS, "ann", "other", "acct-1", "")]
    [restored] = world.of(Kind.RESTORED)
    assert (restored.data["position"], restored.data["was"]) == (5, str(EventId(9, ALL_PARTS)))
    assert ids_in(world.folder) == [*all_ids(9), *all_ids(8, since=6)]
    [(text, _)] = world.alarms
    assert "it was restored from an older backup, or changed" in text
    with world.engine():
        world.decide(1)
    assert len(world.of(Kind.RESTORED)) == 1
    assert [line.data["action"] for line in world.of(Kind.OPERATOR)] == ["1", "2", "3", "other"]
    assert verify(world.folder).ok


def test_a_root_that_is_another_is_an_alarm(world):
    for _ in range(2):
        with world.engine():
            world.decide(3)
    world.database.roots[6] = b"x" * 16
    with world.engine():
        pass
    [restored] = world.of(Kind.RESTORED)
    assert restored.data["position"] == 3
    assert "has " + (b"x" * 16).hex() in world.alarms[0][0]


def test_each_database_has_its_own_place(world):
    with world.engine("one"):
        world.decide(3)
    first = world.rows.rows
    world.rows.rows = []
    with world.engine("two"):
        world.decide(2)
    world.rows.rows = first
    with world.engine("one"):
        world.decide(1)
    assert ids_in(world.folder) == [*all_ids(3), *all_ids(2), *all_ids(4, since=4)]
    assert world.alarms == []


def test_rows_that_were_not_there_for_a_moment_are_no_gap(world, monkeypatch):
    """The journal said that it has them no more, and has them when it is asked from where on: they were brought back."""
    faults, real = [1, 1], world.rows.read

    def read(after, limit):
        if faults:
            faults.pop()
            raise NotKept("for a moment")
        return real(after, limit)

    monkeypatch.setattr(world.rows, "read", read)
    world.decide(3)
    with world.engine():
        until(lambda: ids_in(world.folder) == all_ids(3), "all of them")
    assert world.of(Kind.NOT_KEPT) == []
    assert world.alarms == []


def test_rows_that_are_not_kept_are_named(world):
    with world.engine():
        world.decide(2)
    world.decide(6)
    world.rows.first = 6
    with world.engine():
        pass
    [gap] = world.of(Kind.NOT_KEPT)
    assert (gap.data["since"], gap.data["position"]) == (3, 5)
    assert ids_in(world.folder) == [*all_ids(2), *all_ids(8, since=6)]
    assert "decisions 3 to 5 are not in the journal any more" in world.alarms[0][0]

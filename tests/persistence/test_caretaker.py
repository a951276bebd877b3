"""What the engine runs on is looked after: a dead database is started again, a log that is lost is told of."""

from __future__ import annotations

import time

from actors.core.errors import StoreUnreachable
from actors.persistence import caretaker
from actors.persistence.caretaker import Caretaker
from actors.runtime.logs import LogState


class Fallen:
    """A database's process; ``fails`` times it does not start."""

    def __init__(self, fails=0):
        self.why, self.fails, self.revived = "", fails, 0

    def died(self):
        return self.why

    def revive(self):
        if self.fails:
            self.fails -= 1
            raise StoreUnreachable("the embedded Postgres in x does not start: no space left")
        self.why, self.revived = "", self.revived + 1


def test_a_dead_database_is_started_again_and_each_thing_is_told_once():
    alarms, database = [], Fallen(fails=3)
    keeper = Caretaker(alarms.append, lambda: LogState(0, 0, ""))
    keeper._database = database
    keeper.look_at_database()
    assert alarms == []
    database.why = "its process 7 is gone"
    for _ in range(5):
        keeper.look_at_database()
    assert database.revived == 1
    assert "died (its process 7 is gone)" in alarms[0]
    assert "does not start again" in alarms[1]
    assert "runs again, after" in alarms[2]
    assert len(alarms) == 3
    database.why = "its process 8 is gone"
    keeper.look_at_database()
    assert "died (its process 8 is gone)" in alarms[3]


def test_lost_lines_are_told_of_now_and_then():
    alarms, state = [], [LogState(0, 0, "")]
    keeper = Caretaker(alarms.append, lambda: state[0])
    keeper.look_at_log()
    assert alarms == []
    state[0] = LogState(12, 0, "BrokenPipeError: [Errno 32] Broken pipe")
    keeper.look_at_log()
    state[0] = LogState(50, 0, "BrokenPipeError: [Errno 32] Broken pipe")
    keeper.look_at_log()
    assert len(alarms) == 1
    assert "12 log lines are lost (BrokenPipeError: [Errno 32] Broken pipe)" in alarms[0]
    keeper._log_alarm_s -= caretaker.LOG_ALARM_EVERY_SECONDS
    keeper.look_at_log()
    assert "38 log lines" in alarms[1]


def test_a_reader_that_reads_no_more_is_told_of():
    alarms = []
    keeper = Caretaker(alarms.append, lambda: LogState(0, 5_000, "", caretaker.LOG_STUCK_SECONDS))
    keeper.look_at_log()
    keeper.look_at_log()
    assert len(alarms) == 1
    assert "nobody has read the log for 10 s, and 5000 bytes of it wait" in alarms[0]


def test_its_thread_outlives_what_it_meets(monkeypatch):
    monkeypatch.setattr(caretaker, "LOOK_SECONDS", 0.01)
    looks = []

    class Odd:
        def died(self):
            looks.append(1)
            raise RuntimeError("unforeseen")

    keeper = Caretaker(lambda _text: None, lambda: LogState(0, 0, ""))
    keeper.start(Odd())
    deadline = time.monotonic() + 5
    while len(looks) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    keeper.stop()
    assert len(looks) >= 3
    count = len(looks)
    time.sleep(0.1)
    assert len(looks) == count


def test_hardly_a_descriptor_left_is_told_of_and_so_is_its_end(monkeypatch):
    alarms, used = [], [50]
    keeper = Caretaker(alarms.append, lambda: LogState(0, 0, ""))
    monkeypatch.setattr(caretaker.resource, "getrlimit", lambda _what: (96, 96))
    monkeypatch.setattr(caretaker.os, "listdir", lambda _path: range(used[0]))
    keeper.look_at_descriptors()
    assert alarms == []
    used[0] = 90
    keeper.look_at_descriptors()
    keeper.look_at_descriptors()
    assert "90 of 96 file descriptors are in use" in alarms[0]
    used[0] = 82
    keeper.look_at_descriptors()
    assert len(alarms) == 1, "still few"
    used[0] = 40
    keeper.look_at_descriptors()
    assert "40 of 96 are in use" in alarms[1]

    def none_left(_path):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(caretaker.os, "listdir", none_left)
    keeper.look_at_descriptors()
    assert "96 of 96 file descriptors are in use" in alarms[2]

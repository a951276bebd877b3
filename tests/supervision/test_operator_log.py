"""What operators do is on this machine's disk first, in the audit as soon as it can be, and lost by nothing."""

from __future__ import annotations

import resource
import signal
import time

import pytest

from actors.core.errors import NotRecorded
from actors.core.messages import CloseOut, SetLimits
from actors.core.records import AuditEntry
from actors.runtime.clock import VirtualClock
from actors.supervision.operator_log import EVERYBODY, QUARANTINE, OperatorAction, OperatorLog, with_fresh

WAIT = 5
CLOSE = CloseOut("odd")


class Desk:
    """OperatorLog of one folder, and what reached the audit."""

    def __init__(self, folder):
        self.audit, self.alarms, self.over = [], [], []
        self.operator_log = OperatorLog(
            VirtualClock(1_000), folder, lambda text, key: self.alarms.append((text, key)), self.over.append
        )
        self.again = self.operator_log.start(self.audit.append)

    def did(self, action="close-out", target="acct-1", message=CLOSE, **how):
        logged, written = self.operator_log.begin(
            OperatorAction("ann", action, target, "why", message, **how)
        )
        written.result(WAIT)
        deadline = time.monotonic() + WAIT
        while not any(r.at_ms == logged.at_ms for r in self.audit):
            assert time.monotonic() < deadline
        return logged


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.operator_log.stop()


def test_an_action_is_written_then_audited_and_leaves_when_it_is_durable(desk, tmp_path):
    logged = desk.did()
    assert b'"close-out"' in (tmp_path / "operators.jsonl").read_bytes()
    assert [(e.audit_id, e.who, e.action, e.detail) for e in desk.operator_log.not_in_audit("acct-1")] == [
        (0, "ann", "close-out", "why")
    ]
    assert desk.operator_log.not_in_audit("acct-2") == []
    desk.audit[0].stored()
    assert desk.operator_log.not_in_audit(None) == []
    assert [d.number for d in desk.operator_log.open()] == [logged.number], "its message is not durable yet"
    desk.operator_log.settled(logged)
    assert desk.operator_log.open() == []


def test_the_next_life_tells_again_what_was_not_durable_in_order_and_nothing_else(desk, tmp_path):
    done, limits = desk.did(), SetLimits((("max_positions", "5"),))
    desk.operator_log.settled(done)
    desk.audit[0].stored()
    desk.did("limits", "acct-2", limits)
    desk.did("balance", "acct-3", None)
    desk.did("close-out", "acct-1", CLOSE)
    desk.did(QUARANTINE, "acct-4", None, protects=True)
    desk.operator_log.stop()
    second = Desk(tmp_path)
    assert [(d.action, d.target) for d in second.again] == [
        ("limits", "acct-2"),
        ("close-out", "acct-1"),
        (QUARANTINE, "acct-4"),
    ]
    assert [d.message() for d in second.again[:2]] == [limits, CLOSE]
    assert [(r.action, r.again) for r in second.audit] == [
        ("limits", True),
        ("balance", True),
        ("close-out", True),
        (QUARANTINE, True),
    ]
    assert second.did().at_ms > max(r.at_ms for r in second.audit[:4])
    for record in second.audit:
        record.stored()
    second.operator_log.stop()
    assert [d.action for d in Desk(tmp_path).again] == ["limits", "close-out", "close-out"]


def test_an_emergency_stop_of_everybody_outlives_restarts_until_it_is_called_off(desk, tmp_path):
    logged = desk.did("close-out of all", EVERYBODY)
    desk.operator_log.stopped(logged, "odd prices")
    desk.operator_log.settled(logged)
    desk.audit[0].stored()
    desk.operator_log.stop()
    second = Desk(tmp_path)
    assert second.operator_log.stop_of_all() == "odd prices"
    assert second.again == []
    second.operator_log.called_off()
    second.operator_log.stop()
    assert Desk(tmp_path).operator_log.stop_of_all() is None


def test_on_a_full_disk_only_what_protects_is_done_and_it_is_an_alarm(desk):
    desk.did("freeze", "acct-9", None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        protects, failed = desk.operator_log.begin(
            OperatorAction("ann", "close-out", "acct-1", "", CLOSE, protects=True)
        )
        with pytest.raises(NotRecorded):
            failed.result(WAIT)
        _, failed = desk.operator_log.begin(OperatorAction("ann", "balance", "acct-2"))
        with pytest.raises(NotRecorded):
            failed.result(WAIT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    deadline = time.monotonic() + WAIT
    while len(desk.operator_log.open()) > 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [d.number for d in desk.operator_log.open()][1:] == [protects.number]
    assert [r.action for r in desk.audit] == ["freeze", "close-out"]
    [(text, key)] = desk.alarms
    assert "cannot be written" in text
    desk.did("release", "acct-1", None)
    assert desk.over == [key]


def test_the_audit_is_shown_with_what_it_does_not_have_yet_and_nothing_twice():
    stored = [
        AuditEntry(7, 20, "ann", "freeze", "acct-1", ""),
        AuditEntry(6, 10, "bob", "retry", "acct-1", ""),
    ]
    fresh = [AuditEntry(0, 20, "ann", "freeze", "acct-1", ""), AuditEntry(0, 30, "ann", "trip", "acct-1", "")]
    assert [(e.at_ms, e.audit_id) for e in with_fresh(stored, fresh, 10)] == [(30, 0), (20, 7), (10, 6)]
    assert [e.at_ms for e in with_fresh(stored, fresh, 2)] == [30, 20]

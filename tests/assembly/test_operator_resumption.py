"""What operators asked for and an earlier run did not make durable is done after the start."""

from __future__ import annotations

import pytest

from actors.assembly.operator_resumption import EMERGENCY, resume
from actors.core.messages import CloseOut
from actors.core.records import RecordAudit
from actors.runtime.clock import VirtualClock
from actors.supervision.messages import Quarantine
from actors.supervision.operator_log import EVERYBODY, QUARANTINE, OperatorAction, OperatorLog
from tests.assembly.test_build import Built
from tests.sink import Sink


@pytest.fixture
def built():
    made = Built()
    assembly = made.assembly
    assembly.actors["supervisor"] = Sink.start("supervisor", made.dispatcher)
    assembly.start("writer", "gateway", "router", prove=False)
    assembly.accounts.update({n: Sink.start(n, made.dispatcher) for n in ("acct-1", "acct-2")})
    made.run()
    return made


def log_of(folder):
    return OperatorLog(VirtualClock(), folder, lambda _text, _key="": None, lambda _key: None)


def earlier_run(folder, *acts, stops=None):
    """A run in which operators did this, and that ended before any of it was durable."""
    operator_log = log_of(folder)
    operator_log.start(lambda _record: None)
    noted = []
    for act in acts:
        logged, written = operator_log.begin(act)
        written.result(5)
        noted.append(logged)
    if stops is not None:
        operator_log.stopped(noted[-1], stops)
    operator_log.stop()


def resumed(built, folder):
    operator_log = log_of(folder)
    resume(built.assembly, operator_log)
    built.run()
    operator_log.stop()
    return operator_log


CLOSE = CloseOut("odd")


def test_what_was_asked_of_an_account_is_asked_again_and_goes_to_the_audit(built, tmp_path):
    earlier_run(tmp_path, OperatorAction("ann", "close-out", "acct-1", message=CLOSE))
    operator_log = resumed(built, tmp_path)
    assert built.assembly.accounts["acct-1"].cell.actor.got == [CLOSE]
    assert built.assembly.accounts["acct-2"].cell.actor.got == []
    assert [type(m) for m in built.got("writer")] == [RecordAudit]
    assert any("close-out of acct-1 by ann" in a for a in built.alarms)
    assert [d.is_settled for d in operator_log.open()] == [True], "it was answered; the audit lacks it still"


def test_a_quarantine_goes_to_the_supervisor(built, tmp_path):
    earlier_run(
        tmp_path, OperatorAction("ann", QUARANTINE, "acct-2", "odd fills", message=Quarantine("acct-2"))
    )
    resumed(built, tmp_path)
    assert built.got("supervisor") == [Quarantine("acct-2", "odd fills")]


def test_an_emergency_stop_of_all_stays_on_and_reaches_every_account(built, tmp_path):
    earlier_run(tmp_path, OperatorAction("ann", "close-out", EVERYBODY, message=CLOSE), stops="flash crash")
    resumed(built, tmp_path)
    assert built.assembly.gate.closers == (EMERGENCY,)
    assert all(ref.cell.actor.got == [CLOSE] for ref in built.assembly.accounts.values())
    assert any("is still on: flash crash" in a for a in built.alarms)


def test_what_was_asked_of_an_account_that_is_gone_is_over(built, tmp_path):
    earlier_run(tmp_path, OperatorAction("ann", "close-out", "acct-9", message=CLOSE))
    operator_log = resumed(built, tmp_path)
    assert [d.is_settled for d in operator_log.open()] == [True], "only the audit lacks it"

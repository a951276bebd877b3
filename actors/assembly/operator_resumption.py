"""What operators asked for and an earlier run did not make durable goes on with the next start."""

from __future__ import annotations

import contextlib
from functools import partial

import pykka

from actors.assembly.build import Assembly
from actors.core.alarm_level import Critical
from actors.core.enums import CloseOutScope
from actors.core.errors import BadInput
from actors.core.records import RecordAudit
from actors.core.units import AccountId
from actors.runtime.replies import Countdown
from actors.supervision.messages import Quarantine
from actors.supervision.operator_log import EVERYBODY, QUARANTINE, LoggedAction, OperatorLog

EMERGENCY: str = CloseOutScope.FLEET.value
"""Who keeps the gate shut during an emergency stop of all accounts."""


def resume(assembly: Assembly, operator_log: OperatorLog) -> None:
    """Send again what is in the operators' file; an emergency stop of all accounts that is on stays on.

    Args:
        assembly: with running writer, supervisor and accounts.
        operator_log: the file; it is read, and written to from here on.
    """
    writer, alarm = assembly.actors["writer"], assembly.runtime.alarm

    def to_audit(record: RecordAudit) -> None:
        with contextlib.suppress(pykka.ActorDeadError):
            writer.tell(record)

    left = operator_log.start(to_audit)
    stop = operator_log.stop_of_all()
    if stop is not None:
        assembly.gate.close(EMERGENCY)
        alarm(
            Critical(
                f"the emergency stop of everybody is still on: {stop}; 'bulkhead emergency-stop --everybody --call-off'"
            )
        )
    for logged in left:
        alarm(
            f"told again after the restart: {logged.action} of {logged.target} by {logged.who}: {logged.detail}"
        )
        if logged.action == QUARANTINE:
            assembly.actors["supervisor"].tell(Quarantine(logged.target, logged.detail))
        else:
            _send_again(assembly, operator_log, logged)


def _send_again(assembly: Assembly, operator_log: OperatorLog, logged: LoggedAction) -> None:
    """Send a logged action's message to its accounts; it is settled when all have answered, or none can."""
    try:
        message = logged.message()
    except BadInput as error:
        assembly.runtime.alarm(
            Critical(f"{logged.action} of {logged.target} by {logged.who} cannot be told again: {error}")
        )
        message = None
    accounts = assembly.accounts
    refs = list(accounts.values()) if logged.target == EVERYBODY else [accounts.get(AccountId(logged.target))]
    replies = Countdown(len(refs), partial(operator_log.settled, logged))
    for ref in refs:
        if ref is None or message is None:
            replies.set(None)
        else:
            ref.cell.dispatcher.post(ref.cell, message, replies)

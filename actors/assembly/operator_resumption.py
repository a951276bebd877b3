"""What operators asked for and an earlier run did not make durable goes on with the next start."""

from __future__ import annotations

import contextlib
from functools import partial

import pykka

from actors.assembly.build import Assembly
from actors.core.errors import BadInput
from actors.core.records import RecordAudit
from actors.core.units import AccountId
from actors.core.urgency import Critical
from actors.runtime.replies import Countdown
from actors.supervision.messages import Quarantine
from actors.supervision.operator_log import EVERYBODY, QUARANTINE, Deed, Deeds

EMERGENCY = "emergency stop of all"
"""Who keeps the gate shut during an emergency stop of all accounts."""


def resume(assembly: Assembly, deeds: Deeds) -> None:
    """Send again what is in the operators' file; an emergency stop of all accounts that is on stays on.

    Args:
        assembly: with running writer, supervisor and accounts.
        deeds: the file; it is read, and written to from here on.
    """
    writer, alarm = assembly.actors["writer"], assembly.runtime.alarm

    def to_audit(record: RecordAudit) -> None:
        with contextlib.suppress(pykka.ActorDeadError):
            writer.tell(record)

    left = deeds.start(to_audit)
    stop = deeds.stop_of_everybody()
    if stop is not None:
        assembly.gate.close(EMERGENCY)
        alarm(
            Critical(
                f"the emergency stop of everybody is still on: {stop}; 'bulkhead emergency-stop --everybody --call-off'"
            )
        )
    for deed in left:
        alarm(f"told again after the restart: {deed.action} of {deed.target} by {deed.who}: {deed.detail}")
        if deed.action == QUARANTINE:
            assembly.actors["supervisor"].tell(Quarantine(deed.target, deed.detail))
        else:
            _send_again(assembly, deeds, deed)


def _send_again(assembly: Assembly, deeds: Deeds, deed: Deed) -> None:
    """Send a deed's message to its accounts; it is settled when all have answered, or none can."""
    try:
        message = deed.message()
    except BadInput as error:
        assembly.runtime.alarm(
            Critical(f"{deed.action} of {deed.target} by {deed.who} cannot be told again: {error}")
        )
        message = None
    accounts = assembly.accounts
    refs = list(accounts.values()) if deed.target == EVERYBODY else [accounts.get(AccountId(deed.target))]
    replies = Countdown(len(refs), partial(deeds.settled, deed))
    for ref in refs:
        if ref is None or message is None:
            replies.set(None)
        else:
            ref.cell.dispatcher.post(ref.cell, message, replies)

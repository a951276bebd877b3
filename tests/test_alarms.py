"""Alarms are kept and counted; a hundred thousand at once do not bury the others."""

from __future__ import annotations

from actors.alarms import ACCOUNTS_PER_SECOND, Alarms
from actors.runtime.clock import VirtualClock
from actors.units import Nanos


def test_a_flood_of_accounts_is_counted_and_said():
    clock = VirtualClock(1_000)
    alarms = Alarms(clock)
    clock.advance_to(Nanos(10**9))
    for n in range(100_000):
        alarms.of_account(f"acct-{n}")
    alarms.tell("the engine's own")
    assert alarms.count == 100_001
    assert len(alarms.entries) == ACCOUNTS_PER_SECOND + 1
    clock.advance_to(Nanos(2 * 10**9))
    alarms.of_account("acct-1")
    assert f"{100_000 - ACCOUNTS_PER_SECOND} more alarms" in alarms.entries[-2].text
    assert alarms.entries[-1].text == "acct-1"
    assert alarms.entries[-1].at_ms == 3_000

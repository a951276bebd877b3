"""Who raises an alarm says how urgent it is."""

from __future__ import annotations

from actors.core.alarm_level import Critical, Info, Level, level_of
from actors.core.enums import Phase
from actors.core.facts import BadDebtRecorded, PhaseChanged
from actors.core.units import AccountId
from actors.subaccount.alerts import alerts_of
from tests.factories import D


def test_a_plain_text_is_a_warning_and_the_others_say_what_they_are():
    assert [level_of(t) for t in ("a", Info("b"), Critical("c"))] == [
        Level.WARNING,
        Level.INFO,
        Level.CRITICAL,
    ]


def test_what_an_account_cannot_mend_itself_is_critical():
    stuck = PhaseChanged(phase=Phase.STUCK, refusals=10, retry_at_ms=0)
    told = alerts_of(AccountId("acct-1"), [stuck, BadDebtRecorded(amount=D(5))])
    assert [level_of(text) for text in told] == [Level.CRITICAL] * 2

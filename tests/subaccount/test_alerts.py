"""What a human hears of, in words; and of nothing else."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.facts import (
    BadDebtRecorded,
    BalanceAdjusted,
    Breaker,
    BreakerChanged,
    ClosingOut,
    ConditionalEnded,
    ConditionalStatus,
    DayStopped,
    Phase,
    PhaseChanged,
)
from actors.subaccount.alerts import alerts_of


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (PhaseChanged(Phase.STUCK, 10, 0), "STUCK after 10 refused"),
        (PhaseChanged(Phase.REDUCING, 1, 0), ""),
        (BreakerChanged(Breaker.OPEN, "3 losing trades in a row", 5), "breaker open: 3 losing trades"),
        (BreakerChanged(Breaker.CLOSED, "reset by hand", 0), ""),
        (BreakerChanged(Breaker.HALF_OPEN, "x", 0), ""),
        (DayStopped(D("500.004"), D(500)), "500.00 reached 500.00"),
        (ClosingOut("cumulative loss"), "everything is being closed: cumulative loss"),
        (ClosingOut(""), ""),
        (BadDebtRecorded(D("51.5")), "bad debt of 51.50"),
        (ConditionalEnded("bh-1-1", ConditionalStatus.REJECTED, "needs margin"), "refused: needs margin"),
        (ConditionalEnded("bh-1-1", ConditionalStatus.CANCELED, "asked for"), ""),
        (BalanceAdjusted(D(5), "DEPOSIT"), ""),
    ],
)
def test_each_fact(fact, words):
    found = alerts_of("acct-1", [fact])
    assert len(found) == bool(words)
    assert all(text.startswith("acct-1: ") and words in text for text in found)

"""Every alert has a kind and words, and what operators are told of is kept."""

from __future__ import annotations

import pytest

from actors.core.enums import Breaker, Phase
from actors.core.facts import BreakerChanged, PhaseChanged
from actors.persistence.streams import kind_of
from actors.subaccount.alert_kinds import AlertKind, alert_of, text_of
from actors.subaccount.alerts import texts_of
from tests.golden.journal import Row, lines_of
from tests.golden.scenes import SCENES


@pytest.fixture(scope="module")
def decisions():
    """Of the golden scenes, which have every kind of fact."""
    rows = [line for scene in SCENES for line in lines_of(scene()) if isinstance(line, Row)]
    own = [row for row in rows if not row.stream.startswith("clearing:")]
    return [kind_of(row.stream).facts(row.version, bytes(row.facts)) for row in own]


def test_what_operators_are_told_of_is_kept_with_the_same_words(decisions):
    seen = set()
    for facts in decisions:
        for fact, said in zip(facts, texts_of(facts), strict=True):
            found = alert_of(fact)
            assert found is not None or not said, fact
            if found is not None:
                seen.add(found[0])
                text = text_of(fact, said)
                assert text == (said or text)
                assert " " in text, text
    # What the scenes lack is below.
    assert set(AlertKind) - seen <= {AlertKind.STUCK}


@pytest.mark.parametrize(
    ("fact", "kind", "words"),
    [
        (PhaseChanged(Phase.STUCK, 10, 5), AlertKind.STUCK, "STUCK after 10 refused"),
        (PhaseChanged(Phase.REDUCING, 0, 0), AlertKind.BREACH, "reached a tier"),
        (PhaseChanged(Phase.LIQUIDATING, 0, 0), AlertKind.BREACH, "last tier"),
        (PhaseChanged(Phase.LIQUIDATED, 0, 0), AlertKind.LIQUIDATED, "nothing is left"),
        (PhaseChanged(Phase.REDUCING, 3, 5), None, ""),
        (PhaseChanged(Phase.REDUCING, 0, 5, 1), None, ""),
        (PhaseChanged(Phase.WARNING, 0, 0), None, ""),
        (PhaseChanged(Phase.HEALTHY, 0, 0), None, ""),
        (BreakerChanged(Breaker.HALF_OPEN, "", 0), AlertKind.BREAKER, "breaker half-open: back to normal"),
        (BreakerChanged(Breaker.CLOSED, "by the desk", 0), AlertKind.BREAKER, "breaker closed: by the desk"),
    ],
)  # fmt: skip
def test_what_of_a_liquidation_is_an_alert(fact, kind, words):
    found = alert_of(fact)
    assert (found and found[0]) == kind
    if kind is not None:
        assert words in text_of(fact, "")

"""Who is restarted with whom, and which exception leads to what."""

from __future__ import annotations

import pytest

from actors.core.errors import BadInput, Fenced, NotDurable, StateCorrupt
from actors.supervision.strategy import Directive, Strategy, directive_of, restarted_with

GROUP = ("a", "b", "c")


@pytest.mark.parametrize(
    ("strategy", "failed", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "b", ("b",)),
        (Strategy.REST_FOR_ONE, "a", ("a", "b", "c")),
        (Strategy.REST_FOR_ONE, "b", ("b", "c")),
        (Strategy.REST_FOR_ONE, "c", ("c",)),
        (Strategy.ONE_FOR_ALL, "c", ("a", "b", "c")),
    ],
)
def test_who_is_restarted_with_whom(strategy, failed, expected):
    assert restarted_with(strategy, GROUP, failed) == expected


def test_a_stranger_to_the_group_is_refused():
    with pytest.raises(ValueError, match="not in"):
        restarted_with(Strategy.ONE_FOR_ALL, GROUP, "d")


def test_the_nearest_class_decides():
    directives = {Exception: Directive.RESUME, NotDurable: Directive.QUARANTINE, Fenced: Directive.ESCALATE}
    assert directive_of(Fenced("x"), directives) is Directive.ESCALATE
    assert directive_of(NotDurable("x"), directives) is Directive.QUARANTINE
    assert directive_of(StateCorrupt("x"), directives) is Directive.RESUME
    assert directive_of(SystemExit(), directives) is Directive.RESTART
    assert directive_of(BadInput("x"), {}) is Directive.RESTART

"""The command that measures within how many days a planted fault is caught."""

from __future__ import annotations

import pytest

from tests.planted import FAULTS as PLANTED
from tests.sim import caught
from tests.sim.days import IN_TESTS


def test_it_tries_the_days_of_the_tests_in_turn_and_faults_that_are_planted():
    days = caught.days()
    assert [kind for kind, _ in days[:5]] == [*IN_TESTS, "faults"]
    assert sorted(days) == sorted((kind, seed) for kind, seeds in IN_TESTS.items() for seed in seeds)
    assert set(caught.FAULTS) <= {fault.name for fault in PLANTED}
    assert len(caught.FAULTS) == len(set(caught.FAULTS)) >= 10


def test_a_fault_that_shows_is_caught_and_one_that_a_day_cannot_show_is_not(capfd, monkeypatch):
    monkeypatch.setattr(caught, "ALONE", 4)
    # Nobody is killed on the first day of a whole engine; small days with late trades come later than the fourth.
    names = ["sent before it is durable", "after kill nobody asks", "its last trades"]
    assert caught.main([*names, "--seeds", "1"]) == 1
    said = capfd.readouterr().out
    assert "| a block is sent before it is durable | 1 |  | sent before it was durable |" in said
    assert "| after kill nobody asks what became of a block | not within 1 | 3 | " in said
    assert "| a block ends before its last trades are known | not within 1 | not within 4 |  |" in said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["no such fault"], "no fault's name holds 'no such fault'; there are\na block is sent"),
        (["--seeds", "0"], "'0' must be a whole number, at least 1"),
        (["--seeds", "x"], "'x' must be a whole number, at least 1"),
    ],
)
def test_what_is_asked_wrongly_is_refused(arguments, text, capfd):
    with pytest.raises(SystemExit) as refused:
        caught.main(arguments)
    assert text in f"{refused.value}\n{capfd.readouterr().err}"

"""The list of planted faults fits the code as it is: ``make faults`` runs it, this finds in a second what does not apply."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import mutants
from tests.faults import planted
from tests.planted import FAULTS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_applies_once_and_its_tests_are_there(fault):
    assert planted(fault) != (ROOT / fault.path).read_text(encoding="utf-8")
    for test in fault.tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert not name or name in names, test


def test_no_two_planted_faults_have_one_name():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_what_is_listed_as_equivalent_is_there():
    """A reason for a comparison that is gone would excuse the next one that looks like it."""
    there = {
        (mutants.name_of(m.path), m.before, m.after)
        for path in mutants.suites()
        for m in mutants.mutants_of(path, with_equivalent=True)
    }
    assert set(mutants.EQUIVALENT) - there == set()


@pytest.mark.parametrize(
    ("paths", "one_of"),
    [(mutants.OTHERS, mutants.ONE_OF_OTHERS), (mutants.READ, mutants.ONE_OF_READ)],
    ids=["others", "read"],
)
def test_a_sample_is_the_same_each_time_and_another_with_another_seed(paths, one_of):
    found = [m for path in paths for m in mutants.mutants_of(path)]
    one, again, other = ([m for m in found if mutants.is_chosen(m, seed)] for seed in ("one", "one", "other"))
    assert one == again != other
    assert len(found) / (2 * one_of) < len(one) < 2 * len(found) / one_of

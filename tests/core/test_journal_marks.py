"""Marks of a journal: how they are written, and which are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadInput
from actors.core.journal_marks import KEPT, Mark, kept, mark_of

ROOT = "0123456789abcdef" * 2


@given(st.integers(0, 10**18), st.binary(min_size=16, max_size=16))
def test_a_mark_is_read_as_it_was_written(position, root):
    mark = Mark(position, root.hex())
    assert mark_of(str(mark)) == mark


@pytest.mark.parametrize(
    "text",
    ["", "5", "5:", f":{ROOT}", f"05:{ROOT}", f"-5:{ROOT}", f"5:{ROOT[1:]}", f"5:{ROOT}0", f"5:{ROOT.upper()}",
     f"5:{ROOT}\n", f"\u0665:{ROOT}", "9" * 40 + f":{ROOT}"],
)  # fmt: skip
def test_what_is_no_mark_is_refused_with_an_example(text):
    with pytest.raises(
        BadInput, match=r"root: .* is no place of the journal with its root; give what came as 'root'"
    ):
        mark_of(text)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=400), st.integers(1, 2_000_000))
def test_a_restore_anywhere_costs_about_what_it_took_back_once_more(steps, lost):
    """The newest mark that is left is at most so far before the place as that is from the end, and some steps."""
    marks, position = [Mark(0, ROOT)], 0
    for step in steps:
        position += step
        marks = kept(marks, Mark(position, ROOT))
    assert marks == sorted(marks)
    assert len(marks) == min(KEPT, len(steps) + 1)
    assert (marks[0].position, marks[-1].position) == (0, position)
    place = max(0, position - lost)
    common = max(mark.position for mark in marks if mark.position <= place)
    assert place - common <= 2 * (position - place) + 2 * max(steps)


def test_the_same_place_again_is_no_second_mark_and_a_place_before_takes_back():
    marks = kept(kept([], Mark(5, ROOT)), Mark(5, ROOT))
    assert marks == [Mark(5, ROOT)]
    assert kept([Mark(5, ROOT), Mark(9, ROOT)], Mark(7, ROOT)) == [Mark(5, ROOT), Mark(7, ROOT)]


def test_as_many_as_may_be_kept_are_kept_and_of_one_more_the_one_among_its_neighbours_goes():
    marks = []
    for position in (0, 10, 11, 12, 100):
        marks = kept(marks, Mark(position, ROOT), most=4)
    assert [mark.position for mark in marks] == [0, 10, 12, 100]
    assert len(kept(marks[:3], Mark(100, ROOT), most=4)) == 4

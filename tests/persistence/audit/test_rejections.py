"""How many rejections are written, and that the others are counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.persistence.audit.rejections import NAMED, OF_ACCOUNT, OF_ALL, WINDOW_MS, RejectionLimit


def test_one_account_has_its_part_and_leaves_the_others_theirs():
    limit = RejectionLimit()
    assert [limit.takes("a", 5) for _ in range(OF_ACCOUNT + 3)] == [True] * OF_ACCOUNT + [False] * 3
    assert limit.takes("b", 6)
    assert limit.over(7) == []
    [left] = limit.over(WINDOW_MS + 1)
    assert (left.total, left.accounts, left.others) == (3, {"a": 3}, 0)
    assert (left.since_ms, left.until_ms) == (0, WINDOW_MS)
    assert limit.over(WINDOW_MS + 2) == []
    assert limit.takes("a", WINDOW_MS + 3)


def test_the_rest_at_the_end_is_counted_too():
    limit = RejectionLimit()
    for _ in range(OF_ACCOUNT + 1):
        limit.takes("a", 5)
    assert limit.over(6) == []
    assert [left.total for left in limit.rest(6)] == [1]
    assert limit.rest(7) == []


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4 * WINDOW_MS)), max_size=1_500))
def test_what_is_taken_and_what_is_left_out_is_all_of_them(asked):
    """Law: nothing is lost, whatever the clock does; never more than the two limits within one window."""
    limit = RejectionLimit()
    taken = [(a, ms // WINDOW_MS) for a, ms in asked if limit.takes(f"acct-{a}", ms)]
    left = limit.rest(9 * WINDOW_MS)
    assert len(taken) + sum(one.total for one in left) == len(asked)
    assert all(one.total == sum(one.accounts.values()) + one.others for one in left)
    assert all(len(one.accounts) <= NAMED for one in left)


def test_a_window_has_an_end_for_all():
    limit = RejectionLimit()
    taken = sum(limit.takes(f"acct-{n}", 5) for n in range(3 * OF_ALL))
    assert taken == OF_ALL
    [left] = limit.over(2 * WINDOW_MS)
    assert left.total == 2 * OF_ALL
    assert left.others == 2 * OF_ALL - NAMED

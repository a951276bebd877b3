"""When whose snapshot is written: at most once a second, the last change always, again before it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.units import AccountId
from actors.persistence.redis.schedule import AGAIN_S, EVERY_S, SAVED_S, Share, SnapshotSchedule
from actors.persistence.redis.snapshots import TTL_S
from tests.factories import ETH, account, position, tick

A, B = AccountId("a"), AccountId("b")
HOLDS = replace(account("1000", (position(ETH, "1", "2000", "10"),)), account_id=A)
IDLE = replace(account("1000"), account_id=B)
STATES, TICKS = {A: HOLDS, B: IDLE}, {ETH: tick(ETH, "2000")}


def due(schedule, now_s, states=STATES, ticks=TICKS, **more):
    """What is written at a time, as the publisher writes it."""
    found = schedule.due(states, ticks, now_s, 50, **more)
    for id_ in found:
        schedule.wrote(states[id_], ticks, now_s)
    return found


def test_who_holds_something_is_written_at_first_when_prices_move_and_before_it_ends():
    schedule = SnapshotSchedule()
    assert due(schedule, 100) == [A]
    assert [due(schedule, 100 + n) for n in range(1, 10)] == [[]] * 9, "nothing has moved"
    moved = {ETH: tick(ETH, "2001")}
    assert due(schedule, 110, ticks=moved) == [A]
    assert due(schedule, 110.5, ticks={ETH: tick(ETH, "2002")}) == [], "once a second"
    assert due(schedule, 111, ticks={ETH: tick(ETH, "2002")}) == [A]
    assert AGAIN_S < TTL_S / 2
    assert due(schedule, 111 + AGAIN_S - 1, ticks=schedule_ticks(schedule)) == []
    assert due(schedule, 111 + AGAIN_S, ticks=schedule_ticks(schedule)) == [A]


def schedule_ticks(schedule):
    return {ETH: schedule._written[A].ticks[0]}


def test_who_decided_is_written_at_once_and_what_follows_within_a_second_at_its_end():
    schedule = SnapshotSchedule()
    due(schedule, 99)
    schedule.changed(B, 100)
    assert due(schedule, 100) == [B]
    for now in (100.1, 100.2, 100.9):
        schedule.changed(B, now)
        assert due(schedule, now) == []
    assert schedule.next_s(100.9) == pytest.approx(0.1)
    assert due(schedule, 101) == [B], "the last change, once"
    assert due(schedule, 103) == []
    assert schedule.next_s(103) == EVERY_S


def test_the_last_look_does_not_wait():
    schedule = SnapshotSchedule()
    due(schedule, 100)
    schedule.changed(B, 100)
    assert due(schedule, 100) == [B]
    schedule.changed(B, 100.1)
    assert due(schedule, 100.2, ticks={ETH: tick(ETH, "2001")}, is_last=True) == [B], "and nobody's prices"


def test_a_redis_that_may_have_lost_all_gets_again_what_it_would_still_have():
    schedule = SnapshotSchedule()
    schedule.changed(B, 100)
    assert set(due(schedule, 100)) == {A, B}
    schedule.again(100.3)
    assert set(due(schedule, 100.3)) == {A, B}, "at once, and once"
    assert due(schedule, 100.4) == []
    schedule.again(100.3 + TTL_S)
    assert due(schedule, 100.3 + TTL_S) == [A], "the other one has ended meanwhile"


def test_those_who_decided_go_first_and_all_get_their_turn():
    states = {AccountId(f"a-{n}"): replace(HOLDS, account_id=AccountId(f"a-{n}")) for n in range(120)}
    schedule, seen = SnapshotSchedule(), []
    schedule.changed(AccountId("a-119"), 100)
    while found := due(schedule, 100, states):
        seen += found
    assert seen[0] == "a-119"
    assert sorted(seen) == sorted(states)


def test_no_more_than_the_limit_at_once_whether_decided_or_moved():
    ids = [AccountId(f"a-{n}") for n in range(7)]
    states = {id_: replace(HOLDS, account_id=id_) for id_ in ids}
    schedule, counts, seen = SnapshotSchedule(), [], []
    for id_ in ids[:3]:
        schedule.changed(id_, 100)
    while found := schedule.due(states, TICKS, 100, 2):
        for id_ in found:
            schedule.wrote(states[id_], TICKS, 100)
        counts.append(len(found))
        seen += found
    assert counts == [2, 2, 2, 1]
    assert set(seen[:3]) == set(ids[:3])
    assert sorted(seen) == sorted(ids)


def test_a_second_after_it_was_written_what_moved_is_written_again():
    schedule = SnapshotSchedule()
    assert due(schedule, 100) == [A]
    assert schedule.rests, "nobody else holds anything, and the next round is not due"
    assert due(schedule, 100 + EVERY_S, ticks={ETH: tick(ETH, "2001")}) == [A]
    assert schedule.round_s == EVERY_S


def test_an_account_that_is_gone_since_its_round_began_is_passed_over():
    states = {AccountId(f"a-{n}"): replace(HOLDS, account_id=AccountId(f"a-{n}")) for n in range(4)}
    schedule = SnapshotSchedule()
    assert schedule.due(states, TICKS, 100, 1) == ["a-0"]
    del states[AccountId("a-2")]
    assert schedule.due(states, TICKS, 100, 5) == ["a-1", "a-3"]


def test_what_redis_has_no_more_at_its_end_is_not_written_again():
    """A snapshot ends with its 120th second, not behind it."""
    for age_s, found in ((TTL_S - 1, {A, B}), (TTL_S, {A})):
        schedule = SnapshotSchedule()
        schedule.changed(B, 100)
        assert set(due(schedule, 100)) == {A, B}
        schedule.again(100 + age_s)
        assert set(due(schedule, 100 + age_s)) == found


def test_a_share_that_is_spent_to_the_last_is_closed_until_time_has_passed():
    share = Share(0.5, 1.0)
    assert share.is_open(0.0)
    share.spend(1.0)
    assert not share.is_open(0.0)
    assert share.wait_s == 0
    assert share.is_open(0.5)
    share.spend(1.25)
    assert not share.is_open(0.5)
    assert share.wait_s == 2
    assert not share.is_open(2.5)
    assert share.is_open(3.0)


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from([A, B]), st.booleans()), max_size=60))
def test_never_twice_within_a_second_and_the_last_change_is_never_lost(events):
    schedule, now_s, state = SnapshotSchedule(), 100.0, dict(STATES)
    last: dict[str, float] = {}
    shown = {}

    def write():
        for id_ in schedule.due(state, TICKS, now_s, 50):
            assert now_s - last.get(id_, 0) >= EVERY_S - 1e-9
            last[id_], shown[id_] = now_s, state[id_].balance
            schedule.wrote(state[id_], TICKS, now_s)

    for wait_s, id_, looks in events:
        now_s += wait_s
        state[id_] = replace(state[id_], balance=state[id_].balance + 1, sequence=state[id_].sequence + 1)
        schedule.changed(id_, now_s)
        if looks:
            write()
    for _ in range(4):
        now_s += EVERY_S
        write()
    assert all(shown[id_] == state[id_].balance for _, id_, _ in events)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), min_size=1, max_size=80))
def test_no_more_of_a_core_is_used_than_its_share(steps):
    share, now_s, spent_s = Share(0.15, 0.05), 0.0, 0.0
    most = 0.0
    for wait_s, cost_s in steps:
        now_s += wait_s
        if share.is_open(now_s):
            share.spend(cost_s)
            spent_s += cost_s
            most = max(most, cost_s)
        else:
            assert share.wait_s >= 0
    assert spent_s <= SAVED_S + 0.15 * now_s + most + 1e-9

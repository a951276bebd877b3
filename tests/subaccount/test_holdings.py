"""What was held at a time, against the list of all trades: exact at whole hours, bounded, whatever comes late."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.subaccount import holdings
from actors.subaccount.holdings import (
    HOUR_MS,
    KEPT_MS,
    NOTHING,
    PER_HOUR,
    SETTLES_WITHIN_MS,
    Change,
    begins_hour,
    changed,
    held,
    held_at,
    is_late,
    nominal_ms,
    of,
    pruned,
)
from tests.factories import BTC, ETH, position

T0 = 480_000 * HOUR_MS


class Naive:
    """All trades in a list, and beside it what is kept."""

    def __init__(self):
        self.trades, self.known, self.now = [], (), None

    def trade(self, at_ms, moved):
        before, quantity = held(self.now), moved + (self.now.quantity if self.now else D(0))
        if not quantity:
            self.now = None
        elif self.now is None or (self.now.quantity > 0) != (quantity > 0):
            number = len(self.trades)
            self.now = replace(position(quantity=str(quantity), number=number), opened_ms=at_ms)
        else:
            self.now = replace(self.now, quantity=quantity)
        self.known = changed(self.known, ETH, at_ms, before, held(self.now))
        self.trades.append((at_ms, moved))

    def held_at(self, at_ms):
        return sum((moved for t, moved in self.trades if t < at_ms), D(0))

    def kept(self, at_ms):
        return held_at(self.known, ETH, self.now, at_ms)[0]


MOVES = st.integers(-3, 3).filter(bool).map(D)
IN_ORDER = st.lists(st.tuples(st.integers(0, 40 * 60_000), MOVES), max_size=120)


@settings(max_examples=200, deadline=None)
@given(IN_ORDER, st.integers(0, HOUR_MS - 1))
def test_whole_hours_of_the_last_day_are_exact_whatever_is_traded(steps, begin):
    twin, at_ms = Naive(), T0 + begin
    for wait, moved in steps:
        at_ms += wait
        twin.trade(at_ms, moved)
    last_hour = at_ms // HOUR_MS
    for hour in range(last_hour - 25, last_hour + 2):
        assert twin.kept(hour * HOUR_MS) == twin.held_at(hour * HOUR_MS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5 * HOUR_MS), MOVES), max_size=40))
def test_whole_hours_are_exact_when_trades_are_learned_in_any_order(steps):
    twin = Naive()
    for offset, moved in steps:
        twin.trade(T0 + offset, moved)
    for hour in range(-1, 7):
        assert twin.kept(T0 + hour * HOUR_MS) == twin.held_at(T0 + hour * HOUR_MS)
    counts = [c.until_ms // HOUR_MS for c in of(twin.known, ETH)]
    assert all(counts.count(hour) <= PER_HOUR for hour in counts)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), MOVES), max_size=PER_HOUR), st.data())
def test_any_time_is_exact_while_an_hour_has_few_changes(steps, data):
    twin = Naive()
    for offset, moved in steps:
        twin.trade(T0 + offset, moved)
    at_ms = T0 + data.draw(st.integers(-1, 202))
    assert twin.kept(at_ms) == twin.held_at(at_ms)


def test_an_account_that_trades_all_day_keeps_little_and_for_most_fills_nothing():
    twin, same = Naive(), 0
    for second in range(0, 30 * 3_600, 20):
        before = twin.known
        twin.trade(T0 + second * 1_000, D(1) if second % 40 else D(-1))
        same += twin.known is before
    assert same == 30 * (180 - PER_HOUR)
    assert len(of(twin.known, ETH)) <= 27 * PER_HOUR
    assert of(twin.known, ETH)[0].until_ms >= T0 + 29 * HOUR_MS - KEPT_MS


def test_the_first_change_of_an_hour_drops_what_is_too_old_of_every_symbol():
    known = changed((), BTC, T0, NOTHING, (D(1), "b"))
    known = changed(known, ETH, T0 + 5, NOTHING, (D(1), "e"))
    assert [h.symbol for h in known] == [BTC, ETH]
    at_the_edge = changed(known, ETH, T0 + KEPT_MS, (D(1), "e"), NOTHING)
    assert [h.symbol for h in at_the_edge] == [BTC, ETH]
    later = changed(known, ETH, T0 + KEPT_MS + 1, (D(1), "e"), NOTHING)
    assert [(h.symbol, len(h.changes)) for h in later] == [(ETH, 2)]
    assert pruned(known, T0 + KEPT_MS + 6) == ()


def test_a_position_that_was_held_is_named_also_when_it_is_gone():
    known = changed((), ETH, T0 + 10, NOTHING, (D(1), "a"))
    known = changed(known, ETH, T0 + 20, (D(1), "a"), (D(-1), "b"))
    known = changed(known, ETH, T0 + 30, (D(-1), "b"), NOTHING)
    assert changed(known, ETH, T0 + 30, NOTHING, (D(4), "c")) is known, "of one millisecond the first counts"
    at = {ms: held_at(known, ETH, None, T0 + ms) for ms in (10, 11, 20, 21, 30, 31)}
    assert at == {
        10: NOTHING,
        11: (D(1), "a"),
        20: (D(1), "a"),
        21: (D(-1), "b"),
        30: (D(-1), "b"),
        31: NOTHING,
    }


def test_a_late_trade_gives_what_was_nothing_its_position_and_corrects_what_was_something():
    known = changed((), ETH, T0 + 20, NOTHING, (D(1), "a"))
    late = changed(known, ETH, T0 + 10, (D(1), "a"), (D(3), "a"))
    assert [(c.until_ms - T0, c.quantity, c.position_id) for c in of(late, ETH)] == [
        (10, D(0), ""), (20, D(2), "a"),
    ]  # fmt: skip
    again = changed(late, ETH, T0 + 5, (D(3), "a"), NOTHING)
    assert [(c.until_ms - T0, c.quantity, c.position_id) for c in of(again, ETH)] == [
        (5, D(0), ""), (10, D(-3), "a"), (20, D(-1), "a"),
    ]  # fmt: skip


def test_who_has_no_changes_held_what_is_held_since_it_was_opened():
    old = replace(position(), opened_ms=T0)
    assert held_at((), ETH, old, T0) == NOTHING
    assert held_at((), ETH, old, T0 + 1) == (D(1), old.position_id)
    assert held_at((), ETH, None, T0) == NOTHING


def test_the_first_change_of_an_hour_is_known_as_such():
    assert not begins_hour((), T0)
    known = of(changed((), ETH, T0, NOTHING, (D(1), "a")), ETH)
    assert begins_hour(known, T0)
    assert not begins_hour(known, T0 + 1)
    more = changed((), ETH, T0, NOTHING, (D(1), "a"))
    more = changed(more, ETH, T0 + HOUR_MS - 1, (D(1), "a"), (D(2), "a"))
    assert not begins_hour(of(more, ETH), T0 + HOUR_MS - 1)
    more = changed(more, ETH, T0 + HOUR_MS, (D(2), "a"), (D(3), "a"))
    assert begins_hour(of(more, ETH), T0 + HOUR_MS)


@pytest.mark.parametrize(
    ("told", "of_"),
    [(0, 0), (3, 0), (SETTLES_WITHIN_MS, 0), (SETTLES_WITHIN_MS + 1, SETTLES_WITHIN_MS + 1), (-1, -1)],
)
def test_a_settlement_some_milliseconds_after_an_hour_is_that_of_the_hour(told, of_):
    assert nominal_ms(T0 + told) == T0 + of_


def test_a_trade_is_late_when_funding_may_have_been_told_between():
    assert not is_late(T0, T0 + 5_000)
    assert is_late(T0, T0 + 5_001)
    assert is_late(T0 - 1, T0)
    assert not is_late(T0, T0)


def test_a_late_trade_in_one_hour_leaves_full_hours_alone():
    full = [Change(h * HOUR_MS + n + 1, D(n), "p") for h in (1, 2) for n in range(PER_HOUR)]
    own = (*full, Change(3 * HOUR_MS + 50, D(1), "p"))
    found = holdings._corrected(own, 3 * HOUR_MS + 20, (D(1), "p"), (D(2), "p"))
    assert found[: len(full)] == tuple(full)
    assert [c.until_ms for c in found[len(full) :]] == [3 * HOUR_MS + 20, 3 * HOUR_MS + 50]

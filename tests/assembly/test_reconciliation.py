"""Comparing the books: every position of every side, and a difference has its time to go away."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.assembly import reconciliation
from actors.assembly.reconciliation import Difference, reconcile, told_of
from actors.persistence import open_books
from tests.factories import BTC, ETH, SOL


class Books:
    """Answers one reading after the other; the last one again and again."""

    def __init__(self, *readings):
        self.readings, self.read = list(readings), 0

    def __call__(self):
        self.read += 1
        assert self.read < 100, "it looks on and on"
        virtual, house, master, *more = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        return open_books.Books(virtual, house, *(more or [{}])), master


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time that passes only by sleeping."""

    class Clock:
        now = 1_000.0

        @staticmethod
        def monotonic():
            return Clock.now

        @staticmethod
        def sleep(seconds):
            Clock.now += seconds

    monkeypatch.setattr(reconciliation, "time", Clock)
    return Clock


def test_accounts_and_house_together_are_held_against_the_master():
    [found] = reconcile(Books(({ETH: D(3)}, {ETH: D("0.5")}, {ETH: D(4)})), [], 0)
    assert found == Difference(ETH, D(3), D("0.5"), D(4))
    assert found.difference == D("0.5")
    assert told_of([found]) == [
        f"{ETH}: the master has 4, the accounts 3 and the house 0.5: 0.5 belongs to nobody; no account was touched"
    ]
    assert told_of([Difference(ETH, D(3), D(1), D(4))]) == []


def test_what_a_block_traded_for_members_who_have_not_booked_it_is_theirs():
    [found] = reconcile(Books(({ETH: D(3)}, {}, {ETH: D(5)}, {ETH: D(2)})), [], 0)
    assert (found.in_flight, found.difference, told_of([found])) == (D(2), D(0), [])
    [found] = reconcile(Books(({ETH: D(3)}, {}, {ETH: D(5)}, {ETH: D(1)})), [], 0)
    assert "and 1 is on its way from a block order to its members: 1 belongs to nobody" in told_of([found])[0]


@pytest.mark.parametrize("side", [0, 1, 2, 3])
def test_what_any_side_alone_has_is_compared(side):
    books = [{}, {}, {}, {}]
    books[side] = {SOL: D(2)}
    [found] = reconcile(Books(tuple(books)), [], 0)
    assert (found.symbol, abs(found.difference)) == (SOL, D(2))
    assert len(told_of([found])) == 1


def test_what_is_asked_for_is_listed_though_nobody_has_it():
    found = reconcile(Books(({BTC: D(1)}, {}, {BTC: D(1)})), [ETH], 0)
    assert found == [Difference(BTC, D(1), D(0), D(1)), Difference(ETH, D(0), D(0), D(0))]


def test_a_fill_on_its_way_is_waited_for(clock):
    books = Books(({}, {}, {ETH: D(1)}), ({}, {}, {ETH: D(1)}), ({ETH: D(1)}, {}, {ETH: D(1)}))
    assert told_of(reconcile(books, [], 5)) == []
    assert books.read == 3
    assert clock.now < 1_005


def test_a_difference_that_stays_is_told_when_its_time_is_over(clock):
    books = Books(({}, {}, {ETH: D(1)}))
    [found] = reconcile(books, [], 5)
    assert found.difference == D(1)
    assert clock.now == pytest.approx(1_005, abs=0.3)
    assert books.read == pytest.approx(5 / reconciliation.LOOK_SECONDS, abs=2)


def test_books_that_agree_keep_nobody_waiting(clock):
    books = Books(({ETH: D(1)}, {}, {ETH: D(1)}))
    assert told_of(reconcile(books, [], 60)) == []
    assert (books.read, clock.now) == (1, 1_000)


def test_whose_time_is_over_at_once_is_read_once(clock):
    books = Books(({}, {}, {ETH: D(1)}))
    reconcile(books, [], 0)
    assert (books.read, clock.now) == (1, 1_000)

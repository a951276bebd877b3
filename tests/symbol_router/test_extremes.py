"""Running extremes against brute force over the path, and what they cost."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from actors.symbol_router.book import PriceBook
from actors.symbol_router.extremes import Extremes
from tests.factories import ETH, tick

# Mids that differ in the last of many digits, so that floats alone cannot tell them apart.
MIDS = st.integers(-6, 6).map(lambda n: D("123456.7") + D(n) / D(10**18)) | st.integers(1, 50).map(D)
STEPS = st.lists(st.tuples(MIDS, st.booleans()), min_size=1, max_size=60)


@given(STEPS)
def test_extremes_since_every_checkpoint_equal_brute_force(steps):
    book = PriceBook()
    path, checkpoints = [], []
    for n, (mid, checkpointed) in enumerate(steps):
        assert book.apply(tick(ETH, mid, update_id=n, event_ms=n))
        path.append(mid)
        if checkpointed:
            book.checkpoint(ETH)
            checkpoints.append((book.next_checkpoint, len(path) - 1))
        for checkpoint, first in checkpoints:
            seen = path[first:]
            assert book.extremes(ETH, checkpoint) == (min(seen), max(seen))
    assert book.extremes(ETH, 0) == (min(path), max(path))


def test_a_checkpoint_of_an_earlier_process_gets_what_this_one_has_seen():
    book = PriceBook(first_checkpoint=1_000_000)
    for n, mid in enumerate(("10", "12", "8", "11")):
        book.apply(tick(ETH, mid, update_id=n, event_ms=n))
    assert book.extremes(ETH, 17) == (D(8), D(12))


def test_memory_grows_with_checkpoints_that_still_differ_never_with_ticks():
    book = PriceBook()
    for n in range(20_000):
        book.apply(tick(ETH, str(1000 + n % 977), update_id=n, event_ms=n))
        if n % 10 == 0:
            book.checkpoint(ETH)
    assert book._extremes[ETH].size() < 300


def test_an_unknown_symbol_has_no_extremes():
    assert PriceBook().extremes(ETH, 0) is None
    PriceBook().checkpoint(ETH)


def test_who_reads_from_another_thread_never_meets_an_empty_stack():
    """A tick that betters everything must not take all away before it puts itself there."""

    class Watched(list):
        def pop(self, *args):
            found = super().pop(*args)
            assert self, "empty for a moment"
            return found

    extremes = Extremes(0, tick(ETH, "100"))
    extremes._highs, extremes._lows = Watched(extremes._highs), Watched(extremes._lows)
    for mid in ("101", "99", "120", "80"):
        extremes.apply(tick(ETH, mid))
    assert extremes.since(0) == (extremes._lows[0].tick.mid, extremes._highs[0].tick.mid)
    assert (len(extremes._lows), len(extremes._highs)) == (1, 1)


def test_what_floats_cannot_tell_apart_is_no_new_extreme_since_a_number_without_a_checkpoint():
    book = PriceBook()
    high, low = D("123456.7"), D("123456.7") - D(1) / D(10**18)
    for n, mid in enumerate((high, low)):
        book.apply(tick(ETH, mid, update_id=n, event_ms=n))
    assert book.extremes(ETH, 1_000_000) == (low, high)
    assert book._extremes[ETH].size() == 2


def test_checkpoints_at_one_price_cost_nothing():
    book = PriceBook()
    for n in range(1_000):
        book.apply(tick(ETH, "2000", update_id=n, event_ms=n))
        book.checkpoint(ETH)
    assert book._extremes[ETH].size() == 2

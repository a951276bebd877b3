"""A position from its fills: MAE and MFE equal brute force over the path, and every part adds up."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.facts import PositionClosed
from actors.core.messages import ApplyFunding, PlaceOrder
from actors.core.order_ids import FIXED
from actors.core.units import Nanos
from actors.subaccount.decide import decide
from actors.subaccount.market import Market
from actors.symbol_router.book import PriceBook
from tests.factories import BUY, ETH, INSTRUMENTS, SELL, WALL_MS, account, fill_of, tick

TICK = st.tuples(st.just("tick"), st.integers(150_000, 250_000).map(lambda n: D(n) / 100))
FILL = st.tuples(
    st.just("fill"), st.integers(-900, 900).filter(lambda n: abs(n) > 20).map(lambda n: D(n) / 1000)
)
FUNDING = st.tuples(st.just("funding"), st.integers(-50, 50).map(lambda n: D(n) / 100_000))
STEPS = st.lists(st.one_of(TICK, TICK, FILL, FUNDING), max_size=60)


class Tracked:
    """One account over a real price book, as its actor would run it; and the naive twin of its position.

    The twin keeps nothing but a list: at each mid it notes the unrealized profit of what is held.
    """

    def __init__(self):
        self.book, self.state, self.update, self.trade_id = PriceBook(), account("1000000"), 0, 0
        self.profits, self.closed = [], []
        self.tick(D(2000))

    def market(self):
        book = self.book
        return Market(book.ticks, INSTRUMENTS, Nanos(0), WALL_MS + self.update, FIXED, price_history=book)

    def tick(self, mid):
        self.update += 1
        self.book.apply(tick(ETH, mid, update_id=self.update, event_ms=self.update))
        self.note(mid)

    def note(self, mid):
        held = self.state.position(ETH)
        if held is not None:
            self.profits.append(held.quantity * mid - held.signed_cost)

    def take(self, message):
        decision = decide(self.state, message, self.market())
        self.state = decision.state
        for fact in decision.facts:
            # As the actor does, before the next tick.
            if type(fact).__name__ == "FillApplied":
                self.book.checkpoint(ETH)
        return decision

    def fill(self, signed):
        order = PlaceOrder(symbol=ETH, side=BUY if signed > 0 else SELL, quantity=abs(signed), leverage=D(10))
        if not self.take(order).facts:
            return
        self.trade_id += 1
        mid = self.book.ticks[ETH].mid
        before = self.state.position(ETH)
        decision = self.take(
            fill_of(
                self.state.orders[-1], price=mid, fee=str(mid * abs(signed) / 2000), trade_id=self.trade_id
            )
        )
        for fact in decision.facts:
            if isinstance(fact, PositionClosed):
                self.closed.append((fact, before))
                assert (fact.mae, fact.mfe) == (min([D(0), *self.profits]), max([D(0), *self.profits]))
                self.profits = []
        # The present mid is the first that the changed position meets.
        self.note(mid)

    def step(self, number, kind, value):
        if kind == "tick":
            self.tick(value)
        elif kind == "fill":
            self.fill(value)
        else:
            self.take(ApplyFunding(ETH, value, self.book.ticks[ETH].mid, WALL_MS + number))


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_mae_and_mfe_equal_brute_force_over_the_path(steps):
    run = Tracked()
    for n, step in enumerate(steps):
        run.step(n, *step)
        held = run.state.position(ETH)
        if held is not None:
            stretch = run.book.extremes(ETH, held.since)
            expected = (min([D(0), *run.profits]), max([D(0), *run.profits]))
            assert held.excursions(*stretch) == expected


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_the_parts_of_all_positions_add_up_to_the_account(steps):
    run = Tracked()
    for n, step in enumerate(steps):
        run.step(n, *step)
    closed, held = [c for c, _ in run.closed], run.state.positions
    for name, total in (
        ("realized", run.state.realized),
        ("fees", run.state.fees),
        ("funding", run.state.funding),
    ):
        assert sum((getattr(x, name) for x in (*closed, *held)), D(0)) == total


def test_the_record_of_a_flip_and_of_its_most():
    run = Tracked()
    run.fill(D("0.3"))
    run.fill(D("0.5"))
    run.tick(D(1900))
    run.fill(D("-0.6"))
    run.tick(D(2100))
    run.fill(D("-0.5"))
    [(record, before)] = run.closed
    assert before.quantity == D("0.2")
    assert (record.quantity, record.entry_price) == (D("0.8"), D(2000))
    assert record.realized == D("0.6") * -100 + D("0.2") * 100
    # 0.8 at 1900 was the worst, 0.2 at 2100 the best.
    assert (record.mae, record.mfe) == (D(-80), D(20))
    assert run.state.position(ETH).quantity == D("-0.3")
    assert run.state.position(ETH).fees + record.fees == run.state.fees

"""An account that sleeps until a trigger or a timer decides as one that looks at every tick, whatever happens to it.

Old prices, refused, partly filled and expired steps, waits between steps, deposits: two copies of one account live
through the same seconds, and are the same after each.
"""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import LiquidationMode, OrderStatus, ReconsiderReason
from actors.core.facts import PhaseChanged
from actors.core.messages import AdjustBalance, OrderClosed, Reconsider, Wake
from actors.core.units import NANOS_PER_SECOND
from actors.limits.model import AdlOrder, MaintenanceBasis, MarkSource
from actors.subaccount import margin
from actors.subaccount.decide import decide
from tests.factories import BTC, ETH, SOL, WIDE, account, fill_of, position, triggers
from tests.subaccount.test_triggers import BRACKETED, START, Path

LIMITS = st.builds(
    lambda **changes: replace(WIDE, **changes),
    adl_order=st.sampled_from(AdlOrder),
    adl_cooldown_seconds=st.none() | st.integers(1, 30),
    adl_all_below=st.none() | st.sampled_from([D(5_000), D(15_000), D(10**6)]),
    maintenance_basis=st.sampled_from(MaintenanceBasis),
    mark_source=st.sampled_from(MarkSource),
)
SIGN = st.sampled_from([1, -1])
END = st.sampled_from(["filled", "filled", "filled", "slipped", "part", "refused", "refused", "late"])
SECOND = st.tuples(
    st.integers(1, 12),
    st.lists(
        st.tuples(st.sampled_from([ETH, ETH, BTC, SOL]), st.decimals("-1.2", "1.2", places=3), st.booleans()),
        max_size=4,
    ),
    END,
    st.integers(0, 60),
)


class Life:
    """One copy: its state, its timers, and what it was told to do."""

    def __init__(self, state, *, sleeps):
        self.state, self.sleeps, self.timers, self.looks = state, sleeps, [], 0
        self.found = None

    def take(self, message, market):
        self.looks += isinstance(message, Wake)
        decision = decide(self.state, message, market)
        self.state = decision.state
        for fact in decision.facts:
            if isinstance(fact, PhaseChanged) and fact.retry_at_ms > market.wall_ms:
                self.timers.append(fact.retry_at_ms)
        self.found = triggers(self.state, market)
        return decision

    def tick(self, symbol, path):
        watched = symbol in self.state.symbols
        if watched and (not self.sleeps or symbol in self.found.every_tick or path.crossed(self.found)):
            self.take(Wake(symbol, "t"), path.market())

    def pass_time(self, path):
        wall_ms = path.market().wall_ms
        due = [at for at in self.timers if at <= wall_ms]
        self.timers = [at for at in self.timers if at > wall_ms]
        for _ in due:
            self.take(Reconsider(ReconsiderReason.BACKOFF), path.market())

    def end_orders(self, end, path, trade_id):
        """The exchange's word on every order that works, the same for both copies."""
        for number, order in enumerate(self.state.orders):
            mid = path.book.ticks[order.symbol].mid
            slip = D("0.97") if end == "slipped" else D(1)
            price = round(mid * (slip if order.side.sign < 0 else 1 / slip), 4)
            part = order.quantity if end != "part" else max(D("0.001"), round(order.quantity / 3, 3))
            traded = D(0)
            if end in {"filled", "slipped", "part"}:
                traded = min(part, order.quantity)
                fill = fill_of(order, quantity=traded, price=price, fee="0.01", trade_id=trade_id + number)
                self.take(fill, path.market())
            status = OrderStatus.REJECTED if end == "refused" else OrderStatus.EXPIRED
            status = OrderStatus.FILLED if traded == order.quantity else status
            self.take(OrderClosed(order.client_order_id, status, traded), path.market())


def aimed(state, symbol, mids, step):
    """A price close to that at which the account is at its first tier, if it may come there by this symbol."""
    held = state.position(symbol)
    wanted = None if held is None else margin.liquidation_price(state, held, mids, BRACKETED)
    if wanted is None or not mids[symbol] / 2 < wanted < mids[symbol] * 2:
        return mids[symbol] * (100 + step) / 100
    return wanted * (1000 + step) / 1000


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(SIGN, SIGN, SIGN),
    st.integers(200, 1_500),
    LIMITS,
    st.sampled_from(LiquidationMode),
    st.lists(SECOND, min_size=5, max_size=40),
)
def test_sleeping_and_looking_decide_the_same(signs, balance, limits, mode, seconds):
    path = Path()
    held = [
        position(ETH, D(signs[0]) * 5, "2000", "50"),
        position(BTC, D(signs[1]) / 10, "60000", "50", number=2),
        position(SOL, D(signs[2]) * 20, "150", "50", number=3),
    ]
    born = account(str(balance), held, limits, mode=mode, maintenance_rate=D("0.012"))
    lives = [Life(born, sleeps=True), Life(born, sleeps=False)]
    for life in lives:
        life.take(Reconsider(ReconsiderReason.ROUTER_RESTARTED), path.market())
    mids, trade_id = dict(START), 0
    for wait, ticks, end, deposit in seconds:
        path.now += wait * NANOS_PER_SECOND
        for life in lives:
            life.pass_time(path)
        for symbol, step, aims in ticks:
            moved = mids[symbol] * (100 + step) / 100
            mids[symbol] = round(aimed(lives[1].state, symbol, mids, step) if aims else moved, 6)
            path.tick(symbol, mids[symbol], D("0.02"))
            for life in lives:
                life.tick(symbol, path)
        assert lives[0].state.orders == lives[1].state.orders
        trade_id += 10
        if end != "late":
            for life in lives:
                life.end_orders(end, path, trade_id)
        if deposit > 55:
            for life in lives:
                life.take(AdjustBalance(D(deposit), "t"), path.market())
        asleep, awake = (replace(life.state, sequence=0) for life in lives)
        assert asleep == awake
        at_rest = not asleep.orders and not asleep.positions
        assert not at_rest or asleep.balance >= 0
        assert not at_rest or asleep.phase in {"HEALTHY", "LIQUIDATED"}
    assert lives[0].looks <= lives[1].looks

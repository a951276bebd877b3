"""An account that sleeps until a trigger or a timer decides as one that looks at every tick, whatever happens to it.

Old prices, refused, partly filled and expired steps, waits between steps, deposits; steps that wait for their turn, are
given back, asked back, or found to be under way: two copies of one account live through the same seconds, ask for the
same steps at the same ticks, and are the same after each.
"""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import LiquidationMode, OrderStatus, ReconsiderReason
from actors.core.facts import PhaseChanged
from actors.core.messages import AdjustBalance, OrderAccepted, OrderClosed, Reconsider, Wake
from actors.core.units import NANOS_PER_SECOND
from actors.limits.model import AdlOrder, MaintenanceBasis, MarkSource
from actors.subaccount import margin
from actors.subaccount import triggers as trigger_prices
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
END = st.sampled_from(
    ["filled", "filled", "filled", "slipped", "part", "refused", "refused", "late", "late", "late", "stale", "under way", "accepted", "never sent"]
)  # fmt: skip
SECOND = st.tuples(
    st.integers(1, 12),
    st.lists(
        st.tuples(st.sampled_from([ETH, ETH, BTC, SOL]), st.decimals("-1.2", "1.2", places=3), st.booleans()),
        max_size=4,
    ),
    st.lists(END, min_size=1, max_size=3),
    st.integers(0, 60),
    st.booleans(),
)


class Life:
    """One copy: its state, its timers, and what it was told to do."""

    def __init__(self, state, *, sleeps):
        self.state, self.sleeps, self.timers, self.looks = state, sleeps, [], 0
        self.found = None
        self.past_replacing, self.asked, self.unanswered = frozenset(), [], []

    def market(self, market):
        return replace(market, past_replacing=self.past_replacing)

    def take(self, message, market):
        self.looks += isinstance(message, Wake)
        market = self.market(market)
        decision = decide(self.state, message, market)
        self.state = decision.state
        self.remember(decision.replace)
        self.asked += decision.replace
        self.unanswered += decision.replace
        self.is_whole()
        for fact in decision.facts:
            if isinstance(fact, PhaseChanged) and fact.retry_at_ms > market.wall_ms:
                self.timers.append(fact.retry_at_ms)
        self.found = trigger_prices.triggers(decision.now)
        return decision

    def remember(self, ids):
        """As the actor does."""
        at_work = frozenset(o.client_order_id for o in self.state.orders)
        self.past_replacing = at_work & {*self.past_replacing, *ids}

    def is_whole(self):
        """Never two steps of one position at work, never more closed than held, and none asked back twice."""
        symbols = [o.symbol for o in self.state.orders]
        assert len(symbols) == len(set(symbols))
        for order in self.state.orders:
            held = self.state.position(order.symbol)
            assert order.remaining == 0 or order.remaining <= abs(held.quantity)
            assert order.remaining == 0 or order.side.sign == (-1 if held.is_long else 1)
        assert len(self.asked) == len(set(self.asked))

    def answer(self, path):
        """The order path gives back all that was asked for, which still waits there."""
        answered, self.unanswered = self.unanswered, []
        for id_ in answered:
            if self.state.order(id_) is not None:
                self.give_back(id_, path)

    def give_back(self, id_, path):
        self.take(OrderClosed(id_, OrderStatus.NEVER_SENT, D(0), waited=True, again=True), path.market())

    def under_way(self, id_, path):
        self.remember([id_])
        self.found = triggers(self.state, self.market(path.market()))

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

    def end_orders(self, ends, path, trade_id):
        """What becomes of every order that works, the same for both copies."""
        for number, order in enumerate(self.state.orders):
            end = ends[number % len(ends)]
            waits = order.status is OrderStatus.INTENDED and order.filled == 0
            if end == "stale" and waits:
                self.give_back(order.client_order_id, path)
            elif end == "under way" and waits:
                self.under_way(order.client_order_id, path)
            elif end == "accepted" and waits:
                self.take(OrderAccepted(order.client_order_id, 100 + order.sequence), path.market())
            elif end == "never sent" and waits:
                self.take(OrderClosed(order.client_order_id, OrderStatus.NEVER_SENT, D(0)), path.market())
            elif end in {"filled", "slipped", "part", "refused"}:
                self.end_order(order, end, path, trade_id + number)

    def end_order(self, order, end, path, trade_id):
        mid = path.book.ticks[order.symbol].mid
        slip = D("0.97") if end == "slipped" else D(1)
        price = round(mid * (slip if order.side.sign < 0 else 1 / slip), 4)
        part = order.quantity if end != "part" else max(D("0.001"), round(order.quantity / 3, 3))
        traded = D(0)
        if end != "refused":
            traded = min(part, order.quantity)
            fill = fill_of(order, quantity=traded, price=price, fee="0.01", trade_id=trade_id)
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
    for wait, ticks, ends, deposit, prompt in seconds:
        path.now += wait * NANOS_PER_SECOND
        for life in lives:
            life.pass_time(path)
        for symbol, step, aims in ticks:
            moved = mids[symbol] * (100 + step) / 100
            mids[symbol] = round(aimed(lives[1].state, symbol, mids, step) if aims else moved, 6)
            path.tick(symbol, mids[symbol], D("0.02"))
            for life in lives:
                life.tick(symbol, path)
            assert lives[0].asked == lives[1].asked
            assert lives[0].state.orders == lives[1].state.orders
            if prompt:
                for life in lives:
                    life.answer(path)
        trade_id += 10
        for life in lives:
            life.end_orders(ends, path, trade_id)
        if deposit > 55:
            for life in lives:
                life.take(AdjustBalance(D(deposit), "t"), path.market())
        asleep, awake = (replace(life.state, sequence=0) for life in lives)
        assert asleep == awake
        at_rest = not asleep.orders and not asleep.positions
        assert not at_rest or asleep.balance >= 0
        assert not at_rest or asleep.phase in {"HEALTHY", "LIQUIDATED"}
    assert lives[0].looks <= lives[1].looks
    event(f"steps asked back: {min(len(lives[0].asked), 5)}")

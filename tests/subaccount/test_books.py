"""Any sequence of anything: the books stay exact, and what is held is what was bought less what was sold."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import (
    AccountStatus,
    ConditionalKind,
    LiquidationMode,
    OrderStatus,
    Purpose,
    ReconsiderReason,
)
from actors.core.facts import BadDebtRecorded, FillApplied, FundingPaid, PositionClosed, PositionTakenOver
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CloseOut,
    FeeKnown,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    RateKnown,
    Reconsider,
    ResetBreaker,
    SetLimits,
    SetMode,
    SetStatus,
    Wake,
)
from actors.core.trading_day import TradingDay
from actors.subaccount.decide import decide
from actors.subaccount.fold import folded
from actors.subaccount.state import books_balance
from tests.factories import BNB, BTC, BUY, ETH, SELL, WALL_MS, account, fill_of, market

SYMBOLS, SIDES = st.sampled_from([ETH, BTC]), st.sampled_from([BUY, SELL])
LIMIT = st.sampled_from(
    [("max_daily_loss", "40"), ("max_cumulative_loss", "300"), ("max_consecutive_losses", "2"), ("breaker_reset", "timed"),
     ("breaker_cooldown_seconds", "1"), ("liquidation_threshold", "0.5"), ("mark_source", "exit"), ("maintenance_basis", "mark")]
)  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("price"), SYMBOLS, st.integers(-200, 200)),
    st.tuples(st.just("order"), SYMBOLS, SIDES, st.integers(2, 60)),
    st.tuples(st.just("fill"), st.integers(1, 10), st.integers(0, 30)),
    st.tuples(st.just("bnb"), st.integers(1, 10), st.none() | st.integers(-30, 30), st.integers(0, 120)),
    st.tuples(st.just("worth"), st.none() | st.integers(300, 700)),
    st.tuples(st.just("rate"), st.integers(0, 2), st.integers(300, 700)),
    st.tuples(st.just("told"), st.integers(0, 9), st.sampled_from(["BNB", "USDT"]), st.integers(-30, 30)),
    st.tuples(st.just("look")),
    st.tuples(st.just("end"), st.booleans()),
    st.tuples(st.just("cash"), st.integers(-300, 300).filter(bool)),
    st.tuples(st.just("funding"), SYMBOLS, st.integers(-90, 90)),
    st.tuples(st.just("wait"), SIDES, st.integers(1, 90)),
    st.tuples(st.just("limit"), LIMIT),
    st.tuples(st.just("mode"), st.sampled_from(LiquidationMode)),
    st.tuples(st.just("status"), st.sampled_from([AccountStatus.ACTIVE, AccountStatus.FROZEN])),
    st.tuples(st.just("stop"), st.booleans()),
)


class Books:
    """An account that anything may happen to, and a ledger that is kept beside it out of the messages alone."""

    def __init__(self):
        self.state = account("500", maintenance_rate=D("0.02"))
        self.mids = {ETH: D(2000), BTC: D(60000)}
        self.now_s = self.trade_id = 0
        self.cash, self.held = D(500), {ETH: D(0), BTC: D(0)}
        self.paid = {"fees": D(0), "funding": D(0), "bad_debt": D(0)}
        self.worth, self.of_closed, self.owed = None, D(0), {}
        self.traded_at = {}

    def market(self):
        now_ns = self.now_s * 1_000_000_000
        day = TradingDay(WALL_MS - 1, WALL_MS + 30_000)
        mids = self.mids if self.worth is None else {**self.mids, BNB: self.worth}
        return market(mids, now_ns=now_ns, received_ns=now_ns, spread="0.4", day=day)

    def take(self, message):
        self.now_s += 1
        before = self.state
        decision = decide(before, message, self.market())
        self.state = decision.state
        assert replace(folded(before, decision.facts), sequence=self.state.sequence) == self.state
        for fact in decision.facts:
            self.note(fact)
        return decision

    def note(self, fact):
        match fact:
            case FillApplied():
                trade = fact.trade
                self.traded_at[trade.symbol] = trade.price
                self.held[trade.symbol] += trade.quantity * trade.side.sign
                self.paid["fees"] += fact.fee
                if fact.commission is not None:
                    self.owed[trade.trade_id] = fact.commission.amount
                if fact.commission is not None and fact.commission.rate is not None:
                    assert fact.commission.rate == self.worth
                    assert fact.fee == self.owed.pop(trade.trade_id) * self.worth
            case FeeLearned():
                self.owed[fact.trade_id] = fact.amount
            case FeeBooked():
                amount = self.owed.pop(fact.pending.trade_id)
                assert amount in {None, fact.pending.amount}
                self.paid["fees"] += fact.pending.amount * fact.rate
                self.of_closed += sum(share.fee for share in fact.shares if share.is_closed)
            case PositionClosed():
                self.of_closed += fact.fees
            case PositionTakenOver():
                self.traded_at[fact.symbol] = fact.price
                self.held[fact.symbol] -= fact.quantity
                self.paid["fees"] += fact.fee
            case FundingPaid():
                self.paid["funding"] += fact.amount
            case BadDebtRecorded():
                self.paid["bad_debt"] += fact.amount

    def step(self, kind, *values):
        orders = self.state.orders
        if kind == "price":
            self.mids[values[0]] = round(self.mids[values[0]] * (1000 + values[1]) / 1000, 1)
            self.take(Wake(values[0], "t"))
        elif kind == "order":
            quantity = D(values[2]) / (1000 if values[0] == BTC else 50)
            self.take(PlaceOrder(symbol=values[0], side=values[1], quantity=quantity, leverage=D(20)))
        elif kind == "fill" and orders and orders[-1].remaining:
            order = orders[-1]
            self.trade_id += 1
            part = min(order.remaining, max(D("0.001"), round(order.remaining * values[0] / 10, 3)))
            self.take(
                fill_of(
                    order,
                    quantity=part,
                    price=self.mids[order.symbol],
                    fee=str(D(values[1]) / 100),
                    trade_id=self.trade_id,
                )
            )
        elif kind in {"bnb", "worth", "rate", "told", "look"}:
            self.fees(kind, *values)
        elif kind == "end" and orders:
            order = orders[0]
            done = order.remaining == 0
            status = (
                OrderStatus.FILLED if done else OrderStatus.CANCELED if values[0] else OrderStatus.REJECTED
            )
            self.take(OrderClosed(order.client_order_id, status, order.filled))
        elif kind == "cash":
            if (
                decide(self.state, AdjustBalance(D(values[0]), "t"), self.market()).reply.__class__.__name__
                == "Accepted"
            ):
                self.cash += values[0]
            self.take(AdjustBalance(D(values[0]), "t"))
        elif kind == "funding":
            self.take(
                ApplyFunding(values[0], D(values[1]) / 10_000, self.mids[values[0]], WALL_MS + self.now_s)
            )
        else:
            self.others(kind, *values)

    def fees(self, kind, *values):
        """Commissions in BNB, told or not, and what BNB is worth, now and in minutes past."""
        if kind == "bnb" and not self.state.orders:
            side = BUY if values[2] % 2 else SELL
            self.take(PlaceOrder(symbol=ETH, side=side, quantity=D("0.1"), leverage=D(20)))
        orders, now_ms = self.state.orders, WALL_MS + self.now_s * 1_000
        if kind == "bnb" and orders and orders[-1].remaining:
            order = orders[-1]
            self.trade_id += 1
            part = min(order.remaining, max(D("0.001"), round(order.remaining * values[0] / 10, 3)))
            fee = None if values[1] is None else str(D(values[1]) / 10_000)
            self.take(
                fill_of(
                    order, quantity=part, price=self.mids[order.symbol], fee=fee, fee_asset="BNB" if fee else "",
                    trade_id=self.trade_id, trade_ms=now_ms - values[2] * 1_000,
                )
            )  # fmt: skip
        elif kind == "worth":
            self.worth = None if values[0] is None else D(values[0])
        elif kind == "rate":
            minute = now_ms - now_ms % 60_000 - values[0] * 60_000
            self.take(RateKnown(BNB, minute, minute + 60_000, D(values[1])))
        elif kind == "told" and self.state.pending_fees:
            fee = self.state.pending_fees[values[0] % len(self.state.pending_fees)]
            asked = FeeKnown(fee.symbol, fee.trade_id, D(values[2]) / 10_000, values[1])
            assert self.take(asked).duplicate is (fee.amount is not None)
        elif kind == "look":
            self.take(Reconsider(ReconsiderReason.FEES))

    def others(self, kind, *values):
        if kind == "wait":
            price = round(self.mids[ETH], 2) + (values[1] if values[0] is BUY else -values[1])
            self.take(
                PlaceConditional(
                    kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=values[0], quantity=D("0.1"), trigger_price=price, leverage=D(20)
                )
            )  # fmt: skip
        elif kind == "limit":
            self.take(SetLimits((values[0],)))
        elif kind == "mode":
            self.take(SetMode(values[0]))
        elif kind == "status":
            self.take(SetStatus(values[0]))
        elif kind == "stop":
            self.take(CloseOut("t") if values[0] else ResetBreaker())


@settings(max_examples=250, deadline=None)
@given(st.lists(STEP, min_size=12, max_size=60))
def test_whatever_happens_the_books_are_exact(steps):
    books = Books()
    for step in steps:
        books.step(*step)
        state = books.state
        assert books_balance(state)
        assert state.deposits == books.cash
        assert (state.fees, state.funding, state.bad_debt) == tuple(books.paid.values())
        assert {f.trade_id: f.amount for f in state.pending_fees} == books.owed
        assert state.fees == books.of_closed + sum(p.fees for p in state.positions)
        for symbol, quantity in books.held.items():
            position = state.position(symbol)
            assert (position.quantity if position else D(0)) == quantity
        steps_at_work = [o for o in state.orders if o.purpose is not Purpose.USER]
        # One step of deleveraging at a time, and never beside an order of the account's own.
        assert not steps_at_work or len(steps_at_work) == len(state.orders)
        assert len({o.symbol for o in steps_at_work}) == len(steps_at_work)
        for order in steps_at_work:
            held = state.position(order.symbol)
            assert order.remaining <= abs(held.quantity if held else D(0))


@settings(max_examples=100, deadline=None)
@given(st.lists(STEP, min_size=8, max_size=40))
def test_what_was_realized_is_the_cash_that_came_back(steps):
    books, cash = Books(), D(0)
    for step in steps:
        before = books.state
        books.step(*step)
        for symbol in (ETH, BTC):
            was, now = before.position(symbol), books.state.position(symbol)
            moved = (now.quantity if now else 0) - (was.quantity if was else 0)
            if moved:
                cash -= moved * books.traded_at[symbol]
    assert books.state.realized == cash + sum((p.signed_cost for p in books.state.positions), D(0))

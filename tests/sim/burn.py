"""Commissions in BNB for a simulated day: taken, sometimes not told, and worth what nobody knows at times."""

from __future__ import annotations

from decimal import Decimal as D
from random import Random

from msgspec import UNSET
from msgspec.structs import replace

from actors.core.facts import FillApplied
from actors.core.fees import FeeBooked
from actors.core.messages import Tick
from actors.core.units import NANOS_PER_SECOND, Nanos, plain
from actors.feed.actor import Feed
from actors.feed.rates import MinuteRate
from actors.venues.paper.generator import Generator
from actors.venues.paper.instruments import LISTINGS
from actors.venues.paper.user_events import OrderTradeUpdate
from tests.factories import BNB

WORTH = D(500)
"""What the exchange counts one BNB as when it takes a commission; the engine's rate is another."""

ANSWER_NS = Nanos(40_000_000)


def is_on(seed):
    """Whether the master of a seed's world pays its fees in BNB."""
    return seed % 3 == 2


def amount_of(commission):
    return round(commission / WORTH, 8)


class Burn:
    """What one world's exchange takes and tells, and a source of past rates; all of it misbehaves."""

    def __init__(self, seed, world):
        self.random, self.world = Random(seed + 6), world
        self.generator = Generator([LISTINGS[BNB]], Random(seed + 5), 10.0)
        self.dark_until_ns = 0
        self.told = self.untold = self.update = 0
        self.minutes = {}
        user_trades = world.exchange.user_trades

        def in_bnb(*wanted):
            return [replace(t, commission=amount_of(t.commission), asset="BNB") for t in user_trades(*wanted)]

        world.exchange.user_trades = in_bnb
        limits = next(iter(world.store.durable.values())).limits
        self.feed = Feed.start(
            "feed", world.dispatcher, self, world.actors["router"], world.book, [], limits.price_max_age_ns,
            world.alarms.append, world.accounts,
        )  # fmt: skip

    def event(self, event):
        """An event as it is told: its commission in BNB, or not at all."""
        if not isinstance(event, OrderTradeUpdate) or event.o.x != "TRADE":
            return event
        if self.random.random() < 0.1:
            self.untold += 1
            return replace(event, o=replace(event.o, n=UNSET, N=UNSET))
        self.told += 1
        return replace(event, o=replace(event.o, n=plain(amount_of(D(event.o.n))), N="BNB"))

    def tick(self):
        """The price moves; the router hears of it unless its stream is dark."""
        quote = self.generator.next(BNB)
        clock = self.world.clock
        begin_ms = clock.wall_ms() - clock.wall_ms() % 60_000
        self.minutes.setdefault(begin_ms, []).append((quote.bid + quote.ask) / 2)
        now_ns = clock.monotonic_ns()
        if self.random.random() < 0.02:
            self.dark_until_ns = now_ns + self.random.randint(5, 30) * NANOS_PER_SECOND
        if now_ns < self.dark_until_ns:
            return
        self.update += 1
        self.world.actors["router"].tell(
            Tick(
                BNB, quote.bid, quote.bid_qty, quote.ask, quote.ask_qty, self.update, clock.wall_ms(), Nanos(now_ns),
                (float(quote.bid) + float(quote.ask)) * 0.5,
            )
        )  # fmt: skip

    # -- the feed's source

    def start(self, router, feed):
        """Prices come with the world's ticks."""

    def refresh(self, symbols, router):
        """Nothing is watched."""

    def rate(self, symbol, begin_ms, feed):
        """A past minute's mean; now and then it cannot be had."""
        seen = self.minutes.get(begin_ms)
        lost = self.world.faults and self.random.random() < 0.5
        mean = None if lost or not seen else (seen[0] + seen[-1]) / 2
        self.world.dispatcher.after(ANSWER_NS, feed.cell, MinuteRate(symbol, begin_ms, mean))

    # -- what must hold

    def check_quiet(self, store):
        """Each fee is what was taken at the rate that is recorded with it, and no other."""
        paid = dict.fromkeys(store.durable, D(0))
        for (symbol, trade_id), fact in store.trades.items():
            late = store.late_fees.get((symbol, trade_id))
            [trade] = [t for t in self.world.exchange.trades[symbol] if t.id == trade_id]
            amount, rate, fee = taken(fact, late)
            assert amount == amount_of(trade.commission), (symbol, trade_id)
            assert fee == amount * rate
            lowest, highest = min(map(min, self.minutes.values())), max(map(max, self.minutes.values()))
            assert lowest <= rate <= highest
            paid[store.intents[fact.client_order_id].account_id] += fee
        for account_id, takeover in store.taken:
            paid[account_id] += takeover.fee
        for account_id, state in store.durable.items():
            assert state.pending_fees == ()
            assert state.fees == paid[account_id]


def taken(fact: FillApplied, late: FeeBooked | None):
    """Amount in BNB, rate and fee of a trade, booked with it or later."""
    if late is None:
        assert fact.commission.asset == "BNB"
        return fact.commission.amount, fact.commission.rate, fact.fee
    assert (fact.fee, fact.commission.rate) == (D(0), None)
    return late.pending.amount, late.rate, late.fee

"""Commissions in BNB for a simulated day: taken, sometimes not reported, and at times without a known rate."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import replace

from actors.assembly.simulation.people import BNB
from actors.assembly.simulation.violation import must
from actors.core.facts import FillApplied
from actors.core.fees import FeeBooked
from actors.core.messages import Tick
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, ZERO, Nanos, Symbol, plain
from actors.feed.rates import MinuteRate
from actors.runtime.actor import Ref
from actors.venues.paper.generator import Generator
from actors.venues.paper.instruments import LISTINGS
from actors.venues.paper.user_events import OrderTradeUpdate, PaperEvent

if TYPE_CHECKING:
    from actors.assembly.simulation.world import World

WORTH = Decimal(500)
"""What the exchange counts one BNB as when it takes a commission; the engine's rate is another."""

ANSWER_NS = Nanos(40 * NANOS_PER_MS)
MINUTE_MS = 60_000

UNREPORTED = 0.1
"""How often an event does not say what was taken."""

DARK = 0.02
"""How often the price stream goes dark, for 5 to 30 s."""

RATE_LOST = 0.5
"""How often a past minute's rate cannot be had."""


def pays_in_bnb(seed: int) -> bool:
    """Whether the master of a seed's world pays its fees in BNB: every third does."""
    return seed % 3 == 2  # noqa: PLR2004


def amount_of(commission: Decimal) -> Decimal:
    """A commission in the quote asset, in BNB."""
    return round(commission / WORTH, 8)


class BnbFees:
    """What one world's exchange takes and reports, and a source of past rates; all of it misbehaves."""

    def __init__(self, seed: int, world: World) -> None:
        self._random, self._world = Random(seed + 6), world
        self._generator = Generator([LISTINGS[BNB]], Random(seed + 5), 10.0)
        self._dark_until_ns = 0
        self._update = 0
        self._minutes: dict[int, list[Decimal]] = {}
        self.reported = self.unreported = 0
        user_trades = world.exchange.user_trades

        def in_bnb(*wanted: Any) -> list[Any]:
            return [replace(t, commission=amount_of(t.commission), asset="BNB") for t in user_trades(*wanted)]

        world.exchange.user_trades = in_bnb  # type: ignore[method-assign, assignment]

    def event(self, event: PaperEvent) -> PaperEvent:
        """An event as it is reported: its commission in BNB, or not at all."""
        if not isinstance(event, OrderTradeUpdate) or event.o.x != "TRADE":
            return event
        if self._random.random() < UNREPORTED:
            self.unreported += 1
            return replace(event, o=replace(event.o, n=UNSET, N=UNSET))
        self.reported += 1
        taken = amount_of(Decimal(str(event.o.n)))
        return replace(event, o=replace(event.o, n=plain(taken), N="BNB"))

    def tick(self) -> None:
        """The price moves; the router gets it unless its stream is dark."""
        quote = self._generator.next(BNB)
        clock = self._world.clock
        begin_ms = clock.wall_ms() - clock.wall_ms() % MINUTE_MS
        self._minutes.setdefault(begin_ms, []).append((quote.bid + quote.ask) / 2)
        now_ns = clock.monotonic_ns()
        if self._random.random() < DARK:
            self._dark_until_ns = now_ns + self._random.randint(5, 30) * NANOS_PER_SECOND
        if now_ns < self._dark_until_ns:
            return
        self._update += 1
        self._world.actors["router"].tell(
            Tick(
                BNB,
                quote.bid,
                quote.bid_qty,
                quote.ask,
                quote.ask_qty,
                self._update,
                clock.wall_ms(),
                Nanos(now_ns),
                (float(quote.bid) + float(quote.ask)) * 0.5,
            )
        )

    # -- the feed's source

    def start(self, router: Ref, feed: Ref) -> None:
        """Prices come with the world's ticks."""

    def subscribe(self, symbols: Sequence[Symbol]) -> None:
        """No symbol is added."""

    def refresh(self, symbols: Sequence[Symbol], router: Ref) -> None:
        """No symbol is watched."""

    def rate(self, symbol: Symbol, begin_ms: int, feed: Ref) -> None:
        """A past minute's mean; now and then it cannot be had."""
        seen = self._minutes.get(begin_ms)
        lost = self._world.faults and self._random.random() < RATE_LOST
        mean = None if lost or not seen else (seen[0] + seen[-1]) / 2
        self._world.dispatcher.after(ANSWER_NS, feed.cell, MinuteRate(symbol, begin_ms, mean))

    # -- what must hold

    def check_quiet(self) -> None:
        """Each fee is what was taken at the rate that is recorded with it, and no other.

        Raises:
            Violation: one is not.
        """
        store = self._world.store
        paid = dict.fromkeys(store.durable, ZERO)
        for (symbol, trade_id), fact in store.trades.items():
            late = store.late_fees.get((symbol, trade_id))
            [trade] = [t for t in self._world.exchange.trades[symbol] if t.id == trade_id]
            amount, rate, fee = _taken(fact, late)
            must(amount == amount_of(trade.commission), (symbol, trade_id))
            must(amount is not None and rate is not None and fee == amount * rate, (symbol, trade_id))
            lowest, highest = min(map(min, self._minutes.values())), max(map(max, self._minutes.values()))
            must(rate is not None and lowest <= rate <= highest, (symbol, trade_id))
            paid[store.intents[fact.client_order_id].account_id] += fee
        for part, fact in store.parts.items():
            _, _, fee = _taken(fact, store.late_parts.get(part))
            paid[store.intents[fact.client_order_id].account_id] += fee
        for account_id, takeover in store.taken:
            paid[account_id] += takeover.fee
        for account_id, state in store.durable.items():
            must(state.pending_fees == (), f"{account_id} has pending fees")
            must(state.fees == paid[account_id], f"{account_id} paid other fees than were taken")


def _taken(fact: FillApplied, late: FeeBooked | None) -> tuple[Decimal | None, Decimal | None, Decimal]:
    """Amount in BNB, rate and fee of a trade, booked with it or later."""
    if late is None:
        must(fact.commission is not None and fact.commission.asset == "BNB", fact)
        return fact.commission.amount, fact.commission.rate, fact.fee  # type: ignore[union-attr]
    must(fact.commission is not None and (fact.fee, fact.commission.rate) == (ZERO, None), fact)
    return late.pending.amount, late.rate, late.fee

"""What the benchmarks share: accounts in memory, ticks, and timing."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from decimal import Decimal
from random import Random

from actors.assembly.build import Runtime, Settings, build, with_stand_ins
from actors.core.messages import Tick
from actors.core.order_ids import FIXED
from actors.core.units import AccountId, Nanos, Symbol
from actors.limits.model import RiskLimits
from actors.runtime.actor import DispatchedActor, Ref
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.simulation import SeededDispatcher
from actors.subaccount.actor import AccountActor
from actors.subaccount.position import Position, position_id
from actors.subaccount.state import AccountState
from actors.venues.paper.generator import Generator
from actors.venues.paper.instruments import LISTINGS
from actors.venues.port import VenueConnection
from supervisor import Parts

SYMBOLS = list(LISTINGS)
ETH = Symbol("ETHUSDT")
LIMITS = RiskLimits(max_notional_per_trade=Decimal(10**9), max_total_exposure=Decimal(10**9))


class Sink(DispatchedActor):
    """Takes everything."""

    def on_receive(self, message: object) -> None:
        """Nothing to do."""


def seconds(work: Callable[[], object]) -> float:
    """How long some work takes."""
    gc.collect()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ticks(count: int, seed: int = 1) -> list[Tick]:
    """L1 of ten symbols, in turn, as the paper exchange makes it."""
    generator = Generator([LISTINGS[s] for s in SYMBOLS], Random(seed), 100.0)
    made = []
    for number in range(count):
        quote = generator.next(SYMBOLS[number % len(SYMBOLS)])
        mid = (float(quote.bid) + float(quote.ask)) * 0.5
        made.append(
            Tick(
                quote.symbol,
                quote.bid,
                quote.bid_qty,
                quote.ask,
                quote.ask_qty,
                number,
                number,
                Nanos(0),
                mid,
            )
        )
    return made


def state(number: int) -> AccountState:
    """An account with one position, of a leverage of 3 to 20."""
    account_id = AccountId(f"acct-{number}")
    listing = LISTINGS[SYMBOLS[number % len(SYMBOLS)]]
    side = 1 if number % 3 else -1
    leverage = 3 + number % 18
    quantity = listing.instrument.ceil_qty(Decimal(100 * leverage) / listing.start_price) * side
    return AccountState(
        account_id=account_id,
        balance=Decimal(200),
        deposits=Decimal(200),
        limits=LIMITS,
        positions=(
            Position(
                position_id=position_id(account_id, 1),
                symbol=listing.instrument.symbol,
                quantity=quantity,
                cost=abs(quantity) * listing.start_price,
                margin=abs(quantity) * listing.start_price / leverage,
                realized=Decimal(0),
                opened_ms=0,
            ),
        ),
    )


def sink(name: str) -> Callable[[Parts], Ref]:
    """Starts something that takes everything under a child's name."""
    return lambda parts: Sink.start(name, parts.main)


class Fleet:
    """Real accounts and a real router on one dispatcher; writer and gateway take everything.

    Args:
        count: how many accounts.
        dispatcher: without it a seeded one.
        kind: the accounts' class.
        writer: stands in for the writer; without it a sink.
        alarm: informed of alarms, and of a halt.
    """

    def __init__(
        self,
        count: int,
        dispatcher: Dispatcher | None = None,
        kind: type[AccountActor] = AccountActor,
        writer: Callable[[Parts], Ref] | None = None,
        alarm: Callable[[str], None] = print,
    ) -> None:
        self.dispatcher = dispatcher or SeededDispatcher("bench", VirtualClock())
        self.assembly = build(
            Settings(origin=FIXED),
            Runtime(main=self.dispatcher, io=self.dispatcher, alarm=alarm, halt=alarm),
            None,
            VenueConnection(instruments={s: LISTINGS[s].instrument for s in SYMBOLS}),
            with_stand_ins({"writer": writer or sink("writer"), "gateway": sink("gateway")}),
        )
        self.accounts, self.book, self.context = (
            self.assembly.accounts,
            self.assembly.book,
            self.assembly.context,
        )
        self.assembly.start("writer", "gateway", "router", prove=False)
        self.router = self.assembly.actors["router"]
        for tick in ticks(len(SYMBOLS)):
            self.tell(tick)
        for number in range(count):
            made = state(number)
            self.assembly.start_account(made.account_id, made, kind=kind)
        self.settle()

    def tell(self, tick: Tick) -> None:
        """One tick through the router's mailbox."""
        self.router.tell(tick)
        self.settle()

    def settle(self) -> None:
        """Run until quiet, where the dispatcher is ours to run."""
        if isinstance(self.dispatcher, SeededDispatcher):
            self.dispatcher.run_until_quiet()

"""``bulkhead replay``: the same actors over recorded L1, in virtual time.

Router, accounts, writer and gateway are the live ones, on the seeded dispatcher; the writer
writes to a real Postgres, the gateway sends to the paper exchange's matching in-process. The
same files, accounts and seed give the same decisions, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

import msgspec
from rich.console import Console
from rich.progress import Progress

from actors.assembly.build import Runtime, Settings, build
from actors.core.clearing_facts import ClearingFact
from actors.core.durability import Persist, StreamFacts
from actors.core.enums import OrderStatus, Side
from actors.core.errors import BadInput, NotDurable
from actors.core.facts import (
    AnyFact,
    CloseOutBegan,
    CloseOutEnded,
    FillApplied,
    OrderEnded,
    OrderIntended,
    PhaseChanged,
)
from actors.core.instruments import Instrument
from actors.core.messages import PlaceOrder, Tick
from actors.core.order_ids import FIXED
from actors.core.records import NewAccount
from actors.core.trades import flattened
from actors.core.units import NANOS_PER_MS, AccountId, Nanos, Symbol
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.store import Store
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.subaccount import margin
from actors.subaccount.state import AccountState
from actors.venues.paper.generator import Quote
from actors.venues.paper.in_process import InProcessExchange
from actors.venues.paper.instruments import LISTINGS
from actors.venues.paper.matching import Exchange
from actors.venues.paper.recording import Row, merged, symbol_of
from actors.venues.port import VenueConnection

DEPOSIT = Decimal(1_000)
LEVERAGES = (5, 20, 50, 100)
LATENCY_MS = 5
PROGRESS_EVERY = 2_000
SETTLE_NS = Nanos(2_000 * NANOS_PER_MS)


class RecordingStore:
    """A store whose decisions are also written down, one JSON line each, and hashed.

    ``start_ms`` is the wall time at which its clock's monotonic time is 0.
    """

    def __init__(self, store: Store, out: BinaryIO | None, start_ms: int = 0) -> None:
        self._store = store
        self._out = out
        self._start_ms = start_ms
        self.digest = hashlib.sha256()
        self.decisions = 0
        self.not_placed: Counter[str] = Counter()

    def commit(self, decisions: list[Persist]) -> list[NotDurable | None]:
        """Commit, then record what is durable."""
        results = self._store.commit(decisions)
        for decision, refusal in zip(decisions, results, strict=True):
            line = msgspec.json.encode(
                {
                    "at_ms": decision.wall_ms,
                    "account": decision.stream,
                    "sequence": decision.state.sequence,
                    "cause": decision.cause,
                    "facts": [_spoken(fact, self._start_ms) for fact in decision.facts],
                    "refused": None if refusal is None else str(refusal),
                }
            )
            if refusal is None:
                self.not_placed.update(_not_placed(decision.facts))
            self.digest.update(line)
            self.decisions += 1
            if self._out is not None:
                self._out.write(line + b"\n")
        return results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _spoken(fact: AnyFact | ClearingFact, start_ms: int) -> Any:
    """A fact as all releases have written it, so that the replays of two releases can be compared byte for byte."""
    fields: dict[str, Any]
    match fact:
        case FillApplied():
            fields = flattened(fact)
            for name in ("fee_asset", "closing_fee", "cost", "margin", "mae", "mfe"):
                del fields[name]  # ``commission`` says the first; the others follow from the rest
        case PhaseChanged():
            fields = msgspec.to_builtins(fact)
            retry_at_ms = fields.pop("retry_at_ms")
            fields["retry_at_ns"] = (retry_at_ms - start_ms) * NANOS_PER_MS if retry_at_ms else 0
        case OrderIntended():
            fields = msgspec.to_builtins(fact)
            fields["tier"] = fact.tier or fields.pop("attempt")
            fields = {
                name: value
                for name, value in fields.items()
                if name not in {"attempt", "conditional_id", "shortfall"}
            }
        case CloseOutBegan() | CloseOutEnded():
            fields = {"fact": "ClosingOut", "reason": fact.reason if isinstance(fact, CloseOutBegan) else ""}
        case _:
            return fact
    return fields


def _not_placed(facts: StreamFacts) -> Iterator[str]:
    """Why an order ended without a trade, if nothing was decided in its place."""
    if any(isinstance(fact, OrderIntended) for fact in facts):
        return
    for fact in facts:
        if isinstance(fact, OrderEnded) and fact.status in {OrderStatus.NEVER_SENT, OrderStatus.REJECTED}:
            # Without the seconds that each waited, alike is alike.
            yield re.sub(r" \d+\.\d s", "", fact.reason) or f"refused ({fact.code})"


class Replay:
    """One run.

    Args:
        store: an open store on an empty database.
        symbols: what the files hold.
        accounts: how many accounts.
        seed: of positions and scheduling.
        start_ms: Unix milliseconds of the first row.
    """

    def __init__(
        self, store: Any, symbols: Sequence[Symbol], accounts: int, seed: int, start_ms: int
    ) -> None:
        self.clock = VirtualClock(start_ms)
        self.dispatcher = SeededDispatcher("replay", self.clock, Random(seed))  # noqa: S311 - order of turns
        self._random = Random(seed + 1)  # noqa: S311 - sizes of positions
        self._start_ms = start_ms
        instruments: dict[Symbol, Instrument] = {s: LISTINGS[s].instrument for s in symbols}
        self.exchange = InProcessExchange(Exchange(instruments, Decimal(10**9)), self.dispatcher, LATENCY_MS)
        self._waiting_for_price: dict[Symbol, list[AccountId]] = {s: [] for s in symbols}
        # Unsupervised: an actor that fails is stopped, and the accounts' final states show it.
        self.assembly = build(
            Settings(origin=FIXED),
            Runtime(main=self.dispatcher, io=self.dispatcher),
            store,
            VenueConnection(instruments=instruments, transport=self.exchange),
        )
        self.book, self.context = self.assembly.book, self.assembly.context
        self.accounts, self.actors = self.assembly.accounts, self.assembly.actors
        self.assembly.start("writer", "gateway", "router", prove=False)
        self._open_accounts(store, symbols, accounts)
        self.ticks = 0
        self.asked = 0

    def _open_accounts(self, store: Any, symbols: Sequence[Symbol], count: int) -> None:
        wide = Decimal(10_000_000)
        ids = [AccountId(f"acct-{n:05d}") for n in range(1, count + 1)]
        new = [
            NewAccount(
                account_id=i,
                name=i,
                deposit=DEPOSIT,
                max_leverage=Decimal(100),
                max_notional_per_trade=wide,
                max_total_exposure=wide,
            )
            for i in ids
        ]
        store.create_accounts(new, self._start_ms)
        for number, state in enumerate(store.load(ids)):
            self.assembly.start_account(state.account_id, state)
            self._waiting_for_price[symbols[number % len(symbols)]].append(state.account_id)
        self.dispatcher.run_until_quiet()

    def row(self, row: Row) -> None:
        """One recorded L1: time moves there, the exchange sees it, then the router."""
        self.dispatcher.run_until(Nanos((row.event_ms - self._start_ms) * NANOS_PER_MS))
        self.ticks += 1
        self.exchange.quote(Quote(row.symbol, row.bid, row.bid_qty, row.ask, row.ask_qty))
        self.actors["router"].tell(
            Tick(
                row.symbol,
                row.bid,
                row.bid_qty,
                row.ask,
                row.ask_qty,
                row.update_id,
                row.event_ms,
                Nanos(self.clock.monotonic_ns()),
                row.mid_float,
            )
        )
        self.dispatcher.run_until_quiet()
        if self._waiting_for_price[row.symbol]:
            self._open_positions(row)

    def _open_positions(self, row: Row) -> None:
        instrument = self.context.instruments[row.symbol]
        for account_id in self._waiting_for_price[row.symbol]:
            leverage = Decimal(self._random.choice(LEVERAGES))
            side = self._random.choice((Side.BUY, Side.SELL))
            share = Decimal(self._random.randint(50, 95)) / 100
            quantity = instrument.floor_qty(DEPOSIT * leverage * share / row.ask)
            self.asked += 1
            self.accounts[account_id].tell(
                PlaceOrder(symbol=row.symbol, side=side, quantity=quantity, leverage=leverage, cause="replay")
            )
        self._waiting_for_price[row.symbol] = []
        self.dispatcher.run_until_quiet()

    def settle(self) -> None:
        """Let what is under way come to an end."""
        self.dispatcher.run_until(Nanos(self.clock.monotonic_ns() + SETTLE_NS))

    def states(self) -> list[AccountState]:
        """All accounts' final states."""
        return [ref.cell.actor.inspect_state() for ref in self.accounts.values()]


def run_replay(  # noqa: PLR0913 - one per option of the command
    files: list[Path], accounts: int, seed: int, output: Path | None, out: Console, err: Console
) -> None:
    """Replay files and print the outcome.

    Raises:
        BadInput: a file or a number that cannot be used; names it.
    """
    if not files:
        raise BadInput("name at least one bookTicker CSV file")
    if not 1 <= accounts <= 100_000:  # noqa: PLR2004 - what one machine replays
        raise BadInput(f"--accounts: {accounts} must be 1 to 100000")
    symbols = list(dict.fromkeys(symbol_of(f) for f in files))
    unknown = [s for s in symbols if s not in LISTINGS]
    if unknown:
        raise BadInput(f"{unknown[0]}: its trading rules are not known; known are {', '.join(LISTINGS)}")
    rows = merged(files)
    first = next(rows, None)
    if first is None:
        raise BadInput(f"{files[0]}: holds no rows")
    with tempfile.TemporaryDirectory(prefix="bulkhead-replay-") as folder:
        embedded = EmbeddedPostgres(Path(folder), err.print)
        store = Store.open(embedded.start())
        log = output.open("wb") if output else None
        try:
            store.acquire("replay", 3_600)
            recording = RecordingStore(store, log, first.event_ms)
            replay = Replay(recording, symbols, accounts, seed, first.event_ms)
            with Progress(console=err, transient=True) as progress:
                task = progress.add_task("replaying", total=None)
                replay.row(first)
                for number, row in enumerate(rows):
                    replay.row(row)
                    if number % PROGRESS_EVERY == 0:
                        progress.update(task, description=f"replaying: {number:,} rows")
            replay.settle()
            _print(replay, recording, out)
        finally:
            if log is not None:
                log.close()
            store.close()
            embedded.stop()


def _print(replay: Replay, recording: RecordingStore, out: Console) -> None:
    line = "{:<12}{:<12}{:<13}{:>18}{:>18}{:>16}  {}"
    head = line.format("account", "status", "phase", "balance", "equity", "bad debt", "positions")
    out.print(head, markup=False, highlight=False)
    marks = {s: t.mid for s, t in replay.book.ticks.items()}
    for state in replay.states():
        equity = margin.view(state, marks).equity
        held = ", ".join(f"{p.quantity} {p.symbol}" for p in state.positions)
        money = (f"{state.balance:.8f}", f"{equity:.8f}", f"{state.bad_debt:.8f}")
        text = line.format(state.account_id, state.status, state.phase, *money, held)
        out.print(text, markup=False, highlight=False)
    stats = replay.context.stats
    out.print(f"rows {replay.ticks}  wakes {stats.wakes}  decisions {recording.decisions}", highlight=False)
    out.print(f"orders {stats.orders}  ADL steps {stats.adl_steps}  fills {stats.fills}", highlight=False)
    asked, rejected = replay.asked, stats.rejected
    waiting = replay.actors["gateway"].cell.actor.inspect_state().queued
    lost = rejected + waiting + sum(recording.not_placed.values())
    out.print(f"opening orders {asked}  not placed {lost}", highlight=False)
    if rejected:
        out.print(f"  {rejected}: refused by the account's checks", markup=False, highlight=False)
    if waiting:
        out.print(f"  {waiting}: still waiting for their turn to be sent at the end", highlight=False)
    for reason, count in recording.not_placed.most_common():
        out.print(f"  {count}: {reason}", markup=False, highlight=False)
    out.print(f"decisions sha256 {recording.digest.hexdigest()}", highlight=False)

"""1 % of 100,000 accounts poisoned under load: who notices?

Real account actors and the real supervisor. Each poisoned account is told poison until it is in
quarantine; the healthy are woken all the time. One run: the same load before and during.
"""

from __future__ import annotations

import gc
import time
from typing import Any, ClassVar, NamedTuple

from actors.core.messages import FaultOnPurpose, Reconsider, Wake
from actors.core.records import LiftQuarantine, RecordDeadLetter, RecordQuarantine
from actors.core.units import NANOS_PER_MS, Nanos
from actors.runtime.actor import DispatchedActor, Ref
from actors.runtime.cell import Status
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.subaccount.actor import AccountActor
from actors.subaccount.durability import AccountLoaded, LoadAccount
from bench.common import Fleet, state

COUNT = 100_000
POISONED_EVERY = 100
POISON_EACH = 8
LOAD_PER_SECOND = 40_000
SECONDS = 10
WARM_UP_SECONDS = 20
QUARANTINE_SECONDS = 60


class Memory(DispatchedActor):
    """A writer whose durable truth is the states that the fleet began with."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: dict[str, list[str]] = {}
        self.quarantined: set[str] = set()

    def on_receive(self, message: Any) -> None:
        """Load, and remember what the supervisor records."""
        if isinstance(message, LoadAccount):
            number = int(message.account_id.rpartition("-")[2])
            message.asker.tell(AccountLoaded(state(number), message.incarnation))
        elif isinstance(message, RecordDeadLetter):
            self.letters.setdefault(message.actor, []).append(message.message)
        elif isinstance(message, RecordQuarantine):
            self.quarantined.add(message.account_id)
        elif isinstance(message, LiftQuarantine):
            self.quarantined.discard(message.account_id)


class Timed(AccountActor):
    """An account that notes how long its messages waited and took (ns)."""

    waited: ClassVar[list[int]] = []
    took: ClassVar[list[int]] = []

    def handle(self, message: Any) -> Any:
        """Time one message."""
        letter = self._cell.busy_with
        began = time.monotonic_ns()
        reply = super().handle(message)
        self.took.append(time.monotonic_ns() - began)
        if letter is not None:
            self.waited.append(began - letter[2])
        return reply


class Measured(NamedTuple):
    """What the healthy saw in one span of time; ns."""

    waited: list[int]
    took: list[int]


class Pump(DispatchedActor):
    """Wakes the healthy, a few every millisecond, from the same thread, as the router does."""

    def __init__(self, refs: list[Ref]) -> None:
        super().__init__()
        self._refs = refs
        self._is_on = False
        self._at = 0

    def on_receive(self, message: Any) -> None:
        """Switch, or wake the next few."""
        if message.cause != "next":
            self._is_on = message.cause == "on"
        if self._is_on:
            refs = self._refs
            for _ in range(LOAD_PER_SECOND // 1_000):
                ref = refs[self._at]
                self._at = (self._at + 7_919) % len(refs)
                account: Any = ref.cell.actor
                ref.tell(Wake(account.state.symbols[0], "bench"))
            self._cell.dispatcher.after(Nanos(NANOS_PER_MS), self._cell, Reconsider("next"))


class Ward:
    """A fleet with a supervisor, all on live dispatchers."""

    def __init__(self) -> None:
        self.main = ThreadedDispatcher("main", SystemClock())
        self.main.start()
        self.alarms: list[str] = []
        self.fleet = Fleet(
            COUNT, self.main, Timed, lambda parts: Memory.start("writer", parts.main), self.alarms.append
        )
        self.registry, accounts = self.fleet.assembly.registry, self.fleet.accounts
        self.writer = self.registry.actors["writer"]
        self.supervisor = self.fleet.assembly.supervise()
        # Everybody's triggers are registered by now: what follows is the load, and nothing else.
        self.wait_for_quiet()
        refs = list(accounts.values())
        self.sick = refs[::POISONED_EVERY]
        self.well = [r for n, r in enumerate(refs) if n % POISONED_EVERY]
        self.pump = Pump.start("pump", self.main, self.well)

    def wait_for_quiet(self) -> None:
        """Until nobody waits for a turn."""
        while self.main.backlog() or self.main.running is not None:
            time.sleep(0.01)

    def load(self, seconds: float) -> None:
        """Have the healthy woken at a steady rate."""
        self.pump.tell(Reconsider("on"))
        time.sleep(seconds)
        self.pump.tell(Reconsider("off"))
        self.wait_for_quiet()


def run() -> None:
    """Print what the healthy noticed, and what became of the poisoned."""
    ward = Ward()
    sick, well = ward.sick, ward.well
    gc.collect()
    gc.freeze()
    ward.load(WARM_UP_SECONDS)
    before = measured(ward)
    for ref in sick:
        for n in range(POISON_EACH):
            ref.tell(FaultOnPurpose(f"poison {n}"))
    during = measured(ward)
    wait_for_quarantine(ward, len(sick))
    after = measured(ward)
    report(ward, sick, well, {"before": before, "during": during, "after": after})
    ward.main.stop(5)


def measured(ward: Ward) -> Measured:
    """Load the healthy for a while."""
    Timed.waited.clear()
    Timed.took.clear()
    ward.load(SECONDS)
    return Measured(Timed.waited[:], Timed.took[:])


def wait_for_quarantine(ward: Ward, count: int) -> None:
    """Restarts wait longer and longer; the last failure comes seconds after the first."""
    deadline = time.monotonic() + QUARANTINE_SECONDS
    while len(ward.registry.quarantined) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    ward.wait_for_quiet()


def report(ward: Ward, sick: list[Ref], well: list[Ref], spans: dict[str, Measured]) -> None:
    """Print the figures."""
    memory: Any = ward.writer.cell.actor
    kept = sum(
        ref.cell.status is Status.QUARANTINED
        and any("poison" in crash.message for crash in ref.cell.crashes or ())
        and ref.cell.mailbox.depth() >= 1
        for ref in sick
    )
    all_of_them = [
        *well,
        *sick,
        *ward.fleet.accounts.values(),
        ward.writer,
        ward.fleet.router,
        ward.supervisor,
    ]
    lost = sum(not ref.cell.mailbox.counters().is_conserved for ref in all_of_them)
    print(f"{len(well) + len(sick):,} accounts, {len(sick):,} poisoned with {POISON_EACH} messages each")
    print(
        f"quarantined with message and mailbox: {kept:,} of {len(sick):,}; recorded: {len(memory.quarantined):,}"
    )
    letters, restarts = sum(map(len, memory.letters.values())), sum(r.cell.restarts for r in well)
    print(f"dead letters: {letters:,}; restarts of healthy accounts: {restarts}")
    print(f"mailboxes that lost count of a message: {lost} of {len(all_of_them):,}")
    for name, span in spans.items():
        turn, wait = percentile(span.took, 0.99) / 1e3, percentile(span.waited, 0.99) / 1e3
        print(
            f"healthy {name:<7}{len(span.took) / SECONDS:>8,.0f} messages/s   turn p50 "
            f"{percentile(span.took, 0.5) / 1e3:6.1f} us, p99 {turn:6.1f} us   wait p99 {wait:8.1f} us"
        )
    for what in ("took", "waited"):
        before, during, after = (
            percentile(getattr(spans[n], what), 0.99) for n in ("before", "during", "after")
        )
        print(
            f"p99 of what a message {what}: {(2 * during / (before + after) - 1) * 100:+.1f} % against the mean of "
            f"before and after, which differ by {(after / before - 1) * 100:+.1f} %"
        )


def percentile(values: list[int], share: float) -> int:
    """A percentile of many values."""
    return sorted(values)[int(share * (len(values) - 1))]

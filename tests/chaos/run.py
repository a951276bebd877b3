"""A chaos run: cycles of load, one fault, kill -9, checks, and the next engine.

Which faults come in which order, and all other choices, come from the seed. When they meet what the processes are just
doing does not: processes are real, so the same seed gives the same plan and not the same run.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

from actors.api.client import EngineError
from actors.core.enums import Purpose
from tests.chaos.books import Books
from tests.chaos.journal import Broken
from tests.chaos.load import DEPOSIT, Load
from tests.chaos.world import LEASE_SECONDS, World, killed, slept
from tests.e2e.processes import WAIT, account_bodies, until

QUIET_EVERY = 10
READY = 0.15
"""Which share of the engines is killed after it recovered; the others recover when they are killed."""

EXIT_BAD_START, EXIT_HALTED = 2, 3

SHARES = {
    "kill": 46, "kill at start": 12, "kill with Postgres": 6, "kill Postgres": 8, "kill a backend": 8,
    "restart Postgres": 6, "cut connections": 8, "freeze": 6,
}  # fmt: skip
"""Of a hundred cycles, how many have which fault. Each ends with kill -9 of the engine."""


def plan(rng, cycles):
    """The fault of each cycle; each kind comes at least once in twenty cycles or more."""
    kinds = [k for k, share in SHARES.items() for _ in range(max(1, round(share * cycles / 100)))]
    rng.shuffle(kinds)
    while len(kinds) < cycles:
        kinds.append(rng.choices(list(SHARES), list(SHARES.values()))[0])
    return kinds[:cycles] if cycles < len(SHARES) else _shortened(kinds, cycles)


def _shortened(kinds, cycles):
    """So many, by taking away of what there is most."""
    while len(kinds) > cycles:
        kinds.remove(Counter(kinds).most_common(1)[0][0])
    return kinds


class Run:
    """One run.

    Args:
        folder: where data and logs go.
        seed: of every choice.
        cycles: how many.
        accounts: how many accounts trade.
        report: called with a line about each cycle.
    """

    def __init__(self, folder, seed, cycles, accounts=40, report=lambda _line: None):
        self.seed, self.cycles, self._report = seed, cycles, report
        self._rng = random.Random(seed)
        self._plan = plan(self._rng, cycles)
        self.faults, self.done, self.takeovers = Counter(), 0, []
        self._disturbed = False
        self.under_way = "the start"
        self.world = World(folder, seed)
        try:
            self._open_accounts(accounts)
            self.load = Load(self.world, seed, accounts)
            self.books = Books(self.world, self.load)
        except BaseException:
            self.world.stop()
            raise

    def _open_accounts(self, accounts):
        engine = self.world.start_engine()
        client = self.world.wait_ready(engine)
        client.post("/v1/accounts", account_bodies(accounts, deposit=str(DEPOSIT)))

    def play(self):
        """Run all cycles.

        Raises:
            AssertionError: what does not hold.
        """
        try:
            for number, fault in enumerate(self._plan, 1):
                began, self.under_way = time.monotonic(), f"cycle {number} ({fault})"
                self._cycle(fault)
                self.faults[fault] += 1
                self.done = number
                is_checked = number % QUIET_EVERY == 0 or number == self.cycles
                if is_checked:
                    self._check_quiet()
                self._report(
                    f"{number}/{self.cycles} {fault}, {time.monotonic() - began:.1f} s"
                    f"{', books compared' if is_checked else ''}"
                )
        finally:
            self.load.stop()
            if self.world.engine is not None:
                self.world.end(self.world.engine)
            self.world.stop()

    def figures(self):
        """What the run did, for people."""
        load = self.load
        return {
            "cycles": self.done,
            "faults": dict(self.faults),
            "engines started": self.world.starts,
            "decisions in the journal": self.books.journal.position,
            "orders at the exchange": len(self.books.exchange.orders),
            "trades booked": len(self.books.exchange.trades),
            "of them by liquidations": sum(
                f.purpose in {Purpose.ADL, Purpose.LIQUIDATION} for _, f in self.books.journal.fills.values()
            ),
            "slowest takeover from a frozen engine to an API that answers, s": round(
                max(self.takeovers, default=0), 1
            ),
            "load": dict(sorted(load.counts.items())),
        }

    # -- one cycle

    def _cycle(self, fault):
        world, rng = self.world, self._rng
        engine = world.engine or world.start_engine()
        self._disturbed = False
        if fault == "kill at start":
            self.load.resume()
            slept(rng, 0.2, 2.0)
        else:
            self._wait(engine, is_ready=rng.random() < READY)
            self.load.resume()
            slept(rng, 0.2, 0.8)
            self._before_the_kill(fault, engine)
        self._kill(fault)
        self.load.pause()
        self.books.check_dead()

    def _wait(self, engine, *, is_ready):
        if is_ready:
            self.world.wait_ready(engine)
        else:
            until(lambda: self.world.client() is not None or engine.has_ended, "the API", 2 * WAIT)
            if engine.has_ended:
                raise Broken(f"the engine ended with {engine.child.poll()}: {engine.errors[-3000:]}")

    def _before_the_kill(self, fault, engine):
        world, rng = self.world, self._rng
        match fault:
            case "kill Postgres":
                killed(world.postmaster())
            case "kill a backend":
                killed(rng.choice(world.backends() or [world.postmaster()]))
            case "restart Postgres":
                killed(world.postmaster(), signal.SIGINT)  # its fast shutdown
            case "cut connections":
                self._disturbed = True
                for _ in range(rng.randint(1, 5)):
                    with world.sql() as own:
                        own.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE application_name LIKE 'bulkhead%'"
                        )
                    slept(rng, 0, 0.1)
            case "freeze":
                self._freeze(engine)
        if fault in {"kill Postgres", "kill a backend", "restart Postgres"}:
            self._disturbed = True
            slept(rng, 0, 0.4)
            if rng.random() < 0.5:
                # The engine lives through it; else it is killed while Postgres is away.
                world.revive()
                if engine.is_ready.is_set():
                    self._trades_again()
        slept(rng, 0, 0.4)

    def _kill(self, fault):
        world = self.world
        engine = world.engine
        if fault == "kill with Postgres":
            pid = world.postmaster()
            engine.child.kill()
            engine.child.wait(WAIT)
            killed(pid)
        self._check_alive(engine)
        world.end(engine)
        world.revive()

    def _check_alive(self, engine):
        """An engine ends by itself only when Postgres goes away before it is ready."""
        code = engine.child.poll()
        if code is None or code == -signal.SIGKILL:
            return True
        if code != EXIT_BAD_START or engine.is_ready.is_set() or not self._disturbed:
            raise Broken(f"the engine ended by itself with {code}: {engine.errors[-3000:]}")
        return False

    def _freeze(self, engine):
        """Freeze the owner in the middle of its work, let another take over, and let the first one go on."""
        world = self.world
        engine.freeze()
        began = time.monotonic()
        world.engine = None
        self.load.pause()  # it would change nothing but how long the takeover's recovery takes
        with world.sql() as own:
            [(before,)] = own.execute("SELECT max(epoch) FROM bulkhead.shard").fetchall()
        self._successor(engine)
        self.takeovers.append(time.monotonic() - began)
        self.load.resume()
        slept(self._rng, 0, 0.5)
        engine.thaw()
        until(
            lambda: "the engine halts" in engine.errors,
            "the halt of an engine whose accounts another one owns",
        )
        if self._rng.random() < 0.4:
            # To its very end: what it would still write, it writes while it stops.
            until(lambda: engine.has_ended, "the end of an engine that halted")
        code = engine.child.poll()
        world.end(engine)
        if code not in {None, EXIT_HALTED}:
            raise Broken(f"an engine that was taken over ended with {code}: {engine.errors[-3000:]}")
        with world.sql() as own:
            [(after,)] = own.execute("SELECT min(epoch) FROM bulkhead.shard").fetchall()
            if after <= before:
                raise Broken(f"the epoch was {before} before a takeover and is {after} after it")
            self.books.check_writers(own)

    def _successor(self, first):
        """An engine of another folder, once the first one's lease has run out."""
        world = self.world
        folder = "two" if first.folder.name == "one" else "one"
        deadline = time.monotonic() + LEASE_SECONDS + WAIT
        while True:
            second = world.start_engine(folder)
            until(lambda e=second: e.client() is not None or e.has_ended, "the second engine", 2 * WAIT)
            if not second.has_ended:
                return
            world.starts -= 1  # the next try is of the same role
            if "owns this database" not in second.errors or time.monotonic() > deadline:
                raise Broken(f"no engine took over from a frozen one: {second.errors[-3000:]}")

    def _trades_again(self):
        """Wait until the engine takes new risk after Postgres was away."""
        engine = self.world.engine

        def is_well():
            if not self._check_alive(engine):
                return True
            client = self.world.client()
            try:
                return client is not None and client.get("/v1/health")["status"] == "ok"
            except EngineError:
                return False

        until(is_well, "new risk allowed again")

    def _check_quiet(self):
        world = self.world
        client = world.wait_ready(world.start_engine())
        self.load.resume()
        slept(self._rng, 0.1, 0.5)
        self.load.pause()
        self.books.check_quiet(client)

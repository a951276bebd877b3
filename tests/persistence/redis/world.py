"""Accounts with a history, a journal's tail in memory, prices that move, and publishers to real Redis servers."""

from __future__ import annotations

import hashlib
import itertools
import time
from types import SimpleNamespace

from msgspec.structs import replace

from actors.core.order_ids import FIXED
from actors.core.units import AccountId, Nanos
from actors.persistence import journal
from actors.persistence.redis.event_stream import EventStream
from actors.persistence.redis.publisher import Publisher, Sources
from actors.persistence.tail import Decided, JournalTail
from actors.runtime.clock import SystemClock
from actors.subaccount.market import Market
from tests.factories import INSTRUMENTS, D, tick
from tests.model import engine
from tests.model.kinds import ROWS
from tests.model.sequence import Sequence
from tests.persistence.projection import lives

STREAM = "bulkhead:events"


class Asked:
    """A reader without a database: the tail's memory has all rows; of roots it knows those of ``rooted``, by position."""

    def __init__(self):
        self.rooted = {}

    def ask(self, call):
        return call(self)

    def execute(self, statement, parameters):
        if statement == journal.FIRST_KEPT:
            return SimpleNamespace(fetchone=lambda: (1 if self.rooted else None,))
        assert statement == journal.ROOTS_AT, "the tail of these tests keeps all rows"
        return SimpleNamespace(
            fetchall=lambda: [(n, self.rooted[n]) for n in parameters[1] if n in self.rooted]
        )


def life(seed, account_id, events=60):
    """Decisions of one account that lives through random events, as the writer gets them."""
    before = engine.ACCOUNT, engine.Engine
    engine.ACCOUNT, engine.Engine = AccountId(account_id), lives._Recorder
    try:
        sequence = Sequence(f"projection:{seed}")
        sequence.trade_id = (seed + 1) * 100_000
        sequence.play(events)
        return sequence.engine.persists
    finally:
        engine.ACCOUNT, engine.Engine = before


class World:
    """An engine's side: ``decide`` commits the next decisions, ``move`` changes all prices.

    The seeds are of accounts that live long.
    """

    def __init__(self, seeds=(0, 4, 6, 8, 9, 10, 11), events=200):
        self.clock = SystemClock()
        each = [life(seed, f"life-{seed}", events) for seed in seeds]
        self.actors = {p[0].stream: replace(p[0].state, sequence=0) for p in each}
        self.asked = Asked()
        self.tail = JournalTail(self.asked, 0, kept=100_000)
        self.rows, self.ticks, self.number = [], {}, 0
        turns = [p for some in itertools.zip_longest(*each) for p in some if p is not None]
        self.left = iter(turns)
        self.move()

    def decide(self, count=10**9):
        """Commit so many decisions; the actors are where they are then. Whether there are more."""
        rows = []
        for persist in self.left:
            rows.append(self.row(persist))
            if len(rows) >= count:
                break
        self.commit(rows)
        return bool(rows)

    def commit(self, rows):
        """As the writer does; a root is one of all rows up to there, whoever decided them."""
        self.rows += rows
        if rows:
            end = rows[-1].position
            text = repr([(row.stream, row.sequence, row.cause) for row in self.rows]).encode()
            self.asked.rooted[end] = hashlib.blake2b(text, digest_size=16).digest()
            self.tail.committed(rows, self.asked.rooted[end])

    def row(self, persist):
        self.actors[persist.stream] = persist.state
        self.number += 1
        return Decided(
            self.number, persist.stream, persist.state.sequence, persist.wall_ms, "test", persist.facts
        )

    def move(self, by=1):
        now_ns = self.clock.monotonic_ns()
        self.ticks = {
            s: tick(s, D(row[-1]) * (1000 + by) / 1000, received_ns=now_ns) for s, row in ROWS.items()
        }

    def market(self):
        return Market(self.ticks, INSTRUMENTS, Nanos(self.clock.monotonic_ns()), self.clock.wall_ms(), FIXED)

    def sources(self, fleet="fleet1"):
        return Sources(
            tail=self.tail,
            states=lambda: list(self.actors.values()),
            current=self.actors.get,
            market=self.market,
            fleet=fleet,
        )


class Alarms:
    def __init__(self):
        self.told, self.ended = [], []

    def tell(self, text, key):
        self.told.append((key, text))

    def over(self, key):
        self.ended.append(key)

    def of(self, key):
        return [text for k, text in self.told if k == key]


class Published(Publisher):
    """A publisher of a world, with what it told."""

    def __init__(self, world, url, *, length=100_000, depth=100_000, fleet="fleet1"):
        self.alarms = Alarms()
        stream = EventStream(STREAM, length, depth)
        super().__init__(url, stream, world.clock, self.alarms.tell, self.alarms.over)
        self.start()
        self.attach(world.sources(fleet))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.stop(10)


def until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
    return found

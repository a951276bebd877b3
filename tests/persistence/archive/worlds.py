"""Databases with accounts and a clearing that decided over some days, and what archives of them are compared by."""

from __future__ import annotations

import itertools
from random import Random
from types import SimpleNamespace

import psycopg
from msgspec.structs import replace

from actors.persistence.archive import plan, tables, writing
from actors.persistence.archive.folder import Archive
from actors.persistence.archive.restoring import chosen, restore
from actors.persistence.connection import connect
from actors.persistence.past import stand, when
from actors.persistence.projection.store import MS_PER_DAY, Projection
from actors.persistence.store import Store
from actors.persistence.verify import fleet_of
from actors.subaccount.state_codec import state_hash
from tests.persistence.projection.lives import commit, live
from tests.persistence.test_clearing_streams import Scene

DAY = 20_000
"""The first day of these worlds, in days since 1970."""

DAYS = 6
EVER = 2**52
"""Later than all, Unix milliseconds."""


def authored(dsn, monkeypatch, events=16):
    """Make accounts; what they and a clearing decide, which is not durable yet."""
    store = Store.open(dsn)
    store.acquire("me", 30)
    lives = live(store, (21, 22), monkeypatch, events)
    scene = Scene(store)
    scene.clearing.lost("bh-lost", [(90, "0.2", "2000")])
    scene.decided += scene.clearing.take()
    store.close()
    turns = [*([0] * len(lives)), *([1] * len(scene.decided))]
    Random("turns").shuffle(turns)
    each = [iter(lives), iter(scene.decided)]
    return [next(each[n]) for n in turns]


def over_days(decisions, seed):
    """Spread over random days; now and then the clock was set back."""
    random = Random(seed)
    days = sorted(random.randrange(DAYS) for _ in decisions)
    return [
        replace(d, wall_ms=(DAY + day - (random.random() < 0.05)) * MS_PER_DAY + n)
        for n, (d, day) in enumerate(zip(decisions, days, strict=True))
    ]


class World:
    """One database, whose decisions are durable and projected; and an archive's folder."""

    def __init__(self, dsn, decisions, folder=None):
        self.dsn, self.decisions, self.folder = dsn, decisions, folder
        self.store = Store.open(dsn)
        self.store.acquire("me", 30)
        self.connection = connect(dsn)

    @classmethod
    def made(cls, dsn, decisions, folder=None, size=11):
        """With what is decided there."""
        world = cls(dsn, decisions, folder)
        commit(world.store, decisions, size)
        world.project()
        return world

    def project(self, daily_days=35):
        projection = Projection(self.dsn, daily_days=daily_days)
        projection.begin()
        while found := projection.read(50):
            projection.project(found)
        while projection.save_tails(1_000):
            pass
        projection.close()

    def plan(self, before_ms=EVER, readers=()):
        return plan.plan(self.connection, before_ms, readers)

    def archive(self, before_ms=EVER, at_rest=None, only=None):
        """All files, or only so many."""
        the_plan = self.plan(before_ms)
        assert the_plan.obstacles == ()
        spans = list(plan.spans(self.connection, the_plan.after, the_plan.last))
        return [
            writing.archive(
                self.connection, at_rest or self.store.at_rest, self.folder, span, fleet=fleet_of(self.connection), now_ms=1
            )
            for span in itertools.islice(spans, only)
        ]  # fmt: skip

    def restore(self, wanted="all"):
        archive = Archive(self.folder, tables.files(self.connection))
        files = chosen(archive, wanted)
        return self.store.at_rest(lambda c, _append: restore(c, archive, files, lambda _position: None))

    def pasts(self):
        """Of every decision of every account: its point and the hash of its state, by number and by position."""
        found = {}
        for d in self.decisions:
            if d.stream.startswith("clearing:"):
                continue
            past = stand(self.connection, d.stream, when(f"#{d.state.sequence}", EVER), folder=self.folder)
            by_position = stand(
                self.connection, d.stream, when(str(past.point.position), EVER), folder=self.folder
            )
            assert (past.point, past.state) == (by_position.point, by_position.state)
            assert past.first == by_position.first
            found[d.stream, d.state.sequence] = past.point, past.first, past.last, state_hash(past.state)
        return found

    def at_times(self):
        """The sequence of every account at some times."""
        times = sorted({d.wall_ms for d in self.decisions})
        accounts = sorted({d.stream for d in self.decisions if not d.stream.startswith("clearing:")})
        found = {}
        for account, ms in itertools.product(accounts, times[:: max(1, len(times) // 8)]):
            asked = SimpleNamespace(text="then", time_ms=ms, position=None, sequence=None)
            found[account, ms] = stand(self.connection, account, asked, folder=self.folder).point
        return found

    def rows(self, *tables_):
        with psycopg.connect(self.dsn) as connection:
            return {
                name: sorted(map(str, connection.execute(f"SELECT * FROM bulkhead.{name}").fetchall())) for name in tables_
            }  # fmt: skip

    def close(self):
        self.connection.close()
        self.store.close()

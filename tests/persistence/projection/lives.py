"""Accounts that live through random events, durable in a journal; and what all tables then say."""

from __future__ import annotations

import itertools
import uuid
from random import Random

import psycopg
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from actors.core.durability import Persist
from actors.core.facts import LimitsBelowChanged
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence.projection.batch import names_of_ours
from actors.persistence.projection.store import Projection
from actors.persistence.schema import REQUIRED
from tests.model import engine
from tests.model.sequence import Sequence

EVENTS = 60


class _Recorder(engine.Engine):
    """The model's engine, whose decisions are kept."""

    def __init__(self, terms, balance):
        super().__init__(terms, balance)
        self.persists = []
        known = replace(self.state, sequence=1)
        self.note(self.state, (LimitsBelowChanged(self.state.below),), known, 0)
        self.state = known

    def note(self, before, facts, after, wall_ms):
        self.persists.append(
            Persist(
                stream=before.account_id, previous_sequence=before.sequence, facts=facts, state=after, wall_ms=wall_ms
            )
        )  # fmt: skip

    def told(self, message, quotes, unknown, now_ns, wall_ms):
        before = self.state
        decision = super().told(message, quotes, unknown, now_ns, wall_ms)
        if decision.facts:
            self.note(before, decision.facts, decision.state, wall_ms)
        return decision


def live(store, seeds, monkeypatch, events=EVENTS):
    """Create an account for each seed and have it live; all their decisions, in an order that mixes them."""
    monkeypatch.setattr("tests.model.sequence.engine.Engine", _Recorder)
    lives = []
    for number, seed in enumerate(seeds):
        monkeypatch.setattr(engine, "ACCOUNT", AccountId(f"life-{number}"))
        sequence = Sequence(f"projection:{seed}")
        sequence.trade_id = (number + 1) * 100_000
        sequence.play(events)
        state = sequence.engine.state
        account = NewAccount(
            account_id=state.account_id, name="life", deposit=sequence.engine.persists[0].state.deposits,
            mode=sequence.engine.persists[0].state.mode, maintenance_rate=sequence.terms.rate,
        )  # fmt: skip
        store.create_accounts([account], 0)
        lives.append(sequence.engine.persists)
    store.handover()
    turns = [n for n, persists in enumerate(lives) for _ in persists]
    Random(str(seeds)).shuffle(turns)
    each = [iter(persists) for persists in lives]
    return [next(each[n]) for n in turns]


def commit(store, decisions, size=97):
    """Make them durable; what the writer hands over."""
    handed = []
    for at in range(0, len(decisions), size):
        assert set(store.commit(decisions[at : at + size])) == {None}
        handed.append(store.handover())
    return handed


def copy_of(dsn):
    """Another database with the same content; nothing may be connected to the first."""
    name = f"copy_{uuid.uuid4().hex[:12]}"
    database = conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE {name} TEMPLATE "{database}"')
    return make_conninfo(dsn, dbname=name)


def project_all(dsn, size=1_000):
    """Read the journal to its end, some decisions at a time."""
    projection = Projection(dsn)
    projection.begin()
    try:
        while found := projection.read(size):
            projection.project(found)
    finally:
        projection.close()


def _rows(connection, name):
    return sorted(str(row) for row in connection.execute(f"SELECT * FROM {name}").fetchall())


def ours(dsn, but=()):
    """All rows of the tables that can be made from the journal, and the snapshots."""
    with psycopg.connect(dsn) as connection:
        names = [n for n in (*names_of_ours(), "snapshot") if n not in but]
        return {name: _rows(connection, f"bulkhead.{name}") for name in names}


def platform(dsn):
    """All rows of the platform's tables."""
    with psycopg.connect(dsn) as connection:
        return {name: _rows(connection, name) for name in REQUIRED}


def decided_of(handed):
    """What was handed over, in one list."""
    return list(itertools.chain.from_iterable(handed))


def differing(one, other):
    """Rows that two databases do not both have, with their table."""
    return [
        (name, row)
        for these, those in zip(one, other, strict=True)
        for name in these
        for row in sorted(set(these[name]) ^ set(those[name]))
    ]

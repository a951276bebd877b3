"""What the store's tests share: an author of decisions, and looks into the database."""

from __future__ import annotations

import itertools
from decimal import Decimal as D
from typing import Any

import psycopg

from actors.core.durability import Persist
from actors.core.enums import OrderStatus
from actors.core.messages import OrderAccepted, OrderClosed, PlaceOrder
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.rows import gather
from actors.persistence.projection.store import Projection
from actors.persistence.queries import Query
from actors.subaccount.decide import decide
from tests.factories import ETH, fill_of, market

NOW = 1_700_000_000_000
TRADE_IDS = itertools.count(1_000)


class Call(Query):
    """A question of a test's own."""

    call: Any

    def run(self, store):
        return self.call(store)


def create(store, count=1, **changes):
    wide = {"max_notional_per_trade": D(10**9), "max_total_exposure": D(10**9)}
    ids = [AccountId(f"acct-{n}") for n in range(1, count + 1)]
    store.create_accounts(
        [NewAccount(account_id=i, name=i, deposit=D(1000), **{**wide, **changes}) for i in ids], NOW
    )
    return store.load(ids)


class Author:
    """Makes decisions of one account, and remembers what is not committed yet."""

    def __init__(self, state):
        self.state, self.batch, self.trades = state, [], 0

    def decide(self, message, at=None):
        return self.note(decide(self.state, message, at or market()))

    def note(self, decision):
        if decision.facts:
            self.batch.append(
                Persist(
                    stream=self.state.account_id, previous_sequence=self.state.sequence, facts=decision.facts,
                    state=decision.state, wall_ms=NOW,
                )
            )  # fmt: skip
        self.state = decision.state
        return decision

    def trade(self, side, quantity, price="2000", trade_id=None, **more):
        self.decide(PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(20)))
        if not self.state.orders:
            return
        order = self.state.orders[-1]
        self.trades += 1
        number = trade_id or next(TRADE_IDS)
        self.decide(OrderAccepted(order.client_order_id, 50))
        account_id = self.state.account_id
        self.decide(fill_of(order, price=price, fee="0.1", trade_id=number, account_id=account_id, **more))
        if self.state.order(order.client_order_id):
            self.decide(OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity))


def load(store, state):
    return store.load([state.account_id])[0]


def project(dsn):
    """Bring all tables up to date with the journal, as the projector does."""
    projection = Projection(dsn)
    projection.begin()
    try:
        while found := projection.read(1_000):
            projection.project(found)
    finally:
        projection.close()
    return projection


def written(state, facts, wall_ms=NOW):
    """The rows that facts write which led to ``state``, by table; changes of rows too."""
    batch = Batch()
    decided = Decided(
        stream=state.account_id, sequence=state.sequence, position=1, wall_ms=wall_ms, hash=b"", facts=tuple(facts), state=state,
    )  # fmt: skip
    gather(batch, [decided])
    found = {}
    for table, its in batch._rows.items():
        parts = (its._new, its._puts, its._changes)
        values = [row for part in parts for row in part.values()]
        found.setdefault(table.name, []).extend([*values, *({"gone": key} for key in its._gone)])
    return {table: its for table, its in found.items() if its}


def rows(dsn, query):
    """What the tables say when all that is durable is projected."""
    with psycopg.connect(dsn) as connection:
        is_ours = connection.execute("SELECT to_regclass('bulkhead.projection')").fetchone() != (None,)
        connection.commit()
        if is_ours:
            project(dsn)
        return connection.execute(query).fetchall()

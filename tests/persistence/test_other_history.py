"""A database that was restored from a backup: whoever read what came after it is told so, also when its positions were passed.

Covers: actors/core/journal_marks.py
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager

import psycopg
import pytest

from actors.core.errors import OtherHistory
from actors.core.events import ALL_PARTS, EventId
from actors.core.journal_marks import Mark
from actors.core.messages import AdjustBalance
from actors.persistence.audit import files
from actors.persistence.audit.line import Kind
from actors.persistence.audit.trail import AuditTrail
from actors.persistence.reader import Reader
from actors.persistence.redis.event_stream import REPLACED
from actors.persistence.store import Store
from actors.persistence.tail import JournalTail
from actors.persistence.verify import fleet_of
from actors.runtime.clock import SystemClock
from tests.factories import D
from tests.persistence.audit.made import lines_in
from tests.persistence.authors import Author, create
from tests.persistence.redis.server import RedisServer
from tests.persistence.redis.world import STREAM, Published, World, until

pytestmark = pytest.mark.timeout(120)

ZERO = Mark(0, "0" * 32)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


class Run:
    """What an engine does with its database, as far as it is for this: decide, publish to Redis, write the audit."""

    def __init__(self, dsn, server, folder):
        self.store = Store.open(dsn)
        self.store.acquire("me", 30)
        states = self.store.load(["acct-1"]) or create(self.store)
        self.store.handover()
        self.author, self.reader = Author(states[0]), Reader(dsn)
        self.tail = JournalTail(self.reader, self.store.root[1])
        world = World(seeds=())
        world.tail, world.actors = self.tail, {"acct-1": self.author.state}
        self.fleet = self.reader.ask(fleet_of)
        self.published = Published(world, server.url, fleet=self.fleet)
        self.alarms = []
        self.audit = AuditTrail(
            folder, SystemClock(), lambda text, _key: self.alarms.append(str(text)), print
        )

    def deposits(self, *amounts):
        for amount in amounts:
            self.author.batch.clear()
            self.author.decide(AdjustBalance(D(amount), "DEPOSIT"))
            assert set(self.store.commit(self.author.batch)) == {None}
            self.tail.handed(self.store.handover())
        until(lambda: self.published.stats.last_id == f"{self.tail.position}-0", "all in Redis")

    def stop(self):
        self.audit.start(self.tail, self.reader, self.fleet)
        self.audit.stop(20)
        assert self.published.stop(10)
        self.reader.close()
        self.store.close()


@pytest.fixture
def run(server, tmp_path):
    server.reset()

    @contextmanager
    def running(dsn):
        made = Run(dsn, server, tmp_path)
        try:
            yield made
        finally:
            made.stop()

    return running


@contextmanager
def backup(dsn, postgres):
    """A copy of a database, as a dump that was restored is."""
    name = re.search(r"/(test_\w+)\?", dsn)[1]
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_backup TEMPLATE {name}")
        yield dsn.replace(f"/{name}?", f"/{name}_backup?")
        connection.execute(f"DROP DATABASE {name}_backup WITH (FORCE)")


def entries(server, key):
    return server.client().xrange(key)


def amounts(found):
    return [json.loads(f["event"]).get("amount") for _, f in found if f["kind"] != REPLACED]


def test_whoever_read_what_the_backup_has_not_is_told_so_wherever_the_journal_is(
    run, dsn, postgres, server, tmp_path
):
    with run(dsn) as first:
        first.deposits(1, 1)
        assert first.tail.mark(1) == first.reader.ask(lambda c: first.tail.mark(1)), (
            "memory has none of the begin"
        )
        common = first.tail.mark(3)
        assert first.tail.mark(0) == ZERO
    with backup(dsn, postgres) as copy:
        with run(dsn) as lost:
            lost.deposits(5, 5, 5)
            theirs = lost.tail.mark(lost.tail.position)
            assert theirs == JournalTail(lost.reader, theirs.position).mark(theirs.position), (
                "as the database has it"
            )
            assert entries(server, STREAM)[-1][1]["kind"] != REPLACED
        with run(copy) as restored:
            # Further than what was lost: no position is in the future.
            restored.deposits(9, 9, 9, 9)
            assert restored.tail.position == 7 > theirs.position == 6
            restored.tail.check([])
            restored.tail.check([ZERO])
            restored.tail.check([ZERO, common, restored.tail.mark(6)])
            with pytest.raises(OtherHistory) as told:
                restored.tail.check([ZERO, theirs, common])
            assert f"no commit of this journal ends at position 6 with the root {theirs.root}" in str(
                told.value
            )
            assert f"begin there again, with after=3 and root={common}" in str(told.value)
            with pytest.raises(OtherHistory, match="drop all and begin again, with after=0"):
                restored.tail.check([theirs])
        old, new = entries(server, STREAM), entries(server, f"{STREAM}:2")
        assert amounts(old)[-5:] == ["1", "1", "5", "5", "5"]
        (id_, ended), (begin_id, begun) = old[-1], new[0]
        assert id_ == "6-1"
        assert {name: ended[name] for name in ("kind", "next", "after")} == {
            "kind": REPLACED, "next": f"{STREAM}:2", "after": "3"
        }  # fmt: skip
        assert (begin_id, begun["before"], begun["root"]) == (str(EventId(3, ALL_PARTS)), STREAM, str(common))
        assert amounts(new) == ["9", "9", "9", "9"]
        [text] = restored.published.alarms.of("redis stream replaced")
        assert f"{STREAM}:2 goes on behind position 3" in text
        # The next start goes on in the new one, and says nothing.
        with run(copy) as again:
            again.deposits(2)
            assert amounts(entries(server, f"{STREAM}:2"))[-2:] == ["9", "2"]
            assert not again.published.alarms.told
        assert len(entries(server, STREAM)) == len(old)
        [line] = [line for line in lines_in(tmp_path / files.FOLDER) if line.kind == Kind.RESTORED]
        assert (line.data["position"], line.data["was_root"]) == (3, theirs.root)
        assert "it was restored from an older backup, or changed" in restored.alarms[0]
        assert not again.alarms

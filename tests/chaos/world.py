"""What a chaos run plays with: a Postgres, a paper exchange, engines one after the other. All are real processes.

Each engine connects as another of two roles than the one before it, and triggers of this test note which role wrote
under which epoch: an engine that was killed or frozen and still wrote after its successor began is found by that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import msgspec
import psycopg

from actors.api.address import API_FILE, Address
from actors.api.client import Client
from actors.core.errors import BadInput, StoreUnreachable
from actors.persistence import schema
from actors.persistence.connection import connect
from actors.persistence.embedded import EmbeddedPostgres
from tests.e2e.processes import WAIT, Paper, Process, until

LEASE_SECONDS = 3
REQUEST_SECONDS = 1.5
ROLES = ("engine_one", "engine_two")
PROJECTION = Path(__file__).parents[2] / "actors" / "persistence" / "projection"
"""There since a release that makes the other tables from the journal."""

WATCHED = (
    "bulkhead.account", "bulkhead.intent", "bulkhead.fill", "bulkhead.position", "bulkhead.journal",
    "bulkhead.journal_commit", "bulkhead.trade_key", "bulkhead.snapshot", "bulkhead.projection",
    "public.sub_accounts", "public.trade_executions", "public.virtual_positions", "public.balance_logs",
)  # fmt: skip
"""Tables that only the owner of the accounts may write; those that a release does not have are left out."""

WATCH = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.wrote (role text, epoch bigint, relation text, PRIMARY KEY (role, epoch, relation));
CREATE FUNCTION chaos.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = on AS $$
DECLARE now_epoch bigint := (SELECT max(epoch) FROM bulkhead.shard);
BEGIN
    IF EXISTS (SELECT FROM new_rows) AND session_user LIKE 'engine%' AND NOT EXISTS (
        SELECT FROM chaos.wrote WHERE (role, epoch, relation) = (session_user, now_epoch, TG_TABLE_NAME)
    ) THEN
        INSERT INTO chaos.wrote VALUES (session_user, now_epoch, TG_TABLE_NAME) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
"""


class Engine(Process):
    """An engine that nothing waits for: it may be killed before it is ready."""

    def __init__(self, paper, folder, dsn, **environment):
        super().__init__(
            "run", "--data-dir", folder, "--exchange", paper.address.rest, "--api-port", 0, "--dsn", dsn,
            BULKHEAD_LEASE_SECONDS=str(LEASE_SECONDS), BULKHEAD_FUNDING_EVERY_SECONDS="1", **environment,
        )  # fmt: skip
        self.folder = Path(folder)
        self.is_ready = threading.Event()
        threading.Thread(target=self._read_output, daemon=True).start()

    def _read_output(self):
        with contextlib.suppress(ValueError):
            for line in self.child.stdout:
                if line.startswith("engine ready"):
                    self.is_ready.set()

    @property
    def has_ended(self):
        return self.child.poll() is not None

    def client(self):
        """A client of this process's API, or None before it listens."""
        with contextlib.suppress(OSError, msgspec.MsgspecError, BadInput):
            address = msgspec.json.decode((self.folder / API_FILE).read_bytes(), type=Address)
            if address.pid == self.child.pid:
                client = Client(self.folder)
                client._http.timeout = REQUEST_SECONDS
                return client
        return None

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)

    def kill(self):
        super().kill()
        self.child.stdout.close()


class World:
    """See the module.

    Args:
        folder: of everything that is written.
        seed: of the paper exchange's prices.
    """

    def __init__(self, folder, seed):
        self.folder = Path(folder)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self.postgres = EmbeddedPostgres(self.folder)
        self.dsn = self.postgres.start()
        self._watch()
        # Without the exchange's rate limits: what is tried here is more than they allow.
        self.paper = Paper(
            "--latency-ms", 4, "--seed", seed % 1_000_000, limits="none", program="tests.chaos.unmetered"
        )
        self.starts, self.owner, self.engine, self._client = 0, "one", None, None
        self.is_projected = PROJECTION.exists()

    def _watch(self):
        connection = connect(self.dsn)
        schema.init(connection)
        connection.close()
        with self.sql() as own:
            own.execute(WATCH)
            for role in ROLES:
                own.execute(f"CREATE ROLE {role} SUPERUSER LOGIN")
            for table in WATCHED:
                [(found,)] = own.execute("SELECT to_regclass(%s)", (table,)).fetchall()
                for event in ("INSERT", "UPDATE") if found is not None else ():
                    own.execute(
                        f"CREATE TRIGGER chaos_{event} AFTER {event} ON {table} REFERENCING NEW TABLE AS new_rows "
                        "FOR EACH STATEMENT EXECUTE FUNCTION chaos.note()"
                    )

    # -- engines

    def start_engine(self, folder=None):
        """Start the next engine, as the other role; of the last one's folder unless another is given."""
        self.owner = folder or self.owner
        role = ROLES[self.starts % 2]
        self.starts += 1
        dsn = self.dsn.replace("//postgres:", f"//{role}:")
        assert dsn != self.dsn
        self.engine, self._client = Engine(self.paper, self.folder / self.owner, dsn), None
        return self.engine

    def client(self):
        """A client of the engine that runs, or None."""
        engine, client = self.engine, self._client
        if engine is None:
            return None
        if client is None or client.address.pid != engine.child.pid:
            client = self._client = engine.client()
        return client

    def end(self, engine):
        """Kill an engine, and keep its log."""
        engine.thaw()
        engine.kill()
        (self.folder / "logs" / f"engine-{engine.child.pid}.log").write_text(engine.errors)
        if engine is self.engine:
            self.engine = None

    def wait_ready(self, engine):
        until(lambda: engine.is_ready.is_set() or engine.has_ended, "the engine's start", 2 * WAIT)
        assert engine.is_ready.is_set(), f"it ended with {engine.child.poll()}: {engine.errors[-3000:]}"
        return until(self.client, "the API's address", 5)

    # -- Postgres

    def sql(self):
        """A connection of the test's own, as neither engine."""
        return psycopg.connect(self.dsn, autocommit=True, application_name="chaos", connect_timeout=5)

    def postmaster(self):
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])

    def backends(self, application="bulkhead%"):
        with self.sql() as own:
            return [
                pid
                for (pid,) in own.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s ORDER BY pid",
                    (application,),
                ).fetchall()
            ]

    def revive(self):
        """Have Postgres run and answer."""

        def answers():
            try:
                self.postgres.revive()
                with self.sql() as own:
                    return own.execute("SELECT 1").fetchone()
            except (psycopg.OperationalError, StoreUnreachable):
                return None

        until(answers, "Postgres", 2 * WAIT)

    def stop(self):
        for process in [self.engine, self.paper]:
            if process is not None and process.child.poll() is None:
                process.child.send_signal(signal.SIGCONT)
                process.kill()
        self.postgres.stop()


def killed(pid, number=signal.SIGKILL):
    """Signal a process that may have gone by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def slept(rng, least, most):
    time.sleep(rng.uniform(least, most))

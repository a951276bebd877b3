"""Drop copies while clients, connections and the engine are killed: each event once, exactly what the journal and the tables have.

Covers: actors/persistence/tail.py, actors/core/events.py

``DROP_COPY_KILLS=200`` kills and cuts so often instead of fifty times: of sixteen times one is kill -9 of the engine, and two
are kill -9 of a client's process; the others cut the connections of another client.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading

import psycopg
import pytest

from actors.api.client import EngineError
from actors.api.drop_copy_client import DropCopyClient
from actors.core.errors import BadInput
from actors.core.events import event_id, events_of
from actors.persistence import journal
from actors.persistence.tail import Decided
from tests.cutter import Cutter
from tests.drop_copy_tables import compare
from tests.e2e.processes import ROOT, EngineProcess, Paper, account_bodies, idle, order_bodies, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

KILLS = int(os.environ.get("DROP_COPY_KILLS", "50"))
KINDS = {"ORDER", "FILL", "POSITION_CLOSED", "FUNDING", "LIMITS", "BREACH", "CONDITIONAL", "BALANCE"}
ACCOUNTS, WATCHED = 4, ("acct-1", "acct-3")


class Load:
    """Accounts that open and close positions, as long as an engine takes orders."""

    def __init__(self, paper):
        self.engine, self._paper = None, paper
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        for turn in range(1_000_000):
            engine = self.engine
            # It is killed in the middle of any of them.
            with contextlib.suppress(EngineError, BadInput):
                if engine is not None and turn % 5 == 0:
                    engine.client.post("/v1/orders", self._orders(turn // 5))
                elif engine is not None and turn % 5 == 1:
                    self._more(engine.client, f"acct-{1 + turn % ACCOUNTS}", turn)
                elif engine is not None:
                    amount = {"amount": f"{turn}.5", "reason": "DEPOSIT"}
                    engine.client.post(f"/v1/accounts/acct-{1 + turn % ACCOUNTS}/balance", amount)
            if self._ends.wait(0.05):
                return

    def _more(self, client, account, turn):
        """What is no order and no deposit: limits, a breaker, a stop, funding."""
        match turn // 5 % 4:
            case 0:
                client.post(
                    f"/v1/accounts/{account}/limits", {"changes": {"max_leverage": f"{50 + turn % 7}"}}
                )
            case 1:
                client.post(f"/v1/accounts/{account}/breaker", {"reason": f"turn {turn}"})
                client.delete(f"/v1/accounts/{account}/breaker")
            case 2:
                stop = {"symbol": "ETHUSDT", "side": "SELL", "quantity": "0.1", "order_type": "STOP_MARKET"}
                client.post(
                    f"/v1/accounts/{account}/orders", {**stop, "trigger_price": "1000", "leverage": "20"}
                )
            case _:
                self._paper.admin("funding", symbol="ETHUSDT", rate="0.0001")

    def _orders(self, turn):
        sides = ("BUY", "SELL") if turn % 2 else ("SELL", "BUY")
        bodies = order_bodies(ACCOUNTS, notional=300)
        for number, body in enumerate(bodies):
            body["side"] = sides[number % 2]
        return bodies

    def stop(self):
        self._ends.set()
        self._thread.join(60)


class InProcess:
    """A client whose connections are cut; it goes on by itself."""

    def __init__(self, folder, cutter):
        self.found, self.error = [], None
        self.client = DropCopyClient(folder, after="0", url=cutter.url)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for event in self.client.events(follow=True):
                self.found.append(event)
        except Exception as error:  # noqa: BLE001 - it is for the test to say
            self.error = error


class Killed:
    """The command, killed and begun again behind the last whole line that it wrote."""

    def __init__(self, folder, path):
        self._folder, self.path, self._child = folder, path, None
        self.path.touch()

    def start(self):
        lines = self.lines()
        # What is torn at the end was never read by anybody.
        self.path.write_text("".join(f"{line}\n" for line in lines))
        last = json.loads(lines[-1]) if lines else {"id": "0"}
        root = ["--root", last["root"]] if last.get("root") else []
        with self.path.open("ab") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "actors.cli", "drop-copy", *WATCHED, "--follow", "--json", "--after", last["id"],
                 *root, "--data-dir", str(self._folder)],
                cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL, env={**os.environ},
            )  # fmt: skip

    def kill(self):
        if self._child is not None:
            self._child.kill()
            self._child.wait(20)

    def keep_running(self):
        """One that began while there was no engine has ended."""
        if self._child.poll() is not None:
            self.start()

    def has(self, count):
        """Whether it has written so many events; it may have begun while there was no engine, and ended."""
        self.keep_running()
        return len(self.lines()) >= count

    def lines(self):
        whole, _, _torn = self.path.read_text().rpartition("\n")
        return whole.splitlines()

    def events(self):
        return [json.loads(line) for line in self.lines()]


def deeds(count):
    """What is killed, in an order that is the same each time."""
    return ["engine" if n % 16 == 8 else "client" if n % 8 == 3 else "connection" for n in range(count)]


def test_killed_clients_connections_and_engines_lose_nothing_and_give_nothing_twice(tmp_path, dsn):
    paper = Paper("--latency-ms", 5)
    engine = EngineProcess(paper, tmp_path, "--dsn", dsn, BULKHEAD_FUNDING_EVERY_SECONDS="1")
    cutter, load, commanded = (
        Cutter(port_of(engine)),
        Load(paper),
        Killed(tmp_path, tmp_path / "events.jsonl"),
    )
    try:
        engine.client.post("/v1/accounts", account_bodies(ACCOUNTS))
        load.engine = engine
        reader = InProcess(tmp_path, cutter)
        commanded.start()
        for deed in deeds(KILLS):
            more_than(reader, len(reader.found))
            if deed == "connection":
                cutter.cut()
            elif deed == "client":
                commanded.kill()
                commanded.start()
            else:
                load.engine = None
                engine.kill()
                engine = EngineProcess(paper, tmp_path, "--dsn", dsn, BULKHEAD_FUNDING_EVERY_SECONDS="1")
                cutter.port, load.engine = port_of(engine), engine
                commanded.keep_running()
        until(lambda: {event["kind"] for event in reader.found} >= KINDS, "an event of each kind")
        load.stop()
        until(lambda: idle(engine.client), "every order known")
        last = journal_end(dsn)
        until(lambda: reads_to(reader, f"{last}"), "the client at the end")
        watched = [e for e in up_to(last, journal_events(dsn)) if e["account"] in WATCHED]
        until(lambda: commanded.has(len(watched)), "the command at the end")
        engine.stop()
        assert reader.error is None
        # Funding may have been booked since.
        everything = [event.flat() for event in journal_events(dsn)]
        assert without_resend(up_to(last, reader.found)) == up_to(last, everything)
        assert without_resend(up_to(last, commanded.events())) == watched
        assert reader.client.connections > deeds(KILLS).count("connection") / 2
        compare(dsn, everything)
    finally:
        load.stop()
        commanded.kill()
        engine.stop()
        cutter.stop()
        paper.stop()


def port_of(engine):
    return int(engine.client.address.url.rpartition(":")[2])


def more_than(reader, count):
    until(lambda: len(reader.found) > count or reader.error, "the next event")
    assert reader.error is None


def up_to(last, found):
    flat = (event if isinstance(event, dict) else event.flat() for event in found)
    return [event for event in flat if event["position"] <= last]


def reads_to(reader, last):
    return reader.error is not None or event_id(reader.client.after) >= event_id(last)


def without_resend(found):
    of_it = {"possible_resend", "root"}
    return [{name: value for name, value in event.items() if name not in of_it} for event in found]


def journal_end(dsn):
    with psycopg.connect(dsn) as connection:
        return journal.last_position(connection)


def journal_events(dsn):
    with psycopg.connect(dsn) as connection:
        for row in journal.read(connection, 0, 1_000_000):
            facts = journal.decoded(row.stream, row.version, row.facts)
            yield from events_of(
                Decided(row.position, row.stream, row.sequence, row.wall_ms, row.cause, facts)
            )

"""Everything that can be looked at is looked at while it changes: no answer is a 5xx, start and stop go through."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import threading
from collections import Counter
from decimal import Decimal as D

import httpx
import pytest

from actors.api.client import Client, EngineError
from actors.core.errors import BulkheadError
from tests.e2e.processes import (
    EngineProcess,
    Paper,
    account_bodies,
    differences,
    idle,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

ANSWERS = int(os.environ.get("EAGER_ANSWERS", "400"))
"""How many answers to get; the full form is 10,000."""
EARLY = 40
"""How many answers to get from the moment on that an engine which starts answers at all."""
ACCOUNTS = 120
LOOKERS = 4


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 20, limits="none")
    yield process
    process.stop()


def paths(client):
    """Every path that can be looked at, as the engine's own document lists them, with names that exist."""
    document = client.get("/schema/openapi.json")
    order = client.get("/v1/positions")[0]["account_id"]
    names = {
        "account_id": order,
        "dead_letter_id": "1",
        "client_order_id": "none",
        "cause_id": "none",
        "symbol": "BTCUSDT",
        "order": "none",
    }
    found = []
    for path, operations in document["paths"].items():
        if "get" not in operations or path.endswith("/trace"):
            continue
        if path == "/v1/top":
            found += [f"{path}?by={by}" for by in ("depth", "age", "turn", "ratio", "restarts")]
        elif "{name}" in path:
            actors = ("supervisor", "router", "writer", "gateway", "feed", order)
            found += [path.replace("{name}", name) for name in actors]
        else:
            found.append(re.sub(r"{(\w+)}", lambda m: names[m[1]], path))
    return found


class Lookers:
    """Threads that get every path in turn, until somebody says enough."""

    def __init__(self, client, wanted):
        self.address, self.wanted = client.address, wanted
        self.answers, self.bad = Counter(), []
        self._turn = itertools.cycle(paths(client))
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._look, daemon=True) for _ in range(LOOKERS)]
        for thread in self._threads:
            thread.start()

    def _look(self):
        headers = {"Authorization": f"Bearer {self.address.token}"}
        with httpx.Client(base_url=self.address.url, headers=headers, timeout=60) as client:
            while not self._over.is_set():
                with self._lock:
                    path = next(self._turn)
                try:
                    answer = client.get(path)
                except httpx.TransportError:
                    return  # the engine was stopped
                with self._lock:
                    self.answers[answer.status_code] += 1
                    if answer.status_code >= 500:
                        self.bad.append((path, answer.status_code, answer.text[:300]))

    def enough(self):
        return self.answers.total() >= self.wanted

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join(60)


class EarlyLookers(threading.Thread):
    """Look as soon as an engine that starts can be looked at."""

    def __init__(self, folder, before):
        super().__init__(daemon=True)
        self.folder, self.before = folder, before
        self.lookers = None
        self.start()

    def run(self):
        client = until(self._fresh, "an address", 60)
        self.lookers = Lookers(client, 0)

    def _fresh(self):
        with contextlib.suppress(BulkheadError):
            client = Client(self.folder)
            return client if client.address.pid != self.before else None


def trade(engine, notional):
    answers = engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=notional))
    assert {a["type"] for a in answers} <= {"Accepted", "Rejected"}


def test_no_look_fails_under_load_nor_do_start_and_stop(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path, program="tests.e2e.eager")
    engine.client.post("/v1/accounts", account_bodies(ACCOUNTS))
    trade(engine, 600)
    bad, total = [], Counter()
    for life in range(2):
        lookers = Lookers(engine.client, ANSWERS // 2)
        for n in itertools.count():
            with_crash = f"acct-{n % 7 + 1}"
            try:
                engine.client.post(f"/v1/accounts/{with_crash}/fault", {"reason": str(n)})
                engine.client.post(f"/v1/accounts/acct-{n % 5 + 20}/quarantine", {"reason": "a look"})
                engine.client.post(f"/v1/accounts/acct-{n % 5 + 20}/release", {"poison": "drop"})
            except EngineError as error:
                assert "quarantine" in str(error), error
            trade(engine, 100 + n % 3)
            if lookers.enough():
                break
        # With orders under way and everybody looking: the first time in peace, the second time killed.
        if life == 0:
            engine.stop()
            assert engine.child.returncode == 0, engine.errors[-3000:]
        else:
            engine.kill()
        lookers.end()
        bad += lookers.bad
        total += lookers.answers
        assert "request failed" not in engine.errors, engine.errors[-5000:]
        early = EarlyLookers(tmp_path, engine.child.pid)
        engine = EngineProcess(paper, tmp_path, program="tests.e2e.eager")
        early.join(60)
        until(lambda early=early: early.lookers.answers.total() > EARLY, "looks from the start on")
        early.lookers.end()
        bad += early.lookers.bad
        total += early.lookers.answers
    until(lambda: idle(engine.client), "every order known")
    assert set(differences(engine.client).values()) == {D(0)}
    engine.stop()
    assert engine.child.returncode == 0, engine.errors[-3000:]
    assert not bad, f"{len(bad)} of {total.total()} failed; {bad[:5]}"

"""Real processes for end-to-end tests: the paper exchange and the engine, each ended by its id."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal as D
from pathlib import Path

import httpx
import msgspec

from actors.api.client import Client, EngineError
from actors.core.units import plain
from actors.venues.binance.signing import sign
from actors.venues.paper.config import PaperAddress
from actors.venues.paper.instruments import LISTINGS

ROOT = Path(__file__).parents[2]
KEY, SECRET = "paper", "paper-secret"
WAIT = 40.0


_started = []


@atexit.register
def _end_what_a_failed_test_left():
    for child in _started:
        if child.poll() is None:
            child.kill()


class Process:
    """``bulkhead`` with some arguments; ``program`` is a module that runs it under special conditions."""

    def __init__(self, *arguments, program="actors.cli", **environment):
        self.child = subprocess.Popen(
            [sys.executable, "-m", program, *map(str, arguments)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        _started.append(self.child)
        self.errors = ""
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read_errors(self):
        for line in self.child.stderr:
            self.errors += line

    def first_line(self):
        line = self.child.stdout.readline()
        assert line, f"it ended with {self.child.wait(WAIT)}: {self.errors[-3000:]}"
        return line

    def kill(self):
        self.child.kill()
        self.child.wait(WAIT)

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(WAIT)
        if self.child.poll() is None:
            self.kill()
        self.child.stdout.close()


class Paper(Process):
    """The paper exchange, with the limits that Binance has unless load is the point of a test."""

    def __init__(self, *arguments, limits="binance", program="actors.cli"):
        super().__init__(
            "paper", "--port", 0, "--ticks-per-second", 200, "--limits", limits, *arguments, program=program
        )
        self.address = msgspec.json.decode(self.first_line(), type=PaperAddress)
        self.lost_on_purpose = 0

    def stop(self):
        """End it. Whoever used it kept its limits: no order and no request had to be refused for them."""
        state = self.state() if self.child.poll() is None else None
        super().stop()
        if state is not None:
            refused = {name: state[name] for name in ("rejected_orders", "rejected_weight", "banned")}
            assert not any(refused.values()), refused

    def admin(self, path, /, **body):
        if path == "faults" and body["kind"] in {"lost_reply", "server_error"}:
            self.lost_on_purpose += body.get("count", 1)
        answer = httpx.post(
            f"{self.address.rest}/paper/{path}", json=body, headers={"X-MBX-APIKEY": KEY}, timeout=10
        )
        assert answer.status_code == 200, answer.text

    def state(self):
        return httpx.get(f"{self.address.rest}/paper/state", headers={"X-MBX-APIKEY": KEY}, timeout=10).json()

    def signed(self, path, **params):
        query = sign({**params, "timestamp": str(time.time_ns() // 1_000_000)}, SECRET)
        return httpx.get(
            f"{self.address.rest}{path}?{query}", headers={"X-MBX-APIKEY": KEY}, timeout=10
        ).json()


class PatientClient(Client):
    """As the command line's, and an order waits while the engine is behind because other tests use the machine.

    Only then: any other refusal, and any other reason for which the gate is closed, is what a test gets to see.
    """

    def post(self, path, body=None):
        if not path.endswith("/orders"):
            return super().post(path, body)
        bodies = body if isinstance(body, list) else [body]
        found = super().post(path, body)
        answers = found if isinstance(body, list) else [found]
        deadline = time.monotonic() + WAIT
        while (late := [n for n, answer in enumerate(answers) if self._machine_is_busy(answer)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.2)
            again = [bodies[n] for n in late]
            found = super().post(path, again if isinstance(body, list) else again[0])
            for n, answer in zip(late, found if isinstance(body, list) else [found], strict=True):
                answers[n] = answer
        return answers if isinstance(body, list) else answers[0]

    def _machine_is_busy(self, answer):
        if {r["code"] for r in answer.get("rejections", ())} != {"REDUCE_ONLY_MODE"}:
            return False
        return set(self.get("/v1/health")["closed_by"]) <= {"overload", "watchdog"}


class EngineProcess(Process):
    """The engine, against a paper exchange."""

    def __init__(self, paper, data_dir, *arguments, api_port=0, program="actors.cli", **environment):
        super().__init__(
            "run", "--data-dir", data_dir, "--exchange", paper.address.rest, "--api-port", api_port, "--faults-allowed",
            *arguments, program=program, **environment,
        )  # fmt: skip
        self.ready = self.first_line()
        self.client = PatientClient(Path(data_dir))


def bulkhead(*arguments, **environment):
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "actors.cli", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )  # fmt: skip


def until(condition, what, seconds=WAIT):
    """Wait for a condition, bounded."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


def account_bodies(count, deposit="1000", start=1):
    wide = "1000000"
    return [
        {
            "account_id": f"acct-{n}",
            "deposit": deposit,
            "max_notional_per_trade": wide,
            "max_total_exposure": wide,
        }
        for n in range(start, start + count)
    ]


def order_bodies(count, notional=2_000, leverage="20", start=1):
    symbols = list(LISTINGS)
    orders = []
    for n in range(start, start + count):
        listing = LISTINGS[symbols[n % len(symbols)]]
        quantity = listing.instrument.ceil_qty(D(notional) / listing.start_price)
        orders.append(
            {
                "account_id": f"acct-{n}", "symbol": listing.instrument.symbol, "side": "SELL" if n % 3 else "BUY",
                "quantity": plain(quantity), "leverage": leverage,
            }
        )  # fmt: skip
    return orders


def open_positions(client, count):
    """Accounts, each with a position, and nothing under way."""
    client.post("/v1/accounts", account_bodies(count))
    answers = client.post("/v1/orders", order_bodies(count))
    assert {a["type"] for a in answers} == {"Accepted"}, [a for a in answers if a["type"] != "Accepted"][:3]
    until(lambda: idle(client), "all fills")
    return answers


def idle(client):
    return client.get("/v1/stats")["working_orders"] == 0


def differences(client, settle=10):
    """By symbol; after starts that asked the exchange much, people wait for the next minute's weight."""
    try:
        found = client.get("/v1/reconciliation", settle_seconds=settle)
    except EngineError as error:
        wait = re.search(r"must wait (\d+) s", str(error))
        if wait is None:
            raise
        time.sleep(int(wait[1]) + 1)
        found = client.get("/v1/reconciliation", settle_seconds=settle)
    return {d["symbol"]: D(d["difference"]) for d in found}

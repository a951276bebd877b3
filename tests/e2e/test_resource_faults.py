"""What a machine runs out of, or does wrong: the engine keeps its promise, says so, and goes on when it is over.

A log that nobody reads has tests/e2e/test_log_faults.py, a Postgres that dies tests/e2e/test_postgres_dies.py.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from decimal import Decimal as D

import psutil
import pytest

from actors.api.client import EngineError
from tests.e2e.processes import (
    EngineProcess,
    Paper,
    differences,
    idle,
    open_positions,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ACCOUNTS = 12
DESCRIPTORS = 96
HALF_OPEN = 150


@pytest.fixture
def paper():
    process = Paper(limits="none")
    yield process
    process.stop()


def health(engine):
    return engine.client.get("/v1/health")


def trades_again(engine, notional):
    """New risk is allowed, orders are filled, and the books are the exchange's."""
    left = order_bodies(ACCOUNTS, notional=notional)

    def all_taken():
        nonlocal left
        answers = engine.client.post("/v1/orders", left)
        # On a busy machine messages wait a second for a moment, which closes the gate again.
        codes = {r["code"] for a in answers for r in a.get("rejections", ())}
        assert codes <= {"REDUCE_ONLY_MODE", "STALE_PRICE"}, answers
        left = [body for body, answer in zip(left, answers, strict=True) if answer["type"] != "Accepted"]
        return not left

    until(lambda: health(engine)["status"] == "ok", "new risk allowed again")
    until(all_taken, "all orders to be accepted")
    until(lambda: idle(engine.client), "the fills")
    assert set(differences(engine.client).values()) == {D(0)}


# -- disk full


class SmallDisk:
    """A file system of its own, of a size that a database just fits on; for root."""

    def __init__(self, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        self.folder.parent.chmod(0o711)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=160m,mode=711", "none", self.folder],
            capture_output=True, check=False,
        )  # fmt: skip
        self.is_there = mounted.returncode == 0

    def fill(self, _engine):
        with (self.folder / "filler").open("wb", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(bytes(65_536)):
                pass

    def free(self, _engine):
        (self.folder / "filler").unlink()

    def remove(self):
        if self.is_there:
            subprocess.run(["umount", self.folder], check=True)


class NoFileGrows:
    """Without root: no process of the engine may write beyond the first bytes of a file (RLIMIT_FSIZE)."""

    def __init__(self, folder):
        # Root's Postgres runs as a user of its own, whose limits even root may not be allowed to set.
        self.folder, self.is_there = folder, os.geteuid() != 0

    def _limit(self, engine, size):
        processes = [psutil.Process(engine.child.pid)]
        # A server that could not even recover is gone, and started again by the engine, under its limits.
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            pid = int((self.folder / "data" / "postgres" / "postmaster.pid").read_text().split("\n")[0])
            found = psutil.Process(pid)
            processes += [found, *found.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def fill(self, engine):
        self._limit(engine, 1)

    def free(self, engine):
        self._limit(engine, resource.RLIM_INFINITY)

    def remove(self):
        pass


@pytest.fixture(params=[SmallDisk, NoFileGrows])
def disk(request, tmp_path):
    found = request.param(tmp_path)
    if not found.is_there:
        pytest.skip(
            "root mounts a small file system, everybody else may not write beyond a file's first byte"
        )
    yield found
    found.remove()


def accepted(answers):
    return [a["client_order_id"] for a in answers if a["type"] == "Accepted"]


def test_a_full_disk_stops_new_risk_and_what_was_accepted_is_never_lost(paper, disk):
    engine = EngineProcess(paper, disk.folder / "data")
    try:
        open_positions(engine.client, ACCOUNTS)
        disk.fill(engine)
        promised = []
        for n in range(40):
            with contextlib.suppress(EngineError):
                promised += accepted(
                    engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=200 + n))
                )
            if "writer" in health(engine)["closed_by"]:
                break
        assert "writer" in health(engine)["closed_by"], "the disk was never too full"
        disk.free(engine)
        trades_again(engine, 300)
        for id_ in promised:
            assert engine.client.get(f"/v1/orders/{id_}")["status"] not in {"INTENDED", "ACKNOWLEDGED"}
    finally:
        engine.stop()
    assert engine.child.returncode == 0, engine.errors[-3000:]


# -- no descriptor left, and clients that begin a request and never end it


def half_open(url):
    host, _, port = url.rpartition("/")[2].partition(":")
    for _ in range(HALF_OPEN):
        client = socket.create_connection((host, int(port)), timeout=5)
        client.send(b"GET /v1/stats HTTP/1.1\r\nHost: ")
        yield client


def test_without_a_descriptor_left_orders_go_on_and_what_is_cut_is_told_of(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path)
    open_positions(engine.client, ACCOUNTS)
    resource.prlimit(engine.child.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    clients = list(half_open(engine.client.address.url))
    answers = engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=250))
    assert {a["type"] for a in answers} == {"Accepted"}
    until(lambda: idle(engine.client), "the fills")
    paper.admin("listen-key", action="disconnect")
    until(lambda: health(engine)["status"] == "ok" or health(engine)["closed_by"], "an answer")
    for client in clients:
        client.close()
    trades_again(engine, 260)
    engine.stop()
    assert engine.child.returncode == 0, engine.errors[-3000:]


# -- the wall clock is set


def test_a_wall_clock_that_is_set_forward_and_back_costs_no_order_and_no_promise(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path, program="tests.e2e.stepped")
    open_positions(engine.client, ACCOUNTS)
    for n, number in enumerate((signal.SIGUSR1, signal.SIGUSR2)):
        engine.child.send_signal(number)
        time.sleep(0.2)
        # At once: accepted, or refused because the exchange's time is being measured; never lost.
        answers = engine.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=210 + n))
        codes = {r["code"] for a in answers for r in a.get("rejections", ())}
        assert codes <= {"REDUCE_ONLY_MODE"}, answers
        trades_again(engine, 220 + n)
        assert engine.child.poll() is None
    gateway = engine.client.get("/v1/actors/gateway")["state"]
    assert (gateway["unknown"], gateway["lost"]) == ([], 0)
    engine.stop()
    assert engine.child.returncode == 0, engine.errors[-3000:]

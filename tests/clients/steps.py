"""What every client script shares: steps that are tried in order, and a report of them as JSON on stdout.

Nothing of ours is imported: these scripts run where only the clients are installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import sys
import time
import traceback
import urllib.request

STEP_SECONDS = 60


class Exchange:
    """Where the exchange is, and its own paths that no client has: prices are moved there."""

    def __init__(self, rest, websocket, key, secret):
        self.rest, self.websocket, self.key, self.secret = rest, websocket, key, secret

    def admin(self, path, **body):
        request = urllib.request.Request(
            f"{self.rest}/paper/{path}", json.dumps(body).encode(), {"X-MBX-APIKEY": self.key}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


class Complaints(logging.Handler):
    """Whatever any library logs as a warning or worse."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(f"{record.name}: {record.levelname}: {record.getMessage()[:600]}")


class Steps:
    """Steps in the order in which they are written. Each is tried, also when one before it failed."""

    def __init__(self):
        self._steps = []

    def __call__(self, step):
        self._steps.append(step)
        return step

    async def run(self, *given):
        """Try all; what failed, with its traceback, and how long each took."""
        report = {"passed": [], "failed": {}, "seconds": {}}
        for step in self._steps:
            with _noted(report, step.__name__):
                made = step(*given)
                if inspect.isawaitable(made):
                    await asyncio.wait_for(made, STEP_SECONDS)
        return report

    def run_plainly(self, *given):
        """As ``run``, for a client that runs an event loop of its own."""
        report = {"passed": [], "failed": {}, "seconds": {}}
        for step in self._steps:
            with _noted(report, step.__name__):
                step(*given)
        return report


@contextlib.contextmanager
def _noted(report, name):
    began = time.monotonic()
    try:
        yield
        report["passed"].append(name)
    except Exception:  # noqa: BLE001 - the report names it, and the others are tried
        report["failed"][name] = traceback.format_exc(limit=-4)
    report["seconds"][name] = round(time.monotonic() - began, 2)


async def together(parts, *given):
    """One report of the steps of several modules."""
    reports = [await part.step.run(*given) for part in parts]
    return {
        "passed": [name for report in reports for name in report["passed"]],
        "failed": {name: why for report in reports for name, why in report["failed"].items()},
        "seconds": {name: took for report in reports for name, took in report["seconds"].items()},
    }


def main(run):
    """Run ``run(exchange)``, which returns a report, and print it with all complaints.

    The command line is: rest websocket key secret.
    """
    exchange = Exchange(*sys.argv[1:5])
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    report = run(exchange)
    if inspect.isawaitable(report):
        report = asyncio.run(report)
    json.dump({**report, "complaints": complaints.said}, sys.stdout)


async def done(value):
    """The result of a call, of a synchronous client or of one that must be awaited."""
    return await value if inspect.isawaitable(value) else value


async def until(look, what, seconds=20.0):
    """Look again and again, bounded, until something is found."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await done(look())
        if found:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what} did not come about in {seconds} s")


def plainly_until(look, what, seconds):
    """As ``until``, without an event loop."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what} did not come about in {seconds} s")


async def refused(call, kind, *words):
    """That a call raises exactly this exception, with these words in it."""
    try:
        answer = await done(call())
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} and not {kind.__name__}: {error}"
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{missing} not in {error}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {str(answer)[:300]}")


def near(value, expected, fraction=1e-9):
    """That two numbers are the same but for what floats lose."""
    assert value is not None, f"nothing, where {expected} should be"
    assert abs(value - expected) <= abs(expected) * fraction + 1e-9, f"{value} is not {expected}"

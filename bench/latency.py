"""How long an order takes: accepted over HTTP, and from a tick to its bytes on the wire, against an older commit.

Each side is a checkout of its own: this one, and a work tree of ``PEER`` in a temporary folder, in the same virtual
environment, each with its own paper exchange and its own embedded Postgres; in turns, in one run.

1. Single orders over HTTP, each on its own request, so many at once on connections that are kept. What counts is
   every order that was answered as accepted, which is when it is durable; and that all of them were traded.
2. Liquidations: first a few a second, then a crowd at once. ``latency_hooks`` has a clock at each stage.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

ROOT = Path(__file__).parents[1]
HOOKS = Path(__file__).with_name("latency_hooks.py")
PEER = "53ea69c"
ROUNDS = 2
WARM_UP_SECONDS, SECONDS = 3.0, 8.0
AT_ONCE = (1, 32, 128)
TRADERS = 200
QUIET, CROWD = 200, 4_000
WAIT_SECONDS = 180.0
SYMBOLS = ("BTCUSDT", "ETHUSDT")
NOTIONAL, LEVERAGE = Decimal(10_000), "20"
STAGES = (
    ("tick", "woken", "tick received, account woken"),
    ("woken", "decided", "decided"),
    ("decided", "commit began", "waits for the writer"),
    ("commit began", "durable", "durable in Postgres"),
    ("durable", "let go", "gateway lets it go"),
    ("let go", "bytes out", "signed, bytes out"),
    ("tick", "bytes out", "TICK TO BYTES OUT"),
    ("bytes out", "traded", "exchange, trade told"),
)


class Side:
    """One checkout, running: its paper exchange and its engine."""

    def __init__(self, name: str, tree: Path, folder: Path, hooked: Path | None = None) -> None:
        self.name = name
        self._children: list[subprocess.Popen[str]] = []
        command = [sys.executable, "-m", "actors.cli"]
        self.paper = json.loads(self._started([*command, "paper", "--port", "0"], tree))
        if hooked is not None:
            command = [sys.executable, str(HOOKS), str(hooked)]
        run = ["run", "--data-dir", str(folder), "--exchange", self.paper["rest"], "--api-port", "0"]
        self._started([*command, *run], tree)
        address = json.loads((folder / "api.json").read_text())
        self.url, self.token = address["url"], address["token"]
        self._http = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=60
        )

    def _started(self, command: list[str], tree: Path) -> str:
        child = subprocess.Popen(
            command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._children.append(child)
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: {' '.join(command)} ended with {child.wait(10)}")
        return line

    def post(self, path: str, body: Any) -> Any:
        """Ask the engine for something."""
        answer = self._http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def stats(self) -> dict[str, Any]:
        """The engine's counters; an older commit may fail to tell them for a moment."""
        found: dict[str, Any] = self._http.get("/v1/stats").json()
        return found

    def shock(self, fraction: float, seconds: float) -> None:
        """Move all prices."""
        body = {"fraction": str(fraction), "seconds": seconds}
        headers = {"X-MBX-APIKEY": "paper"}
        httpx.post(f"{self.paper['rest']}/paper/shock", json=body, headers=headers).raise_for_status()

    def wait_until_idle(self) -> None:
        """Until no order is under way any more."""
        deadline, idle_since = time.monotonic() + WAIT_SECONDS, 0.0
        while time.monotonic() < deadline:
            if self.stats().get("working_orders", 1):
                idle_since = 0.0
            elif not idle_since:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > 1:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name}: orders are still under way after {WAIT_SECONDS:.0f} s")

    def create(self, count: int, first: int, deposit: int, spread: int = 0) -> None:
        """Accounts; with ``spread``, each has a little more than the one before."""
        wide = {"max_notional_per_trade": "1000000", "max_total_exposure": "1000000"}
        bodies = [
            {"account_id": f"acct-{first + n}", "deposit": str(deposit + spread * n // count), **wide}
            for n in range(count)
        ]
        for begin in range(0, count, 500):
            self.post("/v1/accounts", bodies[begin : begin + 500])

    def open(self, count: int, first: int) -> None:
        """A long position each."""
        quotes = httpx.get(f"{self.paper['rest']}/fapi/v1/ticker/bookTicker").json()
        asks = {q["symbol"]: Decimal(q["askPrice"]) for q in quotes}
        bodies = []
        for number in range(first, first + count):
            symbol = SYMBOLS[number % len(SYMBOLS)]
            quantity = (NOTIONAL / asks[symbol]).quantize(Decimal("0.001"))
            order = {"symbol": symbol, "side": "BUY", "quantity": str(quantity), "leverage": LEVERAGE}
            bodies.append({"account_id": f"acct-{number}", **order})
        deadline = time.monotonic() + WAIT_SECONDS
        while bodies:
            answers = self.post("/v1/orders", bodies[:250])
            # On a busy machine the engine takes no new risk for moments.
            refused = [b for b, a in zip(bodies[:250], answers, strict=True) if a["type"] != "Accepted"]
            if refused and time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: {next(a for a in answers if a['type'] != 'Accepted')}")
            bodies = [*refused, *bodies[250:]]
            self.wait_until_idle()

    def cpu_seconds(self) -> float:
        """What the engine has used of a processor so far, without Postgres."""
        used = psutil.Process(self._children[-1].pid).cpu_times()
        return float(used.user + used.system)

    def stop(self) -> None:
        """End both, the engine first."""
        for child in reversed(self._children):
            child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
            if child.poll() is None:
                child.kill()
                child.wait()


class Load:
    """Single orders over HTTP/1.1 connections that are kept, as plainly as can be: the client shares the machine."""

    def __init__(self, side: Side) -> None:
        host, port = side.url.removeprefix("http://").rsplit(":", 1)
        self._where, self._token = (host, int(port)), side.token
        self.took: list[float] = []
        self.refused = 0
        self._next = 0

    async def run(self, at_once: int, seconds: float) -> float:
        """Place orders; how long that took."""
        began = time.perf_counter()
        until = began + seconds
        await asyncio.gather(*(self._client(number, at_once, until) for number in range(at_once)))
        return time.perf_counter() - began

    async def _client(self, number: int, step: int, until: float) -> None:
        reader, writer = await asyncio.open_connection(*self._where)
        turn = number
        while time.perf_counter() < until:
            account, side = 1 + turn % TRADERS, "BUY" if turn // TRADERS % 2 else "SELL"
            turn += step
            body = json.dumps({"symbol": "ETHUSDT", "side": side, "quantity": "0.1", "leverage": LEVERAGE})
            head = (
                f"POST /v1/accounts/acct-{account}/orders HTTP/1.1\r\nhost: {self._where[0]}:{self._where[1]}\r\n"
                f"authorization: Bearer {self._token}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(f"{head}{body}".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            status, length = _head(answer)
            await reader.readexactly(length)
            if status == 200:
                self.took.append(time.perf_counter() - began)
            else:
                self.refused += 1
        writer.close()


def _head(answer: bytes) -> tuple[int, int]:
    """Status and length of an answer."""
    lines = answer.decode("latin-1").lower().split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
    return int(lines[0].split()[1]), length


class Accepted(NamedTuple):
    """How orders were accepted: a second, p50 and p99 of an answer in ms, traded a second, and the engine's own ms each."""

    rate: float
    p50: float
    p99: float
    traded: float
    cpu: float


def accepted(side: Side) -> dict[int, Accepted]:
    """By concurrency."""
    found = {}
    side.create(TRADERS, 1, 1_000_000)
    for at_once in AT_ONCE:
        asyncio.run(Load(side).run(at_once, WARM_UP_SECONDS))
        side.wait_until_idle()
        load, cpu = Load(side), side.cpu_seconds()
        seconds = asyncio.run(load.run(at_once, SECONDS))
        began = time.perf_counter()
        side.wait_until_idle()
        cpu = side.cpu_seconds() - cpu
        drained = seconds + max(0.0, time.perf_counter() - began - 1)
        if load.refused:
            print(
                f"  {side.name}: {load.refused} of {len(load.took) + load.refused} orders were not accepted"
            )
        took = load.took
        found[at_once] = Accepted(
            len(took) / seconds,
            1e3 * _share(took, 50),
            1e3 * _share(took, 99),
            len(took) / drained,
            1e3 * cpu / max(1, len(took)),
        )
    return found


def liquidated(side: Side) -> None:
    """A few a second, then a crowd."""
    side.create(QUIET, 1, 560, 450)
    side.open(QUIET, 1)
    side.shock(-0.045, 2)
    time.sleep(3)
    side.shock(-0.06, 20)
    time.sleep(22)
    side.wait_until_idle()
    side.create(CROWD, QUIET + 1, 1_000)
    side.open(CROWD, QUIET + 1)
    side.shock(-0.12, 1)
    time.sleep(5)
    side.wait_until_idle()


def _share(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else float("nan")


def stages(name: str, orders: list[dict[str, Any]]) -> None:
    """Print each stage's p50 and p99, for the few and for the crowd."""
    caused = [o for o in orders if o["cause"].startswith("tick:") and "traded" in o]
    few = [o for o in caused if int(o["account"].rpartition("-")[2]) <= QUIET]
    many = [o for o in caused if int(o["account"].rpartition("-")[2]) > QUIET]
    print(f"{name}: {len(few)} orders a few at a time, {len(many)} at once")
    print(f"  {'ms':<30}{'few p50':>10}{'few p99':>10}{'crowd p50':>12}{'crowd p99':>12}")
    for begin, end, text in STAGES:
        row = []
        for some in (few, many):
            spans = [(o[end] - o[begin]) / 1e6 for o in some if begin in o and end in o]
            row += [_share(spans, 50), _share(spans, 99)]
        print(f"  {text:<30}{row[0]:>10.2f}{row[1]:>10.2f}{row[2]:>12.1f}{row[3]:>12.1f}")
    by_account: dict[str, list[dict[str, Any]]] = {}
    for order in many:
        by_account.setdefault(order["account"], []).append(order)
    spans = [
        (max(o["traded"] for o in some) - min(o["decided"] for o in some)) / 1e9
        for some in by_account.values()
    ]
    if spans:
        print(
            f"  decided to traded, {len(spans)} accounts at once: p50 {_share(spans, 50):.2f} s, "
            f"p99 {_share(spans, 99):.2f} s, all within {max(spans):.2f} s"
        )


@contextlib.contextmanager
def trees() -> Iterator[dict[str, Path]]:
    """This checkout, and one of the older commit where there is one."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        peer = Path(folder) / PEER
        made = subprocess.run(
            ["git", "-C", str(ROOT), "worktree", "add", "--detach", str(peer), PEER],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            print(f"no comparison, because {PEER} is not in this clone: {made.stderr.strip()[-200:]}")
        try:
            yield {"now": ROOT} if made.returncode else {PEER: peer, "now": ROOT}
        finally:
            if not made.returncode:
                subprocess.run(
                    ["git", "-C", str(ROOT), "worktree", "remove", "--force", str(peer)], check=False
                )


def run() -> None:
    """Print how many orders a second are accepted, and how long each stage takes."""
    with trees() as found, tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as text:
        folder = Path(text)
        folder.chmod(0o755)
        results: dict[str, list[dict[int, Accepted]]] = {name: [] for name in found}
        for number in range(ROUNDS):
            for name, tree in found.items():
                side = Side(name, tree, folder / f"{name}-{number}")
                try:
                    results[name].append(accepted(side))
                finally:
                    side.stop()
        _print_accepted(results)
        for name, tree in found.items():
            out = folder / f"{name}.json"
            side = Side(name, tree, folder / f"{name}-stages", out)
            try:
                liquidated(side)
            finally:
                side.stop()
            stages(name, json.loads(out.read_text()))


def _print_accepted(results: dict[str, list[dict[int, Accepted]]]) -> None:
    print(f"single orders over HTTP, {SECONDS:.0f} s each, median of {ROUNDS} rounds; accepted means durable")
    print(
        f"{'':<9}{'at once':>8}{'accepted/s':>12}{'p50 ms':>8}{'p99 ms':>8}{'traded/s':>10}{'engine ms':>11}"
        f"{'accepted':>11}{'ms':>7}"
    )
    for at_once in AT_ONCE:
        base: Accepted | None = None
        for name, rounds in results.items():
            seen = Accepted(*(statistics.median(r[at_once][n] for r in rounds) for n in range(5)))
            base = base or seen
            print(
                f"{name:<9}{at_once:>8}{seen.rate:>12.0f}{seen.p50:>8.1f}{seen.p99:>8.1f}{seen.traded:>10.0f}"
                f"{seen.cpu:>11.2f}{seen.rate / base.rate:>10.2f}x{seen.cpu / base.cpu:>6.2f}x"
            )

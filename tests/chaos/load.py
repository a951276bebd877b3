"""What people and the market do while a chaos run goes on: orders, cancels, deposits, moving prices, faults of the exchange."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from decimal import Decimal as D

import httpx

from actors.api.client import EngineError
from actors.core.units import plain
from actors.venues.paper.instruments import LISTINGS
from tests.e2e.processes import KEY, until

DEPOSIT = D(800)
LARGE = 0.15
"""Which share of the orders is larger than what lies at the best price, and trades in parts."""

CLIENTS = 3
PAUSE = 0.02


def account_name(number):
    return f"acct-{number}"


class Load:
    """Threads that use the API of whichever engine runs, and one that moves the market.

    Args:
        world: see ``tests.chaos.world``.
        seed: of all choices; when each is made depends on how fast the machine is.
        accounts: how many.
    """

    def __init__(self, world, seed, accounts):
        self._world, self._accounts = world, accounts
        self.accepted, self.recent = set(), deque(maxlen=200)
        self.deposited = dict.fromkeys(map(account_name, range(1, accounts + 1)), DEPOSIT)
        self.tried = dict(self.deposited)
        self.counts = Counter()
        self._prices = {s: listing.start_price for s, listing in LISTINGS.items()}
        self._moved = dict.fromkeys(LISTINGS, 0.0)
        self._on, self._stop, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._busy = Counter()
        self._failure = None
        works = [(self._trade, f"client-{n}") for n in range(CLIENTS)] + [(self._disturb, "market")]
        self._threads = [
            threading.Thread(
                target=self._work, args=(work, name, random.Random(f"{seed}:{name}")), daemon=True
            )
            for work, name in works
        ]
        for thread in self._threads:
            thread.start()

    # -- on and off

    def resume(self):
        self._on.set()

    def pause(self):
        """Pause; nothing of it is under way when this returns."""
        self._on.clear()
        until(lambda: not any(self._busy.values()), "the end of the requests that are under way")
        if self._failure is not None:
            raise self._failure

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _work(self, work, name, rng):
        while not self._stop.is_set():
            self._busy[name] = 1
            try:
                if self._on.is_set():
                    work(rng)
            except (EngineError, httpx.HTTPError, OSError):
                self.counts["requests that failed"] += 1  # the engine is dead, frozen, or without Postgres
            except Exception as error:  # noqa: BLE001 - it is raised where somebody looks
                self._failure = error
            finally:
                self._busy[name] = 0
            time.sleep(rng.uniform(0, 2 * PAUSE))

    # -- people

    def _trade(self, rng):
        client = self._world.client()
        if client is None:
            return
        acts = (self._orders, self._conditional, self._cancel, self._close, self._deposit, self._reopen)
        act = rng.choices(acts, weights=(12, 4, 4, 2, 2, 1))[0]
        act(client, rng)

    def _an_order(self, rng):
        symbol = rng.choice(list(LISTINGS))
        instrument, price = LISTINGS[symbol].instrument, self._prices[symbol]
        side, is_large = rng.choice(("BUY", "SELL")), rng.random() < LARGE
        notional = D(rng.randint(8_000, 60_000) if is_large else rng.randint(30, 3_000))
        body = {
            "account_id": account_name(rng.randint(1, self._accounts)), "symbol": symbol, "side": side,
            "quantity": plain(instrument.ceil_qty(notional / price)),
            "leverage": "50" if is_large else rng.choice(("5", "20", "50")),
        }  # fmt: skip
        if rng.random() < 0.3:
            away = D(1) + D(rng.randint(-150, 150)) / 10_000
            body |= {"order_type": "LIMIT", "price": plain(_rounded(price * away, instrument.tick_size))}
        return body

    def _orders(self, client, rng):
        bodies = [self._an_order(rng) for _ in range(rng.randint(1, 12))]
        for body, answer in zip(bodies, client.post("/v1/orders", bodies), strict=True):
            self._answered(body, answer)

    def _conditional(self, client, rng):
        body = self._an_order(rng)
        symbol = body["symbol"]
        tick = LISTINGS[symbol].instrument.tick_size
        trigger = self._prices[symbol] * (D(1) + D(rng.choice((-1, 1)) * rng.randint(5, 200)) / 10_000)
        kind = rng.choice(("STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"))
        body = {k: v for k, v in body.items() if k != "price"} | {"order_type": kind}
        if kind == "TRAILING_STOP_MARKET":
            body["callback_rate"] = "0.002"
        else:
            body["trigger_price"] = plain(_rounded(trigger, tick))
        account = body.pop("account_id")
        answer = client.post(f"/v1/accounts/{account}/orders", body)
        self._answered({"account_id": account}, answer, conditional=True)

    def _answered(self, body, answer, *, conditional=False):
        self.counts[f"orders {answer['type']}"] += 1
        if answer["type"] == "Accepted":
            with self._lock:
                if answer["client_order_id"] is None:  # the house took what is too small for the exchange
                    return
                if not conditional:
                    self.accepted.add(answer["client_order_id"])
                self.recent.append((body["account_id"], answer["client_order_id"]))

    def _cancel(self, client, rng):
        with self._lock:
            account, order = rng.choice(self.recent) if self.recent else (None, None)
        if order is not None:
            client.delete(f"/v1/accounts/{account}/orders/{order}")
            self.counts["cancels"] += 1

    def _close(self, client, rng):
        for closed in client.post(f"/v1/accounts/{account_name(rng.randint(1, self._accounts))}/close", {}):
            self._answered({"account_id": ""}, closed["answer"])

    def _deposit(self, client, rng):
        account, amount = account_name(rng.randint(1, self._accounts)), D(rng.randint(1, 300))
        with self._lock:
            self.tried[account] += amount
        if client.post(f"/v1/accounts/{account}/balance", {"amount": plain(amount)})["type"] == "Accepted":
            with self._lock:
                self.deposited[account] += amount
            self.counts["deposits"] += 1

    def _reopen(self, client, rng):
        account = account_name(rng.randint(1, self._accounts))
        client.post(f"/v1/accounts/{account}/reopen", {"reason": "chaos"})

    # -- the market

    def _disturb(self, rng):
        paper = self._world.paper
        acts = (self._move, self._fail, self._fund, self._disconnect)
        act = rng.choices(acts, weights=(20, 6, 1, 1))[0]
        act(paper, rng)
        self._read_prices(paper)
        time.sleep(0.1)

    def _move(self, paper, rng):
        symbol = rng.choice(list(LISTINGS))
        back = self._moved[symbol]
        step = -back if abs(back) > 0.08 else rng.uniform(-0.05, 0.05)
        self._moved[symbol] += step
        paper.admin("shock", symbol=symbol, fraction=f"{step:.5f}", seconds=0.2)
        self.counts["price moves"] += 1

    def _fail(self, paper, rng):
        fault = rng.choice(
            (
                {"kind": "lost_reply", "seconds": 0.3, "count": 2},
                {"kind": "server_error", "count": 1},
                {"kind": "reject", "code": -2010, "count": 1},
                {"kind": "delay", "seconds": 0.2, "count": 2},
                {"kind": "drop_events", "count": 4},
                {"kind": "duplicate_events", "count": 8},
                {"kind": "reset", "count": 1},
            )
        )
        paper.admin("faults", **fault)
        self.counts[f"exchange: {fault['kind']}"] += fault["count"]

    def _fund(self, paper, rng):
        paper.admin("funding", symbol=rng.choice(list(LISTINGS)), rate=f"{rng.uniform(-3e-4, 3e-4):.6f}")
        self.counts["fundings"] += 1

    def _disconnect(self, paper, _rng):
        paper.admin("listen-key", action="disconnect")
        self.counts["exchange: user stream cut"] += 1

    def _read_prices(self, paper):
        found = httpx.get(
            f"{paper.address.rest}/fapi/v1/ticker/bookTicker", headers={"X-MBX-APIKEY": KEY}, timeout=5
        ).json()
        self._prices |= {row["symbol"]: D(row["bidPrice"]) for row in found if row["symbol"] in LISTINGS}


def _rounded(price, tick):
    return (price / tick).to_integral_value() * tick

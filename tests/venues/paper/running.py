"""A paper exchange in a thread, and its clients over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time

import httpx
import websockets

from actors.core.errors import BulkheadError
from actors.venues.binance.signing import sign
from actors.venues.paper.config import PaperConfig
from actors.venues.paper.server import serve

WAIT = 15


class Running:
    """A paper exchange."""

    def __init__(self, **settings):
        self.config = PaperConfig(**{"ticks_per_second": 100, **settings})
        self._ready, self.loop = threading.Event(), asyncio.new_event_loop()
        self.error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(WAIT)
        self.http = httpx.Client(base_url=self.address.rest, headers={"X-MBX-APIKEY": "paper"}, timeout=WAIT)
        self.numbers = iter(range(10**6))

    def _run(self):
        self.stop_event = asyncio.Event()
        try:
            self.loop.run_until_complete(serve(self.config, self._listen, self.stop_event))
        except BulkheadError as error:
            self.error = error

    def _listen(self, address):
        self.address = address
        self._ready.set()

    def stop(self):
        self.loop.call_soon_threadsafe(self.stop_event.set)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def signed(self, method, path, secret="paper-secret", at=None, **params):
        stamp = int(time.time() * 1000) if at is None else at
        query = sign({**{k: str(v) for k, v in params.items()}, "timestamp": str(stamp)}, secret)
        return self.http.request(method, f"{path}?{query}")

    def get(self, path, **params):
        answer = self.signed("GET", f"/fapi/{path}", **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def order(self, **changes):
        order = {
            "symbol": "ETHUSDT",
            "side": "BUY",
            "type": "MARKET",
            "quantity": "1",
            "newClientOrderId": f"t-{next(self.numbers)}",
            "newOrderRespType": "RESULT",
        }
        if changes.get("type") == "LIMIT":
            order["timeInForce"] = "GTC"
        return {k: v for k, v in {**order, **changes}.items() if v is not None}

    def place(self, **changes):
        return self.signed("POST", "/fapi/v1/order", **self.order(**changes))

    def resting(self, side="BUY", away="0.02", **changes):
        """A limit order at a relative distance (``away``) from the best bid."""
        quote = self.http.get("/fapi/v1/ticker/bookTicker", params={"symbol": "ETHUSDT"}).json()
        factor = 1 - float(away) if side == "BUY" else 1 + float(away)
        price = f"{float(quote['bidPrice']) * factor:.2f}"
        answer = self.place(type="LIMIT", side=side, price=price, **changes)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def admin(self, path, /, **body):
        answer = self.http.post(f"/paper/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self):
        return self.http.get("/paper/state").json()

    def listen_key(self):
        return self.http.post("/fapi/v1/listenKey").json()["listenKey"]

    def listening(self, path):
        """Read the frames of a websocket path in a thread."""
        return Listener(self.address.websocket + path)

    def user_stream(self, events=""):
        query = f"&events={events}" if events else ""
        return self.listening(f"/private/ws?listenKey={self.listen_key()}{query}")


class Listener:
    """One websocket; received frames are in ``frames``."""

    def __init__(self, url):
        self.url, self.frames = url, []
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._read(),), daemon=True
        )

    async def _read(self):
        self._stop = asyncio.Event()
        async with websockets.connect(self.url, max_queue=None, close_timeout=1) as self.socket:
            self._ready.set()
            reader = asyncio.create_task(self._collect())
            await self._stop.wait()
            reader.cancel()

    async def _collect(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for frame in self.socket:
                self.frames.append(json.loads(frame))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(WAIT)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT)

    def send(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        asyncio.run_coroutine_threadsafe(self.socket.send(text), self._loop).result(WAIT)

    def until(self, condition, what):
        """Wait for the first frame that matches, and return it."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            for frame in list(self.frames):
                if condition(frame):
                    return frame
            time.sleep(0.01)
        raise AssertionError(f"{what} did not come; came {self.frames[-5:]}")

    def event(self, kind, **fields):
        """The first user event of a kind whose ``o`` has these fields."""
        return self.until(
            lambda f: f.get("e") == kind and all(f.get("o", f).get(k) == v for k, v in fields.items()),
            f"{kind} {fields}",
        )


def code(answer):
    return answer.json()["code"]

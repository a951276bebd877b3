"""A small real HTTP server on loopback that answers as Binance does, for what the paper exchange does not do."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import parse_qsl

import msgspec
import uvicorn

from actors.venues.binance.endpoints import weight_of

WEIGHT_LIMIT = 2_400


def symbol(name="BTCUSDT", **changes):
    """An entry of exchangeInfo."""
    quote = next((q for q in ("USDT", "USDC", "BTC") if name.partition("_")[0].endswith(q)), "USDT")
    return {
        "symbol": name,
        "pair": name,
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": name.partition("_")[0].removesuffix(quote),
        "quoteAsset": quote,
        "marginAsset": quote,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10", "maxPrice": "1000000"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
            {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "100"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
        **changes,
    }


def brackets(name="BTCUSDT", *leverages):
    """Leverage brackets of 50,000 each, by their largest leverage."""
    entries, floor, cum, last = [], 0, 0.0, 0.0
    for number, leverage in enumerate(leverages or (125, 50, 10), 1):
        rate = 0.5 / leverage
        cum += floor * (rate - last)
        entries.append(
            {
                "bracket": number,
                "initialLeverage": leverage,
                "notionalFloor": floor,
                "notionalCap": floor + 50_000,
                "maintMarginRatio": rate,
                "cum": cum,
            }
        )
        floor, last = floor + 50_000, rate
    return {"symbol": name, "brackets": entries}


class Recorded:
    """Serves one master account. Tests change the attributes while it runs.

    ``refusals`` are error answers by method and path: HTTP status, code and text. ``requests`` are what came,
    as method, path and parameters.
    """

    def __init__(self, *symbols):
        self.symbols = list(symbols) or [symbol("BTCUSDT"), symbol("ETHUSDT")]
        self.brackets = [brackets(s["symbol"]) for s in self.symbols]
        self.hedge, self.multi, self.burn = False, False, True
        self.leverage = {s["symbol"]: 20 for s in self.symbols}
        self.margin = {s["symbol"]: "CROSSED" for s in self.symbols}
        self.refusals = {}
        self.others = 0
        self.requests = []
        self.headers = {}
        self.seen = []
        self.positions = []
        self.quotes = {}
        self.funding = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, log_level="error", lifespan="off", interface="asgi3")
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def __enter__(self):
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def count(self, path):
        """How often a path was asked for."""
        return sum(p == path for _, p, _ in self.requests)

    def used(self):
        """Weight of the last minute, others' too."""
        since = time.monotonic() - 60
        return self.others + sum(w for at, w in self.seen if at > since)

    async def _app(self, scope, receive, send):
        assert scope["type"] == "http"
        method, path = scope["method"], scope["path"]
        params = dict(parse_qsl(scope["query_string"].decode()))
        self.requests.append((method, path, params))
        self.seen.append((time.monotonic(), weight_of(method, path, params)))
        status, body = self._answer(method, path, params)
        headers = {"x-mbx-used-weight-1m": str(self.used()), **self.headers}
        encoded = [(k.encode(), v.encode()) for k, v in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body)})

    def _answer(self, method, path, params):
        refusal = self.refusals.get((method, path))
        if refusal is not None:
            status, code, text = refusal
            return status, {"code": code, "msg": text} if code else {"page": text}
        if method == "POST":
            return self._set(path.removeprefix("/fapi/v1/"), params)
        found = {
            "v1/time": lambda: {"serverTime": time.time_ns() // 1_000_000},
            "v1/exchangeInfo": lambda: {
                "symbols": self.symbols,
                "rateLimits": [
                    {
                        "rateLimitType": "REQUEST_WEIGHT",
                        "interval": "MINUTE",
                        "intervalNum": 1,
                        "limit": WEIGHT_LIMIT,
                    },
                    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
                    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
                ],
            },
            "v1/leverageBracket": lambda: self.brackets,
            "v1/positionSide/dual": lambda: {"dualSidePosition": self.hedge},
            "v1/multiAssetsMargin": lambda: {"multiAssetsMargin": self.multi},
            "v1/feeBurn": lambda: {"feeBurn": self.burn},
            "v1/accountConfig": lambda: {"feeTier": 3, "canTrade": True},
            "v1/symbolConfig": lambda: [
                {"symbol": s, "marginType": self.margin[s], "leverage": v, "maxNotionalValue": "50000"}
                for s, v in self.leverage.items()
            ],
            "v2/positionRisk": lambda: self.positions,
            "v1/fundingRate": lambda: self.funding,
            "v1/ticker/bookTicker": lambda: self._book_ticker(params),
        }.get(path.removeprefix("/fapi/"))
        return (200, found()) if found else (404, {"code": -5000, "msg": f"Path {path} is not here"})

    def _book_ticker(self, params):
        if "symbol" in params:
            return self.quotes[params["symbol"]]
        return list(self.quotes.values())

    def _set(self, path, params):
        done = {"code": 200, "msg": "success"}
        if path == "leverage":
            self.leverage[params["symbol"]] = int(params["leverage"])
            return 200, {"symbol": params["symbol"], "leverage": int(params["leverage"])}
        if path == "marginType":
            if self.margin[params["symbol"]] == params["marginType"]:
                return 400, {"code": -4046, "msg": "No need to change margin type."}
            self.margin[params["symbol"]] = params["marginType"]
            return 200, done
        if path == "positionSide/dual":
            self.hedge = params["dualSidePosition"] == "true"
            return 200, done
        if path == "multiAssetsMargin":
            self.multi = params["multiAssetsMargin"] == "true"
            return 200, done
        return 404, {"code": -5000, "msg": "not here"}

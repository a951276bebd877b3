"""Every call that the paper exchange answers, made once by plain HTTP and websockets; what came is kept."""

from __future__ import annotations

import contextlib
import threading
import time
from decimal import Decimal as D

import httpx
import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from actors.venues.binance.signing import sign
from tests.e2e.processes import KEY, SECRET, until

SYMBOL, OTHER = "SOLUSDT", "LTCUSDT"
STREAM_SECONDS = 15
LIMIT = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "10"}
MARKET = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "10", "newOrderRespType": "RESULT"}
STOP = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "quantity": "10"}


class Talk:
    """Requests to one paper exchange, and every good answer by method and path."""

    def __init__(self, paper):
        self._paper = paper
        self._http = httpx.Client(base_url=paper.address.rest, headers={"X-MBX-APIKEY": KEY}, timeout=15)
        self.answers = []
        self.events = []

    def ask(self, method, path, **params):
        path = path if path.startswith("/") else f"/fapi/{path}"
        query = sign({**params, "timestamp": str(time.time_ns() // 1_000_000)}, SECRET)
        answer = self._http.request(method, f"{path}?{query}")
        assert answer.status_code == 200, (
            f"{method} {path} {params}: {answer.status_code} {answer.text[:300]}"
        )
        found = answer.json()
        self.answers.append((method, path, found))
        return found

    @contextlib.contextmanager
    def user_stream(self):
        """Keep each event of the account while inside."""
        key = self.ask("POST", "v1/listenKey")["listenKey"]
        with connect(f"{self._paper.address.websocket}/private/ws?listenKey={key}") as socket:
            reader = threading.Thread(target=self._read, args=(socket,), daemon=True)
            reader.start()
            yield
        reader.join(5)

    def _read(self, socket):
        with contextlib.suppress(ConnectionClosed):
            for frame in socket:
                self.events.append(msgspec.json.decode(frame))

    def kinds(self):
        return {e["e"] for e in self.events}

    def price(self, fraction, symbol=SYMBOL, digits=2):
        best = self.ask("GET", "v1/ticker/bookTicker", symbol=symbol)
        return str(round(D(best["bidPrice"]) * D(fraction), digits))


def prices(talk):
    """What needs no account."""
    for path in ("v1/ping", "v1/time", "v1/exchangeInfo", "v1/fundingInfo", "v1/fundingRate"):
        talk.ask("GET", path)
    for path in (
        "v1/ticker/bookTicker",
        "v1/ticker/price",
        "v2/ticker/price",
        "v1/ticker/24hr",
        "v1/premiumIndex",
    ):
        talk.ask("GET", path, symbol=SYMBOL)
        talk.ask("GET", path)
    for path in ("v1/depth", "v1/trades", "v1/historicalTrades", "v1/aggTrades", "v1/openInterest"):
        talk.ask("GET", path, symbol=SYMBOL)
    for path in ("v1/klines", "v1/markPriceKlines", "v1/premiumIndexKlines"):
        talk.ask("GET", path, symbol=SYMBOL, interval="1m")
    for path in ("v1/indexPriceKlines", "v1/continuousKlines"):
        talk.ask("GET", path, pair=SYMBOL, interval="1m", contractType="PERPETUAL")
    talk.ask("GET", "/sapi/v1/capital/config/getall")
    talk.ask("GET", "/sapi/v1/margin/allPairs")


def settings(talk):
    """The account's settings, each read and changed."""
    talk.ask("POST", "v1/leverage", symbol=SYMBOL, leverage="7")
    for path in ("v1/positionSide/dual", "v1/multiAssetsMargin", "v1/feeBurn"):
        name, was = next(iter(talk.ask("GET", path).items()))
        for value in (not was, was):
            talk.ask("POST", path, **{name: str(value).lower()})
    # Multi-assets mode is refused while a symbol is isolated.
    talk.ask("POST", "v1/marginType", symbol=OTHER, marginType="ISOLATED")
    for path in ("v1/accountConfig", "v1/symbolConfig", "v1/rateLimit/order", "v1/apiTradingStatus"):
        talk.ask("GET", path)
    talk.ask("GET", "v1/commissionRate", symbol=SYMBOL)
    talk.ask("GET", "v1/leverageBracket")
    talk.ask("GET", "v1/leverageBracket", symbol=SYMBOL)
    talk.ask("PUT", "v1/listenKey")


def orders(talk):
    """Orders that rest, are changed, canceled and found."""
    price = talk.price("0.97")
    talk.ask("POST", "v1/order/test", **LIMIT, price=price)
    number = talk.ask("POST", "v1/order", **LIMIT, price=price)["orderId"]
    one = {"symbol": SYMBOL, "orderId": str(number)}
    for path in ("v1/order", "v1/openOrder"):
        talk.ask("GET", path, **one)
    talk.ask("PUT", "v1/order", **one, side="BUY", quantity="20", price=price)
    talk.ask("GET", "v1/orderAmendment", **one)
    talk.ask("GET", "v1/openOrders")
    talk.ask("GET", "v1/openOrders", symbol=SYMBOL)
    talk.ask("DELETE", "v1/order", **one)
    rows = [
        {**LIMIT, "price": price},
        {**LIMIT, "price": price},
        {**LIMIT, "price": price, "quantity": "1e9"},
    ]
    placed = talk.ask("POST", "v1/batchOrders", batchOrders=msgspec.json.encode(rows).decode())
    ids = [row["orderId"] for row in placed if "orderId" in row]
    assert len(ids) == 2
    changed = [{"orderId": n, "symbol": SYMBOL, "side": "BUY", "quantity": "30", "price": price} for n in ids]
    talk.ask("PUT", "v1/batchOrders", batchOrders=msgspec.json.encode(changed).decode())
    talk.ask("DELETE", "v1/batchOrders", symbol=SYMBOL, orderIdList=msgspec.json.encode(ids[:1]).decode())
    talk.ask("POST", "v1/countdownCancelAll", symbol=OTHER, countdownTime="60000")
    talk.ask("DELETE", "v1/allOpenOrders", symbol=SYMBOL)
    talk.ask("GET", "v1/allOrders", symbol=SYMBOL)


def fills(talk, paper):
    """A position, everything that tells it, and its end."""
    talk.ask("POST", "v1/order", **MARKET)
    paper.admin("funding", symbol=SYMBOL, rate="0.001")
    for path in (
        "v2/account",
        "v3/account",
        "v2/balance",
        "v3/balance",
        "v2/positionRisk",
        "v3/positionRisk",
    ):
        talk.ask("GET", path)
    for path in ("v1/userTrades", "v1/adlQuantile", "v1/income"):
        talk.ask("GET", path, symbol=SYMBOL)
    isolated = {**MARKET, "symbol": OTHER}
    talk.ask("POST", "v1/order", **isolated)
    talk.ask("POST", "v1/positionMargin", symbol=OTHER, amount="5", type="1")
    talk.ask("GET", "v1/positionMargin/history", symbol=OTHER)
    for path in ("v2/account", "v3/account", "v2/positionRisk", "v3/positionRisk"):
        talk.ask("GET", path)
    paper.admin("margin-call")
    paper.admin("close", kind="liquidation", symbol=OTHER)
    talk.ask("GET", "v1/forceOrders")


def conditional(talk, paper):
    """Conditional orders of each kind; one is triggered."""
    stop = talk.ask("POST", "v1/algoOrder", **STOP, triggerPrice=talk.price("0.98"), reduceOnly="true")
    for kind, more in (
        ("TAKE_PROFIT_MARKET", {"triggerPrice": talk.price("1.1")}),
        ("STOP", {"triggerPrice": talk.price("0.9"), "price": talk.price("0.9")}),
        ("TRAILING_STOP_MARKET", {"callbackRate": "5"}),
    ):
        other = talk.ask("POST", "v1/algoOrder", **{**STOP, "type": kind}, **more)
    talk.ask("GET", "v1/algoOrder", algoId=str(other["algoId"]))
    talk.ask("GET", "v1/openAlgoOrders")
    talk.ask("DELETE", "v1/algoOrder", algoId=str(other["algoId"]))
    paper.admin("shock", symbol=SYMBOL, fraction="-0.03", seconds=0.5)
    one = {"algoId": str(stop["algoId"])}
    until(lambda: talk.ask("GET", "v1/algoOrder", **one)["algoStatus"] == "FINISHED", "the trigger", 15)
    talk.ask("DELETE", "v1/algoOpenOrders", symbol=SYMBOL)
    talk.ask("GET", "v1/allAlgoOrders", symbol=SYMBOL)


def play(paper):
    """The whole scenario; what was answered and told."""
    talk = Talk(paper)
    with talk.user_stream():
        prices(talk)
        settings(talk)
        orders(talk)
        fills(talk, paper)
        conditional(talk, paper)
        paper.admin("listen-key", action="expire")
        until(lambda: "listenKeyExpired" in talk.kinds(), "the key's end", 15)
    talk.ask("POST", "v1/listenKey")
    talk.ask("DELETE", "v1/listenKey")
    return talk


def market_frames(paper, streams):
    """The first frame of each stream, on the route where it belongs."""
    found = {}
    for route in ("public", "market"):
        wanted = {name for name, where in streams.items() if where == route}
        with connect(
            f"{paper.address.websocket}/{route}/stream?streams={'/'.join(sorted(wanted))}"
        ) as socket:
            deadline = time.monotonic() + STREAM_SECONDS
            while wanted - set(found) and time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    frame = msgspec.json.decode(socket.recv(timeout=1))
                    found.setdefault(frame["stream"], frame["data"])
    return found


def ws_api_answers(paper, methods):
    """The answer of each method of the websocket order API, by method."""
    found = {}
    with connect(f"{paper.address.websocket}/ws-fapi/v1") as socket:

        def call(method, **params):
            given = {**params, "apiKey": KEY, "timestamp": str(time.time_ns() // 1_000_000)}
            ordered = dict(sorted(given.items()))
            signature = sign(ordered, SECRET).rpartition("signature=")[2]
            socket.send(
                msgspec.json.encode(
                    {"id": method, "method": method, "params": {**ordered, "signature": signature}}
                )
            )
            found[method] = msgspec.json.decode(socket.recv(timeout=15))
            assert found[method].get("status") == 200, found[method]
            return found[method]["result"]

        quote = call("ticker.book", symbol=SYMBOL)
        price = str(round(D(quote["bidPrice"]) * D("0.97"), 2))
        number = str(call("order.place", **LIMIT, price=price)["orderId"])
        call("order.status", symbol=SYMBOL, orderId=number)
        call("order.modify", symbol=SYMBOL, orderId=number, side="BUY", quantity="20", price=price)
        call("order.cancel", symbol=SYMBOL, orderId=number)
        algo = str(call("algoOrder.place", **STOP, triggerPrice=price)["algoId"])
        call("algoOrder.cancel", algoId=algo)
        for method in ("userDataStream.start", "userDataStream.ping", "userDataStream.stop"):
            call(method)
        for method in sorted(set(methods) - set(found)):
            call(method, **({"symbol": SYMBOL} if "/" not in method and "account" not in method else {}))
    return found

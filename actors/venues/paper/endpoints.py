"""What each HTTP path of the paper exchange does. No network; time comes in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors.units import ZERO, Symbol
from actors.venues.binance import rest
from actors.venues.binance.errors import Code
from actors.venues.binance.filters import info_of
from actors.venues.paper.config import PaperConfig
from actors.venues.paper.faults import Faults
from actors.venues.paper.instruments import BRACKETS, LISTINGS
from actors.venues.paper.matching import Exchange, PaperEvent, Refusal
from actors.venues.paper.requests import RateWindows, check_signed, fraction_of, parse_id, parse_order

Params = Mapping[str, str]

WEIGHTS = {
    "/fapi/v1/openOrders": 40,
    "/fapi/v2/account": 5,
    "/fapi/v2/balance": 5,
    "/fapi/v2/positionRisk": 5,
}
BATCH_MAX = 5
LEVERAGE_MAX = 125
TRADES_MAX = 1000


class Reply(msgspec.Struct, kw_only=True):
    """An HTTP answer, and the user events to send before it."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = {}
    events: list[PaperEvent] = []
    delay_s: float = 0.0


def _json(value: Any, events: list[PaperEvent] | None = None) -> Reply:
    return Reply(body=msgspec.json.encode(value), events=events or [])


def _error(code: int, text: str, status: int = 400) -> Reply:
    return Reply(status=status, body=msgspec.json.encode(rest.ErrorBody(code, text)))


def _refused(refusal: Refusal) -> Reply:
    return _error(refusal.code, refusal.text)


def _orders_in(path: str, params: Params) -> int:
    """How many orders a request places, as the exchange's order limits count."""
    if path == "/fapi/v1/order":
        return 1
    # A malformed list is refused later; counting names is enough to count orders.
    return params.get("batchOrders", "").count('"symbol"') if path == "/fapi/v1/batchOrders" else 0


class Endpoints:
    """All paths. ``handle`` is the door; the rest is one method per path."""

    def __init__(self, config: PaperConfig) -> None:
        self.config = config
        instruments = {s: LISTINGS[s].instrument for s in config.symbols}
        self.exchange = Exchange(
            instruments,
            config.wallet_balance,
            config.taker_fee,
            config.maker_fee,
            market_sweep=config.market_sweep,
        )
        self.halted: set[Symbol] = set()
        self.listen_keys: dict[str, None] = {}
        self.faults = Faults()
        self.update_id = 0
        self.shock: Callable[[Symbol | None, float, float], None] = lambda _s, _f, _t: None
        self._windows = RateWindows(config.weight_per_minute, config.orders_per_10s, config.orders_per_minute)
        self._keys = {config.api_key: config.api_secret}
        self._public: dict[tuple[str, str], Callable[[Params, int], Reply]] = {
            ("GET", "/fapi/v1/ping"): lambda _p, _n: Reply(),
            ("GET", "/fapi/v1/time"): lambda _p, now: _json(rest.ServerTime(now)),
            ("GET", "/fapi/v1/exchangeInfo"): self._exchange_info,
            ("GET", "/fapi/v1/ticker/bookTicker"): self._book_ticker,
            ("GET", "/fapi/v1/fundingRate"): self._funding_rate,
        }
        self._keyed: dict[tuple[str, str], Callable[[Params, int], Reply]] = {
            ("POST", "/fapi/v1/listenKey"): self._listen_key,
            ("PUT", "/fapi/v1/listenKey"): self._listen_key,
            ("DELETE", "/fapi/v1/listenKey"): self._close_listen_key,
        }
        self._signed: dict[tuple[str, str], Callable[[Params, int], Reply]] = {
            ("POST", "/fapi/v1/order"): self._place,
            ("GET", "/fapi/v1/order"): self._query,
            ("DELETE", "/fapi/v1/order"): self._cancel,
            ("POST", "/fapi/v1/batchOrders"): self._batch,
            ("DELETE", "/fapi/v1/allOpenOrders"): self._cancel_all,
            ("GET", "/fapi/v1/openOrders"): self._open_orders,
            ("GET", "/fapi/v1/allOrders"): self._all_orders,
            ("GET", "/fapi/v1/userTrades"): self._user_trades,
            ("GET", "/fapi/v2/account"): self._account,
            ("GET", "/fapi/v2/balance"): self._balance,
            ("GET", "/fapi/v2/positionRisk"): self._position_risk,
            ("GET", "/fapi/v3/positionRisk"): self._position_risk,
            ("GET", "/fapi/v1/leverageBracket"): self._leverage_bracket,
            ("POST", "/fapi/v1/leverage"): self._leverage,
            ("POST", "/fapi/v1/marginType"): lambda _p, _n: _json({"code": 200, "msg": "success"}),
        }

    def handle(
        self, method: str, path: str, params: Params, query: str, key: str | None, now_ms: int, body: bytes
    ) -> Reply:
        """Answer one request."""
        if path.startswith("/paper/"):
            return self._admin(method, path, key, body, now_ms)
        route = (method, path)
        if route not in self._public and route not in self._keyed and route not in self._signed:
            return _error(Code.UNKNOWN, f"no such endpoint: {method} {path}", 404)
        orders = _orders_in(path, params) if method == "POST" else 0
        allowed, headers = self._windows.take(now_ms, WEIGHTS.get(path, 1), orders)
        if not allowed:
            reply = _error(Code.TOO_MANY_REQUESTS, "Too many requests; current limit is exceeded.", 429)
            reply.headers = headers | {"retry-after": "2"}
            return reply
        try:
            reply = self._route(route, params, query, key, now_ms)
        except ValueError as error:
            reply = _error(Code.ILLEGAL_CHARS, str(error))
        reply.headers = headers
        return reply

    def _route(
        self, route: tuple[str, str], params: Params, query: str, key: str | None, now_ms: int
    ) -> Reply:
        if route in self._public:
            return self._public[route](params, now_ms)
        if route in self._keyed:
            if key not in self._keys:
                return _error(Code.REJECTED_MBX_KEY, "Invalid API-key, IP, or permissions for action.", 401)
            return self._keyed[route](params, now_ms)
        refusal = check_signed(params, query, key, self._keys, now_ms)
        if refusal is not None:
            status = 401 if refusal.code in {Code.REJECTED_MBX_KEY, Code.BAD_API_KEY_FMT} else 400
            return _error(refusal.code, refusal.text, status)
        return self._signed[route](params, now_ms)

    # -- public

    def _exchange_info(self, _params: Params, now_ms: int) -> Reply:
        limits = (
            rest.RateLimit("REQUEST_WEIGHT", "MINUTE", 1, self.config.weight_per_minute),
            rest.RateLimit("ORDERS", "SECOND", 10, self.config.orders_per_10s),
            rest.RateLimit("ORDERS", "MINUTE", 1, self.config.orders_per_minute),
        )
        symbols = tuple(info_of(i) for i in self.exchange.instruments.values())
        return _json(rest.ExchangeInfo(symbols=symbols, rateLimits=limits, serverTime=now_ms))

    def _book_ticker(self, params: Params, now_ms: int) -> Reply:
        quotes = self.exchange.quotes
        if "symbol" in params and params["symbol"] not in self.exchange.instruments:
            return _error(Code.BAD_SYMBOL, "Invalid symbol.")
        wanted = [quotes[Symbol(params["symbol"])]] if "symbol" in params else list(quotes.values())
        tickers = [
            rest.BookTicker(
                symbol=q.symbol,
                bidPrice=q.bid,
                bidQty=q.bid_qty,
                askPrice=q.ask,
                askQty=q.ask_qty,
                time=now_ms,
                lastUpdateId=self.update_id,
            )
            for q in wanted
            if q.symbol not in self.halted
        ]
        return _json(tickers[0] if "symbol" in params and tickers else tickers)

    def _funding_rate(self, params: Params, _now_ms: int) -> Reply:
        since, limit = parse_id(params, "startTime") or 0, min(parse_id(params, "limit") or 100, TRADES_MAX)
        wanted = self._symbol(params) if "symbol" in params else None
        found = [
            r for r in self.exchange.funding_rates if r.fundingTime >= since and wanted in {None, r.symbol}
        ]
        return _json(found[:limit])

    # -- orders

    def _place(self, params: Params, now_ms: int) -> Reply:
        request = parse_order(params)
        if isinstance(request, Refusal):
            return _refused(request)
        fault = self.faults.for_order()
        if fault is not None and fault.kind == "reject":
            return _error(fault.code, "rejected by an injected fault")
        answer, events = self.exchange.place(request, now_ms)
        reply = _refused(answer) if isinstance(answer, Refusal) else _json(answer, events)
        if fault is not None:
            self.faults.spoil(fault, reply)
        return reply

    def _batch(self, params: Params, now_ms: int) -> Reply:
        try:
            batch = msgspec.json.decode(params.get("batchOrders", ""), type=list[dict[str, Any]])
        except msgspec.MsgspecError as error:
            return _error(Code.MANDATORY_PARAM_EMPTY_OR_MALFORMED, f"batchOrders: {error}")
        if not 0 < len(batch) <= BATCH_MAX:
            return _error(Code.MANDATORY_PARAM_EMPTY_OR_MALFORMED, f"batchOrders: 1 to {BATCH_MAX} orders")
        answers: list[Any] = []
        events: list[PaperEvent] = []
        delay_s = 0.0
        for entry in batch:
            reply = self._place({k: str(v) for k, v in entry.items()}, now_ms)
            answers.append(msgspec.Raw(reply.body))
            events += reply.events
            delay_s = max(delay_s, reply.delay_s)
        reply = _json(answers, events)
        reply.delay_s = delay_s
        return reply

    def _query(self, params: Params, _now_ms: int) -> Reply:
        answer = self.exchange.query(*self._named(params))
        return _refused(answer) if isinstance(answer, Refusal) else _json(answer)

    def _cancel(self, params: Params, now_ms: int) -> Reply:
        answer, events = self.exchange.cancel(*self._named(params), now_ms)
        return _refused(answer) if isinstance(answer, Refusal) else _json(answer, events)

    def _cancel_all(self, params: Params, now_ms: int) -> Reply:
        events: list[PaperEvent] = []
        symbol = self._symbol(params)
        for order in self.exchange.open_orders(symbol):
            events += self.exchange.cancel(symbol, order.orderId, None, now_ms)[1]
        return _json({"code": 200, "msg": "The operation of cancel all open order is done."}, events)

    def _open_orders(self, params: Params, _now_ms: int) -> Reply:
        return _json(self.exchange.open_orders(self._symbol(params) if "symbol" in params else None))

    def _all_orders(self, params: Params, _now_ms: int) -> Reply:
        from_id = parse_id(params, "orderId") or 0
        limit = min(parse_id(params, "limit") or 500, TRADES_MAX)
        return _json(self.exchange.all_orders(self._symbol(params), from_id, limit))

    def _user_trades(self, params: Params, _now_ms: int) -> Reply:
        limit = min(parse_id(params, "limit") or 500, TRADES_MAX)
        trades = self.exchange.user_trades(
            self._symbol(params), parse_id(params, "fromId"), parse_id(params, "orderId"), limit
        )
        return _json(trades)

    # -- account

    def _positions(self, now_ms: int) -> tuple[rest.PositionRisk, ...]:
        found = []
        for symbol in self.exchange.instruments:
            position, quote = self.exchange.positions[symbol], self.exchange.quotes.get(symbol)
            mark = (quote.bid + quote.ask) / 2 if quote else ZERO
            found.append(
                rest.PositionRisk(
                    symbol=symbol,
                    positionAmt=position.amount,
                    entryPrice=position.entry,
                    markPrice=mark,
                    unRealizedProfit=self.exchange.unrealized(symbol),
                    updateTime=now_ms,
                )
            )
        return tuple(found)

    def _account(self, _params: Params, now_ms: int) -> Reply:
        positions = self._positions(now_ms)
        profit = sum((p.unRealizedProfit for p in positions), ZERO)
        wallet = self.exchange.wallet
        return _json(
            rest.Account(
                totalWalletBalance=wallet,
                totalUnrealizedProfit=profit,
                totalMarginBalance=wallet + profit,
                availableBalance=wallet + profit,
                positions=positions,
                updateTime=now_ms,
            )
        )

    def _balance(self, _params: Params, now_ms: int) -> Reply:
        profit = sum((p.unRealizedProfit for p in self._positions(now_ms)), ZERO)
        wallet = self.exchange.wallet
        balance = rest.Balance(
            accountAlias="paper",
            asset="USDT",
            balance=wallet,
            crossWalletBalance=wallet,
            crossUnPnl=profit,
            availableBalance=wallet + profit,
            updateTime=now_ms,
        )
        return _json([balance])

    def _position_risk(self, params: Params, now_ms: int) -> Reply:
        wanted = self._symbol(params) if "symbol" in params else None
        return _json([p for p in self._positions(now_ms) if wanted in {None, p.symbol}])

    def _leverage_bracket(self, params: Params, _now_ms: int) -> Reply:
        wanted = self._symbol(params) if "symbol" in params else None
        return _json(
            [
                rest.LeverageBracket(symbol=s, brackets=BRACKETS)
                for s in self.exchange.instruments
                if wanted in {None, s}
            ]
        )

    def _leverage(self, params: Params, _now_ms: int) -> Reply:
        leverage = parse_id(params, "leverage") or 0
        if not 1 <= leverage <= LEVERAGE_MAX:
            return _error(Code.INVALID_LEVERAGE, f"Leverage {leverage} is not valid.")
        return _json(rest.Leverage(self._symbol(params), leverage))

    def _listen_key(self, _params: Params, now_ms: int) -> Reply:
        seed = f"{self.config.api_key}:{self.config.seed}:{now_ms // 86_400_000}"
        key = hashlib.sha256(seed.encode()).hexdigest()
        self.listen_keys[key] = None
        return _json(rest.ListenKey(key))

    def _close_listen_key(self, _params: Params, _now_ms: int) -> Reply:
        self.listen_keys.clear()
        return Reply()

    # -- the paper exchange's own

    def _admin(self, method: str, path: str, key: str | None, body: bytes, now_ms: int) -> Reply:
        if key not in self._keys:
            return _error(Code.REJECTED_MBX_KEY, "the paper exchange's own paths need X-MBX-APIKEY", 401)
        try:
            wanted = msgspec.json.decode(body or b"{}", type=dict[str, Any])
            match (method, path):
                case ("POST", "/paper/shock"):
                    symbol = wanted.get("symbol", "*")
                    fraction = float(fraction_of(wanted.get("fraction")))
                    self.shock(
                        None if symbol == "*" else Symbol(symbol), fraction, float(wanted.get("seconds", 1))
                    )
                case ("POST", "/paper/halt"):
                    symbol = self._symbol(wanted)
                    (self.halted.add if wanted.get("halted", True) else self.halted.discard)(symbol)
                case ("POST", "/paper/faults"):
                    self.faults.add(wanted)
                case ("POST", "/paper/funding"):
                    rate = fraction_of(wanted.get("rate"))
                    return _json(self.exchange.settle_funding(self._symbol(wanted), rate, now_ms))
                case ("GET", "/paper/state"):
                    return _json(self._state())
                case _:
                    return _error(Code.UNKNOWN, f"no such endpoint: {method} {path}", 404)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            return _error(Code.ILLEGAL_CHARS, f"{path}: {error}")
        return _json({"ok": True})

    def _state(self) -> dict[str, Any]:
        exchange = self.exchange
        return {
            "wallet": exchange.wallet,
            "realized": exchange.realized,
            "fees": exchange.fees,
            "funding": exchange.funding,
            "positions": {s: p.amount for s, p in exchange.positions.items() if p.amount},
            "trades": {s: len(t) for s, t in exchange.trades.items()},
            "open_orders": len(exchange.open_orders(None)),
            "halted": sorted(self.halted),
        }

    def _symbol(self, params: Mapping[str, Any]) -> Symbol:
        symbol = Symbol(str(params.get("symbol", "")))
        if symbol not in self.exchange.instruments:
            raise ValueError(f"Invalid symbol: {symbol!r}.")
        return symbol

    def _named(self, params: Params) -> tuple[Symbol, int | None, str | None]:
        if "orderId" not in params and "origClientOrderId" not in params:
            raise ValueError("Either orderId or origClientOrderId must be sent.")
        return self._symbol(params), parse_id(params, "orderId"), params.get("origClientOrderId")

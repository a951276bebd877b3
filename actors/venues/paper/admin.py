"""Admin endpoints under /paper: prices, faults, and actions of the exchange itself. No network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.core.units import Symbol, parse_decimal
from actors.venues.paper import actions
from actors.venues.paper import wire_market as market_wire
from actors.venues.paper.brackets import LEVERAGE_MAX
from actors.venues.paper.codes import HTTP_NO_KEY, ExchangeRefusal, PaperCode
from actors.venues.paper.instruments import listing_for
from actors.venues.paper.json_body import (
    DRIFT_MAX,
    OFFSET_MAX_MS,
    SECONDS_MAX,
    read_count,
    read_flag,
    read_integer,
    read_number,
)
from actors.venues.paper.limits import PROFILES
from actors.venues.paper.orders import PaperOrder
from actors.venues.paper.reports import queried_order, text
from actors.venues.paper.requests import fraction_of, parse_order
from actors.venues.paper.user_events import AccountConfigUpdate, LeverageBody, ModeBody, PaperEvent
from actors.venues.paper.venue import PaperVenue, Reply, answer, error_reply

JsonBody = dict[str, Any]
END_STATUSES = ("CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED")
STATUSES = ("PENDING_TRADING", "TRADING", "PRE_SETTLE", "SETTLING", "CLOSE")


class Admin:
    """Admin endpoints, used by tests and by the demo."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue, self._exchange = venue, venue.exchange
        self.disconnect_user_streams: Callable[[], None] = lambda: None
        self._table: dict[tuple[str, str], Callable[[JsonBody, int], Reply]] = {
            ("POST", "/paper/shock"): self._shock,
            ("POST", "/paper/halt"): self._halt,
            ("POST", "/paper/faults"): self._fault,
            ("POST", "/paper/limits"): self._limits,
            ("POST", "/paper/funding"): self._funding,
            ("GET", "/paper/state"): lambda _w, now: answer(self.state(now)),
            ("POST", "/paper/mark"): self._mark,
            ("POST", "/paper/orders"): self._manual_order,
            ("POST", "/paper/end"): self._end,
            ("POST", "/paper/status"): self._show_status,
            ("POST", "/paper/close"): self._close,
            ("POST", "/paper/transfer"): self._transfer,
            ("POST", "/paper/adjust"): self._adjust,
            ("POST", "/paper/margin-call"): lambda _w, now: self._done(
                actions.margin_call(self._exchange, now)
            ),
            ("POST", "/paper/settings"): self._settings,
            ("POST", "/paper/symbols"): self._symbols,
            ("POST", "/paper/listen-key"): self._listen_key,
        }

    def handle(self, method: str, path: str, key: str | None, content: bytes, system_ms: int) -> Reply:
        """Answer one request."""
        if key not in self._venue.keys:
            return error_reply(
                ExchangeRefusal(
                    PaperCode.REJECTED_MBX_KEY,
                    "the paper exchange's own paths need X-MBX-APIKEY",
                    HTTP_NO_KEY,
                )
            )
        try:
            body = msgspec.json.decode(content or b"{}", type=dict[str, Any])
            if (method, path) == ("POST", "/paper/clock"):
                return self._clock(body, system_ms)
            handler = self._table.get((method, path))
            if handler is None:
                return error_reply(
                    ExchangeRefusal(PaperCode.UNKNOWN, f"no such endpoint: {method} {path}", 404)
                )
            return handler(body, self._venue.clock.at(system_ms))
        except ExchangeRefusal as refusal:
            return error_reply(refusal)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            return error_reply(ExchangeRefusal(PaperCode.ILLEGAL_CHARS, f"{path}: {error}"))

    @staticmethod
    def _done(events: list[PaperEvent] | None = None) -> Reply:
        return answer({"ok": True}, events)

    def _symbol(self, body: JsonBody) -> Symbol:
        symbol = Symbol(str(body.get("symbol", "")))
        if symbol not in self._exchange.instruments:
            raise ValueError(f"Invalid symbol: {symbol!r}.")
        return symbol

    def _order(self, body: JsonBody) -> PaperOrder:
        order_id, client_id = body.get("order_id"), body.get("client_order_id")
        orders = self._exchange.orders
        found = orders.all.get(int(order_id)) if order_id is not None else orders.by_client_id(str(client_id))
        if found is None:
            raise ValueError(f"no order {order_id or client_id!r}; give order_id or client_order_id")
        return found

    # -- market

    def _shock(self, body: JsonBody, _now_ms: int) -> Reply:
        symbol = body.get("symbol", "*")
        fraction = float(fraction_of(body.get("fraction")))
        self._venue.shock(
            None if symbol == "*" else self._symbol(body),
            fraction,
            read_number(body, "seconds", 1, 0, SECONDS_MAX),
        )
        return self._done()

    def _halt(self, body: JsonBody, _now_ms: int) -> Reply:
        symbol = self._symbol(body)
        halted, on = self._venue.halted, read_flag(body, "halted", default=True)
        (halted.add if on else halted.discard)(symbol)
        return self._done()

    def _limits(self, body: JsonBody, _now_ms: int) -> Reply:
        """Set other rate limits, and count afresh."""
        name = body.get("profile")
        if name not in PROFILES:
            raise ValueError(f"profile: {name!r} is not one of {', '.join(PROFILES)}")
        self._venue.windows.start(PROFILES[str(name)])
        return self._done()

    def _mark(self, body: JsonBody, _now_ms: int) -> Reply:
        """Set a symbol's premium: the mark price's distance from the mid price, as a share of it."""
        self._exchange.premium[self._symbol(body)] = fraction_of(body.get("premium"), "premium")
        return self._done()

    def _funding(self, body: JsonBody, now_ms: int) -> Reply:
        symbol, rate = self._symbol(body), fraction_of(body.get("rate"), "rate")
        settled = self._exchange.settle_funding(symbol, rate, now_ms)
        funding = market_wire.SettledFunding(
            symbol=symbol, fundingRate=text(rate), fundingTime=settled.time, markPrice=text(settled.mark)
        )
        # A funding event of a cross position has the balance only.
        paid = -self._exchange.positions[symbol].amount * settled.mark * rate
        asset = self._exchange.instruments[symbol].quote_asset
        event = self._exchange.account_update_event(
            "FUNDING_FEE", now_ms, changes={asset: paid}, event_symbol=symbol
        )
        return answer(funding, [event])

    def _symbols(self, body: JsonBody, now_ms: int) -> Reply:
        """List a symbol, or change its status or trading rules."""
        name, venue = str(body.get("symbol", "")), self._venue
        if Symbol(name) not in self._exchange.instruments:
            listing = listing_for(name, now_ms)
            venue.listings[Symbol(name)] = listing
            self._exchange.instruments[Symbol(name)] = listing.instrument
            venue.list_symbol(listing)
        status = str(body.get("status", "TRADING"))
        if status not in STATUSES:
            raise ValueError(f"status: {status!r} is not one of {', '.join(STATUSES)}")
        self._exchange.status[Symbol(name)] = status
        rules = {k: parse_decimal(v, k) for k, v in dict(body.get("rules", {})).items()}
        actions.change_rules(self._exchange, Symbol(name), rules)
        venue.listings[Symbol(name)] = msgspec.structs.replace(
            venue.listings[Symbol(name)], instrument=self._exchange.instruments[Symbol(name)]
        )
        venue.contract_changed(Symbol(name), now_ms)
        return self._done()

    # -- faults

    def _fault(self, body: JsonBody, _now_ms: int) -> Reply:
        count = read_count(body)
        match body.get("kind"):
            case "fill_without_fee":
                self._exchange.fills_without_fee += count
            case "unknown_status":
                self._exchange.next_shown_statuses += [str(body.get("status", "NEW_MYSTERY"))] * count
            case _:
                self._venue.faults.add(body)
        return self._done()

    def _clock(self, body: JsonBody, system_ms: int) -> Reply:
        drift = read_number(body, "drift_ms_per_s", 0.0, -DRIFT_MAX, DRIFT_MAX)
        offset = read_integer(body, "offset_ms", 0, -OFFSET_MAX_MS, OFFSET_MAX_MS)
        self._venue.clock.set(offset, drift, system_ms)
        return self._done()

    def _listen_key(self, body: JsonBody, now_ms: int) -> Reply:
        """Delete or expire the listen key, or close all user data streams, as another client or the exchange would."""
        action = body.get("action", "delete")
        if action == "delete":
            self._venue.listen_keys.close()
        elif action == "expire":
            self._venue.listen_keys.expire_at(now_ms)
        elif action == "disconnect":
            self.disconnect_user_streams()
        else:
            raise ValueError(f"action: {action!r} is not one of delete, expire, disconnect")
        return self._done()

    # -- actions of the exchange, and of other clients of the master account

    def _manual_order(self, body: JsonBody, now_ms: int) -> Reply:
        """Place an order from outside the engine; the parameters are those of POST order."""
        order, events = self._exchange.place(parse_order({k: str(v) for k, v in body.items()}), now_ms)
        return answer(queried_order(order), events)

    def _end(self, body: JsonBody, now_ms: int) -> Reply:
        """End an open order, as the exchange."""
        order, status = self._order(body), str(body.get("status", "EXPIRED"))
        if status not in END_STATUSES or not order.is_open:
            raise ValueError(
                f"order {order.order_id} is {order.status}; only an open order can be ended, as {', '.join(END_STATUSES)}"
            )
        return self._done(self._exchange.end(order, status, now_ms, str(body.get("reason", "0"))))

    def _show_status(self, body: JsonBody, now_ms: int) -> Reply:
        """Override the status that an order is shown with; an empty one removes the override."""
        return self._done(
            actions.show_status(self._exchange, self._order(body), str(body.get("status", "")), now_ms)
        )

    def _close(self, body: JsonBody, now_ms: int) -> Reply:
        """Close a position, as the exchange: liquidation, adl or settlement."""
        quantity = body.get("quantity")
        order, events = actions.close_position(
            self._exchange,
            str(body.get("kind", "liquidation")),
            self._symbol(body),
            now_ms,
            quantity=None if quantity is None else parse_decimal(quantity, "quantity"),
            status=str(body.get("status", "NEW")),
        )
        self._venue.record_forced_order(order, now_ms)
        return answer(queried_order(order), events)

    def _transfer(self, body: JsonBody, now_ms: int) -> Reply:
        asset, reason = str(body.get("asset", "USDT")), str(body.get("reason", "DEPOSIT"))
        moved = parse_decimal(body.get("amount"), "amount")
        return self._done(actions.transfer(self._exchange, asset, moved, reason, now_ms))

    def _adjust(self, body: JsonBody, now_ms: int) -> Reply:
        quantity = parse_decimal(body.get("quantity"), "quantity")
        return self._done(actions.adjust_position(self._exchange, self._symbol(body), quantity, now_ms))

    def _settings(self, body: JsonBody, now_ms: int) -> Reply:
        """Change the master's settings without the exchange's checks for open orders and positions."""
        settings, events = self._exchange.settings, list[PaperEvent]()
        known = {"fee_burn", "dual_side", "multi_assets", "symbol", "leverage", "isolated"}
        if unknown := set(body) - known:
            raise ValueError(f"{', '.join(sorted(unknown))}: not one of {', '.join(sorted(known))}")
        for name in ("fee_burn", "dual_side", "multi_assets"):
            if name in body:
                setattr(settings, name, read_flag(body, name, default=False))
        if "multi_assets" in body:
            events.append(AccountConfigUpdate(E=now_ms, T=now_ms, ai=ModeBody(settings.multi_assets)))
        if "leverage" in body:
            symbol, leverage = self._symbol(body), read_integer(body, "leverage", 1, 1, LEVERAGE_MAX)
            settings.leverage[symbol] = leverage
            events.append(AccountConfigUpdate(E=now_ms, T=now_ms, ac=LeverageBody(symbol, leverage)))
        if "isolated" in body:
            change = (
                settings.isolated.add
                if read_flag(body, "isolated", default=False)
                else settings.isolated.discard
            )
            change(self._symbol(body))
        settings.updated_ms = now_ms
        return self._done(events)

    def state(self, now_ms: int) -> JsonBody:
        """Summary of wallets, positions and orders, and the peak use of the rate limits."""
        exchange, venue = self._exchange, self._venue
        stats = venue.windows.stats
        return {
            "wallet": exchange.wallet,
            "realized": exchange.realized,
            "fees": exchange.fees,
            "funding": exchange.funding,
            "wallets": {
                a: msgspec.to_builtins(w, builtin_types=()) for a, w in exchange.ledger.wallets.items()
            },
            "positions": {s: p.amount for s, p in exchange.positions.items() if p.amount},
            "orders": len(exchange.orders.all),
            "taken": exchange.taken,
            "paid_for_depth": exchange.paid_for_depth,
            "trades": {s: len(t) for s, t in exchange.trades.items()},
            "open_orders": len(exchange.orders.open_of(None)),
            "open_algo_orders": len(exchange.algo.open_of(None)),
            "halted": sorted(venue.halted),
            "time": now_ms,
            "listen_key": venue.listen_keys.valid(now_ms),
            "limits": venue.windows.limits,
            "feed": venue.feed_state,
            "silent_streams": sorted(venue.silent_streams),
            **msgspec.structs.asdict(stats),
        }

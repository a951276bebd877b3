"""The paper exchange's own paths, under /paper: prices, faults, and what an exchange does by itself. No network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.core.units import Symbol, parse_decimal
from actors.venues.paper import actions
from actors.venues.paper import wire_market as market_wire
from actors.venues.paper.bodies import DRIFT_MAX, OFFSET_MAX_MS, SECONDS_MAX, count_of, flag, measure, whole
from actors.venues.paper.brackets import LEVERAGE_MAX
from actors.venues.paper.codes import HTTP_NO_KEY, ExchangeRefusal, PaperCode
from actors.venues.paper.instruments import made_up
from actors.venues.paper.orders import PaperOrder
from actors.venues.paper.reports import queried, text
from actors.venues.paper.requests import fraction_of, parse_order
from actors.venues.paper.user_events import AccountConfigUpdate, LeverageBody, ModeBody, PaperEvent
from actors.venues.paper.venue import PaperVenue, Reply, answer, refused

Wanted = dict[str, Any]
ENDED = ("CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED")
STATUSES = ("PENDING_TRADING", "TRADING", "PRE_SETTLE", "SETTLING", "CLOSE")


class Admin:
    """What tests and the demo tell the paper exchange."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue, self._exchange = venue, venue.exchange
        self.drop_streams: Callable[[], None] = lambda: None
        self._table: dict[tuple[str, str], Callable[[Wanted, int], Reply]] = {
            ("POST", "/paper/shock"): self._shock,
            ("POST", "/paper/halt"): self._halt,
            ("POST", "/paper/faults"): self._fault,
            ("POST", "/paper/funding"): self._funding,
            ("GET", "/paper/state"): lambda _w, now: answer(self.state(now)),
            ("POST", "/paper/mark"): self._mark,
            ("POST", "/paper/orders"): self._manual_order,
            ("POST", "/paper/end"): self._end,
            ("POST", "/paper/status"): self._show_as,
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

    def handle(self, method: str, path: str, key: str | None, body: bytes, machine_ms: int) -> Reply:
        """Answer one request."""
        if key not in self._venue.keys:
            return refused(
                ExchangeRefusal(
                    PaperCode.REJECTED_MBX_KEY,
                    "the paper exchange's own paths need X-MBX-APIKEY",
                    HTTP_NO_KEY,
                )
            )
        try:
            wanted = msgspec.json.decode(body or b"{}", type=dict[str, Any])
            if (method, path) == ("POST", "/paper/clock"):
                return self._clock(wanted, machine_ms)
            handler = self._table.get((method, path))
            if handler is None:
                return refused(ExchangeRefusal(PaperCode.UNKNOWN, f"no such endpoint: {method} {path}", 404))
            return handler(wanted, self._venue.clock.at(machine_ms))
        except ExchangeRefusal as refusal:
            return refused(refusal)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            return refused(ExchangeRefusal(PaperCode.ILLEGAL_CHARS, f"{path}: {error}"))

    @staticmethod
    def _done(events: list[PaperEvent] | None = None) -> Reply:
        return answer({"ok": True}, events)

    def _symbol(self, wanted: Wanted) -> Symbol:
        symbol = Symbol(str(wanted.get("symbol", "")))
        if symbol not in self._exchange.instruments:
            raise ValueError(f"Invalid symbol: {symbol!r}.")
        return symbol

    def _order(self, wanted: Wanted) -> PaperOrder:
        order_id, client_id = wanted.get("order_id"), wanted.get("client_order_id")
        orders = self._exchange.orders
        found = orders.all.get(int(order_id)) if order_id is not None else orders.newest(str(client_id))
        if found is None:
            raise ValueError(f"no order {order_id or client_id!r}; give order_id or client_order_id")
        return found

    # -- the market

    def _shock(self, wanted: Wanted, _now_ms: int) -> Reply:
        symbol = wanted.get("symbol", "*")
        fraction = float(fraction_of(wanted.get("fraction")))
        self._venue.shock(
            None if symbol == "*" else self._symbol(wanted),
            fraction,
            measure(wanted, "seconds", 1, 0, SECONDS_MAX),
        )
        return self._done()

    def _halt(self, wanted: Wanted, _now_ms: int) -> Reply:
        symbol = self._symbol(wanted)
        halted, on = self._venue.halted, flag(wanted, "halted", default=True)
        (halted.add if on else halted.discard)(symbol)
        return self._done()

    def _mark(self, wanted: Wanted, _now_ms: int) -> Reply:
        """Move a symbol's mark away from its mid, by a share of it."""
        self._exchange.premium[self._symbol(wanted)] = fraction_of(wanted.get("premium"), "premium")
        return self._done()

    def _funding(self, wanted: Wanted, now_ms: int) -> Reply:
        symbol, rate = self._symbol(wanted), fraction_of(wanted.get("rate"), "rate")
        settled = self._exchange.settle_funding(symbol, rate, now_ms)
        told = market_wire.SettledFunding(
            symbol=symbol, fundingRate=text(rate), fundingTime=settled.time, markPrice=text(settled.mark)
        )
        # Of a cross position only the balance is told.
        paid = -self._exchange.positions[symbol].amount * settled.mark * rate
        asset = self._exchange.instruments[symbol].quote_asset
        event = self._exchange.account_told("FUNDING_FEE", now_ms, changes={asset: paid}, about=symbol)
        return answer(told, [event])

    def _symbols(self, wanted: Wanted, now_ms: int) -> Reply:
        """List a symbol, change its status or its rules."""
        name, venue = str(wanted.get("symbol", "")), self._venue
        if Symbol(name) not in self._exchange.instruments:
            listing = made_up(name, now_ms)
            venue.listings[Symbol(name)] = listing
            self._exchange.instruments[Symbol(name)] = listing.instrument
            venue.list_symbol(listing)
        status = str(wanted.get("status", "TRADING"))
        if status not in STATUSES:
            raise ValueError(f"status: {status!r} is none of {', '.join(STATUSES)}")
        self._exchange.status[Symbol(name)] = status
        rules = {k: parse_decimal(v, k) for k, v in dict(wanted.get("rules", {})).items()}
        actions.change_rules(self._exchange, Symbol(name), rules)
        venue.listings[Symbol(name)] = msgspec.structs.replace(
            venue.listings[Symbol(name)], instrument=self._exchange.instruments[Symbol(name)]
        )
        venue.contract_changed(Symbol(name), now_ms)
        return self._done()

    # -- faults

    def _fault(self, wanted: Wanted, _now_ms: int) -> Reply:
        count = count_of(wanted)
        match wanted.get("kind"):
            case "fill_without_fee":
                self._exchange.fees_untold += count
            case "unknown_status":
                self._exchange.shown_next += [str(wanted.get("status", "NEW_MYSTERY"))] * count
            case _:
                self._venue.faults.add(wanted)
        return self._done()

    def _clock(self, wanted: Wanted, machine_ms: int) -> Reply:
        drift = measure(wanted, "drift_ms_per_s", 0.0, -DRIFT_MAX, DRIFT_MAX)
        offset = whole(wanted, "offset_ms", 0, -OFFSET_MAX_MS, OFFSET_MAX_MS)
        self._venue.clock.set(offset, drift, machine_ms)
        return self._done()

    def _listen_key(self, wanted: Wanted, now_ms: int) -> Reply:
        """Somebody else deletes the key, its hour is over, or the connections are cut."""
        action = wanted.get("action", "delete")
        if action == "delete":
            self._venue.listen_keys.close()
        elif action == "expire":
            self._venue.listen_keys.end_at(now_ms)
        elif action == "disconnect":
            self.drop_streams()
        else:
            raise ValueError(f"action: {action!r} is none of delete, expire, disconnect")
        return self._done()

    # -- what an exchange does by itself, and what others do on the master

    def _manual_order(self, wanted: Wanted, now_ms: int) -> Reply:
        """Somebody trades the master by hand; parameters as POST order takes them."""
        order, events = self._exchange.place(parse_order({k: str(v) for k, v in wanted.items()}), now_ms)
        return answer(queried(order), events)

    def _end(self, wanted: Wanted, now_ms: int) -> Reply:
        """The exchange ends an open order."""
        order, status = self._order(wanted), str(wanted.get("status", "EXPIRED"))
        if status not in ENDED or not order.is_open:
            raise ValueError(
                f"order {order.order_id} is {order.status}; an open one can be ended as {', '.join(ENDED)}"
            )
        return self._done(self._exchange.end(order, status, now_ms, str(wanted.get("reason", "0"))))

    def _show_as(self, wanted: Wanted, now_ms: int) -> Reply:
        """An order is shown with another status; an empty one takes that back."""
        return self._done(
            actions.show_as(self._exchange, self._order(wanted), str(wanted.get("status", "")), now_ms)
        )

    def _close(self, wanted: Wanted, now_ms: int) -> Reply:
        """The exchange closes a position: liquidation, adl, settlement."""
        quantity = wanted.get("quantity")
        order, events = actions.close_position(
            self._exchange,
            str(wanted.get("kind", "liquidation")),
            self._symbol(wanted),
            now_ms,
            quantity=None if quantity is None else parse_decimal(quantity, "quantity"),
            status=str(wanted.get("status", "NEW")),
        )
        self._venue.was_forced(order, now_ms)
        return answer(queried(order), events)

    def _transfer(self, wanted: Wanted, now_ms: int) -> Reply:
        asset, reason = str(wanted.get("asset", "USDT")), str(wanted.get("reason", "DEPOSIT"))
        moved = parse_decimal(wanted.get("amount"), "amount")
        return self._done(actions.transfer(self._exchange, asset, moved, reason, now_ms))

    def _adjust(self, wanted: Wanted, now_ms: int) -> Reply:
        quantity = parse_decimal(wanted.get("quantity"), "quantity")
        return self._done(actions.adjust_position(self._exchange, self._symbol(wanted), quantity, now_ms))

    def _settings(self, wanted: Wanted, now_ms: int) -> Reply:
        """Somebody changes the master's settings, whatever is open."""
        settings, events = self._exchange.settings, list[PaperEvent]()
        known = {"fee_burn", "dual_side", "multi_assets", "symbol", "leverage", "isolated"}
        if unknown := set(wanted) - known:
            raise ValueError(f"{', '.join(sorted(unknown))}: none of {', '.join(sorted(known))}")
        for name in ("fee_burn", "dual_side", "multi_assets"):
            if name in wanted:
                setattr(settings, name, flag(wanted, name, default=False))
        if "multi_assets" in wanted:
            events.append(AccountConfigUpdate(E=now_ms, T=now_ms, ai=ModeBody(settings.multi_assets)))
        if "leverage" in wanted:
            symbol, leverage = self._symbol(wanted), whole(wanted, "leverage", 1, 1, LEVERAGE_MAX)
            settings.leverage[symbol] = leverage
            events.append(AccountConfigUpdate(E=now_ms, T=now_ms, ac=LeverageBody(symbol, leverage)))
        if "isolated" in wanted:
            change = (
                settings.isolated.add
                if flag(wanted, "isolated", default=False)
                else settings.isolated.discard
            )
            change(self._symbol(wanted))
        settings.updated_ms = now_ms
        return self._done(events)

    def state(self, now_ms: int) -> Wanted:
        """The books in short, and how near requests came to the limits."""
        exchange, venue = self._exchange, self._venue
        seen = venue.windows.seen
        return {
            "wallet": exchange.wallet,
            "realized": exchange.realized,
            "fees": exchange.fees,
            "funding": exchange.funding,
            "wallets": {
                a: msgspec.to_builtins(w, builtin_types=()) for a, w in exchange.ledger.wallets.items()
            },
            "positions": {s: p.amount for s, p in exchange.positions.items() if p.amount},
            "trades": {s: len(t) for s, t in exchange.trades.items()},
            "open_orders": len(exchange.orders.open_of(None)),
            "open_algo_orders": len(exchange.algo.open_of(None)),
            "halted": sorted(venue.halted),
            "time": now_ms,
            "listen_key": venue.listen_keys.live(now_ms),
            "limits": venue.windows.limits,
            "feed": venue.feed_state,
            "silent_streams": sorted(venue.silent_streams),
            **msgspec.structs.asdict(seen),
        }

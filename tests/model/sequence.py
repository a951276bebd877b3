"""One sequence: events at random, aimed at where the account would do something else, told to model and engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_FLOOR
from decimal import Decimal as D
from random import Random

from tests.model import aims, engine
from tests.model.account import BUY, SELL, Account, Ask, Order, Outcome
from tests.model.compare import Difference, differences
from tests.model.kinds import ROWS, TWINS, symbols_of, terms_of
from tests.model.money import HOUR_MS, ZERO, Money
from tests.model.seen import Before, seen
from tests.model.terms import Quote

SECOND = 1_000_000_000
EVENTS = 60

RARE = (
    "funding", "funding", "mode", "status", "stall", "stall", "retry", "time", "cash", "cancel", "reopen", "stop everything", "rules", "rules",
)  # fmt: skip


def floored(value: D, step: D) -> D:
    """Down to a whole number of steps."""
    return (value / step).to_integral_value(rounding=ROUND_FLOOR) * step


@dataclass
class Sequence:
    """Events number 1, 2, ... of one seed; ``log`` says what they were."""

    seed: str

    def __post_init__(self):
        self.rng = rng = Random(self.seed)
        balance = D(rng.choice([3, 20, 100, 100, 800, 5000, 40000])) + D(rng.randrange(100)) / 100
        symbols = symbols_of(rng)
        self.terms = terms_of(rng, balance, symbols)
        self.model = Account(self.terms, Money(balance, balance))
        self.engine = engine.Engine(self.terms, balance)
        self.quotes: dict[str, Quote] = {}
        self.stalled: set[str] = set()
        self.accepted: set[int] = set()
        # Some exchanges refuse nearly every order that deleverages.
        self.refuses = rng.random() < 0.15
        self.begin_ms = HOUR_MS * 472_223 - rng.choice([3, 10, 20, 600]) * 1000
        self.now_ns, self.trade_id, self.last_trade_ms = SECOND, 0, self.begin_ms
        self.settlements: dict[tuple[str, int], tuple[D, D, int]] = {}
        self.log: list[str] = []
        self.seen: Counter[str] = Counter()
        for symbol in symbols:
            self._quote(symbol, D(ROWS[symbol][-1]), 1)

    # --- time and prices ---------------------------------------------------------------------

    @property
    def wall_ms(self) -> int:
        """On the wall, in Unix milliseconds."""
        return self.begin_ms + self.now_ns // 1_000_000

    def _quote(self, symbol: str, bid: D, ticks: int) -> None:
        self.quotes[symbol] = Quote(bid, bid + ticks * self._tick(symbol), self.now_ns)

    def _tick(self, symbol: str) -> D:
        return self.terms.rules[symbol].tick_size

    def _pass(self, nanos: int) -> None:
        self.now_ns += nanos
        for symbol, quote in self.quotes.items():
            if symbol not in self.stalled:
                self.quotes[symbol] = Quote(quote.bid, quote.ask, self.now_ns)

    # --- both sides --------------------------------------------------------------------------

    def _tell(self, text: str, event, message) -> None:
        """Tell both and compare. ``event`` is a call on the model."""
        self.log.append(f"{self.now_ns / SECOND:.3f} {text}")
        self.model.quotes = dict(self.quotes)
        self.model.at(self.now_ns, self.wall_ms)
        before = Before.of(self.model)
        outcome: Outcome = event()
        self.seen.update(seen(before, self.model, outcome, text))
        try:
            self.engine.told(message, self.quotes, self.model.unknown, self.now_ns, self.wall_ms)
        except Exception as error:
            raise Difference(self.seed, len(self.log), text, [f"the engine raised {error!r}"]) from error
        found = differences(self.model, self.engine, outcome)
        if found:
            raise Difference(self.seed, len(self.log), text, found)

    def play(self, events: int = EVENTS) -> None:
        """All of it; raises ``Difference`` at the first one."""
        for _ in range(events):
            self._pass(self.rng.choice([2, 50, 400, 1500]) * 1_000_000)
            self.one()

    def one(self) -> None:
        """One event."""
        rng, model = self.rng, self.model
        chance = rng.random() * (
            0.55 if self.refuses and (model.steps or model.retry_ms > self.wall_ms) else 1
        )
        if model.status == "LIQUIDATED" and chance < 0.4:
            self.come_back()
        elif not model.orders and model.retry_ms > self.wall_ms and chance < 0.5:
            self.wait_for_timer()
        elif model.orders and chance < 0.5:
            self.exchange()
        elif len(model.holdings) == 1 < len(self.quotes) and chance < 0.6 and model.phase == "HEALTHY":
            self.order()
        elif model.holdings and chance < 0.72:
            self.aim_price()
        elif chance < 0.76:
            self.any_price()
        elif model.holdings and chance < 0.80:
            self.aim_cash()
        elif chance < 0.90:
            self.order()
        elif model.holdings and chance < 0.92:
            self.stop()
        else:
            self.rare()

    # --- prices and time ---------------------------------------------------------------------

    def aim_price(self) -> None:
        """To a mark of interest, one tick before, or one past it."""
        rng, model = self.rng, self.model
        model.quotes = dict(self.quotes)
        symbol = rng.choice(sorted(set(model.holdings) - self.stalled) or sorted(model.holdings))
        target = aims.mark_of_interest(model, symbol, rng)
        if target is None:
            return self.any_price()
        tick, spread = self._tick(symbol), rng.choice([0, 1, 2, 5])
        back = ZERO
        if model.terms.mark_source == "mid":
            back = tick * spread / 2
        elif model.holdings[symbol].sign < 0:
            back = tick * spread
        bid = floored(target - back, tick) + rng.choice([-1, 0, 0, 1, 2]) * tick
        return self.move(symbol, bid, spread)

    def any_price(self) -> None:
        """A few percent, or a jump."""
        rng, symbol = self.rng, self.rng.choice(sorted(self.quotes))
        by = rng.choice([0.001, 0.01, 0.05, 0.3]) * rng.uniform(-1, 1)
        self.move(
            symbol,
            floored(self.quotes[symbol].bid * D(repr(1 + by)), self._tick(symbol)),
            rng.choice([0, 1, 3]),
        )

    def move(self, symbol: str, bid: D, ticks: int) -> None:
        """The L1 moves, and the router wakes the account."""
        self.stalled.discard(symbol)
        self._quote(symbol, max(bid, self._tick(symbol) * 10), ticks)
        quote = self.quotes[symbol]
        self._tell(f"price {symbol} {quote.bid} {quote.ask}", self.model.look, engine.wake(symbol))

    def aim_cash(self) -> None:
        """Money in or out, so that a ratio is met exactly, or missed by a little."""
        self.model.quotes = dict(self.quotes)
        amounts = aims.balances_of_interest(self.model)
        if not amounts:
            return
        little = self.rng.choice([ZERO, ZERO, D("1e-8"), D("-1e-8"), D(1)])
        amount = round(self.rng.choice(amounts), 12) + little
        if amount:
            self.cash(amount)

    def cash(self, amount: D) -> None:
        """Deposit or withdraw."""
        self._tell(f"cash {amount}", lambda: self.model.adjust(amount), engine.cash(amount))

    def rare(self) -> None:
        """Everything that does not happen often."""
        rng, model = self.rng, self.model
        kind = rng.choice(RARE)
        if kind == "funding":
            self.funding()
        elif kind == "mode":
            mode = rng.choice(["ADL_30", "ADL_30", "INSTANT_CLOSE", "TAKEOVER"])
            self._tell(f"mode {mode}", lambda: model.set_mode(mode), engine.mode(mode))
        elif kind == "status":
            status = rng.choice(["ACTIVE", "FROZEN", "ACTIVE"])
            self._tell(f"status {status}", lambda: model.set_status(status), engine.status(status))
        elif kind == "stall":
            self.stalled |= {rng.choice(sorted(model.holdings) or sorted(self.quotes))}
            self.wait(rng.choice([11, 10]) * SECOND)
        elif (
            kind == "stop everything" and rng.random() < 0.15 and all(model.is_fresh(s) for s in self.quotes)
        ):
            self._tell("close out", model.close_out, engine.close_out())
        elif kind == "rules":
            self.rules()
        elif kind == "retry":
            self._tell("operator retry", model.operator_says_retry, engine.reconsider("operator"))
        elif kind == "time":
            self.wait_for_timer()
        elif kind == "cash":
            self.cash(round(model.money.deposits * D(rng.choice(["0.1", "1", "-0.1", "-0.5"])), 2) or D(1))
        elif kind == "cancel" and any(o.remaining for o in model.own):
            order = rng.choice([o for o in model.own if o.remaining])
            message = engine.cancel(self.engine.ids[order.number])
            self._tell(f"cancel #{order.number}", lambda: model.cancel(order), message)
        elif kind == "reopen" and engine.reopen() is not None:
            self._tell("reopen", model.reopen, engine.reopen())

    def rules(self) -> None:
        """The exchange's rules of a symbol are not known for a while; its brackets are not counted on then."""
        model, symbol = self.model, self.rng.choice(sorted(self.model.holdings) or sorted(self.quotes))
        if model.unknown:
            model.unknown = set()
        elif self.terms.basis != "brackets" and all(s.symbol != symbol for s in model.stops):
            model.unknown = {symbol}
        self._tell(f"rules unknown: {sorted(model.unknown)}", model.timer, engine.reconsider("rules"))

    def come_back(self) -> None:
        """A liquidated account is paid into, and reopened."""
        if self.model.money.balance <= 0 or self.rng.random() < 0.3:
            self.cash(D(self.rng.choice([20, 100, 5000])) + D(self.rng.randrange(100)) / 100)
        elif engine.reopen() is not None:
            self._tell("reopen", self.model.reopen, engine.reopen())

    def wait(self, nanos: int) -> None:
        """Time goes on, and a timer looks."""
        self._pass(nanos)
        self._tell("time passes", self.model.timer, engine.reconsider("backoff"))

    def wait_for_timer(self) -> None:
        """To the next moment that something waits for, or just before it."""
        model, times = self.model, []
        if model.retry_ms:
            times.append(model.retry_ms)
        if model.stepped_ms is not None and model.terms.cooldown_s:
            times.append(model.stepped_ms + model.terms.cooldown_s * 1_000)
        ahead = [(t - self.begin_ms) * 1_000_000 - self.now_ns for t in times if t > self.wall_ms]
        self.wait(self.rng.choice(ahead) - self.rng.choice([0, 0, 1]) if ahead else SECOND)

    def funding(self) -> None:
        """The settlement of the last whole hour, now and then told again; or on to just before the next hour."""
        rng, symbol = self.rng, self.rng.choice(sorted(self.quotes))
        hour = self.wall_ms // HOUR_MS * HOUR_MS
        if hour < self.begin_ms or rng.random() < 0.2:
            ahead = hour + HOUR_MS - self.wall_ms - rng.choice([200, 1000, 3000])
            self.wait(max(ahead, 1) * 1_000_000)
            return
        if (symbol, hour) not in self.settlements:
            rate = D(rng.choice([-300, -10, 1, 25, 400])) / 100_000
            self.settlements[symbol, hour] = rate, self.quotes[symbol].mid, hour + rng.choice([0, 1, 7, 15])
        rate, mark, ms = self.settlements[symbol, hour]
        text = f"funding {symbol} {rate} at {mark}, of {self.wall_ms - hour} ms ago"
        self._tell(
            text, lambda: self.model.fund(symbol, rate, mark, ms), engine.funding(symbol, rate, mark, ms)
        )

    # --- orders --------------------------------------------------------------------------------

    def order(self) -> None:
        """The owner asks for something."""
        rng, held = self.rng, self.model.holdings
        alone = len(held) == 1 and TWINS.get(next(iter(held))) in self.quotes
        if held and rng.random() < (0.2 if alone else 0.35):
            symbol = rng.choice(sorted(held))
            ask = self.against(symbol, held[symbol])
        else:
            new = sorted(set(self.quotes) - set(held))
            ask = self.opening(rng.choice(new if new and rng.random() < 0.6 else sorted(self.quotes)))
        if ask.quantity <= 0:
            return
        text = f"ask {ask.side} {ask.quantity} {ask.symbol} at {ask.price} {ask.leverage}x{' reduce-only' * ask.reduce_only}"
        self._tell(text, lambda: self.model.place(ask), engine.order_of(ask))

    def stop(self) -> None:
        """One stop or take-profit at a time, or the end of it."""
        rng, model = self.rng, self.model
        if model.stops:
            [stop] = model.stops
            message = engine.cancel(self.engine.ids[stop.number])
            self._tell(f"cancel stop #{stop.number}", lambda: model.cancel_stop(stop), message)
            return
        symbol = rng.choice(sorted(model.holdings))
        held, quote, rules = model.holdings[symbol], self.quotes[symbol], self.terms.rules[symbol]
        quantity = held.size if rng.random() < 0.7 else floored(held.size / 2, rules.step_size)
        if (
            quantity * quote.bid < 3 * rules.min_notional
            or quantity < rules.min_qty
            or quantity > rules.market_max_qty
        ):
            return
        below = rng.random() < 0.5
        away = (
            floored(quote.bid * D(rng.choice(["0.001", "0.01", "0.05"])), rules.tick_size)
            + 10 * rules.tick_size
        )
        trigger = quote.bid - away if below else quote.ask + away
        ask = Ask(symbol, SELL if held.sign > 0 else BUY, quantity, reduce_only=True)
        text = f"stop {ask.side} {quantity} {symbol} at {trigger} {'below' if below else 'above'}"
        message = engine.stop_of(ask, trigger, below=below)
        self._tell(text, lambda: model.place_stop(ask, trigger, below=below), message)

    def against(self, symbol: str, held) -> Ask:
        """Less of a position, all of it, or over to the other side."""
        rng, rules = self.rng, self.terms.rules[symbol]
        part = rng.choice(["0.1", "0.3", "0.5", "0.9", "1", "1", "1", "1.5", "3"])
        quantity = floored(held.size * D(part), rules.step_size)
        if rng.random() < 0.3:
            # All but a little: a rest below the least notional arises.
            quantity = held.size - rules.step_size * rng.choice([1, 2, 3])
        reduce_only = quantity <= held.size and rng.random() < 0.5
        side = SELL if held.sign > 0 else BUY
        return Ask(symbol, side, quantity, self.limit(symbol, side), reduce_only, D(rng.choice([5, 20])))

    def opening(self, symbol: str) -> Ask:
        """As much as margin or maintenance allow, about."""
        rng, terms, rules = self.rng, self.terms, self.terms.rules[symbol]
        leverage = D(rng.choice([1, 5, 20, 20, 50, 100, 126]))
        equity = max(self.model.money.balance, D(1))
        most = equity * leverage
        if rng.random() < 0.8:
            most = min(most, terms.line * equity / terms.rate)
        price = self.quotes[symbol].ask
        if rng.random() < 0.6:
            most /= len(self.quotes)
        notional = most * D(rng.choice(["0.02", "0.2", "0.5", "0.9", "0.97", "1", "1.02"]))
        if rng.random() < 0.2:
            notional = rules.min_notional * D(rng.choice(["0.99", "1", "1.01", "1.5", "2.2"]))
        step = rules.step_size
        quantity = floored(notional / price, step) + step * rng.choice([0, 0, 1])
        side = rng.choice([BUY, SELL])
        twin = self.model.holdings.get(TWINS.get(symbol, ""))
        if twin is not None and rng.random() < 0.8:
            return Ask(symbol, side, twin.size, None, reduce_only=False, leverage=D(20))
        return Ask(symbol, side, quantity, self.limit(symbol, side), reduce_only=False, leverage=leverage)

    def limit(self, symbol: str, side: str) -> D | None:
        """No price, one at the touch, through it, or away from it."""
        rng, quote = self.rng, self.quotes[symbol]
        if rng.random() < 0.65:
            return None
        touch = quote.ask if side == BUY else quote.bid
        away = floored(touch * D(rng.choice(["0", "0", "0.001", "0.02"])), self._tick(symbol))
        price = touch + away * rng.choice([-1, 1])
        return max(price, self._tick(symbol))

    # --- the exchange --------------------------------------------------------------------------

    def exchange(self) -> None:
        """Something becomes of one of the working orders."""
        rng, order = self.rng, self.rng.choice(self.model.orders)
        if order.remaining == 0:
            return self.end(order, "FILLED")
        waits = order.purpose != "USER" and order.number not in self.accepted and order.filled == 0
        if waits and rng.random() < (0.7 if order.left else 0.35):
            return self.in_line(order)
        if order.number not in self.accepted and rng.random() < 0.3:
            return self.accept(order)
        chance = rng.random()
        if self.refuses and order.purpose != "USER" and chance < 0.95:
            chance = 0
        if order.cancel_asked and chance < 0.7:
            return self.end(order, "CANCELED")
        if chance < 0.15 and not order.cancel_asked and not order.of_stop:
            fresh = order.number not in self.accepted and order.filled == 0
            return self.end(order, "REJECTED" if fresh else "EXPIRED")
        return self.fill(order)

    def in_line(self, order: Order) -> None:
        """A step that waits for its turn stays there for a price or two, or is given back, sent or lost."""
        rng, id_ = self.rng, self.engine.ids[order.number]
        kind = rng.choice(["price", "price", "price", "WAITED", "WAITED", "under way", "NEVER_SENT"])
        if kind == "price":
            self.aim_price()
        elif kind == "under way":
            # No decision: only the actor hears of it.
            order.left = True
            self.engine.past_replacing |= {id_}
            self.log.append(f"{self.now_ns / SECOND:.3f} under way #{order.number}")
        elif kind == "WAITED":
            text = f"given back #{order.number}{' as asked' * order.left}"
            self._tell(text, lambda: self.model.ended(order, kind), engine.given_back(id_))
        else:
            self.end(order, kind)

    def accept(self, order: Order) -> None:
        """The exchange has it."""
        self.accepted.add(order.number)
        message = engine.accepted(self.engine.ids[order.number], order.number)
        self._tell(f"accepted #{order.number}", lambda: self.model.accepted(order), message)

    def end(self, order: Order, status: str) -> None:
        """Nothing more comes of it."""
        message = engine.closed(self.engine.ids[order.number], status, order.filled)
        self._tell(f"{status} #{order.number}", lambda: self.model.ended(order, status), message)

    def fill(self, order: Order) -> None:
        """All or a part of it trades, with or without slippage."""
        rng, rules = self.rng, self.terms.rules[order.symbol]
        quantity = order.remaining
        if rng.random() < 0.3:
            quantity = max(
                floored(quantity * D(rng.choice(["0.2", "0.5", "0.9"])), rules.step_size), rules.step_size
            )
        price = self.price_of(order)
        fee = quantity * price * D(rng.choice(["0.0004", "0.0004", "0.0002", "-0.0001"]))
        if rng.random() < 0.5:
            exact = aims.fee_of_interest(self.model, order, quantity, price, rng)
            fee = fee if exact is None else exact + rng.choice([ZERO, ZERO, D("1e-8")])
        self.trade_id += 1
        self.last_trade_ms = max(self.last_trade_ms, self.wall_ms - rng.choice([0, 30, 900]))
        text = f"fill #{order.number} {order.side} {quantity} {order.symbol} at {price}, fee {fee}"
        at_ms = self.last_trade_ms
        self.accepted.add(order.number)
        id_ = self.engine.ids[order.number]
        message = engine.fill_of(id_, order, quantity, price, fee, self.trade_id, at_ms)
        self._tell(text, lambda: self.model.filled(order, quantity, price, fee, at_ms), message)

    def price_of(self, order: Order) -> D:
        """The touch, worse than it, or a limit order's own price."""
        rng, tick = self.rng, self._tick(order.symbol)
        touch = self.model.touch(order.symbol, order.sign)
        if order.price is not None:
            return order.price
        twin = self.model.holdings.get(TWINS.get(order.symbol, ""))
        if (
            twin is not None
            and twin.entry % tick == 0
            and abs(twin.entry - touch) < touch / 2
            and rng.random() < 0.7
        ):
            return twin.entry
        slip = D(rng.choice(["0", "0", "0", "0.001", "0.01", "0.05"]))
        return max(touch + order.sign * floored(touch * slip, tick), tick)

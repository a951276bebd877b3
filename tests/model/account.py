"""One account, told from its rules: what it does about each event, without knowing how the engine does it.

Time is in nanoseconds on one clock, wall time in milliseconds beside it. Every public method is one event; it
returns an ``Outcome``: the orders and cancels that follow, and why it refused, if it did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal as D

from tests.model.money import ZERO, Holding, Money
from tests.model.steps import (
    REFUSALS_MAX,
    STUCK_WAIT_MS,
    Cut,
    Nothing,
    Sweep,
    backoff_ms,
    cut_of,
    first_to_cut,
    smallest,
)
from tests.model.terms import WARNING_ENDS, Quote, Terms, Worth, worth_of

BUY, SELL = "BUY", "SELL"
RATIO_SPARE, NOTIONAL_SHARE = D("0.02"), D("0.98")


@dataclass
class Order:
    """An order that works. ``counted`` is the price that what it may open is counted with.

    ``rank`` is how severe the decision was that a step is of; ``left`` that it waits no more, or was asked back.
    """

    number: int
    symbol: str
    side: str
    quantity: D
    price: D | None
    reduce_only: bool
    leverage: D
    purpose: str
    counted: D
    filled: D = ZERO
    of_stop: bool = False
    rank: int = 0
    left: bool = False
    cancel_asked: bool = False

    @property
    def sign(self) -> int:
        """+1 buys."""
        return 1 if self.side == BUY else -1

    @property
    def remaining(self) -> D:
        """What may still trade."""
        return self.quantity - self.filled


@dataclass(frozen=True)
class Ask:
    """What the owner asks for."""

    symbol: str
    side: str
    quantity: D
    price: D | None = None
    reduce_only: bool = False
    leverage: D = D(10)

    @property
    def sign(self) -> int:
        """+1 buys."""
        return 1 if self.side == BUY else -1


@dataclass
class Stop:
    """A reduce-only order that waits for the mid: at or below ``trigger`` if ``below``, else at or above."""

    number: int
    symbol: str
    side: str
    quantity: D
    trigger: D
    below: bool
    due: bool = False

    @property
    def sign(self) -> int:
        """+1 buys."""
        return 1 if self.side == BUY else -1

    def is_met(self, mid: D) -> bool:
        """Whether the price is there."""
        return mid <= self.trigger if self.below else mid >= self.trigger


@dataclass
class Outcome:
    """What followed from one event. ``codes`` of None: it was no command, or was accepted."""

    orders: list[Order] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    codes: frozenset[str] | None = None
    to_house: list[tuple[str, D, D]] = field(default_factory=list)
    asks: list[int] = field(default_factory=list)


@dataclass
class Account:
    """See the module."""

    terms: Terms
    money: Money
    status: str = "ACTIVE"
    phase: str = "HEALTHY"
    orders: list[Order] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    quotes: dict[str, Quote] = field(default_factory=dict)
    now_ns: int = 0
    wall_ms: int = 0
    refusals: int = 0
    unsent: int = 0
    retry_ms: int = 0
    unknown: set[str] = field(default_factory=set)
    closing_out: bool = False
    breaker_open: bool = False
    stepped_ms: int | None = None
    next_number: int = 1
    purpose_of_last_fill: str = ""
    outcome: Outcome = field(default_factory=Outcome)

    # --- what can be seen -------------------------------------------------------------------

    @property
    def holdings(self):
        """The open positions by symbol."""
        return self.money.holdings

    @property
    def own(self) -> list[Order]:
        """Orders that the owner placed."""
        return [o for o in self.orders if o.purpose == "USER"]

    @property
    def steps(self) -> list[Order]:
        """Orders that deleverage."""
        return [o for o in self.orders if o.purpose != "USER"]

    def is_fresh(self, symbol: str) -> bool:
        """Whether a price is there and young enough."""
        quote = self.quotes.get(symbol)
        return quote is not None and self.now_ns - quote.at_ns <= self.terms.max_age_ns

    def marks(self) -> dict[str, D] | None:
        """The last marks of all positions, however old; None when one never had a price."""
        if any(s not in self.quotes for s in self.holdings):
            return None
        return {s: self.terms.mark(h.sign, self.quotes[s]) for s, h in self.holdings.items()}

    def worth(self, marks: dict[str, D]) -> Worth:
        """The account at some marks."""
        return worth_of(self.terms, self.money.balance, self.holdings, marks)

    def touch(self, symbol: str, sign: int) -> D:
        """What a buyer (+1) pays, or a seller gets."""
        quote = self.quotes[symbol]
        return quote.ask if sign > 0 else quote.bid

    # --- events: prices, time, settings ----------------------------------------------------

    def at(self, now_ns: int, wall_ms: int) -> None:
        """Time passes; that alone decides nothing."""
        self.now_ns, self.wall_ms = now_ns, wall_ms

    def look(self) -> Outcome:
        """A price moved."""
        return self._after()

    def timer(self) -> Outcome:
        """Something that was waited for is due."""
        if self.phase == "STUCK" and self.wall_ms >= self.retry_ms:
            self.phase, self.retry_ms = "REDUCING", 0
        return self._after()

    def operator_says_retry(self) -> Outcome:
        """A STUCK account tries again at once."""
        if self.phase == "STUCK":
            self._calm_down()
        return self.timer()

    def set_mode(self, mode: str) -> Outcome:
        """Another liquidation mode, from now on."""
        self.terms = _with(self.terms, mode=mode)
        return self._after()

    def set_status(self, status: str) -> Outcome:
        """Freeze or unfreeze."""
        if self.status == "LIQUIDATED":
            return self._refused("ACCOUNT_NOT_ACTIVE")
        self.status = status
        return self._after()

    def reopen(self) -> Outcome:
        """An operator gives a liquidated account that has money back to its owner."""
        if self.status != "LIQUIDATED" or self.money.balance <= 0:
            return self._refused("REOPEN")
        self.status, self.phase, self.stepped_ms = "ACTIVE", "HEALTHY", None
        self._calm_down()
        return self._after()

    def close_out(self) -> Outcome:
        """Emergency stop: no new risk, and everything goes, whatever the margin is.

        What is stuck tries at once. A step that works, or waits after a refusal, is waited for; so are the stops.
        """
        self.breaker_open = True
        self.closing_out = bool(self.holdings or self.orders)
        if self.phase == "STUCK":
            self.retry_ms = 0
        if not self.steps and self.wall_ms >= self.retry_ms:
            self.stops.clear()
        for order in self.own:
            self._ask_cancel(order)
        return self._after()

    # --- events: money -----------------------------------------------------------------------

    def adjust(self, amount: D) -> Outcome:
        """Deposit, or withdraw what is free."""
        if amount < 0:
            code = self._no_withdrawal(-amount)
            if code:
                return self._refused(code)
        self.money.adjust(amount)
        if amount > 0:
            self._rescue()
        return self._after()

    def fund(self, symbol: str, rate: D, mark: D, ms: int) -> Outcome:
        """Funding of a symbol was settled at ``ms``."""
        if self.money.fund(symbol, mark, rate, ms):
            return self._after()
        return Outcome(asks=self._asks())

    def _no_withdrawal(self, amount: D) -> str | None:
        if not all(self.is_fresh(s) for s in self.holdings):
            return "STALE_PRICE"
        worth = self.worth(self.marks())
        margins = sum((h.margin for h in self.holdings.values()), ZERO)
        free = worth.equity - margins - sum((m for _, _, m in self._may_open()), ZERO)
        if amount > min(free, self.money.balance):
            return "INSUFFICIENT_MARGIN"
        needed = self._needed(self.holdings, self._openings())
        if needed and Worth(worth.equity - amount, needed, ZERO).reaches(self.terms.line):
            return "MAINTENANCE_MARGIN_EXCEEDED"
        return None

    # --- events: orders ----------------------------------------------------------------------

    def place(self, ask: Ask) -> Outcome:
        """The owner asks for an order."""
        checked = self._verdict(ask)
        if checked:
            return self._refused(*checked)
        if self._is_rest(ask) and self._is_whole(ask):
            touch, held = self.touch(ask.symbol, ask.sign), self.holdings[ask.symbol]
            self._to_house(ask.symbol, touch, held.size * touch * self.terms.taker_fee)
            return self._after()
        self._send(ask.symbol, ask.side, ask.quantity, "USER", ask=ask)
        return self._after(assess=False)

    def place_stop(self, ask: Ask, trigger: D, *, below: bool) -> Outcome:
        """The owner asks for an order that waits for a price, and closes at most what is held then."""
        checked = self._no_account(ask.symbol)
        held = self.holdings.get(ask.symbol)
        if not checked and (held is None or held.sign == ask.sign or ask.quantity > held.size):
            checked = ["NOTHING_TO_REDUCE"]
        stop = Stop(self.next_number, ask.symbol, ask.side, ask.quantity, trigger, below)
        if not checked and stop.is_met(self.quotes[ask.symbol].mid):
            checked = ["TRIGGERS_AT_ONCE"]
        if checked:
            return self._refused(*checked)
        self.next_number += 1
        self.stops.append(stop)
        self.outcome.stops.append(stop)
        return self._after(assess=False)

    def cancel_stop(self, stop: Stop) -> Outcome:
        """The owner takes a stop back."""
        self.stops.remove(stop)
        return self._after(assess=False)

    def cancel(self, order: Order) -> Outcome:
        """The owner takes an order back."""
        order.cancel_asked = True
        self.outcome.cancels.append(order.number)
        return self._after(assess=False)

    def filled(self, order: Order, quantity: D, price: D, fee: D, trade_ms: int) -> Outcome:
        """A part of an order, or all of it, traded."""
        order.filled += quantity
        self.purpose_of_last_fill = order.purpose
        self.money.trade(order.symbol, quantity * order.sign, price, fee, order.leverage, trade_ms)
        if order.purpose != "USER":
            self._calm_down()
            if self.phase == "STUCK":
                self.phase = "REDUCING"
        return self._after()

    def accepted(self, order: Order) -> Outcome:
        """The exchange has it."""
        order.left = True
        return Outcome(asks=self._asks())

    def ended(self, order: Order, status: str) -> Outcome:
        """Nothing more comes of an order. ``WAITED``: it was given back before it was sent."""
        self.orders.remove(order)
        if order.purpose == "ADL" and order.filled > 0:
            self.stepped_ms = self.wall_ms
        if order.purpose != "USER" and order.filled == 0 and status != "WAITED":
            self._came_back(refused=status in {"REJECTED", "EXPIRED"})
        return self._after()

    def _came_back(self, *, refused: bool) -> None:
        """A step did nothing; what the exchange says counts, and all orders of one round once."""
        waits = self.wall_ms < self.retry_ms
        if waits and not (refused and self.unsent):
            return
        # A step that came back forgets the wait between two tier steps.
        self.stepped_ms = None
        if not refused:
            self.unsent += 1
            self.retry_ms = self.wall_ms + min(200 << (self.unsent - 1), 2_000)
            return
        self.refusals, self.unsent = self.refusals + 1, 0
        self.retry_ms = self.wall_ms + backoff_ms(self.refusals)
        if self.refusals >= REFUSALS_MAX:
            self.phase = "STUCK"
            self.retry_ms = self.wall_ms + STUCK_WAIT_MS

    # --- steps that wait for their turn ------------------------------------------------------

    def _rank(self, worth: Worth, spare: D = ZERO, share: D = D(1)) -> int:
        """How severe a decision is due: nothing, the number of a tier, or everything."""
        terms = self.terms
        everything = len(terms.tiers) + 1
        if self.closing_out or worth.is_insolvent or worth.reaches(1 - spare):
            return everything
        met = [n for n, (ratio, _) in enumerate(terms.tiers, 1) if worth.reaches(ratio - spare)]
        if not met:
            return 0
        small = terms.all_below is not None and worth.notional * share < terms.all_below
        if terms.mode != "ADL_30" or terms.tiers[met[-1] - 1][1] == 1 or small:
            return everything
        return met[-1]

    def _asks(self) -> list[int]:
        """Steps that the account would not decide so by now, while all of them wait; each is asked for once."""
        if not self.steps or any(o.left or o.filled for o in self.steps) or self.wall_ms < self.retry_ms:
            return []
        if not self.holdings or not all(self.is_fresh(s) for s in self.holdings):
            return []
        worth = self.worth(self.marks())
        now, at_least = self._rank(worth), self._rank(worth, RATIO_SPARE, NOTIONAL_SHARE)
        for order in self.steps:
            first = order.purpose == "CLOSE_OUT" and worth.is_insolvent
            order.left = now > order.rank or at_least < order.rank or first
        return [o.number for o in self.steps if o.left]

    # --- what an order may do ----------------------------------------------------------------

    def _reducible(self, symbol: str, sign: int) -> D:
        held = self.holdings.get(symbol)
        if held is None or held.sign == sign:
            return ZERO
        working = sum((o.remaining for o in self.own if (o.symbol, o.sign) == (symbol, sign)), ZERO)
        return max(ZERO, held.size - working)

    def _opening_of_orders(self) -> list[tuple[Order, D]]:
        """Each own order with what it would open: those placed first reduce first."""
        left: dict[tuple[str, int], D] = {}
        found = []
        for order in self.own:
            held = self.holdings.get(order.symbol)
            against = held.size if held is not None and held.sign != order.sign else ZERO
            rest = left.setdefault((order.symbol, order.sign), against)
            left[order.symbol, order.sign] = max(ZERO, rest - order.remaining)
            found.append((order, max(ZERO, order.remaining - rest)))
        return found

    def _may_open(self) -> list[tuple[Order, D, D]]:
        """Orders that may open: with notional and margin."""
        return [(o, q * o.counted, q * o.counted / o.leverage) for o, q in self._opening_of_orders() if q > 0]

    def _is_rest(self, ask: Ask) -> bool:
        """Whether what is held is too small for the exchange, and the order is against it."""
        held = self.holdings.get(ask.symbol)
        if held is None or held.sign == ask.sign:
            return False
        rules = self.terms.rules[ask.symbol]
        worth = held.size * self.touch(ask.symbol, ask.sign)
        return held.size < rules.min_qty or worth < rules.min_notional

    def _is_whole(self, ask: Ask) -> bool:
        held, touch = self.holdings[ask.symbol], self.touch(ask.symbol, ask.sign)
        marketable = ask.price is None or ask.sign * (ask.price - touch) >= 0
        return marketable and ask.quantity == held.size == self._reducible(ask.symbol, ask.sign)

    def counted(self, ask: Ask) -> D:
        """The price that an order is counted with: its limit, or the touch."""
        touch = self.touch(ask.symbol, ask.sign)
        if ask.price is None:
            return touch
        return ask.price if ask.sign > 0 else max(ask.price, touch)

    def _no_account(self, symbol: str) -> list[str]:
        """Why the account takes no order at all in a symbol."""
        if self.status == "LIQUIDATED":
            return ["ACCOUNT_NOT_ACTIVE"]
        if self.closing_out:
            return ["CLOSING_OUT"]
        if self.phase in {"REDUCING", "LIQUIDATING"} or self.steps:
            return ["ACCOUNT_LIQUIDATING"]
        if symbol in self.unknown:
            return ["UNKNOWN_SYMBOL"]
        if symbol not in self.quotes:
            return ["NO_PRICE"]
        return [] if self.is_fresh(symbol) else ["STALE_PRICE"]

    def _verdict(self, ask: Ask) -> list[str]:
        refused = self._no_account(ask.symbol)
        if refused:
            return refused
        reducing = min(ask.quantity, self._reducible(ask.symbol, ask.sign))
        opening = ask.quantity - reducing
        codes = self._no_size(ask)
        if opening == 0:
            return codes
        if ask.reduce_only:
            return [*codes, "NOTHING_TO_REDUCE"]
        if any(o.reduce_only for o in self.own if (o.symbol, o.sign) == (ask.symbol, ask.sign)):
            codes.append("REDUCE_ONLY_CONFLICT")
        if self.status != "ACTIVE":
            codes.append("ACCOUNT_NOT_ACTIVE")
        if self.phase == "STUCK":
            codes.append("ACCOUNT_LIQUIDATING")
        if self.breaker_open:
            codes.append("BREAKER_OPEN")
        if not all(self.is_fresh(s) for s in self.holdings):
            return [*codes, "STALE_PRICE"]
        return codes + self._no_risk(ask, opening)

    def _no_size(self, ask: Ask) -> list[str]:
        """What the exchange would refuse for its size; a whole rest goes to the house instead."""
        if self._is_rest(ask) and self._is_whole(ask):
            return []
        rules, price = self.terms.rules[ask.symbol], ask.price or self.touch(ask.symbol, ask.sign)
        if self._is_rest(ask) and ask.quantity <= self.holdings[ask.symbol].size:
            small = ask.quantity < rules.min_qty or ask.quantity * price < rules.min_notional
            return ["MIN_NOTIONAL"] if small else []
        most = rules.market_max_qty if ask.price is None else rules.max_qty
        if not rules.min_qty <= ask.quantity <= most:
            return ["INVALID_QUANTITY"]
        return ["MIN_NOTIONAL"] if ask.quantity * price < rules.min_notional else []

    def _no_risk(self, ask: Ask, opening: D) -> list[str]:
        """Seed 000's checks of what opens, in its order, and what the account would be after the fill."""
        terms, codes = self.terms, []
        price, marks = self.counted(ask), self.marks()
        notional, working = opening * price, self._may_open()
        # Nothing opens before all that is held against it is gone.
        kept = {s: h for s, h in self.holdings.items() if s != ask.symbol or h.sign == ask.sign}
        if ask.leverage > terms.max_leverage:
            codes.append("MAX_LEVERAGE_EXCEEDED")
        if notional > terms.max_notional:
            codes.append("MAX_NOTIONAL_EXCEEDED")
        exposure = (
            sum((h.cost for h in kept.values()), ZERO) + sum((n for _, n, _ in working), ZERO) + notional
        )
        if exposure > terms.max_exposure:
            codes.append("MAX_EXPOSURE_EXCEEDED")
        equity = self.worth(marks).equity
        used = sum((h.margin for h in kept.values()), ZERO) + sum((m for _, _, m in working), ZERO)
        required = notional / ask.leverage
        if required > equity - used:
            codes.append("INSUFFICIENT_MARGIN")
        if used + required >= terms.usage * equity:
            codes.append("MARGIN_RATIO_EXCEEDED")
        return codes + self._no_maintenance(ask, kept, opening, price, equity)

    def _openings(self) -> list[tuple[str, int, D, D]]:
        """What own orders may open: symbol, sign, quantity and notional."""
        return [(o.symbol, o.sign, q, q * o.counted) for o, q in self._opening_of_orders() if q > 0]

    def _needed(self, kept: dict[str, Holding], openings: list[tuple[str, int, D, D]]) -> D:
        """Maintenance margin of what is kept and of what opens on top, per symbol and all of it."""
        cost = {s: h.cost for s, h in kept.items()}
        size = {s: h.size for s, h in kept.items()}
        marks = {s: self.terms.mark(h.sign, self.quotes[s]) for s, h in kept.items()}
        for symbol, sign, quantity, notional in openings:
            cost[symbol] = cost.get(symbol, ZERO) + notional
            size[symbol] = size.get(symbol, ZERO) + quantity
            marks.setdefault(symbol, self.terms.mark(sign, self.quotes[symbol]))
        return sum((self.terms.maintenance(s, cost[s], size[s] * marks[s]) for s in cost), ZERO)

    def _no_maintenance(
        self, ask: Ask, kept: dict[str, Holding], opening: D, price: D, equity: D
    ) -> list[str]:
        terms, codes = self.terms, []
        mark = terms.mark(ask.sign, self.quotes[ask.symbol])
        openings = [*self._openings(), (ask.symbol, ask.sign, opening, opening * price)]
        if terms.basis == "brackets":
            held = kept[ask.symbol].size if ask.symbol in kept else ZERO
            size = held + sum((q for s, _, q, _ in openings if s == ask.symbol), ZERO)
            bracket = terms.bracket(ask.symbol, size * mark)
            if bracket.max_leverage and ask.leverage > bracket.max_leverage:
                codes.append("BRACKET_LEVERAGE_EXCEEDED")
        worse = max(ZERO, ask.sign * (price - mark)) * opening
        left = equity - opening * price * terms.taker_fee - worse
        if Worth(left, self._needed(kept, openings), ZERO).reaches(terms.line):
            codes.append("MAINTENANCE_MARGIN_EXCEEDED")
        return codes

    # --- deleveraging --------------------------------------------------------------------------

    def _after(self, *, assess: bool = True) -> Outcome:
        """The end of every event: assess, cancel what turned round, hand over what followed."""
        if assess and (self.status == "FROZEN" or self.breaker_open):
            for order, opening in self._opening_of_orders():
                if opening > 0:
                    self._ask_cancel(order)
        if assess:
            while self._assess() or self._fire():
                pass
        self._drop_stops()
        for order, opening in self._opening_of_orders():
            if order.reduce_only and opening > 0:
                self._ask_cancel(order)
        outcome, self.outcome = self.outcome, Outcome()
        if not self.steps or any(o not in outcome.orders for o in self.steps):
            outcome.asks = self._asks()
        return outcome

    def _assess(self) -> bool:
        """One look. Returns whether it must be looked at again at once: the house took something."""
        if not self.holdings:
            self._nothing_left()
            return False
        if self.wall_ms < self.retry_ms:
            return False
        # A tier cuts one position at a time; when all go, each has a step of its own.
        busy = {o.symbol for o in self.steps}
        if any(o.purpose == "ADL" for o in self.steps) or (busy and busy >= set(self.holdings)):
            return False
        marks = self.marks()
        if marks is None:
            return False
        worth, fresh = self.worth(marks), [self.is_fresh(s) for s in self.holdings]
        if self.closing_out and not (all(fresh) and worth.is_insolvent):
            return self._deleverage(Sweep(to_house=False, close_out=True), marks)
        if not all(fresh) and not (any(fresh) and worth.is_insolvent):
            return False
        cut = cut_of(self.terms, worth)
        if busy and not isinstance(cut, Sweep):
            return False
        if isinstance(cut, Nothing):
            self._let_go(worth)
            return False
        return self._deleverage(cut, marks)

    def _drop_stops(self) -> None:
        """A stop goes with the position that it was to close."""
        for stop in list(self.stops):
            held = self.holdings.get(stop.symbol)
            if held is None or held.sign == stop.sign:
                self.stops.remove(stop)

    def _fire(self) -> bool:
        """Send the stops whose price is there. Returns whether the house took something instead."""
        self._drop_stops()
        if self.steps or self.phase in {"REDUCING", "LIQUIDATING", "STUCK"}:
            return False
        for stop in list(self.stops):
            known = stop.symbol not in self.unknown
            if (
                known
                and self.is_fresh(stop.symbol)
                and (stop.due or stop.is_met(self.quotes[stop.symbol].mid))
            ):
                stop.due = True
                if self._send_stop(stop):
                    return True
        return False

    def _send_stop(self, stop: Stop) -> bool:
        in_the_way = [
            o for o in self.own if (o.symbol, o.sign) == (stop.symbol, stop.sign) and o.remaining > 0
        ]
        wanted = min(stop.quantity, self.holdings[stop.symbol].size)
        if in_the_way and self._reducible(stop.symbol, stop.sign) < wanted:
            for order in in_the_way:
                if order.price is not None:
                    self._ask_cancel(order)
            return False
        self.stops.remove(stop)
        held, touch = self.holdings[stop.symbol], self.touch(stop.symbol, stop.sign)
        least = smallest(self.terms.rules[stop.symbol], touch)
        if held.size < least:
            self._to_house(stop.symbol, touch, held.size * touch * self.terms.taker_fee)
            return True
        quantity = min(max(stop.quantity, least), held.size)
        self._send(
            stop.symbol, stop.side, quantity, "USER", Ask(stop.symbol, stop.side, quantity, reduce_only=True)
        )
        self.orders[-1].of_stop = True
        return False

    def _deleverage(self, cut: Cut | Sweep, marks: dict[str, D]) -> bool:
        self.phase = "LIQUIDATING" if isinstance(cut, Sweep) else "REDUCING"
        if isinstance(cut, Sweep):
            self.stops.clear()
        elif self.stepped_ms is not None and self.wall_ms < self.stepped_ms + self.terms.cooldown_s * 1_000:
            return False
        if self.own:
            for order in self.own:
                self._ask_cancel(order)
            return False
        if isinstance(cut, Cut):
            return self._step(cut, marks)
        return self._sweep(cut, marks)

    def _step(self, cut: Cut, marks: dict[str, D]) -> bool:
        terms = self.terms
        known = {s: h for s, h in self.holdings.items() if s not in self.unknown}
        if not known:
            return False
        held = first_to_cut(terms, known, marks)
        rules, mark = terms.rules[held.symbol], marks[held.symbol]
        least = smallest(rules, mark)
        if held.size < least:
            self._to_house(held.symbol, mark, ZERO)
            return True
        quantity = max(held.size * cut.fraction // rules.step_size * rules.step_size, least)
        if held.size - quantity < least:
            quantity = held.size
        self._reduce_by_order(held, min(quantity, rules.market_max_qty), "ADL")
        return False

    def _sweep(self, sweep: Sweep, marks: dict[str, D]) -> bool:
        sent = took = False
        for held in list(self.holdings.values()):
            known, fresh = held.symbol not in self.unknown, self.is_fresh(held.symbol)
            if any(o.symbol == held.symbol for o in self.steps):
                continue
            to_house = sweep.to_house or (known and held.size < self._least(held.symbol, marks))
            if (to_house and not fresh) or (not to_house and not known) or not (fresh or sweep.close_out):
                continue
            if to_house:
                self._to_house(held.symbol, marks[held.symbol], ZERO)
                took = True
            else:
                purpose = "CLOSE_OUT" if sweep.close_out else "LIQUIDATION"
                most = self.terms.rules[held.symbol].market_max_qty
                self._reduce_by_order(held, min(held.size, most), purpose)
                sent = True
        return took and not sent

    def _least(self, symbol: str, marks: dict[str, D]) -> D:
        return smallest(self.terms.rules[symbol], marks[symbol])

    def _nothing_left(self) -> None:
        """Nothing is held: once no order works either, what is owed becomes bad debt, and the phase ends."""
        owes = self.money.balance < 0
        if owes:
            for order in self.own:
                self._ask_cancel(order)
        if self.steps or (self.orders and (owes or self.phase == "LIQUIDATING")):
            self.phase = "LIQUIDATING" if owes else self.phase
        elif owes:
            self.money.forgive()
            self._end("LIQUIDATED")
        elif self.status != "LIQUIDATED" and not (self.closing_out and self.orders):
            closed_all = self.phase == "LIQUIDATING" and not self.closing_out
            self._end("LIQUIDATED" if closed_all else "HEALTHY")

    def _end(self, phase: str) -> None:
        self.closing_out, self.phase = False, phase
        if phase == "LIQUIDATED":
            self.status = phase
        self._calm_down()

    def _let_go(self, worth: Worth) -> None:
        line = self.terms.line - (WARNING_ENDS if self.phase == "WARNING" else ZERO)
        self.phase = "WARNING" if worth.reaches(line) else "HEALTHY"
        self._calm_down()

    def _rescue(self) -> None:
        """A deposit that is enough: what waits is let go; what a step in flight leaves is the owner's."""
        marks = self.marks()
        if self.phase not in {"REDUCING", "LIQUIDATING", "STUCK"} or self.closing_out or marks is None:
            return
        worth = self.worth(marks)
        if not all(self.is_fresh(s) for s in self.holdings) or not isinstance(
            cut_of(self.terms, worth), Nothing
        ):
            return
        if not self.steps and self.holdings:
            self._let_go(worth)
        elif self.phase == "LIQUIDATING":
            self.phase = "REDUCING"

    def _calm_down(self) -> None:
        self.refusals, self.unsent, self.retry_ms = 0, 0, 0

    # --- small hands ---------------------------------------------------------------------------

    def _send(self, symbol: str, side: str, quantity: D, purpose: str, ask: Ask | None = None) -> None:
        price, leverage = (None, D(1)) if ask is None else (ask.price, ask.leverage)
        counted = ZERO if ask is None else self.counted(ask)
        reduces = ask is None or ask.reduce_only
        order = Order(self.next_number, symbol, side, quantity, price, reduces, leverage, purpose, counted)
        self.next_number += 1
        self.orders.append(order)
        self.outcome.orders.append(order)

    def _reduce_by_order(self, held, quantity: D, purpose: str) -> None:
        self._send(held.symbol, SELL if held.sign > 0 else BUY, quantity, purpose)
        tier = purpose == "ADL"
        self.orders[-1].rank = self._rank(self.worth(self.marks())) if tier else len(self.terms.tiers) + 1

    def _to_house(self, symbol: str, price: D, fee: D) -> None:
        self.outcome.to_house.append((symbol, self.holdings[symbol].quantity, price))
        self.money.hand_over(symbol, price, fee, self.wall_ms)

    def _ask_cancel(self, order: Order) -> None:
        if not order.cancel_asked and order.remaining > 0:
            order.cancel_asked = True
            self.outcome.cancels.append(order.number)

    def _refused(self, *codes: str) -> Outcome:
        self.outcome = Outcome()
        return Outcome(codes=frozenset(codes), asks=self._asks())


def _with(thing, **changes):
    return type(thing)(**{**{f: getattr(thing, f) for f in thing.__dataclass_fields__}, **changes})

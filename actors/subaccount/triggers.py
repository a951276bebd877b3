"""At which prices an account must be woken: the only floats that an account makes.

Everything that equity decides is a threshold f(p) = a x equity(p) + b x maintenance(p) + c, breached when
f <= 0: the margin ratio's next tier (a = t, b = -1), a loss limit (a = 1, c = -floor), a profit target
(a = -1, c = ceiling). f is linear in each price p_i with slope s_i (for brackets: of a bounded slope). Each of
n symbols gets the share 1/n of the slack f(p0): while every symbol moves against the threshold by less than
f(p0) / (n x |s_i|), f stays above zero whatever the others do. One price per symbol and direction follows;
of several thresholds the nearest price counts.

A conditional order is a price itself. A trailing stop whose best price is H fires at H x (1 - r); it is given
a stop half way between that and the mid, and the best price H' > H that would belong to it: while the mid stays
between the two, the true stop lies below the mid, however often H grows.

Rules
1. A wake is early or exact, never late: prices are rounded towards the market, by more than
   the router's own float mid can be off.
2. No prices, a breach already, or a price that would be met at once: wake on every tick.
3. While a step is under way, or the next one waits for a timer, a price decides nothing but loss limits: no other
   triggers. The step's fill, its end or the timer assesses again (measured: waking 800 such accounts on
   every tick cost nine tenths of the router's throughput).
4. While all steps wait for their turn to be sent, what makes them outdated (``subaccount.waiting``) has triggers: the
   next tier or the end of all, and the way back. One that was asked back already waits for the answer.
5. While everything goes and a position is left without a step, the account looks at every tick: a few seconds at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from actors.core.enums import Breaker, ConditionalKind, Phase, Purpose, Side
from actors.core.instruments import Instrument
from actors.core.messages import Trigger
from actors.core.orders import ConditionalOrder
from actors.core.units import ONE, ZERO, Symbol
from actors.limits.model import MaintenanceBasis, MarkSource
from actors.subaccount import adl, conditionals, losses, monitor, waiting
from actors.subaccount.adl import WARNING_HYSTERESIS, has_step
from actors.subaccount.margin import MarginView
from actors.subaccount.market import Market
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

OUTWARD = 2.0**-48
"""Relative rounding towards the market. A float mid of two decimals is off by at most three
half-ulps, 3 x 2**-53; converting the trigger itself adds one more."""


class Triggers(msgspec.Struct, frozen=True, gc=False):
    """What to register with the router."""

    prices: tuple[Trigger, ...]
    every_tick: tuple[Symbol, ...]


NONE = Triggers((), ())


class Threshold(msgspec.Struct, frozen=True, gc=False):
    """f = equity x ``equity`` + maintenance x ``maintenance`` + notional x ``notional`` + ``constant``; breached when f <= 0.

    Linear in each price, as the notional at the mark is too.
    """

    equity: Decimal
    maintenance: Decimal
    constant: Decimal
    notional: Decimal = ZERO


def threshold(state: AccountState) -> Decimal:
    """The next margin ratio at which something must be decided."""
    first = state.limits.first_tier
    return first if state.phase is Phase.WARNING else state.limits.warning_line


def thresholds(state: AccountState, *, waiting: bool) -> Iterator[Threshold]:
    """All that equity may reach and that was not reached before; ``waiting`` as of ``waits``."""
    if not waiting:
        yield Threshold(threshold(state), -ONE, ZERO)
    if state.phase is Phase.WARNING:
        # The other way: maintenance <= t x equity ends the warning.
        yield Threshold(WARNING_HYSTERESIS - state.limits.warning_line, ONE, ZERO)
    limits, risk = state.limits, state.risk
    if not limits.watches_equity:
        return
    if limits.max_cumulative_loss is not None and risk.close_out is None:
        yield Threshold(ONE, ZERO, limits.max_cumulative_loss - state.deposits - state.bad_debt)
    daily = losses.daily_limit(state)
    if daily is not None and not risk.day_stopped:
        yield Threshold(ONE, ZERO, daily - risk.day_equity)
    if risk.breaker is Breaker.OPEN or not risk.day_start_ms:
        return
    first = max(ZERO, risk.day_equity)
    if limits.breaker_loss_percent is not None:
        yield Threshold(ONE, ZERO, limits.breaker_loss_percent * first - risk.day_equity)
    if limits.breaker_profit_percent is not None and first > ZERO:
        yield Threshold(-ONE, ZERO, (limits.breaker_profit_percent + ONE) * first)


def waits(state: AccountState) -> bool:
    """Whether a price decides no new step: one works, or the next one waits as the last came back."""
    return has_step(state) or _awaits_timer(state)


def _awaits_timer(state: AccountState) -> bool:
    return adl.came_back(state) and state.retry_at_ms > 0


def of_waiting_steps(state: AccountState, view: MarginView) -> Iterator[Threshold]:
    """All that would make steps outdated which wait and are not: more severe, or less."""
    tiers, all_of_it = state.limits.tiers(), waiting.everything(state)
    at_work = adl.steps_at_work(state)
    decided = {waiting.severity_of(state, step) for step in at_work}
    below = state.limits.adl_all_below if adl.in_tiers(state.mode) else None
    if min(decided) < all_of_it:
        yield Threshold(min([ONE, *(t.margin_ratio for t in tiers[min(decided) :])]), -ONE, ZERO)
        if below is not None:
            yield Threshold(ZERO, ZERO, -below, ONE)
    elif any(step.purpose is Purpose.CLOSE_OUT for step in at_work):
        yield Threshold(ONE, -ONE, ZERO)
    if state.risk.close_out is not None:
        return
    if max(decided) < all_of_it:
        yield _way_back(tiers[max(decided) - 1].margin_ratio)
        return
    whole = [t.margin_ratio for t in tiers if t.fraction >= ONE or not adl.in_tiers(state.mode)]
    ends = min([ONE, *whole])
    if below is None or view.ratio + waiting.RATIO_BAND >= ends:
        yield _way_back(ends)
        return
    # All goes because it is too little, and may be let go altogether, or become enough for a tier.
    yield _way_back(tiers[0].margin_ratio)
    yield Threshold(ZERO, ZERO, below, -waiting.NOTIONAL_SHARE)


def _way_back(margin_ratio: Decimal) -> Threshold:
    return Threshold(waiting.RATIO_BAND - margin_ratio, ONE, ZERO)


def triggers(now: Situation) -> Triggers:
    """The account's triggers at the present prices."""
    state, market = now.state, now.market
    if not state.positions and not state.conditionals:
        return NONE
    if adl.may_add(state) and not _awaits_timer(state):
        return _every_tick(state)
    holds = waits(state)
    may_replace = waiting.all_wait(state, market) and not _awaits_timer(state) and not waiting.outdated(now)
    if holds and not may_replace and not (state.limits.watches_equity and state.positions):
        return NONE
    calm = state.phase.is_calm and state.risk.close_out is None
    marks = now.marks
    awaits_day = state.limits.needs_day and market.day.start_ms > state.risk.day_start_ms
    if marks is None or not (calm or holds) or (awaits_day and state.positions):
        return _every_tick(state)
    nearest = _Nearest(market)
    view = now.view if state.positions else None
    if view is not None:
        bounds = thresholds(state, waiting=holds)
        of_steps = of_waiting_steps(state, view) if may_replace else ()
        for bound in (*bounds, *of_steps):
            slack = bound.equity * view.equity + bound.maintenance * view.maintenance + bound.constant
            if bound.notional:
                slack += bound.notional * adl.worth(state, marks)
            if slack <= ZERO:
                return _every_tick(state)
            _divide_slack(state, bound, slack, marks, market, nearest)
        for position in state.positions if state.limits.excessive_loss_percent is not None else ():
            price = monitor.loss_price(state, position)
            if price is not None:
                touch = state.limits.mark_source is MarkSource.EXIT
                nearest.add(position.symbol, price, below=position.is_long, touch=touch)
    for order in () if holds else state.conditionals:
        _conditional(order, state, market, nearest)
    return nearest.result()


def _every_tick(state: AccountState) -> Triggers:
    return Triggers((), tuple(dict.fromkeys((*state.symbols, *(c.symbol for c in state.conditionals)))))


class _Nearest:
    """Per symbol, direction and source, the price that comes first."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._found: dict[tuple[Symbol, bool, bool], Decimal] = {}
        self._every_tick: dict[Symbol, None] = {}

    def add(self, symbol: Symbol, price: Decimal, *, below: bool, touch: bool = False) -> None:
        if price <= ZERO:
            return
        key = (symbol, below, touch)
        known = self._found.get(key)
        if known is None or (price > known if below else price < known):
            self._found[key] = price

    def watch(self, symbol: Symbol) -> None:
        self._every_tick[symbol] = None

    def result(self) -> Triggers:
        found = []
        for (symbol, below, touch), price in self._found.items():
            trigger = Trigger(symbol, below, towards_market(price, below=below), touch)
            tick = self._market.ticks[symbol]
            now = tick.mid_float if not touch else float(tick.bid if below else tick.ask)
            # The router would wake us at once, and again each time that we registered it.
            if now <= trigger.price if below else now >= trigger.price:
                self.watch(symbol)
            else:
                found.append(trigger)
        return Triggers(tuple(found), tuple(self._every_tick))


def _divide_slack(  # noqa: PLR0913 - one threshold over all positions
    state: AccountState,
    bound: Threshold,
    slack: Decimal,
    marks: dict[Symbol, Decimal],
    market: Market,
    nearest: _Nearest,
) -> None:
    # Theory: f is linear in the prices, so its fall is the sum of what each symbol takes of it. If no symbol takes
    # more than its share w_i of the slack f(p0), with sum w_i = 1, then f stays above zero wherever the others go.
    # Equal shares 1/n are always sound; a wake before f = 0 costs one look, which divides what slack is left again,
    # so a price that walks to the threshold causes a number of wakes that grows with the logarithm of the slack.
    share = slack / len(state.positions)
    touch = state.limits.mark_source is MarkSource.EXIT
    for position in state.positions:
        mark = marks[position.symbol]
        # How fast f falls, at the most, per unit that the price falls and per unit that it rises.
        falling = bound.equity * position.quantity
        if bound.notional:
            falling += bound.notional * abs(position.quantity)
        rising = -falling
        if state.limits.maintenance_basis is not MaintenanceBasis.ENTRY and bound.maintenance:
            rates = _rates(state, market.instruments.get(position.symbol))
            slopes = [falling + bound.maintenance * r * abs(position.quantity) for r in rates]
            falling, rising = max(slopes), -min(slopes)
        if falling > ZERO:
            nearest.add(position.symbol, mark - share / falling, below=True, touch=touch)
        if rising > ZERO:
            nearest.add(position.symbol, mark + share / rising, below=False, touch=touch)


def _rates(state: AccountState, instrument: Instrument | None) -> tuple[Decimal, Decimal]:
    """The least and the most that maintenance margin may change per unit of notional at the mark."""
    if (
        state.limits.maintenance_basis is MaintenanceBasis.MARK
        or instrument is None
        or not instrument.brackets
    ):
        return state.maintenance_rate, state.maintenance_rate
    rates = [bracket.rate for bracket in instrument.brackets]
    return min(ZERO, *rates), max(rates)


def _conditional(order: ConditionalOrder, state: AccountState, market: Market, nearest: _Nearest) -> None:
    symbol, placed = order.symbol, order.placed
    tick = market.fresh(symbol, state.limits.price_max_age_ns)
    if tick is None or conditionals.is_due(order, market):
        nearest.watch(symbol)
        return
    below = conditionals.fires_below(placed.kind, placed.side)
    if placed.kind is not ConditionalKind.TRAILING_STOP_MARKET:
        nearest.add(symbol, placed.trigger_price or ZERO, below=below)
        return
    best = conditionals.extreme(order, market)
    if best is None:
        nearest.add(symbol, placed.activation_price or ZERO, below=placed.side is Side.BUY)
        return
    early = (tick.mid + conditionals.stop_price(order, best)) / 2
    rate = placed.callback_rate or ZERO
    nearest.add(symbol, early, below=below)
    nearest.add(symbol, early / (ONE - rate if below else ONE + rate), below=not below)


def towards_market(price: Decimal, *, below: bool) -> float:
    """``price`` as a float, rounded up for a trigger below the market, down for one above."""
    return float(price) * (1.0 + OUTWARD if below else 1.0 - OUTWARD)

"""What must be the same on both sides after every event."""

from __future__ import annotations

from decimal import Decimal as D

from actors.core.units import Symbol
from actors.subaccount import margin
from tests.model.account import Account, Outcome
from tests.model.engine import Engine

RISK_CODES = frozenset(
    [
        "MAX_LEVERAGE_EXCEEDED", "MAX_NOTIONAL_EXCEEDED", "MAX_EXPOSURE_EXCEEDED", "INSUFFICIENT_MARGIN",
        "MARGIN_RATIO_EXCEEDED", "MAINTENANCE_MARGIN_EXCEEDED", "BRACKET_LEVERAGE_EXCEEDED",
    ]
)  # fmt: skip
"""What would become of an account; all of them are reported."""

BEFORE_RISK = frozenset(
    [
        "ACCOUNT_LIQUIDATING",
        "ACCOUNT_NOT_ACTIVE",
        "CLOSING_OUT",
        "NO_PRICE",
        "STALE_PRICE",
        "NOTHING_TO_REDUCE",
    ]
)
"""Whoever is refused for one of these may be told of risk or not."""

MARGIN_ROUNDING = D("1e-9")


class Difference(Exception):
    """Model and engine differ."""

    def __init__(self, seed: str, at: int, event: str, found: list[str]):
        super().__init__(f"seed {seed}, event {at} ({event}): " + "; ".join(found))
        self.seed, self.at, self.event, self.found = seed, at, event, found


def differences(model: Account, engine: Engine, outcome: Outcome) -> list[str]:
    """Each difference, expected and got; an empty list when there is none."""
    found = list(_codes(outcome.codes, engine.codes()))
    found += _orders(engine, outcome)
    if found:
        return found
    found += _sums(model, engine)
    found += _positions(model, engine)
    return found or _worth(model, engine) + list(_invariants(model, engine))


def _differ(what: str, expected, got) -> list[str]:
    return [] if expected == got else [f"{what}: expected {expected}, got {got}"]


def _codes(expected: frozenset[str] | None, got: frozenset[str] | None) -> list[str]:
    if expected is None or got is None or expected == {"REOPEN"}:
        return (
            _differ("refused", sorted(expected or []), sorted(got or []))
            if (expected is None) != (got is None)
            else []
        )
    if "STALE_PRICE" in expected & got:
        return []
    if "MARGIN_RATIO_EXCEEDED" in expected & got:
        # Margin that is not there says enough: what maintenance would be need not be told.
        expected, got = expected - {"MAINTENANCE_MARGIN_EXCEEDED"}, got - {"MAINTENANCE_MARGIN_EXCEEDED"}
    if expected <= got and (expected & BEFORE_RISK or expected & RISK_CODES == got & RISK_CODES):
        return []
    return _differ("codes", sorted(expected), sorted(got))


def _orders(engine: Engine, outcome: Outcome) -> list[str]:
    ours = sorted(outcome.orders, key=lambda o: (o.symbol, o.side))
    theirs = sorted(engine.intended(), key=lambda o: (o.symbol, o.side.value))
    expected = [f"{o.side} {o.quantity.normalize():f} {o.symbol} {o.purpose}" for o in ours]
    got = [f"{o.side.value} {o.quantity.normalize():f} {o.symbol} {o.purpose.value}" for o in theirs]
    if expected == got:
        for mine, its in zip(ours, theirs, strict=True):
            engine.ids[mine.number] = its.client_order_id
    for mine, its in zip(outcome.stops, engine.stops(), strict=False):
        engine.ids[mine.number] = its.client_order_id
    found = _differ("orders", expected, got)
    if not found:
        ids = sorted(engine.ids[n] for n in outcome.cancels)
        found = _differ("cancels", ids, sorted(engine.cancelled()))
        asks = sorted(engine.ids[n] for n in outcome.asks)
        found += _differ("asked back", asks, sorted(engine.decision.replace))
    return found


def _sums(model: Account, engine: Engine) -> list[str]:
    state, money = engine.state, model.money
    found = []
    for name in ("balance", "deposits", "realized", "fees", "funding", "bad_debt"):
        found += _differ(name, getattr(money, name), getattr(state, name))
    found += _differ("status", model.status, state.status.value)
    found += _differ("phase", model.phase, state.phase.value)
    waiting = {engine.ids[s.number]: s.due for s in model.stops}
    found += _differ("stops", waiting, {c.client_order_id: c.due for c in state.conditionals})
    working = {engine.ids[o.number]: (o.filled, o.cancel_asked) for o in model.orders}
    return found + _differ(
        "working orders", working, {o.client_order_id: (o.filled, o.cancel_requested) for o in state.orders}
    )


def _positions(model: Account, engine: Engine) -> list[str]:
    held = {p.symbol: p for p in engine.state.positions}
    found = _differ("positions", sorted(model.holdings), sorted(held))
    if found:
        return found
    for symbol, mine in model.holdings.items():
        its = held[Symbol(symbol)]
        found += _differ(f"quantity of {symbol}", mine.quantity, its.quantity)
        found += _differ(f"entry of {symbol}", mine.entry, its.entry_price)
        if hasattr(its, "cost"):
            found += _differ(f"cost of {symbol}", mine.cost, abs(its.cost))
        if abs(mine.margin - its.margin) > MARGIN_ROUNDING:
            found += _differ(f"margin of {symbol}", mine.margin, its.margin)
    return found


def _worth(model: Account, engine: Engine) -> list[str]:
    if not model.holdings or any(not model.is_fresh(s) for s in model.holdings):
        return []
    marks = model.marks()
    worth = model.worth(marks)
    view = margin.view(engine.state, {Symbol(s): m for s, m in marks.items()}, engine.rules)
    return _differ("equity", worth.equity, view.equity) + _differ(
        "maintenance margin", worth.maintenance, view.maintenance
    )


def _invariants(model: Account, engine: Engine) -> list[str]:
    state = engine.state
    found = []
    paid = state.deposits + state.realized - state.fees + state.funding + state.bad_debt
    if state.balance != paid:
        found.append(f"the books do not balance: {state.balance} is not {paid}")
    if not state.positions and not state.orders:
        if state.phase.value in {"REDUCING", "LIQUIDATING"}:
            found.append(f"nothing is held, nothing works, and it stays {state.phase}")
        if state.balance < 0:
            found.append(f"nothing is held, nothing works, and {state.balance} is owed by nobody")
    if not model.money.adds_up():
        found.append("the model's own books do not balance")
    return found

"""Faults planted into the engine's code in memory, to see that the model notices them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.compare import Difference
from tests.model.sequence import Sequence

ENGINE = "actors.subaccount"


@dataclass(frozen=True)
class Fault:
    """``old`` in the source of ``module.function`` becomes ``new``. ``within`` sequences must notice."""

    name: str
    module: str
    function: str
    old: str
    new: str
    within: int


@contextlib.contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The engine with the fault until the end of the block: the function stays the same object with other code."""
    module = importlib.import_module(f"{ENGINE}.{fault.module}")
    owner, _, name = fault.function.rpartition(".")
    function = getattr(getattr(module, owner) if owner else module, name)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(fault.old) != 1:
        raise ValueError(
            f"{fault.name}: {fault.old!r} is {source.count(fault.old)} times in {fault.module}.{fault.function}; "
            f"write the fault anew in {__name__}"
        )
    scope = dict(module.__dict__)
    exec(compile(source.replace(fault.old, fault.new), str(module.__file__), "exec"), scope)
    sound = function.__code__
    function.__code__ = scope[name].__code__
    try:
        yield
    finally:
        function.__code__ = sound


def noticed(sequences: int, seed: str = "1") -> tuple[int, Difference] | None:
    """The first sequence that differs, counted from 1, and how."""
    for number in range(1, sequences + 1):
        try:
            Sequence(f"{seed}:{number}").play()
        except Difference as difference:
            return number, difference
    return None


FAULTS = (
    Fault(
        "a last position that is dust leaves the account REDUCING",
        "adl", "_without_positions", "state.phase is not Phase.LIQUIDATING", "state.phase is Phase.WARNING", 100,
    ),
    Fault(
        "bad debt is recorded after a liquidation only",
        "adl", "_without_positions", "if state.balance < ZERO:\n        facts",
        "if state.balance < ZERO and state.phase is Phase.LIQUIDATING:\n        facts", 300,
    ),
    Fault(
        "the smallest step is counted at the lower of mark and entry",
        "steps", "close", "smallest_order(instrument, price)",
        "smallest_order(instrument, min(price, position.entry_price))", 200,
    ),
    Fault(
        "what a close cost is the average entry, rounded to 1e-12 a unit",
        "position", "Position.cost_of", "return self.cost\n", "return self.entry_price * quantity\n", 50,
    ),
    Fault(
        "funding by what is held when it is booked",
        "funding", "due", "held_at(state.holdings,", "held_at((),", 50,
    ),
    Fault(
        "a step that filled partly and expired is a refusal",
        "adl", "ended", "order.filled == ZERO", "order.remaining > ZERO", 50,
    ),
    Fault(
        "the largest position is told by entry notional on every basis",
        "margin", "_largest", "size(state, p, marks[p.symbol])", "p.notional", 600,
    ),
    Fault(
        "an owner's rest goes to the house without a fee",
        "dust", "taken", "market, Purpose.USER, fee", "market, Purpose.USER", 50,
    ),
    Fault(
        "an old price stops the liquidation of a bankrupt account",
        "adl", "_without_prices", "last is None or not fresh", "True", 1000,
    ),
    Fault(
        "what an order makes of the account does not count",
        "pretrade.limit_checks", "maintenance_margin", "if ratio < limit:", "if True:", 50,
    ),
    Fault(
        "the tiers are met above their ratio only",
        "adl", "tier_met", "ratio >= tier.margin_ratio", "ratio > tier.margin_ratio", 150,
    ),
    Fault(
        "no equity left is no bankruptcy while a penny of it is",
        "adl", "_round", "if view.is_bankrupt:", "if view.equity < ZERO:", 200,
    ),
    Fault(
        "a step is asked back without anything to spare",
        "waiting", "outdated", "band=RATIO_BAND", "band=ZERO", 50,
    ),
    Fault(
        "a bankrupt account's close-out keeps its place",
        "waiting", "outdated", "step.purpose is Purpose.CLOSE_OUT and view.is_bankrupt", "False", 600,
    ),
    Fault(
        "what was asked back already is asked for again",
        "waiting", "_waits", "step.client_order_id not in market.past_replacing", "True", 50,
    ),
    Fault(
        "a step that the exchange never got counts as refused",
        "adl", "ended", "if status.is_refusal else never_sent(state, wall_ms)", "", 100,
    ),
    Fault(
        "a tier adds steps to those at work",
        "adl", "may_add", "any(step.purpose is Purpose.ADL for step in at_work)", "False", 50,
    ),
)  # fmt: skip
"""Each in one function of the engine, most of them as it once was."""

"""Faults planted into the engine's code in memory, to see that the model notices them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
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
    """The engine with the fault, wherever the function is known, until the end of the block."""
    module = importlib.import_module(f"{ENGINE}.{fault.module}")
    owner, _, name = fault.function.rpartition(".")
    home = getattr(module, owner) if owner else module
    sound = getattr(home, name)
    source = textwrap.dedent(inspect.getsource(sound))
    if source.count(fault.old) != 1:
        raise ValueError(
            f"{fault.name}: {fault.old!r} is {source.count(fault.old)} times in {fault.module}.{fault.function}; "
            f"write the fault anew in {__name__}"
        )
    scope = dict(module.__dict__)
    exec(compile(source.replace(fault.old, fault.new), str(module.__file__), "exec"), scope)
    places = [home] if owner else [m for path, m in list(sys.modules.items()) if path.startswith(ENGINE)]
    # Names are looked up when they are called, but a tuple of stages holds the function itself.
    changed = [(place, n) for place in places for n, value in list(vars(place).items()) if value is sound]
    for place, known_as in changed:
        setattr(place, known_as, scope[name])
    try:
        yield
    finally:
        for place, known_as in changed:
            setattr(place, known_as, sound)


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
        "adl", "_without_positions", "state.phase is not Phase.LIQUIDATING", "state.phase is Phase.WARNING", 1000,
    ),
    Fault(
        "bad debt is recorded after a liquidation only",
        "adl", "_without_positions", "if state.balance < ZERO:\n        facts",
        "if state.balance < ZERO and state.phase is Phase.LIQUIDATING:\n        facts", 200,
    ),
    Fault(
        "the smallest step is counted at the lower of mark and entry",
        "steps", "close", "smallest_order(instrument, marks[position.symbol])",
        "smallest_order(instrument, min(marks[position.symbol], position.entry_price))", 500,
    ),
    Fault(
        "what a close cost is the average entry, rounded to 1e-12 a unit",
        "position", "Position.cost_of", "return self.cost\n", "return self.entry_price * quantity\n", 200,
    ),
    Fault(
        "funding by what is held when it is booked",
        "funding", "due", "held_at(state.holdings,", "held_at((),", 500,
    ),
    Fault(
        "a step that filled partly and expired is a refusal",
        "adl", "ended", "order.filled == ZERO", "order.remaining > ZERO", 500,
    ),
    Fault(
        "the largest position is told by entry notional on every basis",
        "margin", "_largest", "size(state, p, marks[p.symbol])", "p.notional", 1000,
    ),
    Fault(
        "an owner's rest goes to the house without a fee",
        "dust", "taken", "market, Purpose.USER, fee", "market, Purpose.USER", 500,
    ),
    Fault(
        "an old price stops the liquidation of a bankrupt account",
        "adl", "_blind", "last is None or not fresh", "True", 2000,
    ),
    Fault(
        "the tiers are met above their ratio only",
        "adl", "_tier", "ratio >= tier.margin_ratio", "ratio > tier.margin_ratio", 2000,
    ),
    Fault(
        "no equity left is no bankruptcy while a penny of it is",
        "adl", "_round", "if view.is_bankrupt:", "if view.equity < ZERO:", 2000,
    ),
)  # fmt: skip
"""Each in one function of the engine, most of them as it once was."""

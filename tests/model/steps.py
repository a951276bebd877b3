"""What deleveraging does at a margin ratio: nothing, one step, or everything."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal as D

from actors.core.instruments import Instrument
from tests.model.money import Holding
from tests.model.terms import Terms, Worth

REFUSALS_MAX = 10
STUCK_WAIT_MS = 300_000


@dataclass(frozen=True)
class Nothing:
    """The ratio is below the first tier."""


@dataclass(frozen=True)
class Cut:
    """A share of one position goes."""

    fraction: D


@dataclass(frozen=True)
class Sweep:
    """Everything goes: by orders, or to the house. ``close_out``: for another reason than margin."""

    to_house: bool
    close_out: bool = False


def cut_of(terms: Terms, worth: Worth) -> Nothing | Cut | Sweep:
    """What an account must do, by the highest tier that it meets."""
    everything = Sweep(terms.mode == "TAKEOVER")
    if worth.is_insolvent:
        return everything
    met = [fraction for ratio, fraction in terms.tiers if worth.reaches(ratio)]
    if not met:
        return Nothing()
    small = terms.all_below is not None and worth.notional < terms.all_below
    if terms.mode != "ADL_30" or met[-1] == 1 or small:
        return everything
    return Cut(met[-1])


def smallest(rules: Instrument, mark: D) -> D:
    """The least that the exchange takes at ``mark``, in whole steps."""
    steps = rules.min_notional // (mark * rules.step_size)
    if steps * mark * rules.step_size < rules.min_notional:
        steps += 1
    return max(rules.min_qty, steps * rules.step_size)


def first_to_cut(terms: Terms, holdings: dict[str, Holding], marks: dict[str, D]) -> Holding:
    """The largest position, or the largest loser if one loses; of equal ones the first by symbol."""
    in_order = [holdings[s] for s in sorted(holdings)]
    if terms.losers_first:
        loser = min(in_order, key=lambda h: h.profit(marks[h.symbol]))
        if loser.profit(marks[loser.symbol]) < 0:
            return loser
    return max(in_order, key=lambda h: terms.size_of(h, marks[h.symbol]))


def backoff_ms(refusals: int) -> int:
    """The wait after the n-th refusal in a row: 200 ms, doubled, at most 30 s."""
    return min(200 << (refusals - 1), 30_000)

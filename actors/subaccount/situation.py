"""One look at the market per decision: an account's state in front of the market, each number worked out once.

A decision is a pipeline of pure steps. Each step gets a ``Situation``, finds facts, and hands on the situation
after them, so that what one step found, the next one sees. Every fact is folded once, in ``after``; marks and
margin are worked out when the first step wants them, and again only when a fact changed what they depend on.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from actors.core.enums import Purpose
from actors.core.facts import AnyFact
from actors.core.orders import WorkingOrder
from actors.core.units import Symbol
from actors.subaccount import margin
from actors.subaccount.fold import folded
from actors.subaccount.margin import MarginView
from actors.subaccount.market import Market, marks_of
from actors.subaccount.state import AccountState


class Situation:
    """See the module. ``cause`` names what set the decision off, ``facts`` is what was decided so far.

    Never changed once made: what it remembers of itself follows from ``state`` and ``market`` alone.
    """

    __slots__ = ("_marks", "_marks_known", "_view", "cause", "facts", "market", "state")

    def __init__(
        self, state: AccountState, market: Market, cause: str = "", facts: tuple[AnyFact, ...] = ()
    ) -> None:
        self.state = state
        self.market = market
        self.cause = cause
        self.facts = facts
        self._marks: dict[Symbol, Decimal] | None = None
        self._marks_known = False
        self._view: MarginView | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Situation):
            return NotImplemented
        mine = (self.state, self.facts, self.cause, self.market)
        return mine == (other.state, other.facts, other.cause, other.market)

    __hash__ = None  # type: ignore[assignment]  # a market holds mappings

    @property
    def marks(self) -> dict[Symbol, Decimal] | None:
        """Fresh marks of all open positions, in quote asset; None when one is missing or stale."""
        if not self._marks_known:
            self._marks = marks_of(self.state, self.market)
            self._marks_known = True
        return self._marks

    @property
    def view(self) -> MarginView | None:
        """The account's margin at the fresh marks; None when one is missing or stale."""
        if self._view is None:
            marks = self.marks
            if marks is not None:
                self._view = margin.view(self.state, marks, self.market.instruments)
        return self._view

    @property
    def equity(self) -> Decimal | None:
        """Balance + unrealized profit at the fresh marks, in quote asset; None when one is missing or stale."""
        view = self.view
        return None if view is None else view.equity

    def after(self, facts: Iterable[AnyFact]) -> Situation:
        """The situation once ``facts`` are folded in; they follow those that were decided before.

        Raises:
            StateCorrupt: a fact does not fit.
        """
        found = tuple(facts)
        if not found:
            return self
        following = self.supposing(folded(self.state, found))
        following.facts = (*self.facts, *found)
        return following

    def supposing(self, state: AccountState) -> Situation:
        """The same market in front of another state of the account, with what stays true of it."""
        other = Situation(state, self.market, self.cause, self.facts)
        mine = self.state
        if state.positions is not mine.positions or state.limits is not mine.limits:
            return other
        other._marks, other._marks_known = self._marks, self._marks_known
        if (
            state.balance is mine.balance
            and (state.orders is mine.orders or not _hold_margin(*mine.orders, *state.orders))
            and state.conditionals is mine.conditionals
            and state.pending_fees is mine.pending_fees
            and state.maintenance_rate is mine.maintenance_rate
        ):
            other._view = self._view
        return other


def _hold_margin(*orders: WorkingOrder) -> bool:
    """Whether some orders may hold margin; what deleverages never does."""
    return any(order.purpose is Purpose.USER for order in orders)

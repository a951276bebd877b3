"""What the sequences come to: a comparison that never sees a liquidation says nothing about one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.account import Account, Outcome
from tests.model.money import ZERO

MUST_BE_SEEN = (
    "HEALTHY", "WARNING", "REDUCING", "LIQUIDATING", "LIQUIDATED", "STUCK",
    "order USER", "order ADL", "order LIQUIDATION", "order CLOSE_OUT",
    "closed by the house, out of a tier", "closed by the house, out of everything", "a rest closed by its owner",
    "own orders cancelled", "let go by itself", "let go by a deposit", "reopened",
    "bad debt while LIQUIDATING", "bad debt of a tier step", "bad debt of an owner's order",
    "a flip", "a partial close", "an added position", "closed with nothing left at all",
    "funding", "fresh ones closed beside a stale one", "funding of a position that changed since", "a stop that fired",
    "a second round of what one market order may be", "another symbol without rules",
    "a short of billions", "exactly at a tier", "the larger of two cut", "one of two equal ones cut", "UNKNOWN_SYMBOL",
    "ACCOUNT_LIQUIDATING", "ACCOUNT_NOT_ACTIVE", "BREAKER_OPEN", "STALE_PRICE", "INVALID_QUANTITY", "MIN_NOTIONAL",
    "NOTHING_TO_REDUCE", "REDUCE_ONLY_CONFLICT", "MAX_LEVERAGE_EXCEEDED", "MAX_NOTIONAL_EXCEEDED",
    "MAX_EXPOSURE_EXCEEDED", "INSUFFICIENT_MARGIN", "MARGIN_RATIO_EXCEEDED", "MAINTENANCE_MARGIN_EXCEEDED",
    "BRACKET_LEVERAGE_EXCEEDED", "CLOSING_OUT",
    "asked back for more", "asked back for less", "given back as asked", "decided anew beside another step",
    "never sent again",
)  # fmt: skip
"""Each at least once in the 2,000 sequences of an ordinary run."""


@dataclass(frozen=True)
class Before:
    """An account as it was."""

    phase: str
    status: str
    bad_debt: object
    funding: object
    held: dict[str, object]
    working: int

    @classmethod
    def of(cls, account: Account) -> Before:
        """What is compared with."""
        held = {s: h.quantity for s, h in account.holdings.items()}
        money = account.money
        return cls(account.phase, account.status, money.bad_debt, money.funding, held, len(account.steps))


def seen(before: Before, account: Account, outcome: Outcome, event: str) -> Iterator[str]:
    """Names of what one event came to."""
    yield account.phase
    yield from outcome.codes or ()
    yield from {f"order {o.purpose}" for o in outcome.orders}
    yield from _ends(before, account, outcome, event)
    if outcome.cancels and account.phase in {"REDUCING", "LIQUIDATING"}:
        yield "own orders cancelled"
    if (
        before.phase in {"REDUCING", "LIQUIDATING"}
        and account.phase in {"HEALTHY", "WARNING"}
        and account.holdings
    ):
        yield "let go by a deposit" if event.startswith("cash") else "let go by itself"
    if event == "reopen" and before.status != account.status:
        yield "reopened"
    if event.startswith("fill"):
        yield from _fills(before, account)
    if event.startswith("funding") and account.money.funding != before.funding:
        yield "funding"
        (symbol, ms), quantity = list(account.money.funded.items())[-1]
        if quantity != before.held.get(symbol, ZERO) and ms:
            yield "funding of a position that changed since"
    if outcome.orders and event.startswith(("price", "FILLED", "CANCELED")):
        yield from {"a stop that fired" for o in outcome.orders if o.of_stop}
    yield from _steps(before, account, outcome, event)
    yield from _waiting(account, outcome, event)


def _waiting(account: Account, outcome: Outcome, event: str) -> Iterator[str]:
    for order in account.steps:
        if order.number in outcome.asks:
            due = account._rank(account.worth(account.marks()))
            yield "asked back for more" if due > order.rank else "asked back for less"
    if event.startswith("given back") and event.endswith("as asked"):
        yield "given back as asked"
    steps = [o for o in outcome.orders if o.purpose != "USER"]
    if event.startswith("given back") and steps and len(account.steps) > len(steps):
        yield "decided anew beside another step"
    if event.startswith("NEVER_SENT") and account.unsent > 1:
        yield "never sent again"


def _ends(before: Before, account: Account, outcome: Outcome, event: str) -> Iterator[str]:
    if outcome.to_house and event.startswith("ask"):
        yield "a rest closed by its owner"
    elif outcome.to_house and account.terms.mode != "TAKEOVER" and account.phase != "LIQUIDATED":
        yield "closed by the house, out of a tier"
    elif outcome.to_house and account.phase == "LIQUIDATED":
        yield "closed by the house, out of everything"
    if account.money.bad_debt != before.bad_debt:
        last = account.purpose_of_last_fill
        if last == "USER":
            yield "bad debt of an owner's order"
        elif last == "ADL":
            yield "bad debt of a tier step"
        else:
            yield "bad debt while LIQUIDATING"
    elif account.phase == "LIQUIDATED" != before.phase and account.money.balance == ZERO:
        yield "closed with nothing left at all"


def _fills(before: Before, account: Account) -> Iterator[str]:
    for symbol, was in before.held.items():
        held = account.holdings.get(symbol)
        now = held.quantity if held else ZERO
        if was * now < 0:
            yield "a flip"
        elif ZERO < abs(now) < abs(was):
            yield "a partial close"
        elif abs(now) > abs(was):
            yield "an added position"
        if now <= -(10**9):
            yield "a short of billions"


def _steps(before: Before, account: Account, outcome: Outcome, event: str) -> Iterator[str]:
    steps = [o for o in outcome.orders if o.purpose != "USER"]
    if not steps:
        return
    if any(not account.is_fresh(s) for s in account.holdings):
        yield "fresh ones closed beside a stale one"
    if before.working == 1 and event.startswith("FILLED") and any(o.purpose == "LIQUIDATION" for o in steps):
        yield "a second round of what one market order may be"
    if account.unknown & set(account.holdings):
        yield "another symbol without rules"
    marks = account.marks()
    if steps[0].purpose == "ADL" and len(account.holdings) > 1:
        sizes = [account.terms.size_of(h, marks[s]) for s, h in account.holdings.items()]
        yield "the larger of two cut" if sizes.count(max(sizes)) == 1 else "one of two equal ones cut"
    worth = account.worth(marks)
    if any(worth.maintenance == ratio * worth.equity for ratio, _ in account.terms.tiers):
        yield "exactly at a tier"

"""Where it gets interesting: prices and amounts at which an account would do something else."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal as D
from random import Random

from tests.model.account import Account
from tests.model.money import DIGITS, ZERO
from tests.model.terms import WARNING_ENDS, worth_of


def ratios(account: Account) -> list[D]:
    """The margin ratios at which something changes."""
    terms = account.terms
    return [r for r, _ in terms.tiers] + [terms.line, terms.line - WARNING_ENDS, D(1)]


def _slack(account: Account, symbol: str, mark: D, ratio: D | None) -> D:
    """ratio x equity - maintenance with one mark moved; with no ratio, the equity."""
    marks = account.marks()
    marks[symbol] = mark
    worth = account.worth(marks)
    return worth.equity if ratio is None else ratio * worth.equity - worth.maintenance


def mark_for(account: Account, symbol: str, ratio: D | None) -> D | None:
    """The mark of ``symbol`` at which the account reaches ``ratio`` (None: equity 0), the others standing still."""
    low = account.marks()[symbol]
    high = low * D("1.001")
    for _ in range(4):
        at_low, at_high = _slack(account, symbol, low, ratio), _slack(account, symbol, high, ratio)
        if at_low == at_high:
            return None
        root = low - at_low * (high - low) / (at_high - at_low)
        if root <= 0 or root > low * 20:
            return None
        if _slack(account, symbol, root, ratio) == 0 or abs(root - low) < low * D("1e-30"):
            return root
        low, high = root, root * D("1.00001")
    return low


def small_marks(account: Account, symbol: str) -> Iterator[D]:
    """Marks at which what is held, or a step of it, is worth the exchange's least notional."""
    rules, held = account.terms.rules[symbol], account.holdings[symbol]
    yield rules.min_notional / held.size
    for _, fraction in account.terms.tiers:
        part = held.size * fraction // rules.step_size * rules.step_size
        for quantity in (part, held.size - part, part + rules.step_size):
            if quantity > 0:
                yield rules.min_notional / quantity


def mark_of_interest(account: Account, symbol: str, rng: Random) -> D | None:
    """A mark of one symbol worth going to, near enough to be believed; mostly that of a tier."""
    now, chance = account.marks()[symbol], rng.random()
    if chance < 0.5:
        mark = mark_for(account, symbol, rng.choice(account.terms.tiers)[0])
    elif chance < 0.75:
        mark = mark_for(account, symbol, rng.choice([*ratios(account), None]))
    else:
        triggers = [s.trigger for s in account.stops if s.symbol == symbol]
        mark = rng.choice([*triggers, *small_marks(account, symbol)])
    return mark if mark is not None and now / 4 < mark < now * 4 else None


def balances_of_interest(account: Account) -> list[D]:
    """Amounts that, paid in or out, put the account exactly at a ratio."""
    marks = account.marks()
    if marks is None:
        return []
    worth = account.worth(marks)
    at = [worth.maintenance / r - worth.equity for r in ratios(account) if r > 0]
    return [*at, -worth.equity]


def fee_of_interest(account: Account, order, quantity: D, price: D, rng: Random) -> D | None:
    """The fee at which a trade leaves a balance of exactly zero, or exactly a ratio, if that is a likely fee."""
    money, marks = deepcopy(account.money), account.marks()
    money.trade(order.symbol, quantity * order.sign, price, ZERO, order.leverage, 0)
    held = money.holdings.get(order.symbol)
    if marks is None or (held is not None and order.symbol not in account.quotes):
        return None
    if held is not None:
        marks[order.symbol] = account.terms.mark(held.sign, account.quotes[order.symbol])
    worth = worth_of(account.terms, money.balance, money.holdings, marks)
    fee = worth.equity - (worth.maintenance / rng.choice(ratios(account)) if money.holdings else ZERO)
    return round(fee, DIGITS) if ZERO <= fee <= quantity * price / 50 else None

"""What an adoption would do: which accounts are taken over as what, and which are refused, and why. Pure.

Rules
1. An account is taken over whole or not at all.
2. Per symbol, what is taken over and what we hold already must be what the exchange has, exactly. Where it is not, every
   account with a position in the symbol is refused; and as then their other positions stay behind, what these make wrong
   is refused too. So whatever is left of a plan adds up.
3. Nothing may rest at the exchange that the platform placed: an order that trades later would be nobody's, or booked twice.
4. A refusal names account, symbol and figures, and says what would cure it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from actors.core.enums import AccountStatus, LiquidationMode
from actors.core.facts import AccountAdopted, AdoptedPosition
from actors.core.instruments import Instrument
from actors.core.names import ID_RULE, is_id
from actors.core.units import ENTRY_QUANTUM, ONE, ZERO, AccountId, Symbol, plain
from actors.persistence.adoption.figures import (
    AccountRow,
    PendingRow,
    PositionRow,
    is_equal,
    number,
    on_step,
    symbol_of,
    unix_ms,
)
from actors.persistence.open_books import Books

NAMED = 3
"""So many orders of an account are named in a refusal."""

E = TypeVar("E", AccountStatus, LiquidationMode)

NOWHERE = Books({}, {}, {})
"""The books of a database that has no account of ours."""

Below = Callable[[Sequence[str | None]], tuple[tuple[str, str], ...]]
"""The limits below an account that follow from the platform's rule for it; see ``AccountAdopted.below``."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why an account is not taken over. ``symbol`` is empty where it is of the account itself."""

    account_id: str
    symbol: str
    why: str


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is taken over, and the fact that does it."""

    account_id: AccountId
    name: str
    fact: AccountAdopted


class SymbolSum(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol, signed quantities. ``asked`` is all that should be taken over, ``adopted`` what is in the end.

    ``ours`` is what accounts, house and blocks have here already; asked + ours should be ``master``.
    """

    symbol: Symbol
    asked: Decimal
    adopted: Decimal
    ours: Decimal
    master: Decimal

    @property
    def difference(self) -> Decimal:
        """What the exchange has and nobody would own."""
        return self.master - self.ours - self.asked


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. ``left`` are accounts that were not asked for."""

    adoptions: tuple[Adoption, ...]
    refusals: tuple[Refusal, ...]
    symbols: tuple[SymbolSum, ...]
    left: int = 0

    @property
    def refused(self) -> list[str]:
        """The accounts that are refused."""
        return sorted({refusal.account_id for refusal in self.refusals})


def plan(  # noqa: PLR0913 - what a plan is made of
    accounts: Sequence[AccountRow],
    positions: Iterable[PositionRow],
    *,
    books: Books,
    master: Mapping[Symbol, Decimal],
    instruments: Mapping[Symbol, Instrument],
    below: Below,
    wall_ms: int,
    left: int = 0,
    pending: Iterable[PendingRow] = (),
    resting: Collection[int] = (),
) -> Plan:
    """Work out an adoption.

    Args:
        accounts: those to take over.
        positions: their OPEN ones; of others they are left out.
        books: what is held here already.
        master: the exchange's positions.
        instruments: the exchange's rules.
        below: see there.
        wall_ms: when.
        left: how many accounts of the platform's were not asked for.
        pending: the platform's PENDING orders, of these accounts and of others.
        resting: the exchange's ids of the orders that rest there.
    """
    reader = _Reader(instruments, below, wall_ms, pending, resting)
    by_account: dict[str, list[PositionRow]] = {row.account_id: [] for row in accounts}
    for position in positions:
        if position.account_id in by_account:
            by_account[position.account_id].append(position)
    found: list[Adoption] = []
    for account in accounts:
        adoption = reader.read(account, by_account[account.account_id])
        if adoption is not None:
            found.append(adoption)
    ours = _added(books.virtual, books.house, books.in_flight)
    asked = _sums(found)
    kept, refusals = _that_add_up(found, ours, master)
    adopted = _sums(kept)
    symbols = sorted({*asked, *ours, *master})
    return Plan(
        adoptions=tuple(kept),
        refusals=(*reader.refusals, *refusals),
        symbols=tuple(
            SymbolSum(
                symbol=s,
                asked=asked.get(s, ZERO),
                adopted=adopted.get(s, ZERO),
                ours=ours.get(s, ZERO),
                master=master.get(s, ZERO),
            )
            for s in symbols
        ),
        left=left,
    )


def _that_add_up(
    found: Sequence[Adoption], ours: Mapping[Symbol, Decimal], master: Mapping[Symbol, Decimal]
) -> tuple[list[Adoption], list[Refusal]]:
    kept = list(found)
    refusals: list[Refusal] = []
    while True:
        sums = _sums(kept)
        wrong = {s: q for s, q in sums.items() if q + ours.get(s, ZERO) != master.get(s, ZERO)}
        if not wrong:
            return kept, refusals
        left = []
        for adoption in kept:
            bad = [p.symbol for p in adoption.fact.positions if p.symbol in wrong]
            for symbol in bad:
                have, exchange = wrong[symbol] + ours.get(symbol, ZERO), master.get(symbol, ZERO)
                why = (
                    f"the accounts that could be taken over and ours have {plain(have)} of it, and the exchange "
                    f"{plain(exchange)}; find the {plain(exchange - have)} first: was it traded by hand, is an account "
                    "left out or refused?"
                )
                refusals.append(Refusal(account_id=adoption.account_id, symbol=symbol, why=why))
            if not bad:
                left.append(adoption)
        kept = left


class _Reader:
    """Reads rows; collects what is refused of them."""

    def __init__(
        self,
        instruments: Mapping[Symbol, Instrument],
        below: Below,
        wall_ms: int,
        pending: Iterable[PendingRow],
        resting: Collection[int],
    ) -> None:
        self._instruments, self._below, self._wall_ms = instruments, below, wall_ms
        self._resting = {str(id_) for id_ in resting}
        self._pending: dict[str, list[PendingRow]] = {}
        for order in pending:
            self._pending.setdefault(order.account_id, []).append(order)
        self.refusals: list[Refusal] = []

    def read(self, row: AccountRow, positions: Sequence[PositionRow]) -> Adoption | None:
        before = len(self.refusals)
        held = [p for p in (self._position(row.account_id, p) for p in positions) if p is not None]
        self._one_each(row.account_id, positions)
        try:
            fact = self._account(row, held)
        except ValueError as error:
            self._refuse(row.account_id, "", str(error))
            return None
        if len(self.refusals) > before:
            return None
        return Adoption(account_id=AccountId(row.account_id), name=row.name, fact=fact)

    def _refuse(self, account_id: str, symbol: str, why: str) -> None:
        self.refusals.append(Refusal(account_id=account_id, symbol=symbol, why=why))

    def _account(self, row: AccountRow, held: Sequence[AdoptedPosition]) -> AccountAdopted:
        if not is_id(row.account_id):
            raise ValueError(f"its id cannot be one here, which must be {ID_RULE}")
        status = _known(AccountStatus, row.status, "status")
        if status is AccountStatus.LIQUIDATED and held:
            raise ValueError(
                "it is LIQUIDATED and has OPEN positions, which the platform guards no more; close them, or set its status "
                "to FROZEN, with which they are guarded here"
            )
        if row.pending:
            raise ValueError(self._of_pending(row))
        if row.bots:
            raise ValueError(
                f"its bot is switched on (bot_configs.{' and '.join(row.bots)}), and would go on when it is started again; "
                "switch it off on the platform, and stop the bot's program"
            )
        balance = number(row.balance, "current_balance")
        if balance < ZERO:
            raise ValueError(f"its balance is {plain(balance)}; put it right first, at least to 0")
        rate = number(row.rate, "maintenance_rate")
        if not ZERO < rate < ONE:
            raise ValueError(
                f"its maintenance_rate is {plain(rate)}, which must be between 0 and 1; the platform counts 0 as 0.005"
            )
        try:
            below = self._below(row.rule)
        except ArithmeticError as error:
            raise ValueError(f"the platform's rule for it cannot be read: {error}") from None
        return AccountAdopted(
            status=status,
            mode=_known(LiquidationMode, row.mode, "liquidation_mode"),
            maintenance_rate=rate,
            balance=balance,
            adopted_ms=self._wall_ms,
            positions=tuple(sorted(held, key=lambda p: p.symbol)),
            below=below,
        )

    def _of_pending(self, row: AccountRow) -> str:
        """What its PENDING orders are at the exchange, and what is to be done with each."""
        orders = self._pending.get(row.account_id, [])
        told = []
        for order in orders[:NAMED]:
            name = f"{order.symbol} {order.side} {order.quantity} at {order.price}"
            if order.exchange_order_id is None:
                told.append(
                    f"{name} has no id of the exchange: if nothing of it rests there, set its row to CANCELLED"
                )
            elif order.exchange_order_id in self._resting:
                told.append(
                    f"{name} rests at the exchange as {order.exchange_order_id}: cancel it on the platform"
                )
            else:
                told.append(
                    f"{name}, at the exchange {order.exchange_order_id}, does not rest there: if it traded, let the platform "
                    "book that first; else set its row to CANCELLED"
                )
        if len(orders) > NAMED:
            told.append(f"and {len(orders) - NAMED} more")
        return f"it has {row.pending} PENDING orders. {'; '.join(told)}"

    def _one_each(self, account_id: str, positions: Sequence[PositionRow]) -> None:
        sides: dict[str, list[str]] = {}
        for p in positions:
            sides.setdefault(p.symbol, []).append(p.side)
        for symbol, found in sides.items():
            if len(set(found)) > 1:
                why = f"{' and '.join(found)} are OPEN at once; close one of them on the platform"
                self._refuse(account_id, symbol, why)
            elif len(found) > 1:
                why = (
                    f"{len(found)} OPEN rows of one {found[0]} position; the platform's script "
                    "server/scripts/sanitize-positions.js makes one of them"
                )
                self._refuse(account_id, symbol, why)

    def _position(self, account_id: str, row: PositionRow) -> AdoptedPosition | None:
        try:
            return self._held(row)
        except ValueError as error:
            self._refuse(account_id, row.symbol, f"position {row.position_id}: {error}")
            return None

    def _held(self, row: PositionRow) -> AdoptedPosition:
        symbol = symbol_of(row.symbol)
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise ValueError(f"the exchange lists no {symbol}; close or correct it on the platform")
        if row.side not in {"LONG", "SHORT"}:
            raise ValueError(f"side {row.side!r} is neither LONG nor SHORT; correct its row")
        price, quantity, leverage, notional, margin = (
            _positive(getattr(row, name), name)
            for name in ("entry_price", "quantity", "leverage", "notional", "margin")
        )
        exact = on_step(quantity, instrument)
        if exact is None:
            raise ValueError(
                f"quantity {plain(quantity)} is not a multiple of {plain(instrument.step_size)}, so it could never be closed "
                "whole; trade the rest away on the platform, or correct its row"
            )
        cost = (price * exact).quantize(ENTRY_QUANTUM)
        for name, said, made in (("notional", notional, cost), ("margin", margin, cost / leverage)):
            if not is_equal(said, made):
                raise ValueError(
                    f"its {name} is {plain(said)}, and by its entry price, quantity and leverage it would be "
                    f"{plain(made.quantize(ENTRY_QUANTUM))}; correct its row"
                )
        return AdoptedPosition(
            position_id=row.position_id,
            symbol=symbol,
            quantity=exact if row.side == "LONG" else -exact,
            entry_price=price,
            cost=cost,
            leverage=leverage,
            margin=(cost / leverage).quantize(ENTRY_QUANTUM),
            opened_ms=unix_ms(row.opened_at, "opened_at"),
        )


def _positive(text: str, name: str) -> Decimal:
    value = number(text, name)
    if value <= ZERO:
        raise ValueError(f"{name} {plain(value)} must be above 0; correct its row")
    return value


def _known(kind: type[E], text: str, name: str) -> E:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"its {name} {text!r} is none of {', '.join(kind)}; correct its row") from None


def _sums(adoptions: Iterable[Adoption]) -> dict[Symbol, Decimal]:
    return _added(*({p.symbol: p.quantity for p in adoption.fact.positions} for adoption in adoptions))


def _added(*books: Mapping[Symbol, Decimal]) -> dict[Symbol, Decimal]:
    found: dict[Symbol, Decimal] = {}
    for book in books:
        for symbol, quantity in book.items():
            found[symbol] = found.get(symbol, ZERO) + quantity
    return found

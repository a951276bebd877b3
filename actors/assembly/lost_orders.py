"""Orders that a restored database does not know: they were placed after the backup, and have traded.

Rules
1. Looked for once after ``bulkhead db accept-restore`` or with a new data folder, before new risk: in the exchange's history since the last commit
   that the database has. First before there are prices, as no account may liquidate what it has closed long ago, and again
   when what rests has been cancelled. Then it is written down, so a start that is interrupted does it again.
2. An order of our fleet that no intent explains belongs to the account whose hash is in its client order id. The account
   books it by its own ``decide`` and ``fold``: a position, its fees and triggers follow, and the books are equal.
3. What the exchange did for us, and no account here can be given, is the house's: a block of several accounts' orders, whose
   they were only the lost journal knew, and an order of an account that was created after the backup. The clearing of its
   symbol books it, by the same rules, so the books are equal; an alarm names each.
4. Nothing is guessed: an order of two accounts alike, one that is not final or whose trades do not add up, is booked to nobody,
   and an alarm names it.

I/O: asks the exchange, and waits for accounts and clearings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString, NamedTuple, Protocol

import msgspec
import psycopg
import pykka
import structlog

from actors.assembly.build import Assembly
from actors.core.alarm_level import Critical
from actors.core.clearing_facts import LostOrderBooked
from actors.core.clearing_messages import clearing_name, is_clearing
from actors.core.constants import CLIENT_ORDER_ID_PREFIX
from actors.core.enums import OrderStatus
from actors.core.errors import NotRecorded
from actors.core.messages import BookRecovered
from actors.core.order_ids import FleetId, account_part, parsed
from actors.core.trades import Trade
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol, plain
from actors.persistence import journal, open_books
from actors.persistence.journal import End
from actors.persistence.reader import Reader
from actors.runtime.actor import Ref
from actors.runtime.clock import Clock
from actors.subaccount.pipeline import Accepted
from actors.supervision.journal_roots import JournalRoot, binding
from actors.supervision.operator_log import OperatorLog
from actors.venues.port import PastOrder

log = structlog.get_logger("recovery")

EARLIER_MS = 300_000
"""So much before the last commit the history begins: our clock and the exchange's may differ."""

END_SECONDS = 10.0
"""How long an order that is being cancelled may take to end."""

LOOK_SECONDS = 0.5
WRITE_SECONDS = 2.0
BOOK_SECONDS = 30.0
"""How long all accounts and clearings together may take to book."""


class History(Protocol):
    """The part of a venue that is used here; see ``actors.venues.port.Venue``."""

    def past_orders(self, symbol: Symbol, since_ms: int, prefix: str) -> list[PastOrder]:
        """Orders of a symbol since a time, of ids that begin so."""
        ...

    def past_trades(self, symbol: Symbol, since_ms: int) -> list[Trade]:
        """Trades of a symbol since a time."""
        ...


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Whose orders are looked for.

    ``account`` finds the running actor of an account, ``clearing`` that of a symbol's clearing, ``known`` which of some client
    order ids the journal has.
    """

    fleet: FleetId
    account_ids: Collection[AccountId]
    account: Callable[[AccountId], Ref | None]
    clearing: Callable[[Symbol], Ref | None]
    known: Callable[[Sequence[ClientOrderId]], Collection[ClientOrderId]]
    alarm: Callable[[str], None]


class KnownEnds(NamedTuple):
    """What this machine knew of the journal's ends when it started, the file that has them once it runs, and the end now."""

    roots: Sequence[JournalRoot]
    operator_log: OperatorLog | None
    now: Callable[[], End]


def book_after_restore(
    assembly: Assembly,
    venue: History,
    reader: Reader,
    ends: KnownEnds,
    on_progress: Callable[[str], None],
) -> None:
    """What ``book`` does, if a restored database was accepted and nothing was looked for since.

    Once the operators' log runs this is the last look: what it finds is said, and written down as done.

    Args:
        assembly: with accounts, a gateway that has cancelled what rests and is not known, and a writer.
        venue: whose history is read.
        reader: of the database.
        ends: what this machine knows of the journal, and where it is written down that this is done.
        on_progress: informed of what takes seconds.

    Raises:
        ExchangeUnreachable, VenueRefused, ExchangeBusy, StoreUnreachable: it cannot be looked for.
    """
    origin = assembly.fleets.origin
    accepted = pending(ends.roots, origin.fleet)
    if accepted is None:
        return
    since_ms = reader.ask(lambda connection: committed_ms(connection, accepted.position))
    if since_ms is None:
        return  # of an empty journal, which has no accounts
    on_progress("looking for orders at the exchange that the restored database does not know")
    fleet = Fleet(
        fleet=origin.fleet,
        account_ids={*assembly.accounts, *assembly.quarantined, *reader.ask(open_books.account_ids)},
        account=lambda id_: assembly.accounts.get(id_) or assembly.quarantined.get(id_),
        clearing=assembly.clearing_of,
        known=lambda ids: reader.ask(lambda connection: open_books.known_orders(connection, ids)),
        alarm=assembly.runtime.alarm,
    )
    is_last = ends.operator_log is not None
    is_done = book(venue, list(assembly.context.instruments), since_ms, fleet, is_last=is_last)
    if ends.operator_log is None or not is_done:
        return
    root, position = ends.now()
    looked = JournalRoot(
        journal_root=root.hex(),
        position=position,
        at_ms=assembly.runtime.main.clock.wall_ms(),
        fleet=origin.fleet,
        looked=True,
    )
    try:
        ends.operator_log.keep_root(looked).result(WRITE_SECONDS)
    except (NotRecorded, TimeoutError) as error:
        log.warning("the next start looks for lost orders again", error=str(error))


def committed_ms(connection: psycopg.Connection[Any], position: int) -> int | None:
    """When the commit that ends at a position was made, in Unix milliseconds; None if there is none."""
    row = connection.execute(COMMITTED_MS, (journal.SHARD, position)).fetchone()
    return None if row is None else int(row[0])


COMMITTED_MS: LiteralString = "SELECT wall_ms FROM bulkhead.journal_commit WHERE shard = %s AND position = %s"


def first_roots(
    folder: Path, clock: Clock, roots: Iterable[JournalRoot], fleet: str, end: End
) -> list[JournalRoot]:
    """What is written down where this machine knows nothing of a database, which may be a restored one; else nothing.

    Before anything is booked: by it a start that is interrupted looks behind the same commit again.
    """
    root, position = end
    if not position or binding(roots, fleet):
        return []
    first = JournalRoot(
        journal_root=root.hex(),
        position=position,
        at_ms=clock.wall_ms(),
        fleet=fleet,
        accepted="a new data folder",
    )
    operator_log = OperatorLog(clock, folder, lambda _text, _key: None, lambda _key: None)
    operator_log.start(lambda _record: None)  # what it has for the audit the engine's own sends
    try:
        operator_log.keep_root(first).result(WRITE_SECONDS)
    except (NotRecorded, TimeoutError) as error:
        log.warning("a start that is interrupted may not look for lost orders again", error=str(error))
    finally:
        operator_log.stop()
    return [first]


def pending(roots: Iterable[JournalRoot], fleet: str) -> JournalRoot | None:
    """The end of a restored journal behind which nothing was looked for yet; None without one."""
    bound = binding(roots, fleet)
    if not bound or not bound[0].accepted or any(root.looked for root in bound):
        return None
    return bound[0]


def book(
    history: History, symbols: Collection[Symbol], since_ms: int, fleet: Fleet, *, is_last: bool = True
) -> bool:
    """Find the orders, and have their accounts, or the house, book them.

    Args:
        history: of the exchange.
        symbols: that may have been traded.
        since_ms: Unix milliseconds of the last commit that the database has.
        fleet: whose orders.
        is_last: wait for what has not ended, and say what cannot be booked.

    Returns:
        Whether it need not be done again.

    Raises:
        ExchangeUnreachable, VenueRefused, ExchangeBusy: the exchange does not say.
        StoreUnreachable: Postgres does not.
    """
    begin_ms = max(0, since_ms - EARLIER_MS)
    unknown = _unknown(history, symbols, begin_ms, fleet, END_SECONDS if is_last else 0.0)
    lost = {symbol: [o for o in orders if o.report.executed] for symbol, orders in unknown.items()}
    messages: list[tuple[AccountId, BookRecovered]] = []
    for symbol, orders in lost.items():
        if orders:
            found, unbookable = _attributed(orders, history.past_trades(symbol, begin_ms), fleet.account_ids)
            messages += found
            for text in unbookable if is_last else ():
                fleet.alarm(text)
    messages.sort(key=lambda found: (found[1].trades[0].trade_ms, found[1].exchange_order_id))
    booked = _booked(messages, fleet)
    own = [found for found in booked if not is_clearing(found[0])]
    if own:
        ids = {account_id for account_id, _ in own}
        trades = sum(len(message.trades) for _, message in own)
        fleet.alarm(
            f"{len(own)} orders that the restored database did not know had traded at the exchange: their {trades} "
            f"trades are booked to {len(ids)} accounts now"
        )
    taken = [message for name, message in booked if is_clearing(name)]
    for text in (*map(_taken, taken), *_risks(taken)):
        fleet.alarm(text)
    return len(booked) == len(messages) and all(
        o.report.status.is_final for orders in unknown.values() for o in orders
    )


def _unknown(
    history: History, symbols: Collection[Symbol], begin_ms: int, fleet: Fleet, seconds: float
) -> dict[Symbol, list[PastOrder]]:
    """Orders by symbol that no intent explains, once they have ended: those that rest are being cancelled."""
    prefix = f"{CLIENT_ORDER_ID_PREFIX}-{fleet.fleet}-"
    found: dict[Symbol, list[PastOrder]] = {}
    asked, deadline = list(symbols), time.monotonic() + seconds
    while asked:
        for symbol in asked:
            orders = history.past_orders(symbol, begin_ms, prefix)
            known = set(fleet.known([o.report.client_order_id for o in orders])) if orders else set()
            found[symbol] = [o for o in orders if o.report.client_order_id not in known]
        asked = [s for s in asked if not all(o.report.status.is_final for o in found[s])]
        if asked and time.monotonic() >= deadline:
            break
        if asked:
            time.sleep(LOOK_SECONDS)
    return found


def _attributed(
    orders: Sequence[PastOrder], trades: Sequence[Trade], account_ids: Collection[AccountId]
) -> tuple[list[tuple[AccountId, BookRecovered]], list[str]]:
    """What of a symbol's orders each account, or the clearing for the house, has to book; and alarms of what nobody can."""
    by_order: dict[int, list[Trade]] = {}
    for trade in trades:
        by_order.setdefault(trade.exchange_order_id, []).append(trade)
    house = AccountId(clearing_name(orders[0].report.symbol))
    owners = _owners([*account_ids, house])
    found, unbookable = [], []
    for order in orders:
        own = tuple(by_order.get(order.report.exchange_order_id, ()))
        name = parsed(order.report.client_order_id)
        owner = [] if name is None else owners.get(name.account, [house])
        why = _unbookable(order, own, owner)
        if why:
            unbookable.append(_named(order, why))
        else:
            found.append((owner[0], _message(order, own)))
    return found, unbookable


def _owners(account_ids: Iterable[AccountId]) -> Mapping[str, Sequence[AccountId]]:
    owners: dict[str, list[AccountId]] = {}
    for account_id in account_ids:
        owners.setdefault(account_part(account_id), []).append(account_id)
    return owners


def _unbookable(order: PastOrder, trades: Sequence[Trade], owner: Sequence[AccountId]) -> str:
    """Why nobody can book an order; empty if its only ``owner`` can."""
    if not owner:
        return "no release makes such an id"
    if len(owner) > 1:
        return f"its id may be of {' or '.join(owner)}"
    if not order.report.status.is_final:
        return f"the exchange still calls it {order.report.stated}"
    is_its_own = all((t.symbol, t.side) == (order.report.symbol, order.side) for t in trades)
    if not is_its_own or sum((trade.quantity for trade in trades), ZERO) != order.report.executed:
        return f"the exchange names {len(trades)} trades of it, which do not add up"
    return ""


def _named(order: PastOrder, why: str) -> str:
    report = order.report
    return Critical(
        f"{report.client_order_id}: {order.side} {report.executed} {report.symbol} has traded after the backup, and is "
        f"booked to nobody: {why}; the books differ from the exchange by it"
    )


BLOCK = "a block of several accounts' orders, and whose they were only the lost journal knew"
NEWER = "of an account that was created after the backup"


def _taken(message: BookRecovered) -> str:
    """What the house has of an order, and why."""
    symbol, id_ = message.symbol, message.client_order_id
    name = parsed(id_)
    is_block = name is not None and name.account == account_part(AccountId(clearing_name(symbol)))
    executed = sum((trade.quantity for trade in message.trades), ZERO)
    return (
        f"{id_}: {message.side} {plain(executed)} {symbol} has traded after the backup, and the house has it: it was "
        f"{BLOCK if is_block else NEWER}"
    )


def _risks(messages: Sequence[BookRecovered]) -> Iterable[str]:
    """What the house has by all of them, by symbol, and what can be done about it."""
    sums: dict[Symbol, Decimal] = {}
    for message in messages:
        executed = sum((trade.quantity for trade in message.trades), ZERO)
        sums[message.symbol] = sums.get(message.symbol, ZERO) + executed * message.side.sign
    for symbol, quantity in sorted(sums.items()):
        if quantity:
            opposite = "sell" if quantity > ZERO else "buy"
            yield Critical(
                f"the house has {plain(quantity)} {symbol} more by lost orders. The books are equal, and accounts are as the backup "
                f"has them; the firm bears the market risk of it until an account of its own trades the opposite: 'bulkhead order "
                f"ACCOUNT {opposite} {plain(abs(quantity))} {symbol}'"
            )


def _message(order: PastOrder, trades: tuple[Trade, ...]) -> BookRecovered:
    report = order.report
    return BookRecovered(
        client_order_id=report.client_order_id,
        exchange_order_id=report.exchange_order_id,
        symbol=report.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        time_in_force=order.time_in_force,
        status=OrderStatus(report.status.value),
        placed_ms=order.placed_ms,
        trades=trades,
    )


def _booked(
    messages: Sequence[tuple[AccountId, BookRecovered]], fleet: Fleet
) -> list[tuple[AccountId, BookRecovered]]:
    """Have accounts and clearings book, in order, and wait until that is durable; what was not booked is an alarm."""
    asked = []
    for account_id, message in messages:
        ref = fleet.clearing(message.symbol) if is_clearing(account_id) else fleet.account(account_id)
        asked.append(None if ref is None else ref.ask(message, block=False))
    deadline = time.monotonic() + BOOK_SECONDS
    done = []
    for (account_id, message), answer in zip(messages, asked, strict=True):
        try:
            said = None if answer is None else answer.get(timeout=max(0.1, deadline - time.monotonic()))
            why = "" if isinstance(said, Accepted | LostOrderBooked) else _silent(account_id, answer)
        except (Exception, pykka.Timeout) as error:  # noqa: BLE001 - whatever keeps one from it, the others go on
            why = f"{account_id} could not book it: {str(error) or type(error).__name__}"
        if why:
            log.error("a lost order is not booked", order=message.client_order_id, reason=why)
            fleet.alarm(
                Critical(
                    f"{message.client_order_id}: {len(message.trades)} trades in {message.symbol} after the backup are not "
                    f"booked: {why}; the next start tries again"
                )
            )
        else:
            done.append((account_id, message))
    return done


def _silent(name: AccountId, answer: object) -> str:
    """Why who was to book an order has not said that it did."""
    if answer is None or not is_clearing(name):
        return f"{name} is not running"
    return f"{name} has it already, or cannot read its state"

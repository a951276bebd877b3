"""The invariants of a simulated day: after every turn, and when all has come to rest.

1. Every mailbox accounts for each message that it took.
2. An account's balance is what its facts say; a guard opens nothing.
3. After every second: nobody keeps a slot that no block is about to go out with.
4. At rest: no order is under way, the accounts and the house together hold what the master holds, each trade of the
   exchange is booked once and none is invented, and no account stands with a loss that is not bad debt.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors.assembly.simulation.people import SYMBOLS
from actors.assembly.simulation.violation import must
from actors.core.clearing_messages import is_clearing
from actors.core.enums import Phase, Purpose
from actors.core.units import ZERO, ClientOrderId, Symbol
from actors.runtime.cell import Cell, Status
from actors.subaccount.state import AccountState, books_balance
from actors.supervision.registry import is_guard

if TYPE_CHECKING:
    from actors.assembly.simulation.world import World

GuardedOrders = dict[tuple[Cell, int], set[ClientOrderId]]
"""By a guard's cell and incarnation: the account's own orders that it found."""


LEAKED = 3
"""Seconds after which a slot that nobody uses is no longer on its way; after five the gateway takes it back by itself."""


def check_turn(cell: Cell, guarded: GuardedOrders) -> None:
    """What must hold after every turn of an actor.

    Raises:
        Violation: what does not.
    """
    must(cell.mailbox.counters().is_conserved, cell.name)
    state = cell.actor.inspect_state()
    if isinstance(state, AccountState):
        must(books_balance(state), state)
        if is_guard(cell.name):
            _check_guard(cell, state, guarded)


def _check_guard(cell: Cell, state: AccountState, guarded: GuardedOrders) -> None:
    """A guard opens nothing: but for stops, of the account's own orders there are only those that it found."""
    own = {o.client_order_id for o in state.orders if o.purpose is Purpose.USER and o.intent.margin_reserved}
    found = guarded.setdefault((cell, cell.restarts), own)
    must(own <= found, "a guard took new risk")


def check_slots(world: World, idle: int) -> int:
    """What must hold of slots after every second: who is granted one uses it for a block, or gives it back at once.

    Args:
        world: the day.
        idle: what the last call returned, 0 at first.

    Returns:
        For how many seconds in a row more slots were held than there are blocks that are about to go out with one.

    Raises:
        Violation: one leaked.
    """
    clearings = [ref.cell for name, ref in world.actors.items() if is_clearing(name)]
    if any(cell.mailbox.depth() for cell in clearings):
        return 0  # what it was granted waits for one that is being restarted
    books = world.assembly.parts.clearing.books.values()
    about_to_use = sum(1 for book in books for forming in book.forming.values() if forming.slot)
    held = world.actors["gateway"].cell.actor.inspect_state().slots.held
    idle = idle + 1 if held > about_to_use else 0
    must(idle < LEAKED, f"{held} slots are held, and {about_to_use} blocks are about to go out")
    return idle


def check_quiet(world: World) -> None:
    """What must hold when faults are off and all has come to rest.

    Raises:
        Violation: what does not.
    """
    gateway = world.actors["gateway"].cell.actor.inspect_state()
    must((gateway.tracked, gateway.queued) == (0, 0), gateway)
    for account_id, ref in world.accounts.items():
        _check_account(ref.cell, world.store.durable[account_id])
    for symbol in SYMBOLS:
        held = (p.quantity for s in world.store.durable.values() for p in s.positions if p.symbol == symbol)
        master = world.exchange.positions[symbol].amount
        must(sum(held, ZERO) + house_of(world, symbol) == master, f"{symbol}: the books differ")
    booked = {(symbol, t.id) for symbol in SYMBOLS for t in world.exchange.trades[symbol]}
    must(booked == set(world.store.trades), "a trade of the exchange is not booked, or one is invented")
    _check_rounds(world)
    if world.bnb_fees is not None:
        world.bnb_fees.check_quiet()


def _check_rounds(world: World) -> None:
    """Each member has booked exactly its part of each round, and nobody anything else; nothing is under way any more."""
    given = {
        (round_.trades[0].symbol, round_.round_id, part.client_order_id): part
        for _, round_ in world.store.rounds
        for part in round_.allocations
    }
    must(given.keys() == world.store.parts.keys(), "a part of a round is not booked, or one is invented")
    for key, fact in world.store.parts.items():
        part, trade = given[key], fact.trade
        must(
            (part.quantity, part.value) == (trade.quantity, trade.value),
            f"{key}: another part than was given",
        )
    for state in world.store.clearings.values():
        must(not state.live, f"{state.symbol}: blocks are under way at rest")
    for symbol, book in world.assembly.parts.clearing.books.items():
        must(not book.where and not book.forming and not book.alone, f"{symbol}: orders wait at rest")


def _check_account(cell: Cell, durable: AccountState) -> None:
    must(cell.status is Status.RUNNING, f"{cell.name} is {cell.status}")
    must(cell.mailbox.depth() == 0, f"{cell.name} has messages left")
    state: AccountState = cell.actor.inspect_state()
    must(state == durable, f"{cell.name} differs from the store")
    must(not state.orders, f"{cell.name} has orders left")
    must(not state.risk.close_out_reason, f"{cell.name} is still closing out")
    if not state.positions:
        must(state.balance >= 0, "a loss beyond the balance is bad debt")
        must(state.phase in {Phase.HEALTHY, Phase.LIQUIDATED}, f"{cell.name} is {state.phase}")
        must(
            not any(c.placed.reduce_only for c in state.conditionals),
            f"{cell.name} reduces what is not there",
        )


def house_of(world: World, symbol: Symbol) -> Decimal:
    """What the house took over from accounts."""
    return sum((f.quantity for _, f in world.store.taken if f.symbol == symbol), ZERO)

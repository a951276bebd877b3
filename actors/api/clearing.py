"""Clearing: what waits to be sent and where in the order of service it stands, block orders in flight, the trail of an order.

Looking never waits for an actor: it reads what the actors of clearing and the gateway show of themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Controller, Response, get

from actors.api.answers import plain_json
from actors.api.clearing_totals import ClearingTotals, totals
from actors.api.errors import ERRORS, NotFound
from actors.api.noun import Context, Noun
from actors.api.parameters import Limit
from actors.api.pools import INSPECT
from actors.clearing.actor import ClearingActor
from actors.clearing.state import Block
from actors.clearing.view import ClearingView, WaitingGroup, WaitingOrder
from actors.core.carried import made_of
from actors.core.clearing_messages import CLEARING_PREFIX, Group, clearing_name, is_clearing
from actors.core.enums import OrderClass, Side
from actors.core.names import shown
from actors.core.safe_copy import pairs
from actors.core.units import NANOS_PER_MS, ZERO, AccountId, ClientOrderId, Symbol, plain
from actors.gateway.actor import GatewayStatus
from actors.gateway.waiting import WaitingRow
from actors.persistence.operator_records import clean
from actors.persistence.order_trail import OrderTrail, order_trail
from actors.runtime.actor import Ref
from actors.runtime.cell import Status
from actors.subaccount.pretrade.near_symbols import near_symbols

NAMED_MAX = 50
"""Orders that wait, and members of a block, that are named of one symbol; the others are counted."""

# -- views


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """What waits of one symbol, side and class. ``quantity`` in base asset, ``shortfall`` in quote asset.

    ``oldest_ms`` is how long the first of them has waited. ``place`` is the group's in the order of service, 1 is next; None
    while no slot is wanted for it: it waits for the end of its order in flight, or for company.
    """

    symbol: Symbol
    side: Side
    order_class: OrderClass
    orders: int
    quantity: Decimal
    shortfall: Decimal
    oldest_ms: int
    place: int | None
    expected_ms: int | None
    in_flight: int


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """One account's order in a block in flight: what of it was ordered, and what it has got."""

    account_id: AccountId
    client_order_id: ClientOrderId
    quantity: Decimal
    allocated: Decimal


class BlockInFlight(msgspec.Struct, frozen=True, kw_only=True):
    """A block that has not ended. ``sent`` is False until it is durable; ``named`` are some of its members, largest first."""

    symbol: Symbol
    number: int
    client_order_id: ClientOrderId
    side: Side
    order_class: OrderClass
    members: int
    quantity: Decimal
    executed: Decimal
    rounds: int
    sent: bool
    named: tuple[MemberView, ...] = ()
    more: int = 0


class WaitingOrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One account's order that waits in its group, and its place there."""

    place: int
    side: Side
    order_class: OrderClass
    account_id: AccountId
    client_order_id: ClientOrderId
    quantity: Decimal
    shortfall: Decimal
    waited_ms: int


class HeldOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An account's order of which nobody can say what becomes of it: it is in a block, or may be, that is not looked after."""

    account_id: AccountId
    client_order_id: ClientOrderId
    side: Side
    order_class: OrderClass
    quantity: Decimal


class SymbolClearing(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's clearing.

    ``alone`` counts orders in flight that went by themselves, ``slots`` those that it holds, ``not_durable`` its decisions
    that wait for Postgres, ``remembered`` blocks that ended and that not all members have booked. ``waiting`` names the first
    orders that wait; ``more_waiting`` are not named. Counters are of this run of the process.

    ``why`` it serves in a simpler way than it should; ``held`` counts orders of unknown fate, ``held_orders`` names all of them.
    """

    symbol: Symbol
    status: str
    groups: tuple[GroupView, ...] = ()
    blocks: tuple[BlockInFlight, ...] = ()
    alone: int = 0
    slots: int = 0
    not_durable: int = 0
    remembered: int = 0
    counters: dict[str, int] = {}
    waiting: tuple[WaitingOrderView, ...] = ()
    more_waiting: int = 0
    why: str = ""
    held: int = 0
    held_orders: tuple[HeldOrder, ...] = ()


class SlotsView(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange's limits allow now: how many orders of each class, how many are under way, and the pause, if any.

    ``held`` are slots that clearings hold; ``waiting`` counts what waits in the gateway: single orders, and groups.
    """

    liquidations: int
    reducing: int
    new_risk: int
    in_flight: int
    held: int
    waiting: int
    paused_ms: int


class ClearingOverview(msgspec.Struct, frozen=True, kw_only=True):
    """All symbols' clearing. ``clearing`` is the setting, on or off; ``idle`` counts symbols with nothing to show.

    ``slots`` is None while the gateway starts or stops.
    """

    clearing: str
    slots: SlotsView | None
    symbols: tuple[SymbolClearing, ...]
    idle: int
    counters: dict[str, int]


class WaitingEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out as one order: an order by itself, or all of a group that waits, in one block.

    ``place`` is None while no slot is wanted, ``expected_ms`` an estimate that worse liquidations overtake. ``account_id`` and
    ``client_order_id`` are empty for several ``orders``.
    """

    place: int | None
    order_class: OrderClass
    symbol: Symbol
    side: Side
    orders: int
    account_id: str
    client_order_id: str
    quantity: Decimal
    shortfall: Decimal
    waited_ms: int
    expected_ms: int | None


class WaitingOrders(msgspec.Struct, frozen=True, kw_only=True):
    """All that waits to be sent, in the order of service; ``orders`` of accounts, ``entries`` to be sent."""

    entries: tuple[WaitingEntry, ...]
    more: int
    orders: int


class OrderStory(OrderTrail, frozen=True, kw_only=True):
    """An order's trail, with where it is now: empty when it is over, or is at the exchange."""

    now: str = ""


# -- looking


class ClearingInspector:
    """Looks at all clearings; changes nothing. Callable from any thread, but for its coroutine."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup = context.engine, context.lookup

    @property
    def is_on(self) -> bool:
        """Whether orders may go out as blocks."""
        return self._engine.config.clearing == "on"

    def overview(self) -> ClearingOverview:
        """What waits and what is in flight, of the symbols that have any of it, or are in trouble."""
        status, counters = self._status(), Counter[str]()
        line = () if status is None else status.waiting.rows
        symbols: list[SymbolClearing] = []
        idle = 0
        for ref in self._refs():
            seen = self._symbol(ref, line)
            counters.update(seen.counters)
            if seen.groups or seen.blocks or seen.alone or seen.status != Status.RUNNING:
                symbols.append(seen)
            else:
                idle += 1
        symbols.sort(key=lambda one: (_first_place(one.groups), one.symbol))
        return ClearingOverview(
            clearing=self._engine.config.clearing,
            slots=self._slots(status),
            symbols=tuple(symbols),
            idle=idle,
            counters=dict(counters),
        )

    def totals(self) -> ClearingTotals:
        """Sums over all symbols."""
        refs = self._refs()
        views = {ref.name: _view_of(ref) for ref in refs}
        troubled = [ref.name for ref in refs if ref.cell.status is not Status.RUNNING]
        return totals(self._engine.config.clearing, views, troubled)

    def symbol(self, typed: str) -> SymbolClearing:
        """One symbol's clearing, with the first of its orders that wait and of its blocks' members.

        Raises:
            NotFound: there is no such symbol; names those that may have been meant. Or clearing is off.
        """
        symbol = Symbol(typed.strip().upper())
        instruments = self._engine.context.instruments
        if symbol not in instruments:
            near = near_symbols(typed, instruments)
            meant = (
                f"; did you mean {' or '.join(near)}?" if near else "; 'bulkhead master' lists the symbols"
            )
            raise NotFound(f"there is no symbol {shown(typed)}{meant}")
        ref = self._engine.actors.get(clearing_name(symbol))
        if ref is None:
            if self.is_on:
                raise NotFound(f"the clearing of {symbol} is not running; 'bulkhead tree' shows what is")
            return SymbolClearing(symbol=symbol, status="off")
        actor = ref.cell.actor
        seen = self._symbol(ref, self._line())
        if not isinstance(actor, ClearingActor):
            return seen
        waiting = [
            made_of(WaitingOrderView, one, side=group.side, order_class=group.order_class)
            for group, ones in sorted(actor.inspect_orders().items(), key=_by_class)
            for one in ones
        ]
        members = {block.number: block for block in actor.inspect_blocks()}
        return msgspec.structs.replace(
            seen,
            waiting=tuple(waiting[:NAMED_MAX]),
            more_waiting=max(0, len(waiting) - NAMED_MAX),
            held_orders=tuple(
                made_of(HeldOrder, order.intent, order_class=order.intent.order_class)
                for order in actor.inspect_held()
            ),
            blocks=tuple(_with_members(block, members.get(block.number)) for block in seen.blocks),
        )

    def waiting(self, limit: int) -> WaitingOrders:
        """All that waits to be sent, in the order of service; what no slot is wanted for comes last."""
        status, groups = self._status(), dict(self._groups())
        rows, total = ((), 0) if status is None else (status.waiting.rows, status.waiting.total)
        wall_ms = self._engine.clock.wall_ms()
        entries: list[WaitingEntry] = []
        for row in rows:
            group = group_in(row)
            entries.append(_entry(row, groups.pop(group, ()) if group else (), wall_ms))
        if len(rows) == total:  # else those that are left may be further behind
            held_back = sorted(groups.items(), key=_by_class)
            entries += [_held_back(group, ones) for group, ones in held_back if ones]
        return WaitingOrders(
            entries=tuple(entries[:limit]),
            more=max(0, len(entries) - limit) + total - len(rows),
            orders=sum(entry.orders for entry in entries),
        )

    def now(self, order: OrderTrail) -> str:
        """Where an order is that is not over, as far as it is not at the exchange yet."""
        if order.status not in {"INTENDED", "ACKNOWLEDGED"}:
            return ""
        id_, status = order.client_order_id, self._status()
        rows, total = ((), 0) if status is None else (status.waiting.rows, status.waiting.total)
        for one in rows:
            if one.client_order_id == id_:
                return f"waits to be sent, place {one.place:,} of {total:,}"
        ref = self._engine.actors.get(clearing_name(Symbol(order.symbol)))
        actor = ref.cell.actor if ref else None
        if not isinstance(actor, ClearingActor):
            return ""
        for group, ones in actor.inspect_orders().items():
            for waits in ones:
                if waits.client_order_id == id_:
                    placed = next((one for one in rows if group_in(one) == group), None)
                    line = f", which is at place {placed.place:,} of {total:,}" if placed else ""
                    place = f"{waits.place:,} of {len(ones):,} in its group{line}"
                    return f"waits to be sent since {waits.waited_ms / 1_000:.1f} s, {place}"
        for block in actor.inspect_blocks():
            if any(member.client_order_id == id_ for member in block.members):
                traded = f"{plain(block.executed)} of {plain(block.formed.order.quantity)} traded"
                return f"in block {block.number:,}, {traded}"
        return ""

    async def story(self, client_order_id: str) -> OrderStory:
        """The trail of an account's order, or of a block.

        Raises:
            NotFound: neither has that id; says what an id looks like.
        """
        id_ = clean(client_order_id.strip())
        found = await self._lookup.read_tables(lambda connection: order_trail(connection, id_))
        if found is None:
            raise NotFound(
                f"there is no order {shown(client_order_id)}; an id looks like bh-k7m2qx-4t0w9c5e8h2r6v1n-3, and "
                "'bulkhead history ACCOUNT' lists an account's"
            )
        return made_of(OrderStory, found, now=await INSPECT.run(self.now, found))

    # -- inside

    def _refs(self) -> list[Ref]:
        return [ref for name, ref in sorted(pairs(self._engine.actors)) if is_clearing(name)]

    def _groups(self) -> Iterator[tuple[Group, tuple[WaitingOrder, ...]]]:
        for ref in self._refs():
            actor = ref.cell.actor
            if isinstance(actor, ClearingActor):
                yield from actor.inspect_orders().items()

    def _status(self) -> GatewayStatus | None:
        status = self._lookup.inspect("gateway")
        return status if isinstance(status, GatewayStatus) else None

    def _line(self) -> tuple[WaitingRow, ...]:
        """The first of those that wait in the gateway."""
        status = self._status()
        return () if status is None else status.waiting.rows

    def _slots(self, status: GatewayStatus | None) -> SlotsView | None:
        if status is None:
            return None
        now_ms = self._engine.clock.monotonic_ns() // NANOS_PER_MS
        return SlotsView(
            liquidations=status.room_liquidations,
            reducing=status.room_reducing,
            new_risk=status.room_new_risk,
            in_flight=status.in_flight,
            held=status.slots.held,
            waiting=status.waiting.total,
            paused_ms=max(0, status.paused_until_ms - now_ms),
        )

    def _symbol(self, ref: Ref, line: Iterable[WaitingRow]) -> SymbolClearing:
        symbol, seen = Symbol(ref.name.removeprefix(CLEARING_PREFIX)), _view_of(ref)
        actor = ref.cell.actor
        why, held = (
            (actor.why_simpler, len(actor.inspect_held())) if isinstance(actor, ClearingActor) else ("", 0)
        )
        if seen is None:
            return SymbolClearing(symbol=symbol, status=ref.cell.status, why=why, held=held)
        places = {group: one for one in line if (group := group_in(one)) is not None}
        return made_of(
            SymbolClearing,
            seen,
            status=ref.cell.status,
            why=why,
            held=held,
            groups=tuple(_group(symbol, one, places) for one in seen.groups),
            blocks=tuple(made_of(BlockInFlight, block, symbol=symbol) for block in seen.blocks),
        )


def _view_of(ref: Ref) -> ClearingView | None:
    """What a clearing shows; None while its state is not loaded."""
    seen = ref.cell.actor.inspect_state()
    return seen if isinstance(seen, ClearingView) else None


def _group(symbol: Symbol, seen: WaitingGroup, places: dict[Group, WaitingRow]) -> GroupView:
    found = places.get(Group(symbol, seen.side, seen.order_class))
    place, expected_ms = (None, None) if found is None else (found.place, found.expected_wait_ms)
    return made_of(GroupView, seen, symbol=symbol, place=place, expected_ms=expected_ms)


def _with_members(seen: BlockInFlight, block: Block | None) -> BlockInFlight:
    if block is None:
        return seen  # it ended between two looks
    got = block.allocated()
    largest = sorted(block.members, key=lambda m: (-m.quantity, m.client_order_id))[:NAMED_MAX]
    named = tuple(made_of(MemberView, m, allocated=got[m.client_order_id]) for m in largest)
    return msgspec.structs.replace(seen, named=named, more=len(block.members) - len(named))


def group_in(row: WaitingRow) -> Group | None:
    """The group that waits in the gateway's line; None where a single order does."""
    return Group(row.symbol, row.side, row.order_class) if is_clearing(row.account_id) else None


def _entry(row: WaitingRow, waiting: tuple[WaitingOrder, ...], wall_ms: int) -> WaitingEntry:
    """What is in the gateway's line; of a group its clearing knows more, and newer."""
    group = group_in(row)
    if group is not None and waiting:
        known = _held_back(group, waiting)
        return msgspec.structs.replace(known, place=row.place, expected_ms=row.expected_wait_ms)
    return made_of(
        WaitingEntry,
        row,
        account_id="" if group else row.account_id,
        client_order_id=row.client_order_id or "",
        waited_ms=max(0, wall_ms - row.since_ms),
        expected_ms=row.expected_wait_ms,
    )


def _held_back(group: Group, waiting: tuple[WaitingOrder, ...]) -> WaitingEntry:
    lone = waiting[0] if len(waiting) == 1 else None
    return WaitingEntry(
        place=None,
        order_class=group.order_class,
        symbol=group.symbol,
        side=group.side,
        orders=len(waiting),
        account_id=lone.account_id if lone else "",
        client_order_id=lone.client_order_id if lone else "",
        quantity=sum((one.quantity for one in waiting), ZERO),
        shortfall=sum((one.shortfall for one in waiting), ZERO),
        waited_ms=max(one.waited_ms for one in waiting),
        expected_ms=None,
    )


CLASSES = {order_class: rank for rank, order_class in enumerate(OrderClass)}


def _by_class(item: tuple[Group, Any]) -> tuple[int, Symbol, Side]:
    group = item[0]
    return CLASSES[group.order_class], group.symbol, group.side


def _first_place(groups: Iterable[GroupView]) -> float:
    return min((group.place for group in groups if group.place is not None), default=float("inf"))


# -- routes


class ClearingRoutes(Controller):
    """Block orders, and what waits to be one."""

    path = "/v1/clearing"
    tags = ("clearing",)

    @get("/", responses=ERRORS)
    async def overview(self, clearings: ClearingInspector) -> Response[Any]:
        """What waits to be sent and what is in flight, by symbol; slots left now; counters."""
        return await INSPECT.run(lambda: plain_json(clearings.overview()))

    @get("/{symbol:str}", responses=ERRORS)
    async def symbol(self, clearings: ClearingInspector, symbol: str) -> SymbolClearing:
        """One symbol's clearing, with the first orders that wait and the first members of each block."""
        return await INSPECT.run(clearings.symbol, symbol)


class LineRoutes(Controller):
    """Orders on their way: what waits, and what became of one."""

    path = "/v1"
    tags = ("clearing",)

    @get("/waiting", responses=ERRORS)
    async def waiting(self, clearings: ClearingInspector, limit: Limit = 100) -> WaitingOrders:
        """All orders that wait to be sent, in the order of service; those of one group as one entry."""
        return await INSPECT.run(clearings.waiting, limit)

    @get("/why/{client_order_id:str}", responses=ERRORS)
    async def why(self, clearings: ClearingInspector, client_order_id: str) -> OrderStory:
        """What became of an order, from its decision through its block to its end; or of a block, with its members."""
        return await clearings.story(client_order_id)


NOUN = Noun({"clearings": ClearingInspector}, (ClearingRoutes, LineRoutes))

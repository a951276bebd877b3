"""A symbol's clearing: what becomes of its market orders between the writer and the gateway. Pure.

An order waits in its group (side and class), alone or in company, until the gateway grants the group a slot. Alone it goes on
as it is; in company all that wait go as one block order, whose trades are given to its members in rounds. One that forms no
blocks (``forms``) passes every order on as it comes, and sees those blocks to their end that were formed before.

Rules
1. A block is durable before it is sent, a round before a member hears of it, an end likewise: what must wait for that is
   kept with its decision, and returned by ``durable``.
2. An order is in one place: it waits, or it is in a block, or it went alone. What is unknown here is the gateway's.
3. A member's end comes after all of its fills, once; telling it again is harmless, as accounts drop what they know.
4. Every slot is used or returned.
5. Waiting is no answer of the exchange: what is given back unsent says so (``waited``).
6. Nagle: of a group one order is in flight, and what arrives meanwhile waits for its end (``book.Line.due_ms``).
7. Every method returns effects in order; nothing is done here. One that raises has changed nothing. While no state is loaded,
   or a decision was lost, nothing is decided: what arrives is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from actors.clearing.book import Book, Forming, Heard, Pending, Waiting, group_of
from actors.clearing.effects import Again, Alarm, Decide, Deliver, Effect, Moment, ToGateway
from actors.clearing.fees import over_and_done
from actors.clearing.fold import folded
from actors.clearing.forming import choose, formed, is_expired
from actors.clearing.lost import for_the_house
from actors.clearing.rounds import Parts, allocated, due, ended, ends_of, fills
from actors.clearing.state import Block, ClearingState
from actors.clearing.waiting import all_given_back, given_back, passed_on, wants, withdrawn
from actors.core.clearing_facts import BlocksForgotten, ClearingFact, Member
from actors.core.clearing_messages import (
    Grant,
    OrderDone,
    ReplaceStep,
    ReturnSlot,
    StepUnderWay,
    clearing_name,
)
from actors.core.enums import OrderType
from actors.core.errors import StateCorrupt
from actors.core.facts import CancelIntended, OrderIntended
from actors.core.instruments import Instrument
from actors.core.messages import BookRecovered, FeeKnown, Fill, OrderAccepted, OrderClosed
from actors.core.order_ids import Origin, sequence_of
from actors.core.order_messages import AskFees, Resync, Submit
from actors.core.orders import WorkingOrder
from actors.core.units import AccountId, ClientOrderId

ACCEPTANCE_TOLD_MS = 1_000
"""A block that works for longer is accepted for its members too; before, their fills say it, at no cost of their own."""

EARLY_MS = 5
"""A timer that goes off so much too early was the one that was wished for: it is wished for again."""


class Clearing:
    """One symbol's clearing. ``book`` may outlive this object; ``state`` is loaded before anything is decided."""

    def __init__(self, instrument: Instrument, origin: Origin, book: Book, *, forms: bool = True) -> None:
        self.instrument = instrument
        self.forms = forms
        self.book = book
        self.state = ClearingState(symbol=instrument.symbol)
        self.is_halted = True
        self._origin = origin
        self._name = AccountId(clearing_name(instrument.symbol))
        self._wished_ms: int | None = None
        self._members: dict[ClientOrderId, tuple[int, Member]] = {}
        self._parts: dict[int, Parts] = {}

    # -- durable state

    def loaded(self, state: ClearingState, at: Moment) -> list[Effect]:
        """The state that is durable, at the start and after a decision was lost; all decisions before are in it or lost."""
        book = self.book
        self.state, self.is_halted = state, False
        released = self._released(state.sequence, at)
        effects = [effect for lost in book.pending for effect in self._lost(lost, at)]
        book.pending.clear()
        self._index()
        sent = _blocks_in(released)
        effects += [ToGateway(Resync(self._working(b))) for b in self._take_up(at) if b.number not in sent]
        effects += released
        if book.was_loaded or book.was_bypassed:
            # What the actor that crashed may not have told; accounts drop what they know.
            effects += [effect for block in state.blocks for effect in self._told_again(block)]
        book.was_loaded, book.was_bypassed = True, False
        held, book.held = book.held, {}
        effects += [effect for order in held.values() for effect in self.resync(Resync(order))]
        if not self.forms:
            effects += all_given_back(book, at)
        return effects + self._advance_all(at)

    def durable(self, sequence: int, at: Moment) -> list[Effect]:
        """All decisions up to this one are durable."""
        return self._released(sequence, at) + self._next(at)

    # -- from the writer and the accounts

    def submit(self, message: Submit, at: Moment) -> list[Effect]:
        """Durable orders and cancels: market orders wait for a slot of their group, all else goes on at once."""
        through: list[OrderIntended] = []
        for order in message.orders:
            if order.order_type is not OrderType.MARKET:
                through.append(order)
            elif self._is_known(order.client_order_id):
                self.book.counters.duplicates += 1
            else:
                self.book.arrives(order, at)
        effects = self._unwanted(message.orders, at)
        onward: list[CancelIntended] = []
        for cancel in message.cancels:
            id_ = cancel.client_order_id
            waiting = self.book.waiting(id_)
            if waiting is not None:
                effects.append(withdrawn(self.book, waiting))
            elif id_ in self._members:
                # Its block may trade any moment. Should its decision be lost, the cancel counts after all.
                self.book.counters.late_cancels += 1
                if forming := self.book.forming.get(self._members[id_][0]):
                    forming.cancelled.add(id_)
            else:
                onward.append(cancel)
        if through or onward:
            effects.insert(0, ToGateway(Submit(tuple(through), tuple(onward))))
        return effects + self._next(at)

    def replace(self, message: ReplaceStep, at: Moment) -> list[Effect]:
        """An account would decide otherwise by now: it may, if its order still waits, or is not durable yet."""
        id_ = message.client_order_id
        waiting = self.book.waiting(id_)
        if waiting is not None:
            return [*given_back(self.book, [waiting], at, again=True), *self._next(at)]
        if id_ in self.book.alone and not self.forms:
            return [ToGateway(message)]  # it may wait there
        if self._is_known(id_):
            return [Deliver(message.account_id, StepUnderWay(id_))]
        self.book.unwanted[id_] = at.now_ms
        return []

    def _unwanted(self, arrived: Iterable[OrderIntended], at: Moment) -> list[Effect]:
        """Orders that arrived after their accounts asked for them back."""
        if not self.book.unwanted:
            return []
        asked = [
            o.client_order_id for o in arrived if self.book.unwanted.pop(o.client_order_id, None) is not None
        ]
        waiting = [one for id_ in asked if (one := self.book.waiting(id_)) is not None]
        return given_back(self.book, waiting, at, again=True)

    def resync(self, message: Resync) -> list[Effect]:
        """An account says what it knows of an order: it is told again what it may lack."""
        id_ = message.order.client_order_id
        if self.book.waiting(id_) is not None:
            return []
        known = self._members.get(id_)
        if known is None:
            return [ToGateway(message)]
        number, member = known
        parts = self._parts_of(number)
        return self._when_durable([Deliver(member.account_id, told) for told in parts.told(member)])

    def booked(self, client_order_ids: Iterable[ClientOrderId]) -> list[Effect]:
        """The ends of these orders are durable in their accounts: nobody asks for them any more."""
        for id_ in client_order_ids:
            known = self._members.get(id_)
            if known is not None:
                self.book.unbooked[known[0]].discard(id_)
        return []

    def book_lost(self, message: BookRecovered) -> list[Effect]:
        """An order that the journal lost, and that no account here can be given: the house has it.

        Raises:
            StateCorrupt: that cannot be true.
        """
        fact = None if self.is_halted else for_the_house(self.state, message, self._origin.fleet)
        if fact is None:
            return []  # it has it already, or is about to
        effects = self._decide([fact], folded(self.state, [fact]), [])
        return [replace(effect, reply=fact) if isinstance(effect, Decide) else effect for effect in effects]

    # -- from the gateway

    def granted(self, grant: Grant, at: Moment) -> list[Effect]:
        """A slot for one order of a group: what waits in it goes out, if it is still fresh."""
        book, group = self.book, grant.group
        returned = ToGateway(ReturnSlot(grant.group.symbol, grant.slot))
        line = book.lines.get(group)
        if self.is_halted or line is None or not line.waiting:
            if line is not None:
                line.granted(grant.interval_ms, at.now_ms)
            return [returned, *self._next(at)]
        chosen = choose(line.waiting.values(), self.instrument.market_max_qty, at)
        effects: list[Effect] = [returned]
        if len(chosen.taken) > 1:
            effects = self._form(grant, chosen.taken, at)
        elif chosen.taken:
            effects = [self._sent_alone(chosen.taken[0].order, grant, at)]
        line.granted(grant.interval_ms, at.now_ms)
        book.leave(chosen.taken)
        line.is_split = chosen.is_split
        book.counters.splits += chosen.is_split
        effects += given_back(self.book, chosen.stale, at, again=True)
        effects += given_back(self.book, chosen.expired, at, again=False)
        return effects + self._next(at)

    def done(self, message: OrderDone, at: Moment) -> list[Effect]:
        """An order that went alone has ended."""
        group = self.book.alone.pop(message.client_order_id, None)
        if group is not None:
            self.book.line(group).in_flight.pop(message.client_order_id, None)
        return self._next(at)

    def accepted(self, message: OrderAccepted, at: Moment) -> list[Effect]:
        """The exchange has a block."""
        number = self._number_of(message.client_order_id)
        if self._takes(number):
            heard = self._heard(number)
            heard.exchange_order_id = message.exchange_order_id
            if heard.accepted_ms is None:
                heard.accepted_ms = at.now_ms
        return self._next(at)

    def filled(self, message: Fill, at: Moment) -> list[Effect]:
        """A trade of a block.

        Raises:
            StateCorrupt: it cannot be one of it.
        """
        number, trade = self._number_of(message.client_order_id), message.trade
        if not self._takes(number):
            self.book.counters.duplicates += 1
            return []
        block, heard = self.state.block(number), self._heard(number)
        if trade.trade_id in heard.known:
            self.book.counters.duplicates += 1
            return (
                []
                if trade.fee is None
                else self._fee_told(number, trade.trade_id, trade.fee, trade.fee_asset, at)
            )
        if block is not None:
            order = block.formed.order
            if (trade.symbol, trade.side) != (order.symbol, order.side):
                raise StateCorrupt(f"{self._name}: trade {trade.trade_id} is not of {order!r}")
            if heard.executed + trade.quantity > order.quantity:
                raise StateCorrupt(f"{self._name}: with trade {trade.trade_id} more traded than {order!r}")
        heard.add(trade, at.now_ms)
        effects: list[Effect] = []
        if trade.fee is None:
            lacking = tuple(sorted(id_ for id_, (one, _) in heard.pool.items() if one.fee is None))
            asked = AskFees(
                self._name, message.client_order_id, trade.exchange_order_id, trade.symbol, lacking
            )
            effects.append(ToGateway(asked))
        return effects + self._advance(number, at) + self._next(at)

    def fee_known(self, message: FeeKnown, at: Moment) -> list[Effect]:
        """The fee of a trade whose fill did not say it: before its round, or after."""
        for number, heard in self.book.heard.items():
            if message.trade_id in heard.pool:
                return self._fee_told(number, message.trade_id, message.fee, message.fee_asset, at)
        return [e for block in self.state.blocks for e in self.book.fees.learned(block, message)]

    def ask_fees(self, message: AskFees) -> list[Effect]:
        """An account asks what was taken for its parts of rounds that had no fee; or for trades of an order that went alone."""
        known = self._members.get(message.client_order_id)
        if known is None:
            return [ToGateway(message)]
        return self.book.fees.asked(_block_of(self.state, known[0]), known[1], message)

    def closed(self, message: OrderClosed, at: Moment) -> list[Effect]:
        """Nothing more happens to a block at the exchange.

        Raises:
            StateCorrupt: that is no end.
        """
        number = self._number_of(message.client_order_id)
        if not self._takes(number):
            self.book.counters.duplicates += 1
            return []
        if not message.status.is_terminal:
            raise StateCorrupt(f"{self._name}: block {number} cannot end as {message.status}")
        heard, block = self._heard(number), self.state.block(number)
        heard.closed = message
        effects: list[Effect] = []
        if block is not None:
            self.book.line(group_of(block.formed.order)).in_flight.pop(block.client_order_id, None)
            if heard.executed < message.executed_quantity:
                effects.append(ToGateway(Resync(self._working(block))))
            elif heard.executed > message.executed_quantity:
                text = f"{message.executed_quantity} executed in all, and {heard.executed} traded; its members wait"
                effects.append(Alarm(f"{self._name}: the gateway says of block {number} that {text}"))
        return effects + self._advance(number, at) + self._next(at)

    def gateway_started(self, at: Moment) -> list[Effect]:
        """A new gateway: it knows no wants and no slots. Orders that were sent it takes over by itself."""
        for line in self.book.lines.values():
            line.wanted_ms = None
        for forming in self.book.forming.values():
            forming.slot = 0
        return self._next(at)

    def timer(self, at: Moment) -> list[Effect]:
        """What was wished for with ``Again``, or at any other time."""
        if self._wished_ms is not None and at.now_ms >= self._wished_ms - EARLY_MS:
            self._wished_ms = None
        expired = [
            w for line in self.book.lines.values() for w in line.waiting.values() if is_expired(w, at.wall_ms)
        ]
        self.book.forget_places(at.now_ms)
        effects = given_back(self.book, expired, at, again=False)
        return effects + self._advance_all(at)

    # -- inside: blocks

    def _advance_all(self, at: Moment) -> list[Effect]:
        effects: list[Effect] = []
        for number in sorted(self.book.heard):
            effects += self._advance(number, at)
            effects += self._tell_acceptance(number, at)
        return effects + self._next(at)

    def _advance(self, number: int, at: Moment) -> list[Effect]:
        """Decide what is due of a block: rounds, then its end."""
        block = None if self.is_halted else self.state.block(number)
        if block is None or block.ended is not None:
            return []
        heard = self._heard(number)
        found = due(heard, len(block.members), at.now_ms)
        facts, told, state = list[ClearingFact](), list[Effect](), self.state
        for trades in found.rounds:
            round_ = allocated(block, trades, self.instrument.step_size)
            facts.append(round_)
            told += [Deliver(f.account_id, f) for f in fills(block.members, [round_])]
            state = folded(state, [round_])
            block = _block_of(state, number)
        ends: list[tuple[Member, OrderClosed]] = []
        if found.ends and heard.closed is not None:
            facts.append(ended(block, heard.closed))
            state = folded(state, facts[-1:])
            block = _block_of(state, number)
            ends = ends_of(block)
            told += [Deliver(member.account_id, closed) for member, closed in ends]
        if not facts:
            return []
        effects = self._decide(facts, state, told, ended=number if ends else None)
        for trades in found.rounds:
            heard.decide(trades)
        self.book.counters.rounds += len(found.rounds)
        for member, closed in ends:
            if closed.again:
                since_ms = heard.since.get(member.client_order_id, block.formed.order.decided_ms)
                self.book.keep_place(member.account_id, member.cause, since_ms, at.now_ms)
        return effects

    def _form(self, grant: Grant, taken: Sequence[Waiting], at: Moment) -> list[Effect]:
        """Decide a block of these orders; it is sent with the slot once it is durable."""
        fact = formed(self.state, grant.group, taken, self._origin, at)
        members = {one.order.client_order_id: one for one in taken}
        forming = Forming(fact.order, grant.group, grant.slot, members)
        effects = self._decide([fact], folded(self.state, [fact]), [], forming=forming)
        number = fact.order.sequence
        self.book.forming[number] = forming
        self.book.heard[number] = Heard(since={id_: one.since_ms for id_, one in members.items()})
        self.book.line(grant.group).in_flight[fact.order.client_order_id] = None
        self._know(_block_of(self.state, number))
        return effects

    def _fee_told(self, number: int, trade_id: int, fee: Decimal, fee_asset: str, at: Moment) -> list[Effect]:
        """What was taken for a trade that waits for its fee, perhaps."""
        heard = self._heard(number)
        trade, heard_ms = heard.pool.get(trade_id, (None, 0))
        if trade is None or trade.fee is not None:
            return []
        heard.pool[trade_id] = (replace(trade, fee=fee, fee_asset=fee_asset), heard_ms)
        return self._advance(number, at) + self._next(at)

    def _tell_acceptance(self, number: int, at: Moment) -> list[Effect]:
        block, heard = self.state.block(number), self.book.heard[number]
        is_late = heard.accepted_ms is not None and at.now_ms >= heard.accepted_ms + ACCEPTANCE_TOLD_MS
        if block is None or block.ended is not None or not is_late or heard.acceptance_told:
            return []
        heard.acceptance_told = True
        return self._when_durable(
            [
                Deliver(m.account_id, OrderAccepted(m.client_order_id, m.order_id, m.cause))
                for m in block.members
            ]
        )

    def _decide(
        self,
        facts: Sequence[ClearingFact],
        state: ClearingState,
        effects: list[Effect],
        *,
        forming: Forming | None = None,
        ended: int | None = None,
    ) -> list[Effect]:
        """Take a decision that makes this state; ``effects`` come when it is durable.

        With it those blocks are forgotten that nobody can ask for any more.
        """
        book, before = self.book, self.state
        over = over_and_done(
            b for b in before.blocks if b.ended and b.number not in book.heard and not book.unbooked[b.number]
        )
        forgotten = tuple(b.number for b in over)
        if over:
            facts = [*facts, BlocksForgotten(forgotten)]
            state = folded(state, facts[-1:])
        self.state = replace(state, sequence=before.sequence + 1)
        book.pending.append(Pending(self.state.sequence, effects, forming, ended, forgotten))
        for block in over:
            self._forget(block)
        return [Decide(before.sequence, tuple(facts), self.state)]

    def _when_durable(self, effects: list[Effect]) -> list[Effect]:
        """What follows from the state, which may be ahead of what is durable."""
        if not self.book.pending:
            return effects
        self.book.pending[-1].effects += effects
        return []

    def _released(self, sequence: int, at: Moment) -> list[Effect]:
        """What was kept until a decision is durable."""
        book, effects = self.book, list[Effect]()
        while book.pending and book.pending[0].sequence <= sequence:
            pending = book.pending.popleft()
            if forming := pending.forming:
                order = forming.order
                del book.forming[order.sequence]
                book.counters.blocks += 1
                book.counters.members += len(forming.members)
                book.line(forming.group).in_flight[order.client_order_id] = at.now_ms
                effects.append(ToGateway(Submit((order,), (), forming.slot)))
            if pending.ended is not None:
                book.heard.pop(pending.ended, None)
            effects += pending.effects
        return effects

    def _lost(self, lost: Pending, at: Moment) -> list[Effect]:
        """A decision that is not in the durable state: its block was never sent, so its members wait again."""
        for number in lost.forgotten:
            self.book.unbooked[number] = set()
        if lost.forming is None:
            return []
        forming, effects = lost.forming, list[Effect]()
        order = forming.order
        del self.book.forming[order.sequence]
        self.book.unbooked.pop(order.sequence, None)
        self.book.line(forming.group).in_flight.pop(order.client_order_id, None)
        if forming.slot:
            effects.append(ToGateway(ReturnSlot(order.symbol, forming.slot)))
        for id_, waiting in forming.members.items():
            self.book.returns(waiting, at.now_ms)
            if id_ in forming.cancelled:
                effects.append(withdrawn(self.book, waiting))
        return effects

    # -- inside: what waits

    def _next(self, at: Moment) -> list[Effect]:
        """Want slots for the groups whose time has come, and wish for a timer."""
        if self.is_halted:
            return []
        effects = wants(self.book, self.instrument, at) if self.forms else passed_on(self.book, at)
        again_ms = self._again_ms(at)
        # A wish whose time has come already counts as long as its timer has not gone off: that wishes anew.
        if again_ms is None or (self._wished_ms is not None and self._wished_ms <= again_ms):
            return effects
        self._wished_ms = again_ms
        return [*effects, Again(again_ms)]

    def _again_ms(self, at: Moment) -> int | None:
        times: list[int] = []
        for group, line in self.book.lines.items():
            due_ms = line.due_ms(group.order_class, self.instrument.min_notional, at)
            times += [] if due_ms is None else [due_ms]
        for number, heard in self.book.heard.items():
            block = self.state.block(number)
            if block is None or block.ended is not None:
                continue
            again_ms = due(heard, len(block.members), at.now_ms).again_ms
            times += [] if again_ms is None else [again_ms]
            if heard.accepted_ms is not None and not heard.acceptance_told:
                times.append(heard.accepted_ms + ACCEPTANCE_TOLD_MS)
        return min(times, default=None)

    def _sent_alone(self, order: OrderIntended, grant: Grant, at: Moment) -> Effect:
        self.book.alone[order.client_order_id] = grant.group
        self.book.line(grant.group).in_flight[order.client_order_id] = at.now_ms
        self.book.counters.alone += 1
        return ToGateway(Submit((order,), (), grant.slot))

    # -- inside: what is known

    def _is_known(self, id_: ClientOrderId) -> bool:
        return id_ in self.book.where or id_ in self.book.alone or id_ in self._members

    def _number_of(self, id_: ClientOrderId) -> int:
        """The number of a block of this symbol, by its client order id.

        Raises:
            StateCorrupt: it is none.
        """
        number = sequence_of(id_, self._origin.fleet, self._name)
        if number is None or (not self.is_halted and number >= self.state.next_block):
            raise StateCorrupt(f"{self._name}: an event of {id_} arrived, which it never formed")
        return number

    def _takes(self, number: int) -> bool:
        """Whether something may still happen to a block."""
        block = self.state.block(number)
        return self.is_halted if block is None else block.ended is None

    def _heard(self, number: int) -> Heard:
        return self.book.heard.setdefault(number, Heard())

    def _working(self, block: Block) -> WorkingOrder:
        """A block as the gateway takes over orders that it may not know."""
        heard, known = self._heard(block.number), block.working()
        return replace(
            known,
            exchange_order_id=heard.exchange_order_id or known.exchange_order_id,
            filled=heard.executed,
            trade_ids=tuple(sorted(heard.known)),
        )

    def _index(self) -> None:
        """Whose orders are in which block, by the state that was loaded."""
        self._members, self._parts = {}, {}
        for number in [n for n in self.book.unbooked if self.state.block(n) is None]:
            del self.book.unbooked[number]
        for block in self.state.blocks:
            self._know(block)

    def _take_up(self, at: Moment) -> list[Block]:
        """Hold what was heard against the state that was loaded.

        Returns:
            The blocks whose end is not known.
        """
        book, open_blocks = self.book, list[Block]()
        live = {block.number: block for block in self.state.live}
        for number in [n for n in book.heard if n not in live]:
            del book.heard[number]
        for line in book.lines.values():
            line.wanted_ms = None
            line.in_flight = {id_: sent for id_, sent in line.in_flight.items() if id_ in book.alone}
        for block in live.values():
            heard = self._heard(block.number)
            heard.loaded(block.trades)
            if heard.closed is None:
                open_blocks.append(block)
                book.line(group_of(block.formed.order)).in_flight[block.client_order_id] = at.now_ms
        return open_blocks

    def _know(self, block: Block) -> None:
        for member in block.members:
            self._members[member.client_order_id] = (block.number, member)
        self.book.unbooked.setdefault(block.number, {m.client_order_id for m in block.members})

    def _forget(self, block: Block) -> None:
        for member in block.members:
            del self._members[member.client_order_id]
        self._parts.pop(block.number, None)
        self.book.fees.forget(block)
        del self.book.unbooked[block.number]

    def _parts_of(self, number: int) -> Parts:
        block = _block_of(self.state, number)
        parts = self._parts.get(number)
        if parts is None or parts.block is not block:
            parts = self._parts[number] = Parts(block)
        return parts

    def _told_again(self, block: Block) -> list[Effect]:
        parts, unbooked = self._parts_of(block.number), self.book.unbooked[block.number]
        return [
            Deliver(member.account_id, told)
            for member in block.members
            if member.client_order_id in unbooked
            for told in parts.told(member)
        ]


def _block_of(state: ClearingState, number: int) -> Block:
    """A block that is surely there."""
    block = state.block(number)
    assert block is not None
    return block


def _blocks_in(effects: Iterable[Effect]) -> set[int]:
    """The numbers of the blocks that these effects send."""
    messages = [effect.message for effect in effects if isinstance(effect, ToGateway)]
    return {order.sequence for message in messages if isinstance(message, Submit) for order in message.orders}

"""A symbol's clearing in a small world: a writer, a gateway with an exchange, and accounts, each as simple as can be.

The world checks while it runs, and ``settle`` ends everything and checks the books. What it does is chosen by whoever calls.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal as D

import msgspec
from msgspec.structs import replace

from actors.clearing.book import Book
from actors.clearing.effects import Again, Alarm, Decide, Deliver, Moment, ToGateway
from actors.clearing.fold import folded
from actors.clearing.protocol import Clearing
from actors.clearing.state import ClearingState
from actors.clearing.state_codec import VERSION, decode, encode, state_hash
from actors.core.clearing_facts import BlockEnded, BlockFormed, BlocksForgotten, RoundAllocated
from actors.core.clearing_messages import (
    Grant,
    OrderDone,
    ReplaceStep,
    ReturnSlot,
    StepUnderWay,
    Want,
    is_clearing,
)
from actors.core.enums import OrderStatus, OrderType, Purpose, Side, TimeInForce
from actors.core.facts import CancelIntended, OrderIntended
from actors.core.messages import FeeKnown, Fill, OrderAccepted, OrderClosed
from actors.core.order_ids import FIXED, client_order_id
from actors.core.order_messages import AskFees, Resync, Submit
from actors.core.orders import WorkingOrder
from actors.core.trades import Trade
from actors.core.units import AccountId
from tests.factories import ETH, INSTRUMENTS, WALL_MS

INSTRUMENT = replace(INSTRUMENTS[ETH], market_max_qty=D(20), min_notional=D(20))
STEP = INSTRUMENT.step_size
MARK = D(2_000)

ENDLESS = 1_000
"""More messages or timers of one order than a call here makes: a fault that goes round in circles fails, and does not hang."""


def order(account="a", number=1, quantity="1", side=Side.SELL, **more):
    """A market order of an account: a liquidation step, unless it says otherwise."""
    owner = AccountId(account)
    fields = {
        "account_id": owner,
        "sequence": number,
        "client_order_id": client_order_id(FIXED, owner, number),
        "symbol": ETH,
        "side": side,
        "order_type": OrderType.MARKET,
        "quantity": D(quantity),
        "price": None,
        "time_in_force": TimeInForce.GTC,
        "reduce_only": True,
        "leverage": D(10),
        "margin_reserved": D(0),
        "purpose": Purpose.LIQUIDATION,
        "tier": 1,
        "decided_ms": WALL_MS,
        "cause": f"tick:{account}:{number}",
    }
    return OrderIntended(**{**fields, **more})


def new_risk(account="a", number=1, quantity="1", **more):
    """A market order that opens something."""
    return order(account, number, quantity, **{"reduce_only": False, "purpose": Purpose.USER, **more})


def reducing(account="a", number=1, quantity="1", **more):
    """A stop, or a trader who reduces."""
    return order(account, number, quantity, **{"purpose": Purpose.USER, **more})


def kind_of(intent):
    """What must not meet in one block, said without the code that is tested."""
    is_step = intent.purpose is not Purpose.USER
    return intent.side, is_step, intent.reduce_only and not is_step


class Owned(msgspec.Struct):
    """One order as its account knows it."""

    intent: OrderIntended
    fills: dict = msgspec.field(default_factory=dict)
    ended: OrderClosed | None = None
    cancelled: bool = False

    @property
    def filled(self):
        return sum((fill.quantity for fill in self.fills.values()), D(0))


class Traded(msgspec.Struct):
    """One order as the exchange knows it. ``told`` says that its owner was told its end."""

    order: OrderIntended
    trades: list = msgspec.field(default_factory=list)
    final: OrderStatus | None = None
    told: bool = False

    @property
    def executed(self):
        return sum((trade.quantity for trade in self.trades), D(0))


class World:
    """See the module. Times are milliseconds."""

    def __init__(self, instrument=INSTRUMENT, depth=None):
        self.instrument, self.depth, self.origin = instrument, depth, FIXED
        self.is_crowded = False
        self.now_ms = 1_000
        self.journal = []
        self.stored = ClearingState(symbol=ETH)
        self.undecided = deque()
        self.owned = {}
        self.numbers = {}
        self.exchange = {}
        self.never = set()
        self.booked = set()
        self.again = set()
        self.wants = {}
        self.slots = set()
        self.slot = 0
        self.trade_id = 100
        self.to_core = deque()
        self.timers = []
        self.timer_ms = None
        self.late_ms = 0
        self.alarms = []
        self.passed_through = []
        self.formed, self.block_of, self.round_ids, self.block_ends = {}, {}, {}, {}
        self.sent_to_gateway = []
        self.delivered = []
        self.book = Book()
        self.core = Clearing(instrument, self.origin, self.book)
        self.apply(self.core.loaded(self.stored, self.at))

    @property
    def at(self):
        return Moment(self.now_ms, WALL_MS + self.now_ms, MARK, self.depth, self.is_crowded)

    # -- accounts

    def place(self, *orders):
        """Accounts' durable orders arrive, all in one message."""
        orders = [replace(o, decided_ms=WALL_MS + self.now_ms) for o in orders]
        for intent in orders:
            assert intent.client_order_id not in self.owned
            self.owned[intent.client_order_id] = Owned(intent)
        self.apply(self.core.submit(Submit(tuple(orders), ()), self.at))

    def new_order(self, make, account, quantity, side=Side.SELL, shortfall=0):
        """Another order of an account."""
        number = self.numbers[account] = self.numbers.get(account, 0) + 1
        intent = make(account, number, quantity, side=side, shortfall=D(shortfall))
        self.place(intent)
        return intent.client_order_id

    def cancel(self, id_):
        """An account cancels one of its orders."""
        intent = self.owned[id_].intent
        self.owned[id_].cancelled = True
        self.apply(
            self.core.submit(Submit((), (CancelIntended(intent.account_id, id_, ETH, "user"),)), self.at)
        )

    def replace(self, id_):
        """An account would decide otherwise."""
        self.apply(self.core.replace(ReplaceStep(self.owned[id_].intent.account_id, ETH, id_), self.at))

    def resync(self, id_):
        """An account says what it knows."""
        known = self.owned[id_]
        working = WorkingOrder(intent=known.intent, filled=known.filled, trade_ids=tuple(known.fills))
        self.apply(self.core.resync(Resync(working)))

    def open_ids(self):
        """Orders that have not ended, as their accounts know it."""
        return [id_ for id_, one in self.owned.items() if one.ended is None]

    def _told(self, account_id, message):
        self.delivered.append(message)
        if isinstance(message, StepUnderWay | FeeKnown):
            return
        one = self.owned[message.client_order_id]
        assert one.intent.account_id == account_id
        if isinstance(message, Fill):
            trade = message.trade
            if trade.trade_id in one.fills:
                assert one.fills[trade.trade_id] == trade
                return
            assert one.ended is None, "a fill after the end"
            one.fills[trade.trade_id] = trade
            assert one.filled <= one.intent.quantity
        elif isinstance(message, OrderClosed):
            if one.ended is not None:
                return
            self._check_waited(one.intent, message)
            assert message.executed_quantity >= one.filled
            if message.executed_quantity > one.filled:
                self.to_core.append(("resync", message.client_order_id))
                return
            one.ended = message
            self.to_core.append(("booked", message.client_order_id))
            if message.again and not one.cancelled:
                self.to_core.append(("again", message.client_order_id))

    def _check_waited(self, intent, message):
        """Waiting is no refusal, and what reduces is decided again when the exchange surely never got it."""
        id_ = intent.client_order_id
        if message.status is not OrderStatus.NEVER_SENT:
            assert not message.waited
        elif id_ in self.block_of:
            reduces = intent.reduce_only or intent.purpose is not Purpose.USER
            assert (message.waited, message.again) == (reduces, reduces)
        else:
            assert message.waited == (id_ not in self.never)

    # -- the writer

    def apply(self, effects):
        """Carry effects out."""
        for effect in effects:
            match effect:
                case Decide():
                    last = self.undecided[-1].state.sequence if self.undecided else self.stored.sequence
                    assert effect.previous_sequence == last
                    assert effect.state.sequence == last + 1
                    formed = [m for f in effect.facts if isinstance(f, BlockFormed) for m in f.members]
                    self._check_fresh(self.owned[m.client_order_id].intent for m in formed)
                    self.undecided.append(effect)
                case ToGateway():
                    self._gateway(effect.message)
                case Deliver():
                    self._check_durable(effect.message)
                    self._told(effect.account_id, effect.message)
                case Again():
                    # As the actor: one timer at a time, the earliest.
                    if self.timer_ms is None or effect.at_ms < self.timer_ms:
                        self.timer_ms = effect.at_ms
                        self.timers.append(effect.at_ms)
                case Alarm():
                    self.alarms.append(effect.text)
        self.check()

    def _check_fresh(self, orders):
        for intent in orders:
            is_old = self.at.wall_ms - intent.decided_ms > 2_000
            assert not is_old or intent.client_order_id in self.again, "stale"

    def _check_durable(self, message):
        """What an account is told of a block follows from durable facts."""
        id_ = getattr(message, "client_order_id", "")
        number = self.block_of.get(id_)
        if number is None:
            return
        if isinstance(message, Fill):
            assert id_ in self.round_ids[number, message.trade.trade_id]
        elif isinstance(message, OrderClosed):
            assert number in self.block_ends

    def store(self, decisions=1):
        """The writer makes some decisions durable."""
        for _ in range(min(decisions, len(self.undecided))):
            self._commit()
            self.apply(self.core.durable(self.stored.sequence, self.at))

    def _commit(self):
        decide = self.undecided.popleft()
        state = folded(self.stored, decide.facts)
        self.stored = decode(VERSION, encode(replace(state, sequence=self.stored.sequence + 1)))
        assert state_hash(self.stored) == state_hash(decide.state)
        self.journal += decide.facts
        for fact in decide.facts:
            match fact:
                case BlockFormed():
                    self.formed[fact.order.sequence] = fact
                    self.block_of.update((m.client_order_id, fact.order.sequence) for m in fact.members)
                    kinds = {kind_of(self.owned[m.client_order_id].intent) for m in fact.members}
                    assert kinds == {kind_of(fact.order)}, "classes are mixed"
                    quantities = {m.client_order_id: m.quantity for m in fact.members}
                    assert quantities == {i: self.owned[i].intent.quantity for i in quantities}
                case RoundAllocated():
                    ids = {a.client_order_id for a in fact.allocations}
                    assert (fact.block, fact.round_id) not in self.round_ids
                    self.round_ids[fact.block, fact.round_id] = ids
                case BlockEnded():
                    self.block_ends[fact.block] = fact
                case BlocksForgotten():
                    for number in fact.blocks:
                        for member in self.formed[number].members:
                            assert member.client_order_id in self.booked

    def refuse(self, keep=0):
        """The writer makes some decisions durable and refuses the next one, so that all after it are lost."""
        for _ in range(min(keep, len(self.undecided))):
            self._commit()
        self.undecided.clear()
        self.core.is_halted = True  # its actor fails then; what comes meanwhile is only remembered

    def load(self):
        """The durable state is loaded, by the same actor or by its successor."""
        self.apply(self.core.loaded(self.stored, self.at))

    def crash(self, keep=None):
        """The actor crashes and starts again; all that it had told the writer is durable, or some of it lost."""
        for _ in range(len(self.undecided) if keep is None else min(keep, len(self.undecided))):
            self._commit()
        self.undecided.clear()
        self.core = Clearing(self.instrument, self.origin, self.book)
        self.timers.clear()
        self.timer_ms = None
        self.load()

    def kill(self, keep=0):
        """kill -9: what is durable stays, and what the exchange has. Ends that no account had stored are lost with it."""
        for _ in range(min(keep, len(self.undecided))):
            self._commit()
        self.undecided.clear()
        self.to_core.clear()
        for id_, one in self.owned.items():
            if id_ not in self.booked:
                one.fills, one.ended = {}, None
        self.timers.clear()
        self.timer_ms = None
        self.wants.clear()
        self.slots.clear()
        self.book = Book()
        self.core = Clearing(self.instrument, self.origin, self.book)
        self.load()
        members = {m.client_order_id for block in self.stored.blocks for m in block.members}
        self.core.booked(members - set(self.open_ids()))
        for id_ in self.open_ids():
            self.resync(id_)

    # -- the gateway and the exchange

    def _gateway(self, message):
        self.sent_to_gateway.append(message)
        match message:
            case Want():
                if message.orders:
                    waiting = self.book.lines[message.group].waiting
                    assert message.orders == len(waiting)
                    self.wants[message.group] = message
                else:
                    self.wants.pop(message.group, None)
            case ReturnSlot():
                self.slots.remove(message.slot)
            case Submit():
                if message.slot:
                    self.slots.remove(message.slot)
                    self._check_fresh(o for o in message.orders if not is_clearing(o.account_id))
                for intent in message.orders:
                    self._sent(intent)
                self.passed_through += message.cancels
            case Resync():
                self._queried(message)
            case AskFees():
                for trade_id in message.trade_ids:
                    self.to_core.append(("fee", message.client_order_id, trade_id))

    def _sent(self, intent):
        id_ = intent.client_order_id
        assert id_ not in self.exchange, "sent twice"
        assert id_ not in self.never, "sent after it was said never to have been"
        if is_clearing(intent.account_id):
            assert intent.sequence in self.formed, "sent before it was durable"
        elif intent.order_type is OrderType.MARKET:
            assert self.owned[id_].ended is None
            assert id_ not in self.block_of
        self.exchange[id_] = Traded(intent)

    def _queried(self, message):
        """What was asked for is learned: trades that are not known, and the end; what the exchange never had is over."""
        known = message.order
        id_ = known.client_order_id
        at_exchange = self.exchange.get(id_)
        owner = known.intent.account_id
        if at_exchange is None:
            self.never.add(id_)
            closed = OrderClosed(id_, OrderStatus.NEVER_SENT, D(0), reason="the exchange never got it")
            self._event(owner, closed)
            return
        for trade in at_exchange.trades:
            if trade.trade_id not in known.trade_ids:
                self._event(owner, Fill(owner, id_, trade))
        if at_exchange.final is not None:
            at_exchange.told = True
            self._event(owner, OrderClosed(id_, at_exchange.final, at_exchange.executed))

    def _event(self, owner, message):
        if is_clearing(owner):
            self.to_core.append(message)
            return
        self._told(owner, message)
        if isinstance(message, OrderClosed) and self.owned[message.client_order_id].ended is message:
            self.to_core.append(OrderDone(ETH, message.client_order_id))

    def grant(self, group, interval_ms=0):
        """The gateway grants a slot, and says how far apart slots should be."""
        self.wants.pop(group, None)
        self.slot += 1
        self.slots.add(self.slot)
        self.apply(self.core.granted(Grant(group, self.slot, interval_ms), self.at))

    def gateway_restarts(self):
        """A new gateway: it knows of no wants and slots, and takes over what is at the exchange."""
        self.wants.clear()
        self.slots.clear()
        self.apply(self.core.gateway_started(self.at))

    def trade(self, id_, quantity, price=2_000, fee="0.01", fee_asset=""):
        """The exchange executes some of an order; nobody is told yet if it has ended."""
        one = self.exchange[id_]
        quantity = min(D(quantity), one.order.quantity - one.executed)
        if one.final is not None or quantity <= 0:
            return None
        self.trade_id += 3
        trade = Trade(
            exchange_order_id=5,
            trade_id=self.trade_id,
            symbol=ETH,
            side=one.order.side,
            quantity=quantity,
            price=D(price),
            fee=None if fee is None else D(fee),
            maker=False,
            trade_ms=WALL_MS + self.now_ms,
            fee_asset=fee_asset,
        )
        one.trades.append(trade)
        self._event(one.order.account_id, Fill(one.order.account_id, id_, trade))
        return trade

    def accept(self, id_):
        """The exchange has the order."""
        if is_clearing(self.exchange[id_].order.account_id):
            self.to_core.append(OrderAccepted(id_, 5))

    def end(self, id_, status=None):
        """The exchange ends an order: filled if all of it traded, else as it says."""
        one = self.exchange[id_]
        if one.final is not None:
            return
        if one.executed == one.order.quantity:
            status = OrderStatus.FILLED
        elif status is None or (one.executed and status is not OrderStatus.CANCELED):
            status = OrderStatus.EXPIRED
        one.final, one.told = status, True
        if status is OrderStatus.NEVER_SENT:
            self.never.add(id_)
        code = -2019 if status is OrderStatus.REJECTED else 0
        self._event(one.order.account_id, OrderClosed(id_, status, one.executed, code, "because"))

    # -- time and messages

    def deliver(self, place=0, *, keep=False):
        """One message that is on its way to the clearing arrives; with ``keep`` it arrives once more later."""
        if not self.to_core:
            return
        place %= len(self.to_core)
        message = self.to_core[place]
        if not keep:
            del self.to_core[place]
        match message:
            case Fill():
                self.apply(self.core.filled(message, self.at))
            case OrderClosed():
                self.apply(self.core.closed(message, self.at))
            case OrderAccepted():
                self.apply(self.core.accepted(message, self.at))
            case OrderDone():
                self.apply(self.core.done(message, self.at))
            case ("resync", id_):
                self.resync(id_)
            case ("booked", id_):
                self.booked.add(id_)
                self.core.booked([id_])
            case ("fee", id_, trade_id):
                self.fee(id_, trade_id)
            case ("again", id_):
                self.booked.add(id_)
                before = self.owned[id_].intent
                number = self.numbers[before.account_id] = self.numbers.get(before.account_id, 0) + 100
                again = replace(
                    before,
                    sequence=number,
                    client_order_id=client_order_id(FIXED, before.account_id, number),
                )
                self.place(again)

    def fee(self, id_, trade_id, fee="0.01"):
        """The exchange says what it took for a trade."""
        one = self.exchange[id_]
        for place, trade in enumerate(one.trades):
            if trade.trade_id == trade_id and trade.fee is None:
                one.trades[place] = replace(trade, fee=D(fee))
        self.apply(self.core.fee_known(FeeKnown(ETH, trade_id, D(fee), ""), self.at))

    def deliver_all(self):
        """All that is on its way arrives, and what follows."""
        for _ in range(ENDLESS + 10 * len(self.owned)):
            if not self.to_core:
                return
            self.deliver()
        raise AssertionError("messages beget messages without end")

    def wait(self, ms):
        """Time passes; timers that were wished for go off, ``late_ms`` too late."""
        until, fired = self.now_ms + ms, 0
        while self.timers and min(self.timers) + self.late_ms <= until:
            fired += 1
            assert fired < ENDLESS, "a timer wishes for itself without end"
            at_ms = min(self.timers)
            self.timers.remove(at_ms)
            self.now_ms = max(self.now_ms, at_ms + self.late_ms)
            self.timer_ms = None
            self.apply(self.core.timer(self.at))
        self.now_ms = until

    # -- checks

    def check(self):
        """What is always so."""
        waiting, alone = set(self.book.where), set(self.book.alone)
        if not self.core.is_halted:
            members = {m.client_order_id for b in self.core.state.blocks for m in b.members}
            assert not waiting & members
            assert not alone & members
        assert not waiting & alone
        assert waiting == {i for line in self.book.lines.values() for i in line.waiting}
        for line in self.book.lines.values():
            assert line.quantity == sum((w.order.quantity for w in line.waiting.values()), D(0))
        for id_ in waiting:
            assert self.owned[id_].ended is None
            assert id_ not in self.exchange

    def settle(self):
        """Everything comes to its end, without faults from here on; then the books are compared."""
        if self.core.is_halted:
            self.load()
        for _ in range(400):
            self.store(len(self.undecided))
            self.deliver_all()
            for group in list(self.wants):
                self.grant(group)
            self.store(len(self.undecided))
            for id_, one in list(self.exchange.items()):
                if one.final is None:
                    self.trade(id_, one.order.quantity)
                    self.end(id_)
                elif not one.told:
                    one.told = True
                    self._event(one.order.account_id, OrderClosed(id_, one.final, one.executed))
            self.deliver_all()
            self.wait(50)
            if not self.open_ids() and not self.to_core and not self.undecided:
                break
        self.check_books()

    def check_books(self):
        """Each order ended once, members' fills are their block's trades, no slot is left, nothing is remembered."""
        assert not self.open_ids()
        assert not self.slots, "a slot leaked"
        assert not self.book.where
        assert not self.book.pending
        assert not self.book.forming
        assert not self.book.heard
        assert not self.stored.live
        assert not self.alarms
        seen = set()
        for formed in self.formed.values():
            ids = {m.client_order_id for m in formed.members}
            assert not ids & seen, "a member of two blocks"
            seen |= ids
            at_exchange = self.exchange.get(formed.order.client_order_id)
            trades = at_exchange.trades if at_exchange else []
            fills = [f for id_ in ids for f in self.owned[id_].fills.values()]
            assert sum(f.quantity for f in fills) == sum(t.quantity for t in trades)
            assert sum(f.value for f in fills) == sum(t.value for t in trades)
            if all(f.fee is not None for f in fills):
                assert sum(f.fee for f in fills) == sum(t.fee for t in trades)
        for id_, one in self.owned.items():
            assert one.ended.executed_quantity == one.filled
            if id_ in self.exchange and id_ not in seen:
                assert one.filled == self.exchange[id_].executed
        assert not [line for line in self.book.lines.values() if line.in_flight]

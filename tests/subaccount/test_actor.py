"""The account's actor where ``decide`` alone does not tell: congestion, guard, lost state."""

from __future__ import annotations

from decimal import Decimal as D

import pykka
import pytest
from msgspec.structs import replace

from actors.assembly.rerun import Verdict, rerun
from actors.core.clearing_messages import ReplaceStep, StepUnderWay
from actors.core.constants import MAILBOX_HIGH
from actors.core.durability import Persist
from actors.core.enums import AccountStatus, ConditionalKind, LiquidationMode, OrderStatus, OrderType, Purpose
from actors.core.errors import NotDurable, StateLost
from actors.core.facts import LimitsBelowChanged, ModeChanged, OrderIntended, StatusChanged
from actors.core.messages import (
    AdjustBalance,
    AskFunding,
    OrderAccepted,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    PlatformKnown,
    RegisterTriggers,
    SetStatus,
    Wake,
)
from actors.core.order_ids import FIXED
from actors.core.order_messages import Resync
from actors.core.units import NANOS_PER_MS, AccountId, ClientOrderId, Nanos
from actors.limits.layers import differing
from actors.runtime.cell import Status
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.subaccount import capture
from actors.subaccount.actor import AccountActor, AccountContext
from actors.subaccount.decide import decide
from actors.subaccount.durability import AccountLoaded, LoadAccount
from actors.subaccount.holdings import changed
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.rejections import RejectCode
from actors.supervision.gate import TradingGate
from actors.symbol_router.book import PriceBook
from tests.factories import (
    BUY,
    ETH,
    INSTRUMENTS,
    SELL,
    WALL_MS,
    account,
    fill_of,
    market,
    position,
    run,
    tick,
)
from tests.sink import Sink


class Desk:
    """One account actor, and whom it talks to."""

    def __init__(self, state, mid="2000", **options):
        self.dispatcher = SeededDispatcher("t", VirtualClock(WALL_MS))
        book = PriceBook()
        book.apply(tick(ETH, mid))
        self.context = AccountContext(book, INSTRUMENTS, TradingGate(), FIXED)
        self.writer = self.context.writer = Sink.start("writer", self.dispatcher)
        self.context.router = self.context.gateway = Sink.start("others", self.dispatcher)
        self.feed = self.context.feed = Sink.start("feed", self.dispatcher)
        self.ref = AccountActor.start("acct-1", self.dispatcher, AccountId("acct-1"), self.context, **options)
        self.dispatcher.run_until_quiet()
        [load] = self.told(LoadAccount)
        load.asker.tell(AccountLoaded(state, load.incarnation))
        self.dispatcher.run_until_quiet()

    def told(self, kind=object):
        return [m for m in self.writer.cell.actor.got if isinstance(m, kind)]

    def ask(self, message):
        future = self.ref.ask(message, block=False)
        self.dispatcher.run_until_quiet()
        for persist in self.told(Persist):
            if persist.reply_to is not None:
                persist.reply_to.set(persist.reply)
        self.writer.cell.actor.got.clear()
        return future.get(timeout=1)


def order(side=BUY, quantity="0.1"):
    return PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(20))


def codes(answer):
    return [r.code for r in answer.rejections] if isinstance(answer, Rejected) else "accepted"


def test_an_account_that_is_behind_with_its_fills_takes_no_new_risk_but_reduces():
    desk = Desk(account(positions=[position(quantity="1")]))
    assert codes(desk.ask(order())) == "accepted"
    for n in range(MAILBOX_HIGH + 1):
        desk.ref.tell(OrderAccepted(ClientOrderId("bh-other-1"), n))
    assert desk.ref.cell.mailbox.congested
    actor = desk.ref.cell.actor
    assert actor.market().reduce_only
    assert codes(run_check(actor, order())) == [RejectCode.REDUCE_ONLY_MODE]
    assert codes(run_check(actor, order(SELL, "0.5"))) == "accepted"


def run_check(actor, message):
    return decide(actor.state, message, actor.market()).reply


def test_a_guard_cancels_what_rests_and_refuses_what_opens_or_changes():
    resting = run(
        account(),
        PlaceOrder(
            symbol=ETH, side=BUY, quantity=D("0.1"), order_type=OrderType.LIMIT, price=D(1950), leverage=D(20)
        ),
    )
    desk = Desk(resting, guard=True)
    [persist] = desk.told(Persist)
    assert [type(f).__name__ for f in persist.facts] == ["CancelIntended"]
    assert persist.facts[0].client_order_id == resting.orders[0].client_order_id
    for message in (order(), order(SELL), AdjustBalance(D(5), "DEPOSIT"), SetStatus("FROZEN")):
        assert codes(desk.ask(message)) == [RejectCode.ACCOUNT_QUARANTINED]


def test_a_guard_cancels_all_however_many_rest():
    state = account("100000")
    for n in range(300):
        resting = PlaceOrder(
            symbol=ETH,
            side=BUY,
            quantity=D("0.02"),
            order_type=OrderType.LIMIT,
            price=D(1990) - D(n) / 10,
            leverage=D(20),
        )
        state = run(state, resting)
    assert len(state.orders) == 300
    desk = Desk(state, guard=True)
    [persist] = desk.told(Persist)
    assert len(persist.facts) == 300
    assert all(o.cancel_requested for o in desk.ref.cell.actor.state.orders)


def test_an_answer_that_an_earlier_life_asked_for_is_not_believed():
    desk = Desk(account("100"))
    desk.ref.cell.dispatcher.restart(desk.ref.cell)
    desk.ref.tell(AccountLoaded(account("999"), 0))
    desk.dispatcher.run_until_quiet()
    assert desk.ref.cell.actor.state is None
    desk.ref.tell(AccountLoaded(account("50"), 1))
    desk.dispatcher.run_until_quiet()
    assert desk.ref.cell.actor.state.balance == D(50)


def test_a_control_message_before_the_state_is_answered_when_it_is_decided():
    desk = Desk(account())
    desk.dispatcher.restart(desk.ref.cell)
    frozen = desk.ref.ask(SetStatus(AccountStatus.FROZEN), block=False)
    desk.dispatcher.run_until_quiet()
    turns = desk.dispatcher.turns
    desk.dispatcher.run_until(10**9)
    assert desk.dispatcher.turns <= turns + 2, "it waits, and does not ask again and again"
    with pytest.raises(pykka.Timeout):
        frozen.get(timeout=0.01)
    desk.ref.tell(AccountLoaded(account(), 1))
    desk.dispatcher.run_until_quiet()
    [persist] = [p for p in desk.told(Persist) if p.reply_to is not None]
    persist.reply_to.set(persist.reply)
    assert frozen.get(timeout=1) == Accepted()


def test_a_guard_liquidates_as_the_account_would():
    desk = Desk(account("100", positions=[position(quantity="1", entry="2000", leverage="20")]), guard=True)
    desk.context.book.apply(tick(ETH, "1890", update_id=2))
    desk.ref.tell(Wake(ETH, "tick:ETHUSDT:2"))
    desk.dispatcher.run_until_quiet()
    orders = [f for p in desk.told(Persist) for f in p.facts if type(f).__name__ == "OrderIntended"]
    assert [(o.side, o.purpose) for o in orders] == [(SELL, Purpose.LIQUIDATION)]
    assert orders[0].cause == "tick:ETHUSDT:2"


def refused_step(state, at):
    """An account whose liquidation was refused once, and waits."""
    waiting = run(state, Wake(ETH, "t"), at)
    refusal = OrderClosed(
        waiting.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -1003, "too many requests"
    )
    return run(waiting, refusal, at)


def steps_sent(desk):
    return [f.purpose for p in desk.told(Persist) for f in p.facts if isinstance(f, OrderIntended)]


@pytest.mark.parametrize(("ahead_ms", "after_ms"), [(150, 150), (0, 0), (-5_000, 0), (3_600_000, 0)])
def test_a_restored_account_takes_its_wait_up_again_and_does_not_retry_early_or_never(ahead_ms, after_ms):
    """Ahead by an hour is what a clock set back makes of a wait of 200 ms: it is due."""
    at = market({ETH: "1800"})
    state = refused_step(account("100", [position(quantity="1")]), at)
    clock_ms = WALL_MS
    desk = Desk(replace(state, retry_at_ms=clock_ms + ahead_ms), mid="1800")
    if after_ms:
        desk.dispatcher.run_until(Nanos((after_ms - 1) * NANOS_PER_MS))
        assert steps_sent(desk) == []
    desk.dispatcher.run_until(Nanos(after_ms * NANOS_PER_MS))
    assert steps_sent(desk) == [Purpose.LIQUIDATION]


def test_a_refused_step_comes_again_after_its_wait_by_the_timer_alone():
    desk = Desk(account("100", [position(quantity="1")]), mid="1800")
    desk.ref.tell(Wake(ETH, "t"))
    desk.dispatcher.run_until_quiet()
    [order_] = desk.ref.cell.actor.state.orders
    desk.ref.tell(OrderClosed(order_.client_order_id, OrderStatus.REJECTED, D(0), -1003, "too many requests"))
    desk.dispatcher.run_until(Nanos(199 * NANOS_PER_MS))
    assert len(steps_sent(desk)) == 1
    desk.dispatcher.run_until(Nanos(200 * NANOS_PER_MS))
    assert len(steps_sent(desk)) == 2


def test_a_timer_that_comes_too_early_by_the_wall_clock_is_set_again(monkeypatch):
    desk = Desk(account("100", [position(quantity="1")]), mid="1800")
    desk.ref.tell(Wake(ETH, "t"))
    desk.dispatcher.run_until_quiet()
    [order_] = desk.ref.cell.actor.state.orders
    desk.ref.tell(OrderClosed(order_.client_order_id, OrderStatus.REJECTED, D(0), -1003, "too many requests"))
    desk.dispatcher.run_until_quiet()
    clock = desk.dispatcher.clock
    right = clock.wall_ms
    monkeypatch.setattr(clock, "wall_ms", lambda: right() - 100, raising=False)
    desk.dispatcher.run_until(Nanos(200 * NANOS_PER_MS))
    assert len(steps_sent(desk)) == 1
    desk.dispatcher.run_until(Nanos(300 * NANOS_PER_MS))
    assert len(steps_sent(desk)) == 2


@pytest.mark.parametrize("guard", [False, True])
def test_what_the_platform_changed_is_decided_on_first_when_an_account_is_loaded(guard):
    told = PlatformKnown(status=AccountStatus.FROZEN)
    desk = Desk(account(platform=told, below=()), guard=guard)
    [persist] = desk.told(Persist)
    assert persist.facts == (
        LimitsBelowChanged(differing(account().limits)),
        StatusChanged(AccountStatus.FROZEN),
    )
    assert (persist.cause, persist.previous_sequence, persist.reply_to) == ("platform", 0, None)
    state = desk.ref.cell.actor.state
    assert (state.status, state.platform) == (AccountStatus.FROZEN, None)


def test_an_account_that_knows_what_lies_outside_decides_nothing_when_it_is_loaded():
    assert Desk(account()).told(Persist) == []


def test_a_preloaded_account_decides_on_what_the_platform_changed_too():
    desk = Desk(account())
    desk.context.preloaded[AccountId("acct-2")] = replace(
        account(), account_id=AccountId("acct-2"), platform=PlatformKnown(mode=LiquidationMode.TAKEOVER)
    )
    AccountActor.start("acct-2", desk.dispatcher, AccountId("acct-2"), desk.context)
    desk.dispatcher.run_until_quiet()
    [persist] = desk.told(Persist)
    assert persist.facts == (ModeChanged(LiquidationMode.TAKEOVER),)


def test_an_operator_s_command_that_overtook_the_load_comes_after_what_the_platform_changed():
    desk = Desk(account())
    desk.dispatcher.restart(desk.ref.cell)
    desk.ref.tell(SetStatus(AccountStatus.ACTIVE))
    desk.dispatcher.run_until_quiet()
    desk.ref.tell(AccountLoaded(account(platform=PlatformKnown(status=AccountStatus.FROZEN)), 1))
    desk.dispatcher.run_until_quiet()
    assert [f.status for p in desk.told(Persist) for f in p.facts] == [
        AccountStatus.FROZEN,
        AccountStatus.ACTIVE,
    ]


def test_a_guard_takes_the_platform_s_word_without_opening_anything():
    """A stop that would open is due at this price; the guard withdraws it, and fires nothing."""
    waiting = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET,
        symbol=ETH,
        side=BUY,
        quantity=D("0.1"),
        trigger_price=D(2010),
        leverage=D(20),
    )
    state = run(account(), waiting)
    told = PlatformKnown(maintenance_rate=D("0.01"))
    desk = Desk(replace(state, platform=told), mid="2020", guard=True)
    facts = [f for p in desk.told(Persist) for f in p.facts]
    assert not [f for f in facts if isinstance(f, OrderIntended)]
    assert desk.ref.cell.actor.state.maintenance_rate == D("0.01")


def test_an_account_that_the_database_does_not_know_says_so():
    crashes = []
    desk = Desk.__new__(Desk)
    desk.dispatcher = SeededDispatcher("t", VirtualClock())
    desk.dispatcher.on_crash = lambda _cell, _report, error: crashes.append(error)
    context = AccountContext(PriceBook(), INSTRUMENTS, TradingGate(), FIXED)
    context.writer = context.router = Sink.start("others", desk.dispatcher)
    ref = AccountActor.start("gone", desk.dispatcher, AccountId("gone"), context)
    desk.dispatcher.run_until_quiet()
    ref.tell(AccountLoaded(None, 0, "gone is not in the database"))
    desk.dispatcher.run_until_quiet()
    assert isinstance(crashes[0], StateLost)
    assert ref.cell.status is Status.CRASHED


@pytest.mark.parametrize("guard", [False, True])
def test_commands_wait_for_the_state(guard):
    desk = Desk.__new__(Desk)
    desk.dispatcher = SeededDispatcher("t", VirtualClock())
    context = AccountContext(PriceBook(), INSTRUMENTS, TradingGate(), FIXED)
    context.writer = context.router = Sink.start("others", desk.dispatcher)
    ref = AccountActor.start("a", desk.dispatcher, AccountId("a"), context, guard=guard)
    ref.tell(order())
    desk.dispatcher.run_until_quiet()
    assert ref.cell.status is Status.LOADING
    assert ref.cell.mailbox.depth() == 1


def test_a_guard_keeps_the_stops_and_opens_nothing_with_them():
    held = account("1000", positions=[position(quantity="1", entry="2000", leverage="20")])
    stop = {"kind": "STOP_MARKET", "symbol": ETH, "side": SELL, "quantity": D(1)}
    state = run(held, PlaceConditional(**stop, trigger_price=D(1900), reduce_only=True))
    state = run(state, PlaceConditional(**{**stop, "quantity": D("0.5")}, trigger_price=D(1890)))
    desk = Desk(state, guard=True)
    assert desk.told(Persist) == []
    desk.context.book.apply(tick(ETH, "1900", update_id=2))
    desk.ref.tell(Wake(ETH, "tick:ETHUSDT:2"))
    desk.dispatcher.run_until_quiet()
    [fired] = desk.told(Persist)
    assert [f.quantity for f in fired.facts if isinstance(f, OrderIntended)] == [D(1)]
    # The other would open by now; a guard is no trader.
    guard = desk.ref.cell.actor
    flat = replace(guard.state, positions=(), orders=())
    decision = decide(flat, Wake(ETH, "t"), replace(guard.market(), ticks={ETH: tick(ETH, "1880")}))
    assert not [f for f in decision.facts if isinstance(f, OrderIntended)]


def funding_asked(desk):
    return [m for m in desk.feed.cell.actor.got if isinstance(m, AskFunding)]


def test_an_account_that_begins_anew_is_told_again_what_was_settled():
    assert funding_asked(Desk(account(positions=[position()]))) == [AskFunding("acct-1", "", 0)]
    closed = changed((), ETH, 5, (D(1), "p1"), (D(0), ""))
    assert funding_asked(Desk(account(holdings=closed))) == [AskFunding("acct-1", "", 0)]
    assert funding_asked(Desk(account())) == []


@pytest.mark.parametrize(("age_ms", "asks"), [(5_000, False), (5_001, True), (24 * 3_600_000, True)])
def test_a_trade_that_is_learned_late_has_what_was_settled_since_told_again(age_ms, asks):
    desk = Desk(run(account(), order()))
    desk.dispatcher.run_until(Nanos(3_600_000_000_000 * 24 + 60_000_000_000))
    wall_ms = desk.dispatcher.clock.wall_ms()
    [working] = desk.ref.cell.actor.state.orders
    desk.ref.tell(fill_of(working, trade_ms=wall_ms - age_ms))
    desk.dispatcher.run_until_quiet()
    assert funding_asked(desk) == ([AskFunding("acct-1", ETH, wall_ms - age_ms)] if asks else [])
    assert desk.ref.cell.actor.state.positions


def test_an_engine_without_a_feed_books_a_late_trade_all_the_same():
    desk = Desk(run(account(), order()))
    desk.context.feed = None
    [working] = desk.ref.cell.actor.state.orders
    desk.ref.tell(fill_of(working, trade_ms=-1))
    desk.dispatcher.run_until_quiet()
    assert desk.ref.cell.actor.state.positions


# -- steps that wait


class Path(Desk):
    """A desk whose orders of ETH go through a clearing; ten from 2,000 with 1,000 and a ratio of 0.90."""

    def __init__(self, **options):
        super().__init__(account("1000", [position(quantity="10")], maintenance_rate=D("0.045")), **options)
        self.clearing = Sink.start("clearing:ETHUSDT", self.dispatcher)
        self.context.order_path = lambda symbol: self.clearing if symbol == ETH else self.context.gateway

    @property
    def actor(self):
        return self.ref.cell.actor

    def price(self, mid):
        """A tick, and the wake of the router for it."""
        number = self.context.book.ticks[ETH].update_id + 1
        assert self.context.book.apply(tick(ETH, mid, update_id=number, event_ms=number))
        self.tell(Wake(ETH, "t"))

    def tell(self, message):
        self.ref.tell(message)
        self.dispatcher.run_until_quiet()

    def asked(self):
        return [m for m in self.clearing.cell.actor.got if isinstance(m, ReplaceStep)]

    def registered(self):
        return [m for m in self.context.router.cell.actor.got if isinstance(m, RegisterTriggers)][-1]


def test_a_waiting_step_is_asked_for_once_and_along_its_own_path():
    desk = Path()
    desk.price("2000")
    [step] = desk.actor.state.orders
    assert {t.below for t in desk.registered().triggers} == {True, False}
    persisted = len(desk.told(Persist))
    for mid in ("1990", "1989", "1990"):
        desk.price(mid)
    assert desk.asked() == [ReplaceStep(AccountId("acct-1"), ETH, step.client_order_id)]
    # Asking is no decision, and until the answer a price decides nothing.
    assert len(desk.told(Persist)) == persisted
    assert (desk.registered().triggers, desk.registered().every_tick) == ((), ())


def test_a_step_that_is_given_back_is_decided_anew_and_may_be_asked_for_again():
    desk = Path()
    desk.price("2000")
    desk.price("1990")
    [step] = desk.actor.state.orders
    assert step.quantity == D(3)
    desk.tell(OrderClosed(step.client_order_id, OrderStatus.NEVER_SENT, D(0), waited=True, again=True))
    [again] = desk.actor.state.orders
    assert (again.quantity, again.purpose) == (D(10), Purpose.LIQUIDATION)
    assert desk.actor.market().past_replacing == frozenset()
    desk.price("2100")
    assert [m.client_order_id for m in desk.asked()] == [step.client_order_id, again.client_order_id]


def test_a_step_that_is_under_way_keeps_its_account_quiet():
    desk = Path()
    desk.price("2000")
    [step] = desk.actor.state.orders
    before = desk.actor.state
    desk.tell(StepUnderWay(step.client_order_id))
    assert (desk.registered().triggers, desk.registered().every_tick) == ((), ())
    for mid in ("1990", "2100"):
        desk.price(mid)
    assert desk.asked() == []
    assert desk.actor.state is before
    # One that is no more, or that was never its own, is no matter.
    for id_ in ("bh-other-1", step.client_order_id):
        desk.tell(StepUnderWay(ClientOrderId(id_)))
    assert desk.actor.market().past_replacing == {step.client_order_id}


def test_after_a_restart_it_asks_again_as_it_forgot_the_answer():
    first = Path()
    first.price("2000")
    desk = Desk(first.actor.state, mid="1990")
    asked = [m for m in desk.context.gateway.cell.actor.got if isinstance(m, ReplaceStep | Resync)]
    [step] = first.actor.state.orders
    assert [type(m) for m in asked] == [ReplaceStep, Resync]
    assert asked[0] == ReplaceStep(AccountId("acct-1"), ETH, step.client_order_id)
    assert desk.ref.cell.actor.market().past_replacing == {step.client_order_id}


def test_an_order_is_asked_about_along_its_own_path():
    desk = Path()
    desk.price("2000")
    [step] = desk.actor.state.orders
    desk.tell(OrderClosed(step.client_order_id, OrderStatus.FILLED, D(3)))
    assert [m.order for m in desk.clearing.cell.actor.got if isinstance(m, Resync)] == [step]
    assert not [m for m in desk.context.gateway.cell.actor.got if isinstance(m, Resync)]


def test_a_guard_asks_for_steps_that_wait_too():
    desk = Path(guard=True)
    desk.price("2000")
    desk.price("1990")
    assert len(desk.asked()) == 1


def test_a_failed_decision_leaves_what_it_was_made_of_and_another_failure_nothing():
    desk = Desk(account())
    cell = desk.ref.cell
    message = OrderAccepted(ClientOrderId("bh-other-1"), 1)
    desk.ref.tell(message)
    desk.dispatcher.run_until_quiet()
    made = capture.decode(cell.evidence, "evidence")
    [again] = rerun(made)
    assert (again.verdict, again.recorded.error) == (Verdict.SAME_ERROR, cell.crashes[-1].error)
    assert "never intended" in again.error
    actor = cell.actor
    assert actor.evidence(message, cell.crashes[-1]) == cell.evidence
    assert actor.evidence(OrderAccepted(ClientOrderId("bh-other-1"), 1), cell.crashes[-1]) == b""
    cell.report(None, NotDurable("lost"), 1, 2)
    assert cell.evidence == b""


def test_an_accounts_decisions_are_recorded_and_made_again():
    desk = Desk(account())
    assert codes(desk.ask(order())) == "accepted"
    assert codes(desk.ask(order(quantity="-1"))) != "accepted"
    desk.ref.tell(Wake(ETH, "tick"))
    desk.dispatcher.run_until_quiet()
    kept = desk.context.recorder.of(AccountId("acct-1"))
    assert [(bool(one.facts), one.before.sequence) for one in kept] == [(True, 0), (False, 1)]
    made = capture.Capture(
        account="acct-1", made_ms=1, decisions=tuple(capture.captured(one) for one in kept)
    )
    assert [one.verdict for one in rerun(made)] == [Verdict.SAME] * 2

"""The writer: order, groups, and what happens while Postgres is away.

Covers: actors/core/durability.py, actors/core/clearing_messages.py
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal as D
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from actors.clearing.durability import ClearingLoaded, LoadClearing
from actors.clearing.state import ClearingState
from actors.core.clearing_messages import Durable, OrdersBooked
from actors.core.constants import HANDED_WAITING
from actors.core.durability import DecisionLost, Persist
from actors.core.enums import OrderStatus
from actors.core.errors import NotDurable, StateCorrupt, StoreBusy, StoreUnreachable
from actors.core.facts import CancelIntended, OrderEnded
from actors.core.messages import PlaceOrder
from actors.core.order_messages import Submit
from actors.core.records import RecordAudit
from actors.core.units import NANOS_PER_MS
from actors.persistence.actor import GATHER, Writer
from actors.persistence.messages import AskStore, Committed
from actors.runtime.cell import Status
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.subaccount.decide import decide
from actors.subaccount.durability import AccountLoaded, LoadAccount
from actors.subaccount.pipeline import Accepted
from actors.supervision.gate import TradingGate
from tests.factories import BUY, ETH, account, market
from tests.persistence.authors import Call
from tests.persistence.blocks import Blocks
from tests.sink import Sink


class Store:
    def __init__(self):
        self.away, self.refuse, self.log = False, set(), []
        self.clearing = ClearingState(symbol=ETH), ()

    def commit(self, decisions):
        if self.away:
            raise StoreUnreachable("away")
        assert decisions, "a commit of nothing"
        self.log.append(len(decisions))
        return [NotDurable("poison") if d.stream in self.refuse else None for d in decisions]

    def handover(self):
        return None

    def load(self, ids):
        self.log.append("load")
        return [account()]

    def load_clearing(self, symbol):
        self.log.append(f"load {symbol}")
        if isinstance(self.clearing, Exception):
            raise self.clearing
        return self.clearing

    def renew(self):
        pass


class Bench:
    def __init__(self):
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.store, self.gate, self.accounts, self.actors = Store(), TradingGate(), {}, {}
        self.accounts["acct-1"] = Sink.start("acct-1", self.dispatcher)
        self.actors["gateway"] = Sink.start("gateway", self.dispatcher)
        self.waiting = deque()
        self.writer = Writer.start(
            "writer", self.dispatcher, self.store, self.accounts, self.gate, self.waiting, self.actors
        )
        self.dispatcher.run_until_quiet()

    def got(self, name):
        ref = self.accounts.get(name) or self.actors[name]
        return ref.cell.actor.got


def persist(reply_to=None, incarnation=0):
    decision = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market())
    return Persist(
        stream="acct-1", previous_sequence=0, facts=decision.facts, state=decision.state, wall_ms=1,
        reply_to=reply_to, reply=decision.reply, incarnation=incarnation,
    )  # fmt: skip


def test_what_waits_is_one_transaction_and_loads_see_it():
    bench = Bench()
    for message in (
        persist(),
        persist(),
        persist(),
        LoadAccount("acct-1", bench.accounts["acct-1"], 0),
        persist(),
    ):
        bench.writer.tell(message)
    bench.dispatcher.run_until_quiet()
    assert bench.store.log == [3, "load", 1]
    assert [type(m) for m in bench.got("acct-1")] == [AccountLoaded]
    assert sum(len(m.orders) for m in bench.got("gateway")) == 4


def test_a_crowd_that_waits_behind_slow_commits_goes_into_larger_ones():
    bench = Bench()
    clock, commit = bench.dispatcher.clock, bench.store.commit

    def slow(decisions):
        clock.advance_to(clock.monotonic_ns() + 80 * NANOS_PER_MS)
        return commit(decisions)

    bench.store.commit = slow
    one = persist()
    for _ in range(3_000):
        bench.writer.tell(one)
    bench.dispatcher.run_until_quiet()
    assert bench.store.log == [512, 768, 1_024, 696]
    assert bench.writer.cell.actor._batch_size == 348, "nobody waits any more: it was slow, and is halved"


def test_nothing_is_forwarded_or_answered_before_it_is_durable():
    bench = Bench()
    bench.store.away = True
    future = Sink._create_future()
    bench.writer.tell(persist(future))
    bench.dispatcher.run_until(50_000_000)
    assert bench.got("gateway") == []
    assert bench.gate.reduce_only
    bench.store.away = False
    bench.dispatcher.run_until(500_000_000)
    assert isinstance(bench.got("gateway")[0], Submit)
    assert isinstance(future.get(timeout=1), Accepted)
    assert not bench.gate.reduce_only


def test_a_refused_decision_fails_its_asker_and_tells_its_account():
    bench = Bench()
    bench.store.refuse = {"acct-1"}
    future = Sink._create_future()
    bench.writer.tell(persist(future, incarnation=3))
    bench.dispatcher.run_until_quiet()
    assert bench.got("acct-1") == [DecisionLost(3, "poison")]
    assert bench.got("gateway") == []
    try:
        future.get(timeout=1)
    except NotDurable as refused:
        assert "poison" in str(refused)
    else:
        raise AssertionError("the asker was not told")


def intent(symbol, number):
    return replace(persist().facts[0], symbol=symbol, sequence=number, client_order_id=f"a-{number}")


def cancel(symbol, number):
    return CancelIntended("acct-1", f"a-{number}", symbol, "test")


def tell(bench, *messages):
    for message in messages:
        bench.writer.tell(message)
    bench.dispatcher.run_until_quiet()
    # What waits for more of its kind is written too.
    bench.dispatcher.run_until(bench.dispatcher.clock.monotonic_ns() + 2 * GATHER)


def test_orders_and_cancels_go_to_their_symbol_s_clearing_in_one_piece_and_in_order_else_to_the_gateway():
    bench = Bench()
    bench.actors["clearing:ETHUSDT"] = Sink.start("clearing:ETHUSDT", bench.dispatcher)
    decisions = (
        (intent(ETH, 1), intent("BTCUSDT", 2)),
        (cancel(ETH, 3), intent(ETH, 4)),
        (intent("SOLUSDT", 5), cancel("BTCUSDT", 6)),
        (intent(ETH, 7),),
    )
    tell(bench, *(replace(persist(), facts=facts) for facts in decisions))
    assert bench.got("clearing:ETHUSDT") == [
        Submit((intent(ETH, 1), intent(ETH, 4), intent(ETH, 7)), (cancel(ETH, 3),))
    ]
    assert bench.got("gateway") == [
        Submit((intent("BTCUSDT", 2), intent("SOLUSDT", 5)), (cancel("BTCUSDT", 6),))
    ]


def test_what_a_clearing_that_ended_would_have_got_goes_to_the_gateway():
    bench = Bench()
    gone = bench.actors["clearing:ETHUSDT"] = Sink.start("clearing:ETHUSDT", bench.dispatcher)
    gone.stop(block=False)
    bench.dispatcher.run_until_quiet()
    tell(bench, replace(persist(), facts=(intent(ETH, 1),)))
    assert bench.got("gateway") == [Submit((intent(ETH, 1),), ())]


def test_a_clearing_is_told_how_far_it_is_durable_and_its_block_is_not_sent_from_here():
    bench = Bench()
    stream = "clearing:ETHUSDT"
    bench.actors[stream] = Sink.start(stream, bench.dispatcher)
    clearing, other = Blocks(), Blocks("BTCUSDT")
    for number in range(3):
        clearing.form([("acct-1", f"a-{number}", "0.1")])
    other.form([("acct-1", "b-1", "0.1")])
    tell(bench, *clearing.batch, *other.batch)
    assert bench.got(stream) == [Durable(3)]
    assert bench.got("gateway") == []
    bench.store.refuse = {stream}
    clearing.batch.clear()
    clearing.form([("acct-1", "a-9", "0.1")])
    tell(bench, *(replace(lost, incarnation=5) for lost in clearing.batch))
    assert bench.got(stream)[1:] == [DecisionLost(5, "poison")]


def test_nothing_of_a_clearing_is_told_before_it_is_durable_and_it_waits_for_no_others():
    bench = Bench()
    bench.actors["clearing:ETHUSDT"] = Sink.start("clearing:ETHUSDT", bench.dispatcher)
    clearing = Blocks()
    clearing.form([("acct-1", "a-1", "0.1")])
    bench.store.away = True
    bench.writer.tell(clearing.batch[0])
    bench.dispatcher.run_until(50_000_000)
    assert bench.got("clearing:ETHUSDT") == []
    bench.store.away = False
    bench.dispatcher.run_until(500_000_000)
    assert bench.got("clearing:ETHUSDT") == [Durable(1)]
    clearing.end(clearing.batch[0].facts[0], 0, OrderStatus.EXPIRED)
    now = bench.dispatcher.clock.monotonic_ns()
    bench.writer.tell(clearing.batch[1])
    bench.dispatcher.run_until(now + GATHER // 2)
    assert bench.got("clearing:ETHUSDT") == [Durable(1), Durable(2)]


def with_clearing():
    bench = Bench()
    ref = bench.actors["clearing:ETHUSDT"] = Sink.start("clearing:ETHUSDT", bench.dispatcher)
    return bench, ref


def ended(*ids):
    return replace(persist(), facts=tuple(OrderEnded(id_, OrderStatus.FILLED, 0, "") for id_ in ids))


def test_a_clearing_is_loaded_after_all_that_was_told_before():
    bench, ref = with_clearing()
    clearing = Blocks()
    clearing.form([("acct-1", "a-1", "0.1")])
    bench.store.clearing = clearing.state, ()
    tell(bench, persist(), *clearing.batch, LoadClearing(ETH, ref, 3), persist())
    assert bench.store.log == [2, "load ETHUSDT", 1]
    assert ClearingLoaded(clearing.state, 3) in bench.got("clearing:ETHUSDT")


def test_a_clearing_that_cannot_be_read_is_told_why_and_the_writer_goes_on():
    bench, ref = with_clearing()
    bench.store.clearing = StateCorrupt("the row is spoiled")
    tell(bench, LoadClearing(ETH, ref, 0), persist())
    told = next(m for m in bench.got("clearing:ETHUSDT") if isinstance(m, ClearingLoaded))
    assert (told.state, "the row is spoiled" in told.reason) == (None, True)
    assert bench.store.log == ["load ETHUSDT", 1]


def test_a_load_waits_while_postgres_is_away():
    bench, ref = with_clearing()
    bench.store.clearing = StoreUnreachable("away")
    bench.writer.tell(LoadClearing(ETH, ref, 0))
    bench.dispatcher.run_until(50_000_000)
    assert bench.got("clearing:ETHUSDT") == []
    bench.store.clearing = ClearingState(symbol=ETH), ()
    bench.dispatcher.run_until(500_000_000)
    assert bench.got("clearing:ETHUSDT") == [ClearingLoaded(ClearingState(symbol=ETH), 0)]


def test_a_clearing_is_told_once_which_of_its_members_ended_in_their_accounts():
    bench, _ = with_clearing()
    clearing = Blocks()
    clearing.form([("acct-1", "a-1", "0.1"), ("acct-2", "b-1", "0.1")])
    tell(bench, ended("b-1"))  # of no block yet
    tell(bench, *clearing.batch)
    assert bench.got("clearing:ETHUSDT") == [Durable(1)]
    tell(bench, ended("a-1", "c-1"))
    tell(bench, ended("a-1"))
    assert bench.got("clearing:ETHUSDT")[1:] == [OrdersBooked(ETH, ("a-1",))]
    bench.store.refuse = {"acct-1"}
    tell(bench, ended("b-1"))
    bench.store.refuse = set()
    assert len(bench.got("clearing:ETHUSDT")) == 2
    tell(bench, ended("b-1"))
    assert bench.got("clearing:ETHUSDT")[2:] == [OrdersBooked(ETH, ("b-1",))]


def test_a_load_says_who_ended_meanwhile_and_the_others_are_told_when_they_do():
    bench, ref = with_clearing()
    clearing = Blocks()
    clearing.form([("acct-1", "a-1", "0.1"), ("acct-2", "b-1", "0.1")])
    bench.store.clearing = clearing.state, ("a-1",)
    tell(bench, LoadClearing(ETH, ref, 0))
    tell(bench, ended("a-1"), ended("b-1"))
    assert bench.got("clearing:ETHUSDT") == [
        ClearingLoaded(clearing.state, 0), OrdersBooked(ETH, ("a-1",)), OrdersBooked(ETH, ("b-1",))
    ]  # fmt: skip


def test_a_crash_of_the_writer_keeps_what_waits():
    bench = Bench()
    bench.store.away = True
    bench.dispatcher.on_crash = lambda cell, report, error: None
    bench.writer.tell(persist())
    bench.writer.tell("no such message")
    bench.dispatcher.run_until_quiet()
    assert len(bench.waiting) == 1
    bench.store.away = False
    bench.dispatcher.restart(bench.writer.cell)
    bench.writer.tell(persist())
    bench.dispatcher.run_until_quiet()
    assert bench.store.log == [2]


def test_an_asker_s_own_error_is_the_asker_s():
    bench = Bench()
    answer = bench.writer.ask(AskStore(Call(lambda store: 1 / 0)), block=False)
    fine = bench.writer.ask(AskStore(Call(lambda store: len(store.log))), block=False)
    bench.dispatcher.run_until_quiet()
    try:
        answer.get(timeout=1)
    except ZeroDivisionError:
        pass
    else:
        raise AssertionError("the asker was not told")
    assert fine.get(timeout=1) == 0


def test_a_row_that_cannot_be_read_is_one_account_s_trouble(monkeypatch):
    bench = Bench()

    def unreadable(_ids):
        raise ValueError("'SUSPENDED' is not a valid AccountStatus")

    monkeypatch.setattr(bench.store, "load", unreadable)
    bench.writer.tell(LoadAccount("acct-1", bench.accounts["acct-1"], 4))
    bench.writer.tell(persist())
    bench.dispatcher.run_until_quiet()
    [answer] = bench.got("acct-1")
    assert (answer.state, answer.incarnation) == (None, 4)
    assert "SUSPENDED" in answer.reason
    assert bench.store.log == [1], "what waited behind it is durable"


def test_a_busy_row_is_postponed_and_keeps_nobody_waiting(monkeypatch):
    bench, real, busy = Bench(), None, [True]
    real = bench.store.load

    def load(ids):
        if busy:
            raise StoreBusy("canceling statement due to lock timeout")
        return real(ids)

    monkeypatch.setattr(bench.store, "load", load)
    bench.writer.tell(LoadAccount("acct-1", bench.accounts["acct-1"], 0))
    bench.writer.tell(persist())
    bench.dispatcher.run_until_quiet()
    assert bench.store.log == [1]
    assert not bench.gate.reduce_only
    busy.clear()
    bench.dispatcher.run_until(3_000_000_000)
    assert [type(m) for m in bench.got("acct-1")] == [AccountLoaded]


def test_the_gateway_hears_of_what_was_committed_whatever_happens_next():
    bench = Bench()
    bench.store.refuse = {"acct-1"}
    bench.dispatcher.stop_cell(bench.accounts["acct-1"].cell)
    bench.writer.tell(persist())
    bench.store.refuse = set()
    bench.writer.tell(persist())
    bench.writer.tell(LoadAccount("acct-1", bench.accounts["acct-1"], 0))
    bench.dispatcher.run_until_quiet()
    assert sum(len(m.orders) for m in bench.got("gateway")) >= 1
    assert bench.writer.cell.status is Status.RUNNING


def away_with(bench, call, begin_by_ns=0):
    """Ask while Postgres is away."""
    bench.store.away = True
    bench.writer.tell(persist())
    bench.dispatcher.run_until_quiet()
    answer = bench.writer.ask(AskStore(Call(call), begin_by_ns), block=False)
    bench.dispatcher.run_until_quiet()
    return answer


def test_a_question_that_waits_when_the_writer_is_restarted_is_answered():
    bench = Bench()
    answer = away_with(bench, lambda store: len(store.log))
    bench.dispatcher.restart(bench.writer.cell)
    bench.store.away = False
    bench.writer.tell(persist())
    bench.dispatcher.run_until(3_000_000_000)
    assert answer.get(timeout=1) >= 1


def test_a_question_that_waits_when_the_engine_stops_is_told_that_nothing_was_done():
    bench = Bench()
    answer = away_with(bench, lambda store: len(store.log))
    bench.dispatcher.stop_cell(bench.writer.cell)
    with pytest.raises(NotDurable, match="nothing was done"):
        answer.get(timeout=1)


def test_what_was_begun_is_brought_to_its_end_however_late_and_what_was_not_is_not_begun_late():
    bench, tries = Bench(), []

    def lost_at_first(_store):
        tries.append(1)
        if len(tries) == 1:
            raise StoreUnreachable("the connection was lost in the commit")
        return "done"

    begun = bench.writer.ask(AskStore(Call(lost_at_first), 50_000_000), block=False)
    bench.dispatcher.run_until_quiet()
    late = bench.writer.ask(AskStore(Call(lambda _store: "late"), 50_000_000), block=False)
    bench.dispatcher.run_until(3_000_000_000)
    assert begun.get(timeout=1) == "done"
    with pytest.raises(NotDurable, match="nothing was done"):
        late.get(timeout=1)


def test_postgres_away_is_one_alarm_and_over_when_it_is_back():
    bench = Bench()
    told, over = [], []
    bench.dispatcher.stop_cell(bench.writer.cell)
    bench.writer = Writer.start(
        "writer", bench.dispatcher, bench.store, bench.accounts, bench.gate, bench.waiting, bench.actors,
        lambda text, key: told.append((text, key)), over.append,
    )  # fmt: skip
    bench.dispatcher.run_until_quiet()
    over.clear()
    bench.store.away = True
    bench.writer.tell(persist())
    bench.dispatcher.run_until(5_000_000_000)
    [(text, key)] = told
    assert "Postgres is away (away): no new risk" in text
    assert bench.gate.closers == ("writer",)
    assert over == []
    bench.store.away = False
    bench.dispatcher.run_until(15_000_000_000)
    assert over == [key]
    assert bench.gate.closers == ()


def test_what_an_operator_did_is_stored_and_says_so_once_postgres_is_there():
    bench, stored, kept = Bench(), [], []
    bench.store.with_operator_records = lambda call: call(SimpleNamespace(record_audit=kept.append))
    record = RecordAudit(
        at_ms=1,
        who="ann",
        action="freeze",
        target="acct-1",
        detail="",
        again=False,
        stored=lambda: stored.append(1),
    )
    bench.store.away = True
    bench.writer.tell(persist())
    bench.writer.tell(record)
    bench.dispatcher.run_until_quiet()
    assert (kept, stored) == ([], [])
    bench.store.away = False
    bench.dispatcher.run_until(5_000_000_000)
    assert (kept, stored) == ([record], [1])


def test_an_order_that_was_learned_from_the_exchange_is_never_sent_and_what_follows_from_it_is():
    bench, decided = Bench(), persist()
    learned = [replace(fact, cause="recovered:900") for fact in decided.facts]
    bench.writer.tell(replace(decided, facts=(*learned, *decided.facts)))
    bench.writer.tell(replace(decided, facts=tuple(learned)))
    bench.dispatcher.run_until_quiet()
    assert bench.store.log == [2]
    assert [message.orders for message in bench.got("gateway")] == [decided.facts]


def test_who_reads_on_is_told_of_what_is_durable_and_of_nothing_else():
    bench = Bench()
    handed, told = [], []

    class Tail:
        def handed(self, committed):
            told.append((committed, list(bench.store.log)))

    bench.store.handover = lambda: handed.pop(0) if handed else None
    bench.writer.cell.actor._tail = Tail()
    bench.store.away = True
    handed.append(Committed(4))
    bench.writer.tell(persist())
    bench.dispatcher.run_until(50_000_000)
    assert told == []
    bench.store.away = False
    bench.dispatcher.run_until(500_000_000)
    assert told == [(Committed(4), [1])]


@pytest.mark.parametrize(
    ("waiting", "left"), [(0, HANDED_WAITING), (HANDED_WAITING - 1, 1), (HANDED_WAITING, 0)]
)
def test_a_projector_that_does_not_come_to_read_is_handed_so_many_and_no_more(waiting, left):
    bench = Bench()
    # One that has no turn, as its dispatcher does not run.
    elsewhere = SeededDispatcher("elsewhere", VirtualClock())
    projector = bench.actors["projector"] = Sink.start("projector", elsewhere)
    elsewhere.run_until_quiet()
    bench.store.handover = lambda: Committed(len(bench.store.log))
    for _ in range(waiting):
        projector.tell(Committed(0))
    for _ in range(left + 2):
        tell(bench, persist())
    elsewhere.run_until_quiet()
    assert projector.cell.actor.got == [Committed(0)] * waiting + [Committed(n + 1) for n in range(left)]
    tell(bench, persist())
    elsewhere.run_until_quiet()
    assert projector.cell.actor.got[-1] == Committed(left + 3)

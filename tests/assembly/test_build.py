"""The one wiring: who starts, what stands in, and where crashes and unread messages go."""

from __future__ import annotations

import pytest

from actors.assembly.build import Runtime, Settings, build, with_stand_ins
from actors.core.messages import LoseTriggers, PlaceOrder
from actors.core.order_ids import FIXED
from actors.core.records import RecordDeadLetter
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.supervision.messages import RestartNow
from actors.symbol_router.actor import SymbolRouter
from actors.venues.port import VenueConnection
from supervisor import CHILDREN
from tests.factories import BUY, ETH, INSTRUMENTS, D, account
from tests.sink import Sink


class Built:
    """Real router and accounts; what they tell writer and gateway is kept."""

    def __init__(self):
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.alarms, self.halts = [], []
        self.assembly = build(
            Settings(origin=FIXED, faults_allowed=True),
            Runtime(
                main=self.dispatcher, io=self.dispatcher, alarm=self.alarms.append, halt=self.halts.append
            ),
            None,
            VenueConnection(instruments=INSTRUMENTS),
            with_stand_ins(
                {n: lambda parts, n=n: Sink.start(n, parts.main) for n in ("writer", "gateway", "feed")}
            ),
        )

    def run(self):
        self.dispatcher.run_until_quiet()

    def got(self, name):
        return self.assembly.actors[name].cell.actor.got


@pytest.fixture
def built():
    made = Built()
    made.assembly.supervise()
    made.assembly.start("writer", "gateway", "router", prove=False)
    made.run()
    return made


def test_nothing_runs_before_it_is_started():
    made = Built()
    assert (made.assembly.actors, made.dispatcher.cells) == ({}, {})


def test_children_start_by_name_and_the_accounts_find_them(built):
    context = built.assembly.context
    assert list(built.assembly.actors) == ["supervisor", "writer", "gateway", "router"]
    assert context.writer is built.assembly.actors["writer"]
    assert context.router is built.assembly.actors["router"]
    assert context.feed is None
    assert isinstance(context.router.cell.actor, SymbolRouter)
    built.assembly.start("feed", prove=False)
    assert context.feed is built.assembly.actors["feed"]
    assert context.faults_allowed


def test_an_account_s_failure_reaches_supervisor_writer_and_router(built):
    state = account()
    ref = built.assembly.start_account(state.account_id, state)
    built.run()
    assert built.assembly.accounts == {"acct-1": ref}
    assert ref.cell.actor.state == state
    router = built.assembly.actors["router"]
    ref.tell("no such message")
    built.run()
    [letter] = [m for m in built.got("writer") if isinstance(m, RecordDeadLetter)]
    assert letter.actor == "acct-1"
    assert any(isinstance(entry[0], LoseTriggers) for entry in list(router.cell.trace))
    assert [c.name for c in built.assembly.actors["supervisor"].cell.actor.crashes] == ["acct-1"]


def test_what_a_stopped_actor_did_not_read_is_kept_but_for_prices_and_control(built):
    state = account()
    ref = built.assembly.start_account(state.account_id, state)
    built.run()
    ref.tell(PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))
    ref.tell(LoseTriggers("acct-1"))
    built.dispatcher.stop_cell(ref.cell)
    built.run()
    letters = [m.message_kind for m in built.got("writer") if isinstance(m, RecordDeadLetter)]
    assert letters.count("PlaceOrder") == 1


def test_a_supervisor_that_crashes_halts_the_engine_before_the_alarm(built):
    order = []
    built.assembly.runtime.halt = lambda reason: order.append(("halt", reason))
    built.assembly.runtime.alarm = lambda text: order.append(("alarm", str(text)))
    built.assembly.actors["supervisor"].tell(RestartNow)
    built.run()
    assert [what for what, _ in order] == ["halt", "alarm"]
    assert all("the supervisor crashed: TypeError" in text for _, text in order)


def test_a_stand_in_for_no_child_is_refused():
    with pytest.raises(ValueError, match="treasury is none of the children"):
        with_stand_ins({"treasury": lambda _parts: None})


@pytest.mark.parametrize(
    ("name", "what"),
    [("writer", "store"), ("projector", "projection"), ("gateway", "transport"), ("feed", "source")],
)
def test_a_child_without_what_it_needs_says_so(name, what):
    made = Built()
    parts = made.assembly.parts
    spec = next(s for s in CHILDREN if s.name == name)
    with pytest.raises(AssertionError, match=f"a {name} needs a {what}"):
        spec.start(parts)

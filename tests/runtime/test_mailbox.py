"""Lanes, conflation, bounds, and that no message is ever unaccounted for."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.core.constants import COMMANDS_MAX, HIGHER_LANE_RUN, MAILBOX_HIGH, MAILBOX_LOW
from actors.core.errors import Refused
from actors.core.messages import Lane, Ping, RegisterTriggers, Wake
from actors.core.units import AccountId, Symbol
from actors.runtime.envelope import lane_of
from actors.runtime.mailbox import Mailbox, Serving


def control(n=0):
    return (Ping(), None, n)


def fill(n=0):
    return (RegisterTriggers(AccountId(f"a{n}"), ()), None, n)


def command(n=0):
    return (f"command {n}", None, n)


def market(symbol="ETHUSDT", cause="t"):
    return (Wake(Symbol(symbol), cause), None, 0)


def drain(box):
    taken = []
    while (envelope := box.take()) is not None:
        taken.append(envelope)
        box.settle(handled=True)
    return taken


def test_lanes_are_served_in_order_of_urgency():
    box = Mailbox()
    envelopes = [market(), command(), fill(), control()]
    for envelope in envelopes:
        box.put(envelope)
    assert drain(box) == envelopes[::-1]


def test_the_newest_l1_of_a_symbol_wins_and_others_stay():
    box = Mailbox()
    conflated = []
    for envelope in (market("A", "old"), market("B", "b"), market("A", "newer"), market("A", "new")):
        box.put(envelope)
        conflated.append(box.counters().conflated)
    assert conflated == [0, 0, 1, 2]
    assert box.counters().is_conserved
    assert [x[0].cause for x in drain(box)] == ["new", "b"]
    assert box.counters().is_conserved


def test_a_lower_lane_gets_its_turn_within_the_bound():
    box = Mailbox()
    box.put(market())
    for n in range(100):
        box.put(fill(n))
    taken = drain(box)
    assert taken.index(next(x for x in taken if isinstance(x[0], Wake))) == HIGHER_LANE_RUN


def test_commands_are_bounded_and_refused_by_name_but_fills_never():
    box = Mailbox()
    for n in range(COMMANDS_MAX):
        box.put(command(n))
    with pytest.raises(Refused, match="commands wait already"):
        box.put(command())
    for n in range(COMMANDS_MAX * 3):
        box.put(fill(n))
    counters = box.counters()
    assert (counters.refused, counters.queued) == (1, COMMANDS_MAX * 4)


def test_put_says_when_to_schedule_and_only_then():
    box = Mailbox()
    assert box.put(command())
    assert not box.put(command())
    box.take()
    assert box.rest()
    box.settle(handled=True)
    box.take()
    assert not box.rest()
    assert box.put(command())


def test_a_held_mailbox_serves_control_only_and_keeps_the_rest():
    box = Mailbox()
    box.serve(Serving.CONTROL_ONLY)
    assert not box.put(fill())
    assert box.put(control())
    assert len(drain(box)) == 1
    assert not box.rest()
    assert box.serve(Serving.ALL)
    assert len(drain(box)) == 1


def test_close_hands_back_what_waits_and_takes_no_more():
    box = Mailbox()
    box.put(command())
    box.put(market())
    assert len(box.close()) == 2
    with pytest.raises(BrokenPipeError):
        box.put(command())
    assert box.counters().is_conserved


def test_close_and_put_exclude_each_other():
    """P4 of stock Pykka: a message that was taken must not end in a dead mailbox unseen."""
    for _ in range(300):
        box, accepted = Mailbox(), []
        go = threading.Barrier(2)

        def sender(box=box, accepted=accepted, go=go):
            go.wait()
            for n in range(20):
                try:
                    box.put(fill(n))
                except BrokenPipeError:
                    return
                accepted.append(n)

        thread = threading.Thread(target=sender)
        thread.start()
        go.wait()
        left = box.close()
        thread.join()
        assert len(left) == len(accepted)
        assert box.waiting() == []
        assert box.counters().is_conserved


class Slow:
    """A message of the market lane that takes long to say its symbol."""

    LANE = Lane.MARKET

    def __init__(self):
        self.asked, self.go = threading.Event(), threading.Event()

    @property
    def symbol(self):
        self.asked.set()
        self.go.wait(5)
        return "ETHUSDT"


def test_close_waits_for_a_put_in_progress_and_gets_its_message():
    box, slow, left = Mailbox(), Slow(), []
    putting = threading.Thread(target=lambda: box.put((slow, None, 0)))
    closing = threading.Thread(target=lambda: left.extend(box.close()))
    putting.start()
    assert slow.asked.wait(5)
    closing.start()
    time.sleep(0.05)
    slow.go.set()
    putting.join(5)
    closing.join(5)
    assert [envelope[0] for envelope in left] == [slow]
    assert box.waiting() == []
    assert box.counters().is_conserved


def test_no_lane_starves_another_however_much_the_others_get():
    box = Mailbox()
    for n in range(3):
        box.put(command(n))
    box.put(market())
    taken = []
    for n in range(10 * HIGHER_LANE_RUN):
        box.put(control(n))
        box.put(fill(n))
        box.put(market(f"S{n}"))
        taken.append(lane_of(box.take()[0]))
        box.settle(handled=True)
    for lane in Lane:
        at = [i for i, seen in enumerate(taken) if seen is lane]
        assert at, lane
        if lane is not Lane.COMMANDS:
            assert max(b - a for a, b in pairwise(at)) <= 3 * (HIGHER_LANE_RUN + 1), lane
    assert taken.count(Lane.COMMANDS) >= 2


def test_a_backlog_keeps_its_order_through_every_size():
    box = Mailbox()
    for n in range(500):
        box.put(fill(n))
    taken = [box.take()[2] for _ in range(450)]
    for n in range(500, 700):
        box.put(fill(n))
    taken += [envelope[2] for envelope in drain(box)]
    assert taken == list(range(700))


def test_past_the_high_mark_it_is_congested_until_the_low_mark():
    box = Mailbox()
    for n in range(MAILBOX_HIGH):
        assert not box.congested
        box.put(fill(n))
    assert box.congested
    while box.depth() > MAILBOX_LOW:
        assert box.congested
        box.take(True)
    box.take(True)
    assert not box.congested


def test_the_oldest_message_is_found_in_whatever_lane():
    box = Mailbox()
    assert box.oldest_ns() is None
    for envelope in (fill(7), command(3), control(9)):
        box.put(envelope)
    assert box.oldest_ns() == 3


class MailboxMachine(RuleBasedStateMachine):
    """Any sequence of operations conserves messages."""

    def __init__(self):
        super().__init__()
        self.box = Mailbox()
        self.n = 0

    @rule(kind=st.sampled_from([control, fill, command, market]))
    def put(self, kind):
        self.n += 1
        envelope = market(f"S{self.n % 3}") if kind is market else kind(self.n)
        try:
            self.box.put(envelope)
        except BrokenPipeError:
            assert self.box.is_closed

    @rule(handled=st.booleans())
    def turn(self, handled):
        if self.box.take() is not None:
            assert self.box.counters().in_hand == 1
            assert self.box.counters().is_conserved
            self.box.settle(handled=handled)

    @rule(serving=st.sampled_from(list(Serving)))
    def serve(self, serving):
        self.box.serve(serving)

    @rule()
    def rest(self):
        self.box.rest()

    @rule()
    def restart(self):
        self.box.restart_with(control())

    @rule()
    def close(self):
        if self.n > 30:
            self.box.close()

    @invariant()
    def conserved(self):
        assert self.box.counters().is_conserved
        assert self.box.depth() == len(self.box.waiting())


TestMailboxMachine = MailboxMachine.TestCase
TestMailboxMachine.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)


def test_lower_lanes_take_turns_while_a_higher_one_never_ends():
    box = Mailbox()
    for n in range(10 * HIGHER_LANE_RUN):
        box.put(control(n))
    for n in range(3):
        box.put(market(f"S{n}"))
        box.put(command(n))
        box.put(fill(n))
    served = []
    while len(served) < 9:
        envelope = box.take(handled=bool(served))
        if lane_of(envelope[0]) is not Lane.CONTROL:
            served.append(lane_of(envelope[0]))
    assert served == [Lane.FILLS, Lane.COMMANDS, Lane.MARKET] * 3

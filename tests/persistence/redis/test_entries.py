"""Entries of the stream: what they say, what is kept of them, and that a stream cut off anywhere becomes whole again.

Covers: actors/persistence/redis/platform_events.py
"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core.enums import Purpose
from actors.core.events import ALL_PARTS, EventId, events_of
from actors.core.facts import FillApplied, PositionClosed, PositionTakenOver
from actors.core.units import ZERO
from actors.persistence.projection.spelling import platform_symbol
from actors.persistence.redis.entries import Entry, Recent, entries_of, without_states
from actors.persistence.redis.states import DurableStates
from actors.persistence.tail import Decided
from tests.persistence.redis.world import STREAM, Published, World, until

FIELDS = {
    "position_updated": "subAccountId, positionId, symbol, side, entryPrice, quantity, notional, leverage, margin, "
    "liquidationPrice, babysitterExcluded",
    "position_closed": "subAccountId, positionId, symbol, side, realizedPnl, newBalance, reason",
    "position_reduced": "subAccountId, positionId, symbol, side, remainingQty, closedQty, realizedPnl, newBalance, reason",
    "position_takeover": "subAccountId, positionId, symbol, side, adminUserId",
}
"""As the reference lists them (section 3.2)."""


@pytest.fixture(scope="module")
def world():
    made = World(seeds=range(16))
    made.decide()
    return made


@pytest.fixture(scope="module")
def told(world):
    """Every row, with the account's states on the way and its entries; the states follow without the actors."""
    states = DurableStates(lambda _id: None)
    first = World(seeds=range(16))
    states.begin(first.actors.values())
    found = []
    for row in world.rows:
        steps = states.follow(row)
        found.append((row, steps, list(entries_of(row, steps))))
    assert states.known == world.actors, "folded, they are what the actors decided"
    return found


def test_each_event_of_the_platform_has_the_references_fields(told):
    seen = set()
    for _, _, entries in told:
        for entry in entries:
            if "type" in entry.fields:
                assert list(json.loads(entry.fields["data"])) == FIELDS[entry.fields["type"]].split(", ")
                seen.add(entry.fields["type"])
    assert seen == set(FIELDS)


def test_they_say_what_the_facts_and_the_state_after_them_say(told):
    for row, steps, entries in told:
        for number, fact in enumerate(row.facts):
            after, fields = steps[number + 1], entries[number].fields
            kind = fields.get("type")
            data = json.loads(fields["data"]) if kind else {}
            if not isinstance(fact, FillApplied | PositionClosed | PositionTakenOver):
                assert kind is None
                continue
            symbol = fact.trade.symbol if isinstance(fact, FillApplied) else fact.symbol
            held = after.position(symbol)
            if isinstance(fact, PositionTakenOver):
                assert (kind, data["positionId"]) == (
                    "position_takeover",
                    steps[number].position(symbol).position_id,
                )
            elif isinstance(fact, PositionClosed):
                taken = number and isinstance(row.facts[number - 1], PositionTakenOver)
                assert kind == (None if taken else "position_closed")
                if kind:
                    assert data["realizedPnl"] == pytest.approx(float(fact.net), abs=1e-9)
                    assert data["newBalance"] == pytest.approx(float(after.balance), abs=1e-9)
                    flips = held is not None and fact.purpose is Purpose.USER
                    assert (data["reason"] == "FLIP") == flips
            elif held is None:
                assert kind is None
            elif fact.closed_quantity < fact.trade.quantity:
                assert (kind, data["quantity"]) == (
                    "position_updated",
                    pytest.approx(float(abs(held.quantity))),
                )
                assert data["side"] == ("LONG" if held.quantity > ZERO else "SHORT")
            else:
                assert (kind, data["remainingQty"]) == (
                    "position_reduced",
                    pytest.approx(float(abs(held.quantity))),
                )
                assert data["newBalance"] == pytest.approx(float(after.balance), abs=1e-9)
            if kind:
                assert data["symbol"] == platform_symbol(symbol)


def test_without_states_they_are_the_same_but_for_what_only_the_state_says(told):
    for row, _, entries in told:
        for one, other in zip(entries, without_states(row), strict=True):
            assert (one.id, one.fields["event"]) == (other.id, other.fields["event"])
            if "type" in other.fields:
                mine, theirs = (json.loads(e.fields["data"]) for e in (one, other))
                unknown = {name for name in theirs if theirs[name] is None}
                assert unknown <= {"newBalance", "positionId"}
                same = {"reason", *unknown}
                assert {k: v for k, v in mine.items() if k not in same} == {
                    k: v for k, v in theirs.items() if k not in same
                }


def test_a_row_that_cannot_be_read_is_one_entry_that_says_so():
    row = Decided(7, "acct-1", 3, 5, "test", (), "of a later release")
    [entry] = without_states(row)
    assert (entry.id, entry.fields["kind"]) == (EventId(7, 0), "UNREADABLE")
    assert "of a later release" in entry.fields["event"].decode()
    assert "type" not in entry.fields


def test_a_state_that_does_not_lead_on_waits_for_the_actors(world):
    states = DurableStates(world.actors.get)
    mine = [row for row in world.rows if row.stream == "life-4"]
    for row in mine[5:-1]:
        states.follow(row)
    assert "life-4" not in states.known
    states.follow(mine[-1])
    assert states.known["life-4"] is world.actors["life-4"]
    assert states.follow(mine[3]) == [None] * (len(mine[3].facts) + 1), "known before it was read"
    assert states.known["life-4"] is world.actors["life-4"]


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 12), st.data())
def test_what_is_kept_has_all_behind_where_it_begins(counts, most, data):
    recent, everything = Recent(100, most), []
    for number, count in enumerate(counts, 101):
        row = [Entry(EventId(number, part), {}) for part in range(count)]
        everything += row
        recent.add(number, row)
        assert recent.end == number
    assert len(everything) <= most or len(recent.after(recent.whole_from, 10**6)) <= most + most // 4 + 4
    behind = [e for e in everything if e.id > recent.whole_from]
    assert recent.after(recent.whole_from, 10**6) == behind
    if behind:
        at = data.draw(st.integers(0, len(behind) - 1))
        assert recent.after(behind[at].id, 5) == behind[at + 1 : at + 6]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_stream_that_was_cut_off_anywhere_becomes_whole(data, server):
    """Whatever was lost, also a part of a row, and wherever the engine was when it started again."""
    server.reset()
    world = World(seeds=(0, 4), events=60)
    before = data.draw(st.integers(0, 25), "decided before the start")
    world.decide(before) if before else None
    events = [e for row in world.rows for e in events_of(row)]
    kept = data.draw(st.integers(0, len(events)), "events that the stream has")
    client = server.client()
    for event in events[:kept]:
        client.xadd(STREAM, {"event": json.dumps(event.flat())}, id=str(event.id))
    with Published(world, server.url) as published:
        world.decide(data.draw(st.integers(1, 9), "decisions after it"))
        wanted = [str(e.id) for row in world.rows for e in events_of(row)]
        until(lambda: [i for i, _ in client.xrange(STREAM)] == wanted, "all of them")
        until(lambda: published.stats.lag == 0, "no lag")
    assert not published.alarms.told
    assert EventId(1, 0) < EventId(1, ALL_PARTS) < EventId(2, 0)

"""How a waiting message is shown."""

from __future__ import annotations

from pykka.messages import _ActorStop

from actors.core.messages import Lane, Ping, Wake
from actors.core.units import Symbol
from actors.runtime.envelope import describe, lane_of, shown


class Rude:
    def __repr__(self):
        raise RuntimeError("no")


def test_describe_names_lane_kind_age_and_cause():
    seen = describe((Wake(Symbol("ETHUSDT"), "tick:7"), None, 0), 5_000_000)
    assert (seen.lane, seen.kind, seen.age_ms, seen.cause) == ("market", "Wake", 5.0, "tick:7")
    assert describe(("x" * 1000, None, 9), 5).age_ms == 0
    assert len(describe(("x" * 1000, None, 0), 5).content) == 200


def test_a_repr_that_raises_hides_nothing():
    assert shown(Rude()) == "<Rude: its repr raised RuntimeError('no')>"


def test_lanes_of_messages_that_are_not_ours():
    assert lane_of(_ActorStop()) is Lane.CONTROL
    assert lane_of("text") is Lane.COMMANDS
    assert lane_of(Ping()) is Lane.CONTROL

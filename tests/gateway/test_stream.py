"""A stream is believed while REST agrees with it, and not a moment because it is connected."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.stream import GRACE_MS, Known, StreamProof, StreamState

BTC = "BTCUSDT"


def test_a_connected_stream_is_unproven_until_it_told_what_rest_confirms():
    proof = StreamProof()
    assert proof.state is StreamState.UNPROVEN
    proof.stream_reported("a", Known(D(0), False))
    assert proof.state is StreamState.UNPROVEN
    proof.rest_reported("a", Known(D(0), False), 0)
    assert proof.state is StreamState.UP


def test_rest_first_and_stream_in_time_proves_it_too():
    proof = StreamProof()
    proof.rest_reported("a", Known(D(1), True), 0)
    assert not proof.overdue(GRACE_MS - 1)
    proof.stream_reported("a", Known(D("0.5"), False))
    assert proof.state is StreamState.UNPROVEN
    proof.stream_reported("a", Known(D(1), True))
    assert proof.state is StreamState.UP
    assert not proof.overdue(10 * GRACE_MS)


def test_what_rest_knows_and_the_stream_never_tells_is_named():
    proof = StreamProof()
    proof.rest_reported("a", Known(D("0.5"), False), 100)
    proof.rest_reported("a", Known(D(1), True), 200)
    assert not proof.overdue(99 + GRACE_MS)
    assert "never reported that a has ended (1 executed)" in proof.overdue(100 + GRACE_MS)


def test_a_stream_that_is_down_says_why_once_and_is_unproven_again_after_a_connect():
    proof = StreamProof()
    assert proof.down("403")
    assert not proof.down("403")
    assert proof.down("closed")
    proof.rest_reported("a", Known(D(1), True), 0)
    assert not proof.overdue(10 * GRACE_MS)
    proof.connected()
    assert (proof.state, proof.reason) == (StreamState.UNPROVEN, "")


def test_what_was_known_before_the_connection_is_not_owed_by_it():
    proof = StreamProof()
    proof.connected()
    proof.known_before("a", Known(D(1), False))
    proof.rest_reported("a", Known(D(1), False), 0)
    assert not proof.overdue(10 * GRACE_MS)
    assert proof.state is StreamState.UNPROVEN
    proof.rest_reported("a", Known(D(2), False), 0)
    assert proof.overdue(10 * GRACE_MS)


def test_a_position_that_the_stream_never_told_is_named():
    proof = StreamProof()
    proof.rest_reported_positions({BTC: D(1)}, 0)
    proof.rest_reported_positions({BTC: D(1)}, 10)
    assert not proof.overdue(10 * GRACE_MS)
    proof.rest_reported_positions({BTC: D(3)}, 20)
    assert not proof.overdue(19 + GRACE_MS)
    assert "position in BTCUSDT is 3" in proof.overdue(20 + GRACE_MS)
    proof.stream_reported_position(BTC, D(3))
    assert not proof.overdue(10 * GRACE_MS)


def test_a_position_that_is_gone_must_have_been_told_too():
    proof = StreamProof()
    proof.rest_reported_positions({BTC: D(1)}, 0)
    proof.rest_reported_positions({}, 10)
    assert "position in BTCUSDT is 0" in proof.overdue(10 + GRACE_MS)


def test_a_new_symbol_that_was_told_is_no_surprise():
    proof = StreamProof()
    proof.rest_reported_positions({}, 0)
    proof.stream_reported_position(BTC, D(1))
    proof.stream_reported_position(BTC, D(2))
    proof.rest_reported_positions({BTC: D(1)}, 10)
    proof.rest_reported_positions({BTC: D(2)}, 20)
    assert not proof.overdue(10 * GRACE_MS)


@st.composite
def lives(draw):
    """Orders that fill step by step, each step told by both sides, each side in its own order of orders."""
    steps = {f"o{n}": draw(st.integers(1, 4)) for n in range(draw(st.integers(1, 5)))}
    moves = [(side, id_) for id_, count in steps.items() for side in ("rest", "stream") for _ in range(count)]
    return steps, draw(st.permutations(moves)), draw(st.lists(st.integers(0, 40), min_size=len(moves)))


@given(lives())
def test_a_stream_that_tells_everything_in_time_never_goes_down(life):
    steps, moves, waits = life
    proof, now_ms, told = StreamProof(), 0, {}
    for (side, id_), wait_ms in zip(moves, waits, strict=False):
        now_ms += wait_ms
        told[side, id_] = told.get((side, id_), 0) + 1
        known = Known(D(told[side, id_]), told[side, id_] == steps[id_])
        if side == "rest":
            proof.rest_reported(id_, known, now_ms)
        else:
            proof.stream_reported(id_, known)
        assert not proof.overdue(now_ms)
    # At most 40 messages, 40 ms apart: all in time, and all told in the end.
    assert not proof.overdue(now_ms + 10 * GRACE_MS)


@given(lives(), st.integers(0, 100))
def test_a_stream_that_stops_telling_is_found_out(life, chosen):
    steps, moves, _ = life
    silent = sorted(steps)[chosen % len(steps)]
    proof, told = StreamProof(), {}
    for side, id_ in moves:
        told[side, id_] = told.get((side, id_), 0) + 1
        known = Known(D(told[side, id_]), told[side, id_] == steps[id_])
        if side == "rest":
            proof.rest_reported(id_, known, 0)
        elif (id_, told[side, id_]) != (silent, steps[id_]):
            proof.stream_reported(id_, known)
    assert silent in proof.overdue(GRACE_MS)


def test_what_was_told_before_the_first_look_was_told():
    proof = StreamProof()
    proof.connected()
    # REST saw 1 when it was asked, and the stream told 2 before that answer was here.
    proof.stream_reported_position(BTC, D(2))
    proof.stream_reported_position("ETHUSDT", D(5))
    proof.rest_reported_positions({BTC: D(1)}, 0)
    proof.rest_reported_positions({BTC: D(2), "ETHUSDT": D(5)}, 10)
    assert not proof.overdue(10 * GRACE_MS)

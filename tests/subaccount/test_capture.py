"""The file of a capture: what was put in comes out, and a file that is not whole is named so."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.errors import BadInput
from actors.core.messages import PlaceOrder
from actors.limits.model import RiskLimits
from actors.subaccount import capture
from actors.subaccount.capture import Capture, Handled
from actors.subaccount.decide import decide
from actors.subaccount.recording import Recorded, inputs_of, watched
from tests.factories import BUY, ETH, WIDE, account, market, position

ORDER = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.10"), leverage=D(20), cause="api:ann:1")


def recorded():
    state = account(positions=[position()], overrides=(("max_positions", "7"),))
    state = replace(state, limits=replace(WIDE, max_positions=7))
    decision = decide(state, ORDER, watched(market()))
    return Recorded(
        before=state,
        message=ORDER,
        inputs=inputs_of(decision.now.market),
        facts=decision.facts,
        reply=decision.reply,
    )


MADE = Capture(
    account="acct-1",
    made_ms=5,
    program="1.2.3",
    decisions=(capture.captured(recorded()),),
    trace=(Handled(at_ms=1, kind="Wake", cause="tick", content="Wake()", took_us=9),),
)
DATA = capture.encode(MADE)


def test_what_was_put_in_comes_out():
    found, one = capture.decode(DATA, "x"), recorded()
    assert found == MADE
    [decision] = found.decisions
    assert (decision.before(), decision.told(), decision.inputs) == (one.before, ORDER, one.inputs)
    assert decision.before().limits.max_positions == 7
    assert decision.decided() == one.facts
    assert (decision.sequence, decision.cause, decision.position) == (1, "api:ann:1", 0)
    assert b'"0.10"' in bytes(decision.facts), "no digit is lost"


def test_a_file_of_another_kind_or_version_says_so():
    for data, why in (
        (b"", "x: cut off after 0 bytes"),
        (b"hello", "x: not a capture; 'bulkhead capture ACCOUNT -o FILE' makes one"),
        (b"{}" * 999, "not a capture"),
        (b"\x89PNG\r\n\x1a\n", "not a capture"),
        (
            DATA.replace(b"capture 1", b"capture 2", 1),
            "a capture of version '2', and this release reads version 1",
        ),
        (DATA.replace(b"capture 1", b"capture \xff", 1), "a capture of version"),
        (DATA + b"x", "longer than it was"),
        (DATA[:30], "cut off inside its first line"),
        (DATA[:8], "cut off after 8 bytes"),
        (DATA[:-1], "cut off: "),
        (capture.MAGIC + b"1 2 3 4\n{}", "its first line is damaged"),
        (capture.MAGIC + b"1 x y\n{}", "its first line is damaged"),
        (capture.MAGIC + b"1 2 " + capture._hash(b"{}").encode() + b"\n{}", "that cannot be read"),
    ):
        with pytest.raises(BadInput) as refused:
            capture.decode(data, "x")
        assert why in str(refused.value), data[:40]


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_flipped_byte_anywhere_is_found(place, flip):
    changed = bytearray(DATA)
    changed[place] ^= flip
    with pytest.raises(BadInput, match=r"^x: "):
        capture.decode(bytes(changed), "x")


@given(st.integers(0, len(DATA) - 1))
def test_a_file_that_is_cut_off_anywhere_is_found(length):
    with pytest.raises(BadInput, match="cut off"):
        capture.decode(DATA[:length], "x")


def test_a_state_message_or_fact_that_reads_otherwise_is_refused():
    [one] = MADE.decisions
    for changed, read, why in (
        (replace(one, state_hash="0" * 32), "before", "reads as another one than was captured"),
        (replace(one, state_version=9), "before", "of a later release"),
        (replace(one, base_limits=RiskLimits()), None, ""),
        (replace(one, message=capture.NOTHING), "told", "could not be written down"),
        (replace(one, message_kind="Nonsense"), "told", "a Nonsense cannot be replayed"),
        (replace(one, facts_version=9), "decided", "of a later release"),
    ):
        if read is None:
            assert changed.before().limits.max_positions == 7
            continue
        with pytest.raises(BadInput, match=why):
            getattr(changed, read)()


def test_a_message_that_cannot_be_written_down_leaves_the_rest_readable():
    odd = replace(recorded(), message=object(), facts=())
    made = capture.captured(odd, "TypeError: no", "Traceback")
    found = capture.decode(capture.encode(replace(MADE, decisions=(made,))), "x").decisions[0]
    assert (found.error, found.traceback, found.message_kind, found.cause) == (
        "TypeError: no",
        "Traceback",
        "object",
        "",
    )
    with pytest.raises(BadInput, match="the object of decision 0 could not be written down"):
        found.told()

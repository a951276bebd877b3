"""A clearing's state as it is kept.

Covers: actors/core/state_hash.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.clearing.fold import fold
from actors.clearing.state_codec import VERSION, decode, encode, state_hash
from actors.core.errors import StateCorrupt
from tests.clearing.test_fold import BLANK, LOST, WITH_BLOCK, WITH_END, WITH_ROUND

WITH_LOST = fold(WITH_END, LOST)
STATES = (BLANK, WITH_BLOCK, WITH_ROUND, WITH_END, WITH_LOST, replace(WITH_LOST, house=D("-1.8")))


@pytest.mark.parametrize("state", STATES)
def test_what_is_read_is_what_was_written(state):
    assert decode(VERSION, encode(state)) == state
    assert state_hash(decode(VERSION, encode(state))) == state_hash(state)


def test_states_that_differ_have_hashes_that_differ():
    assert len({state_hash(state) for state in STATES}) == len(STATES)
    [block] = WITH_ROUND.blocks
    parts = block.rounds[0].allocations
    swapped = replace(block.rounds[0], allocations=(replace(parts[0], fee=D("0.2")), parts[1]))
    other = replace(WITH_ROUND, blocks=(replace(block, rounds=(swapped,)),))
    assert state_hash(other) != state_hash(WITH_ROUND)


def test_a_state_of_before_the_house_had_anything_reads_and_hashes_as_it_did():
    earlier = encode(WITH_END).replace(b',"lost":[],"house":"0"', b"")
    assert b"house" not in earlier
    assert decode(VERSION, earlier) == WITH_END
    assert state_hash(WITH_END) == "3a1676fc323add07944c5efc0e873c21"


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (VERSION + 1, b"{}"),
        (VERSION, b"{}"),
        (VERSION, b"\xff"),
        (VERSION, encode(WITH_ROUND).replace(b'"0.3"', b'"NaN"')),
        (0, encode(WITH_ROUND)),
    ],
)
def test_what_cannot_be_read_is_refused(version, data):
    with pytest.raises(StateCorrupt):
        decode(version, data)


def test_an_earlier_version_is_read_step_by_step():
    earlier = encode(WITH_END).replace(b'"next_block"', b'"next"')

    def upcast(fields):
        return {**{k: v for k, v in fields.items() if k != "next"}, "next_block": fields["next"]}

    assert decode(0, earlier, {0: upcast}) == WITH_END

"""Clearing's facts as the journal keeps them: a vocabulary of its own, with its own version."""

from __future__ import annotations

import json
from decimal import Decimal as D

import pytest

from actors.core import fact_codec
from actors.core.clearing_fact_codec import VERSION, decode, decode_lines, encode
from actors.core.clearing_facts import BlocksForgotten
from actors.core.enums import OrderStatus
from actors.core.errors import StateCorrupt
from tests.persistence.blocks import Blocks


def life():
    author = Blocks()
    formed = author.form([("acct-1", "a-1", "0.10"), ("acct-2", "b-1", "0.2")])
    author.round(formed, [(7, "0.1", "2000.0"), (9, "0.05", "2000.0")], [("a-1", "0.05"), ("b-1", "0.10")])
    author.end(formed, "0.15", OrderStatus.EXPIRED, -2, "no more")
    author.forget(1)
    author.lost("bh-lost", [(11, "0.10", "2001"), (12, "0.2", "2000.5")], fee=None)
    return [decision.facts for decision in author.batch]


def test_every_fact_is_read_back_as_it_was_to_the_text_of_each_number():
    for facts in life():
        data = encode(facts)
        assert decode(VERSION, data) == facts
        assert encode(decode(VERSION, data)) == data
    assert decode_lines(VERSION, b"\n".join(map(encode, life()))) == life()


def test_a_row_names_its_fact_as_a_row_of_an_account_does():
    assert json.loads(encode((BlocksForgotten((1, 2)),))) == [{"fact": "BlocksForgotten", "blocks": [1, 2]}]


def test_an_account_s_codec_reads_none_of_it():
    with pytest.raises(StateCorrupt, match="cannot be read"):
        fact_codec.decode(fact_codec.VERSION, encode(life()[0]))


def test_what_is_of_a_later_release_or_no_number_is_refused_by_name():
    with pytest.raises(
        StateCorrupt, match=f"facts of clearing of version {VERSION + 1}, which is of a later"
    ):
        decode(VERSION + 1, encode(life()[0]))
    with pytest.raises(StateCorrupt, match="facts of clearing of version 1 cannot be read"):
        decode(VERSION, b'[{"fact": "BlockLost"}]')
    with pytest.raises(StateCorrupt, match=r"executed is NaN"):
        decode(VERSION, encode(life()[2]).replace(b'"0.15"', b'"NaN"'))


def test_an_earlier_version_goes_through_its_step():
    said_then = encode(life()[3]).replace(b"BlocksForgotten", b"BlocksDropped")
    step = {0: lambda facts: [{**fact, "fact": "BlocksForgotten"} for fact in facts]}
    assert decode(0, said_then, step) == life()[3]
    with pytest.raises(StateCorrupt, match="nothing leads from 0 on"):
        decode(0, said_then)
    assert D("0.15") == life()[2][0].executed

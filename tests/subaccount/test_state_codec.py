"""States as they are kept: read back as they were, hashed the same wherever they come from, refused when they are no states."""

from __future__ import annotations

import json
from decimal import Decimal as D
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from actors.core import fact_codec
from actors.core.enums import AccountStatus, Phase
from actors.core.errors import StateCorrupt
from actors.core.facts import AccountCarried
from actors.core.messages import PlaceOrder, PlatformKnown
from actors.limits.model import RiskLimits
from actors.subaccount import state_codec
from actors.subaccount.fold import fold, folded
from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import VERSION, decode, encode, state_hash
from tests.factories import BUY, ETH, WIDE, account, position, run
from tests.subaccount.days import STEPS, day_of


def kept(state):
    """A state as it is read back."""
    return decode(VERSION, encode(state), state.base_limits)


@settings(max_examples=80, deadline=None)
@given(STEPS, st.integers(0, 2**32))
def test_the_journal_s_facts_make_the_live_state_also_through_snapshots_at_any_place(steps, seed):
    """The property of issue 13: fold(decoded facts) = the live state, and equal hashes."""
    day, random = day_of(steps), Random(seed)
    state = day.first
    for facts, after in day.decisions:
        if random.random() < 0.3:
            state = kept(state)
        read = fact_codec.decode(fact_codec.VERSION, fact_codec.encode(facts))
        assert read == facts
        state = replace(folded(state, read), sequence=state.sequence + 1)
        assert state == after
        assert state_hash(state) == state_hash(after) == state_hash(kept(after))


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_a_state_that_is_carried_over_begins_a_journal_as_it_was(steps):
    state = day_of(steps).state
    carried = AccountCarried(VERSION, msgspec.Raw(encode(state)))
    [fact] = fact_codec.decode(fact_codec.VERSION, fact_codec.encode([carried]))
    blank = AccountState(account_id=state.account_id, base_limits=state.base_limits, limits=state.base_limits)
    assert fold(blank, fact) == state


def test_limits_below_and_what_the_platform_changed_are_neither_kept_nor_hashed():
    state = account(overrides=(("max_positions", "3"),))
    other = replace(state, limits=RiskLimits(), base_limits=RiskLimits(), platform=PlatformKnown())
    assert encode(other) == encode(state)
    assert state_hash(other) == state_hash(state)
    assert not state_codec.NOT_KEPT & set(json.loads(encode(other)))
    found = decode(VERSION, encode(state), WIDE)
    assert found.limits == replace(WIDE, max_positions=3)


CHANGES = [
    {"account_id": "acct-2"}, {"status": AccountStatus.FROZEN}, {"maintenance_rate": D("0.006")}, {"sequence": 1},
    {"balance": D("1000.1")}, {"below": ()}, {"below": (("max_leverage", "7"),)}, {"positions": ()}, {"retry_at_ms": 5},
    {"phase": Phase.STUCK}, {"positions": (position(quantity="2"),)}, {"overrides": (("max_leverage", "7"),)},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
def test_whatever_differs_has_another_hash(changes):
    state = account(positions=[position()])
    assert state_hash(replace(state, **changes)) != state_hash(state)


def test_the_hash_follows_the_text_of_a_number_and_not_who_made_it():
    state = account("1000.10")
    assert state_hash(replace(state, balance=D("1000.1") + D("0.00"))) == state_hash(state)
    assert state_hash(state) == state_hash(kept(state))


def test_a_field_that_a_later_release_adds_changes_no_hash_while_it_says_nothing():
    """So that the hashes that were recorded with the golden journals stay right."""
    later = msgspec.defstruct(
        "AccountState",
        [(f.name, f.type, f.default) for f in fields(AccountState) if f.name != "account_id"]
        + [("added", int, 0), ("more", tuple[str, ...], ()), ("account_id", str)],
        kw_only=True,
    )
    state = account(positions=[position()])
    same = later(**{f.name: getattr(state, f.name) for f in fields(AccountState)})
    keeps = (*state_codec._KEPT, "added", "more")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_codec, "_KEPT", keeps)
        assert state_hash(same) == state_hash_before(state)


def state_hash_before(state):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_codec, "_KEPT", tuple(n for n in state_codec._KEPT if n not in {"added", "more"}))
        return state_hash(state)


WRONG = [
    (b"", "Input data was truncated"),
    (b"[]", "Expected `object`, got `array`"),
    (b'{"account_id":1}', r"Expected `str`, got `int` - at `\$.account_id`"),
    (b'{"account_id":"a","balance":"NaN"}', "balance is NaN, which is no number"),
    (b'{"account_id":"N, N or Nan","balance":"NaN"}', "balance is NaN, which is no number"),
    (b'{"account_id":"a","balance":"much"}', r"Invalid decimal string - at `\$.balance`"),
    (b'{"account_id":"a","phase":"ASLEEP"}', r"Invalid enum value 'ASLEEP' - at `\$.phase`"),
    (b'{"account_id":"a","overrides":[["max_cats","9"]]}', "max_cats: no such limit"),
    (b"{}", "missing required field `account_id`"),
    (b"\xff\xfe", "malformed|invalid utf-8|Invalid"),
]


@pytest.mark.parametrize(("data", "text"), WRONG)
def test_what_is_no_state_is_refused_and_says_why(data, text):
    with pytest.raises(StateCorrupt, match=rf"a state of version {VERSION} cannot be read: .*({text})"):
        decode(VERSION, data)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_a_number_that_is_none_is_found_at_any_depth(number):
    state = run(account("5000", [position()]), PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")))
    plain = json.loads(encode(state))
    plain["orders"][0]["intent"]["margin_reserved"] = number
    with pytest.raises(StateCorrupt, match=rf"orders\[0\].intent.margin_reserved is {number}"):
        decode(VERSION, json.dumps(plain).encode())


# -- versions


def test_a_later_release_s_state_is_refused_with_both_versions():
    with pytest.raises(StateCorrupt, match="version 9, which is of a later release: this one knows 1"):
        decode(9, encode(account()))


def test_a_state_of_earlier_versions_is_upcast_step_by_step():
    def named(plain):
        return {**plain, "balance": plain.pop("cash")}

    def split(plain):
        return {**plain, "deposits": plain["balance"], "account_id": f"acct-{plain.pop('number')}"}

    old = json.dumps({"number": 7, "cash": "12.50"}).encode()
    found = decode(-1, old, upcasts={-1: named, 0: split})
    assert (found.account_id, found.balance, found.deposits) == ("acct-7", D("12.50"), D("12.50"))
    with pytest.raises(StateCorrupt, match="version -1 cannot be read: nothing leads from 0 on"):
        decode(-1, old, upcasts={-1: named})


def test_an_upcast_that_cannot_be_made_is_refused_as_what_cannot_be_read():
    with pytest.raises(
        StateCorrupt, match="a state of version 0 cannot be read: from 0 on, KeyError: 'cash'"
    ):
        decode(0, b"{}", upcasts={0: lambda plain: {"balance": plain["cash"]}})
    with pytest.raises(StateCorrupt, match="a state of version 0 cannot be read: "):
        decode(0, b"garbage", upcasts={0: lambda plain: plain})


def test_fields_that_are_empty_or_zero_by_default_are_not_written_and_a_zero_of_another_text_is():
    [held] = [replace(position(), mae=D("0E-12"), realized=D(0))]
    state = account(
        positions=[held], deposits=D("0.00"), realized=D("0E-12"), fees=D("-0"), phase=Phase.HEALTHY
    )
    written = json.loads(encode(state))
    assert {"funding", "bad_debt", "orders", "retry_at_ms", "settled", "overrides"}.isdisjoint(written)
    assert {"phase", "status", "maintenance_rate", "risk"} <= set(written)
    assert (written["deposits"], written["realized"], written["fees"]) == ("0.00", "0E-12", "-0")
    assert (written["positions"][0]["mae"], written["positions"][0]["realized"]) == ("0E-12", "0")
    assert kept(state) == state
    assert state_hash(kept(state)) == state_hash(state)


def test_an_order_s_zero_where_nothing_is_the_default_is_read_back_as_zero():
    """None is the default there, and zero is something else."""
    state = run(account("5000"), PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")))
    [order] = state.orders
    odd = replace(order, exchange_order_id=0, intent=replace(order.intent, reference_price=D(0)))
    state = replace(state, orders=(odd,))
    assert kept(state).orders == (odd,)

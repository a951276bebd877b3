"""Ids that nobody repeats: not another account, order, start or fleet; and what an id says of itself."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.order_ids import (
    DIGITS,
    FIXED,
    FleetId,
    Origin,
    StartId,
    client_order_id,
    parsed,
    part_of,
    sequence_of,
)
from actors.core.units import AccountId

AT_THE_EXCHANGE = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
parts = st.text(DIGITS, min_size=6, max_size=6)
origins = st.builds(Origin, parts, parts)
accounts = st.text(min_size=1, max_size=80)
sequences = st.integers(0, 2**25 - 1)
orders = st.tuples(origins, accounts, sequences)


@given(orders)
def test_an_id_is_at_most_32_characters_of_what_the_exchange_takes_and_says_what_it_is(order):
    origin, account, sequence = order
    id_ = client_order_id(*order)
    assert len(id_) <= 32
    assert AT_THE_EXCHANGE.match(id_)
    name = parsed(id_)
    assert (name.fleet, name.start, name.sequence) == (origin.fleet, origin.start, sequence)
    assert sequence_of(id_, origin.fleet, account) == sequence
    assert sequence_of(id_, origin.fleet, account + "x") is None
    assert client_order_id(*order) == id_


@given(st.lists(orders, unique=True, max_size=50))
def test_no_two_fleets_starts_accounts_or_sequences_share_an_id(found):
    assert len({client_order_id(*order) for order in found}) == len(found)


def test_thousands_of_accounts_share_none():
    ids = Counter(
        client_order_id(FIXED, AccountId(f"acct-{n}"), s) for n in range(20_000) for s in (0, 31, 32)
    )
    assert len(ids) == 60_000


def test_an_account_s_order_beyond_any_count_still_fits_the_exchange():
    id_ = client_order_id(FIXED, AccountId("x" * 100), 2**45 - 1)
    assert len(id_) == 36
    assert parsed(id_).sequence == 2**45 - 1


@given(orders, parts)
def test_another_fleet_s_id_of_the_same_account_is_none_of_ours(order, fleet):
    origin, account, sequence = order
    expected = sequence if fleet == origin.fleet else None
    assert sequence_of(client_order_id(*order), fleet, account) == expected


def test_ids_of_releases_before_are_understood():
    # As version 3 made it for acct-42.
    id_ = "bh-34fd7db604f777c4-7"
    assert parsed(id_).fleet == ""
    assert sequence_of(id_, FleetId("aaaaaa"), AccountId("acct-42")) == 7
    assert sequence_of(id_, FleetId("aaaaaa"), AccountId("acct-43")) is None


@pytest.mark.parametrize(
    "id_",
    [
        "", "bh", "bh-", "web_123", "bh-ghost-1", "bh-0123456789abcdef-", "bh-0123456789abcdef-07", "bh-0123456789ABCDEF-7",
        "bh-0123456789abcde-7", "bh-0123456789abcdef-x", "bh-aaaaaa-1111110123456789-", "bh-aaaaaa-1111110123456789-0z",
        "bh-aaaaau-1111110123456789-z", "bh-aaaaaa-111111012345678-z", "xbh-aaaaaa-1111110123456789-z",
        "bh-aaaaaa-1111110123456789-z\n", "BH-aaaaaa-1111110123456789-z", "bh-0123456789abcdef-\u0663",
    ],
)  # fmt: skip
def test_what_no_release_makes_is_nobody_s(id_):
    assert parsed(id_) is None
    assert sequence_of(id_, FleetId("aaaaaa"), AccountId("acct-42")) is None


@given(st.binary(min_size=6, max_size=6))
def test_random_bytes_make_a_part(random):
    made = part_of(random)
    assert parsed(client_order_id(Origin(FleetId(made), StartId(made)), AccountId("a"), 1)).fleet == made

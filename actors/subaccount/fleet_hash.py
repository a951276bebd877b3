"""One hash over the states of all accounts and clearings: what was stopped is what came back. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import state_hash

_PACK = msgspec.msgpack.Encoder().encode


def fleet_hash(states: Iterable[AccountState]) -> str:
    """The hash of a fleet, in hex: equal for the same states, in whatever order they come."""
    return fleet_hash_of((state.account_id, state_hash(state)) for state in states)


def fleet_hash_of(hashes: Iterable[tuple[str, str]]) -> str:
    """The same, of streams with their state hashes; a whole fleet's states need not be in memory for it."""
    return fleet_hash_in_order(sorted(hashes))


def fleet_hash_in_order(hashes: Iterable[tuple[str, str]]) -> str:
    """The same, of what is sorted by id: blake2b, 16 bytes, over the msgpack arrays of id and hash."""
    digest = hashlib.blake2b(digest_size=16)
    for pair in hashes:
        digest.update(_PACK(pair))
    return digest.hexdigest()

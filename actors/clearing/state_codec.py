"""A clearing's state as it is kept, and its hash. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors.clearing.state import ClearingState
from actors.core.fact_codec import decoded
from actors.core.state_hash import hash_of

VERSION = 1

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: Mapping[int, Upcast] = {}
"""From each version before ``VERSION``, a state as it is kept in the next; see ``core.fact_codec``."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ClearingState)


def encode(state: ClearingState) -> bytes:
    """A state as JSON."""
    return _ENCODER.encode(state)


def decode(version: int, data: bytes | msgspec.Raw, upcasts: Mapping[int, Upcast] = UPCASTS) -> ClearingState:
    """The state that ``encode`` of some release was given.

    Raises:
        StateCorrupt: of a later version than this program knows, or no state at all; says which.
    """
    return decoded("a clearing's state", _DECODER, version, VERSION, data, upcasts)


def state_hash(state: ClearingState) -> str:
    """A hash of all that facts made of a symbol's clearing, in hex: equal for the same facts, whoever folded them, and when."""
    return hash_of(msgspec.to_builtins(state))

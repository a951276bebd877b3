"""An account's state as it is kept, and its hash. Pure.

What is kept is all that facts make, and nothing else: the limits of the layers below the account (``base_limits``) and
what the platform changed (``platform``) come from elsewhere, and what follows from limits is worked out when a state is
read. What an account knew of either when it last decided is kept, as facts made it (``below``, ``status``, ``mode``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import fields

from actors.core.errors import BadConfig, StateCorrupt
from actors.core.fact_codec import refuse_no_number, upcast
from actors.core.state_hash import hash_of
from actors.limits.model import RiskLimits
from actors.subaccount.state import AccountState, with_limits

VERSION = 1

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: Mapping[int, Upcast] = {}
"""From each version before ``VERSION``, a state as it is kept in the next; see ``core.fact_codec``."""

NOT_KEPT = frozenset({"limits", "base_limits", "platform"})

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(AccountState)
_UNKEPT = RiskLimits()
_KEPT = tuple(name for name in AccountState.__struct_fields__ if name not in NOT_KEPT)


def encode(state: AccountState) -> bytes:
    """What is kept of a state, as JSON.

    Fields that are empty, zero or false by default and are so are left out, as in the hash: most are, and reading them
    back was a sixth of a restore. So such a default is never changed.
    """
    kept = _builtins(state)
    _leave_out(state, kept)
    return _ENCODER.encode(kept)


def _builtins(state: AccountState) -> dict[str, Any]:
    kept: dict[str, Any] = msgspec.to_builtins({name: getattr(state, name) for name in _KEPT})
    return kept


def _leave_out(value: msgspec.Struct, plain: dict[str, Any]) -> None:
    """Take out of what a struct is as plain values all that its defaults say; in the structs inside it too."""
    optional = _optional(type(value))
    for name in value.__struct_fields__:
        if name not in plain:
            continue
        said, inner = plain[name], getattr(value, name)
        if name in optional and said == optional[name]:
            del plain[name]
        elif isinstance(inner, msgspec.Struct):
            _leave_out(inner, said)
        elif isinstance(inner, tuple):
            for one, said_of_one in zip(inner, said, strict=True):
                if isinstance(one, msgspec.Struct):
                    _leave_out(one, said_of_one)


@cache
def _optional(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    """The fields of a kind of struct whose defaults are empty, zero or false, with those as plain values."""
    return {
        field.name: msgspec.to_builtins(field.default)
        for field in fields(kind)
        if field.default is not msgspec.NODEFAULT and not field.default
    }


def decode(
    version: int,
    data: bytes | msgspec.Raw,
    base: RiskLimits = _UNKEPT,
    upcasts: Mapping[int, Upcast] = UPCASTS,
) -> AccountState:
    """The state that ``encode`` of some release was given, with ``base`` as the limits below the account.

    Raises:
        StateCorrupt: of a later version than this program knows, or no state at all; says which.
    """
    try:
        if version == VERSION:
            state = _DECODER.decode(data)
        else:
            state = _DECODER.decode(upcast("a state", version, VERSION, data, upcasts))
        refuse_no_number(f"a state of version {version}", data, state)
        if base is _UNKEPT and not state.overrides:
            return state
        return with_limits(state, base, state.overrides)
    except (msgspec.MsgspecError, UnicodeDecodeError, BadConfig) as error:
        raise StateCorrupt(f"a state of version {version} cannot be read: {error}") from None


def state_hash(state: AccountState) -> str:
    """A hash of all that facts made of an account, in hex: equal for the same facts, whoever folded them, and when."""
    return hash_of(_builtins(state))

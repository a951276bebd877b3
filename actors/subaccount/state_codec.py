"""An account's state as it is kept, and its hash. Pure.

What is kept is all that facts make, and nothing else: the limits of the layers below the account (``base_limits``) and
what the platform changed (``platform``) come from elsewhere, and what follows from limits is worked out when a state is
read. What an account knew of either when it last decided is kept, as facts made it (``below``, ``status``, ``mode``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import fields

from actors.core.errors import BadConfig, StateCorrupt
from actors.core.fact_codec import decoded
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
_EMPTY = {
    f.name: f.default for f in fields(AccountState) if f.default is not msgspec.NODEFAULT and not f.default
}
"""Fields whose defaults are empty or zero, with those."""

_EMPTY_TEXTS = frozenset(map(str, _EMPTY.values()))


def encode(state: AccountState) -> bytes:
    """What is kept of a state, as JSON.

    A field of its own that is empty or zero, as its default is, is left out, as in the hash: reading it back takes longer
    than to see that here. So such a default is never changed. Those of positions and orders are written: to take
    them out costs more than to read them.
    """
    kept = {}
    for name in _KEPT:
        value = getattr(state, name)
        # A zero of another text, as 0E-12, is written: the hash tells them apart.
        if value or name not in _EMPTY or (value != _EMPTY[name] or str(value) not in _EMPTY_TEXTS):
            kept[name] = value
    return _ENCODER.encode(kept)


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
    state = decoded("a state", _DECODER, version, VERSION, data, upcasts)
    if base is _UNKEPT and not state.overrides:
        return state
    try:
        return with_limits(state, base, state.overrides)
    except BadConfig as error:
        raise StateCorrupt(f"a state of version {version} cannot be read: {error}") from None


def state_hash(state: AccountState) -> str:
    """A hash of all that facts made of an account, in hex: equal for the same facts, whoever folded them, and when."""
    return hash_of(msgspec.to_builtins({name: getattr(state, name) for name in _KEPT}))

"""An account's state as it is kept, and its hash. Pure.

What is kept is all that facts make, and nothing else: the limits of the layers below the account (``base_limits``) and
what the platform changed (``platform``) come from elsewhere, and what follows from limits is worked out when a state is
read. What an account knew of either when it last decided is kept, as facts made it (``below``, ``status``, ``mode``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors.core.errors import BadConfig, StateCorrupt
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
    """What is kept of a state, as JSON."""
    return _ENCODER.encode({name: getattr(state, name) for name in _KEPT})


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
            state = msgspec.convert(_upcast(version, data, upcasts), AccountState)
        return with_limits(state, base, state.overrides)
    except (msgspec.MsgspecError, BadConfig) as error:
        raise StateCorrupt(f"a state of version {version} cannot be read: {error}") from None


def state_hash(state: AccountState) -> str:
    """A hash of all that facts made of an account, in hex: equal for the same facts, whoever folded them, and when.

    Fields that are empty, zero or false are left out, so that one which a later release adds does not change it.
    """
    kept = msgspec.to_builtins({name: getattr(state, name) for name in _KEPT})
    return hashlib.blake2b(msgspec.json.encode(_bare(kept), order="sorted"), digest_size=16).hexdigest()


def _bare(value: Any) -> Any:
    """Without fields that are None, empty, zero or false."""
    if isinstance(value, dict):
        bare = {name: _bare(inner) for name, inner in value.items()}
        return {name: inner for name, inner in bare.items() if inner not in (None, "", False, 0, "0", [], {})}
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    return value


def _upcast(version: int, data: bytes | msgspec.Raw, upcasts: Mapping[int, Upcast]) -> dict[str, Any]:
    if version > VERSION:
        raise StateCorrupt(f"a state of version {version} is of a later release; this one knows {VERSION}")
    fields: dict[str, Any] = msgspec.json.decode(data)
    for step in range(version, VERSION):
        if step not in upcasts:
            raise StateCorrupt(f"a state of version {version} cannot be read: nothing leads from {step} on")
        fields = upcasts[step](fields)
    return fields

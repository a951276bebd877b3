"""Facts as the journal keeps them: JSON in UTF-8, with the version of the vocabulary that it was written in.

Rules
1. ``VERSION`` counts changes of what is written already means: a fact or field renamed, split or read otherwise. Each
   has its step in ``UPCASTS``, from that version to the next, over plain JSON values.
2. A new fact, or a new field with a default that says what all rows before it meant, is no such change.
3. A default of a field is never changed, and a name is never used again for something else.
4. Nothing is guessed: what cannot be read raises, and puts its stream out of service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact

VERSION = 1

Plain = list[dict[str, Any]]
Upcast = Callable[[Plain], Plain]

UPCASTS: Mapping[int, Upcast] = {}
"""From each version before ``VERSION``, the facts of one decision as they are said in the next."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[tuple[AnyFact, ...]] = msgspec.json.Decoder(tuple[AnyFact, ...])


def encode(facts: Sequence[AnyFact]) -> bytes:
    """The facts of one decision, in the present version."""
    return _ENCODER.encode(facts)


def decode(version: int, data: bytes, upcasts: Mapping[int, Upcast] = UPCASTS) -> tuple[AnyFact, ...]:
    """The facts that ``encode`` of some release was given.

    Raises:
        StateCorrupt: of a later version than this program knows, or not facts at all; says which.
    """
    try:
        if version == VERSION:
            return _DECODER.decode(data)
        return msgspec.convert(_upcast(version, data, upcasts), tuple[AnyFact, ...])
    except msgspec.MsgspecError as error:
        raise StateCorrupt(f"facts of version {version} cannot be read: {error}") from None


def decode_lines(version: int, data: bytes) -> Sequence[tuple[AnyFact, ...]]:
    """The facts of several decisions of one version, a line each.

    Raises:
        StateCorrupt: of a later version than this program knows, or not facts at all; says which.
    """
    if version != VERSION:
        return [decode(version, line) for line in data.split(b"\n")]
    try:
        return _DECODER.decode_lines(data)
    except msgspec.MsgspecError as error:
        raise StateCorrupt(f"facts of version {version} cannot be read: {error}") from None


def _upcast(version: int, data: bytes, upcasts: Mapping[int, Upcast]) -> Plain:
    if version > VERSION:
        raise StateCorrupt(f"facts of version {version} are of a later release; this one knows {VERSION}")
    facts: Plain = msgspec.json.decode(data)
    for step in range(version, VERSION):
        if step not in upcasts:
            raise StateCorrupt(f"facts of version {version} cannot be read: nothing leads from {step} on")
        facts = upcasts[step](facts)
    return facts

"""Facts of clearing as the journal keeps them: as ``core.fact_codec`` keeps those of accounts, with a version of their own.

A row's stream says which vocabulary it is of, so the two versions have nothing to do with each other. The rules are those
of ``core.fact_codec``. Types that both vocabularies hold (``OrderIntended``, ``Trade``) need their step in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.core.clearing_facts import ClearingFact
from actors.core.fact_codec import Upcast, decoded

VERSION = 1

UPCASTS: Mapping[int, Upcast] = {}
"""From each version before ``VERSION``, the facts of one decision as they are said in the next."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[tuple[ClearingFact, ...]] = msgspec.json.Decoder(tuple[ClearingFact, ...])


def encode(facts: Sequence[ClearingFact]) -> bytes:
    """The facts of one decision, in the present version."""
    return _ENCODER.encode(facts)


def decode(version: int, data: bytes, upcasts: Mapping[int, Upcast] = UPCASTS) -> tuple[ClearingFact, ...]:
    """The facts that ``encode`` of some release was given.

    Raises:
        StateCorrupt: of a later version than this program knows, or not facts at all; says which.
    """
    return decoded("facts of clearing", _DECODER, version, VERSION, data, upcasts)


def decode_lines(version: int, data: bytes) -> Sequence[tuple[ClearingFact, ...]]:
    """The facts of several decisions of one version, a line each.

    Raises:
        StateCorrupt: as ``decode`` does.
    """
    return [decode(version, line) for line in data.split(b"\n")]

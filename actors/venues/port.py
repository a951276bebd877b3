"""What the engine needs of a venue. Each venue implements it in its own folder; see ``registry.py``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from actors.core.instruments import Instrument
from actors.core.units import Symbol
from actors.feed.port import Source
from actors.gateway.port import Transport


class VenueConnection(msgspec.Struct, kw_only=True):
    """A venue as the actors use it: its rules, and the ways to it.

    ``watched`` are the symbols whose prices must be fresh. ``rate_symbols`` are those of them that are not
    traded, but give the rate of an asset that fees are taken in. Who starts no gateway needs no
    ``transport``, and who starts no feed no ``source``.
    """

    instruments: Mapping[Symbol, Instrument]
    watched: Sequence[Symbol] = ()
    rate_symbols: Collection[Symbol] = ()
    transport: Transport | None = None
    source: Source | None = None

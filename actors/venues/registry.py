"""The venues that the engine can trade at, by the name that the setting ``venue`` gives.

Another venue is a folder beside ``binance/`` and a line here. Its module has ``Settings``, a struct whose fields
are settings of the engine by their names, and ``open_venue(settings, on_alarm, exposure)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import msgspec

from actors.core.errors import BadConfig
from actors.venues.port import FleetExposure, OnAlarm, Venue

VENUES = {
    "binance": "actors.venues.binance.venue",
}
"""By name: the module that opens it, imported when it is used."""


def open_venue(
    name: str, settings: object, on_alarm: OnAlarm, exposure: Callable[[], FleetExposure]
) -> Venue:
    """Make the venue of a name; nothing is sent yet.

    Args:
        name: one of ``VENUES``.
        settings: has the fields of the venue's own ``Settings``.
        on_alarm: informed of what a person should know.
        exposure: asked for what all accounts hold together.

    Raises:
        BadConfig: no such venue, or a setting that it cannot use; names it.
    """
    if name not in VENUES:
        raise BadConfig(f"venue: {name!r} is none of {', '.join(VENUES)}")
    module = importlib.import_module(VENUES[name])
    made: Venue = module.open_venue(
        msgspec.convert(settings, module.Settings, from_attributes=True), on_alarm, exposure
    )
    return made

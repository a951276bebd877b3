"""Reads the master account's settings at start, and sets what the configuration says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from actors.core.errors import MasterUnfit, VenueRefused
from actors.core.instruments import Instrument
from actors.core.units import Symbol
from actors.venues.binance import rest
from actors.venues.binance.asking import Asker
from actors.venues.binance.discovery import KEY_TROUBLE
from actors.venues.binance.master import LEVERAGE, MasterSettings, Setting, modes, plan
from actors.venues.binance.weight import Urgency

AT_ONCE = 8
"""Requests under way when leverage is set on hundreds of symbols."""

CURE = "set it by hand while the account has no position and no order, or let the engine do it: set_master = true"

Answer = TypeVar("Answer")


def read_master(asker: Asker, urgency: Urgency = Urgency.ORDERS) -> tuple[MasterSettings, tuple[str, ...]]:
    """The master's settings, and what the exchange does not tell.

    Position mode, multi-assets mode and the symbols' settings must be known: an engine that does not know them
    would misread every position.

    Raises:
        ExchangeUnreachable: no usable answer.
        MasterUnfit: a setting that must be known is not readable; names it.
        VenueRefused: the key is not good.
    """
    notices: list[str] = []

    def told(path: str, kind: type[Answer]) -> Answer:
        try:
            return asker.signed("GET", path, kind, urgency)
        except VenueRefused as error:
            if error.code in KEY_TROUBLE:
                raise
            raise MasterUnfit(
                f"the exchange does not tell {path}, and without it no position can be trusted: {error}"
            ) from None

    def perhaps(path: str, kind: type[Answer]) -> Answer | None:
        try:
            return asker.signed("GET", path, kind, urgency)
        except VenueRefused as error:
            if error.code in KEY_TROUBLE:
                raise
            notices.append(f"the exchange does not tell {path}: {error}")
            return None

    account = perhaps("/fapi/v1/accountConfig", rest.AccountConfig)
    burn = perhaps("/fapi/v1/feeBurn", rest.FeeBurn)
    settings = MasterSettings(
        hedge_mode=told("/fapi/v1/positionSide/dual", rest.PositionMode).dualSidePosition,
        multi_assets=told("/fapi/v1/multiAssetsMargin", rest.MultiAssetsMode).multiAssetsMargin,
        symbols={Symbol(c.symbol): c for c in told("/fapi/v1/symbolConfig", list[rest.SymbolConfig])},
        can_trade=None if account is None else account.canTrade,
        fee_tier=None if account is None else account.feeTier,
        bnb_burn=None if burn is None else burn.feeBurn,
    )
    return settings, tuple(notices)


def settle_master(
    asker: Asker,
    instruments: Mapping[Symbol, Instrument],
    leverage: Mapping[str, int],
    *,
    may_set: bool,
    on_progress: Callable[[str], None],
) -> tuple[MasterSettings, tuple[str, ...]]:
    """Read the settings, change what configuration says, and make sure that all fits.

    Returns:
        The settings as they are then, and notices for humans.

    Raises:
        MasterUnfit: what does not fit, by name, with the cure. Nothing was changed unless configuration says so.
        ExchangeUnreachable, VenueRefused: no usable answer.
    """
    found, notices = read_master(asker)
    todo = plan(found, instruments, leverage, may_set=may_set)
    if todo.faults:
        cure = f". To change the modes: {CURE}" if modes(found, instruments) and not may_set else ""
        raise MasterUnfit(f"the master account cannot be traded with: {'; '.join(todo.faults)}{cure}")
    if not todo.changes:
        return found, notices
    on_progress(f"setting {len(todo.changes)} settings of the master account")
    modes_first = [s for s in todo.changes if s.path != LEVERAGE]
    refused = {setting: _set(asker, setting) for setting in modes_first}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rest_of_them = [s for s in todo.changes if s.path == LEVERAGE]
        refused |= dict(zip(rest_of_them, pool.map(lambda s: _set(asker, s), rest_of_them), strict=True))
    # What counts is what the exchange says afterwards: 'no need to change' is no failure.
    found, notices = read_master(asker)
    left = plan(found, instruments, leverage, may_set=True).changes
    known = [s for s in left if s.params.get("symbol", "") in found.symbols or "symbol" not in s.params]
    failed = [*known, *(s for s in left if s not in known and refused.get(s))]
    if failed:
        reasons = "; ".join(dict.fromkeys(filter(None, refused.values()))) or "nothing"
        raise MasterUnfit(
            f"the master account could not be set: {'; '.join(s.text for s in failed)}. The exchange says: {reasons}. "
            "Close its positions and orders first, or change the settings 'set_master' and 'leverage'"
        )
    return found, (*notices, *(f"set on the master account: {s.text}" for s in todo.changes[:AT_ONCE]))


def _set(asker: Asker, setting: Setting) -> str:
    """Send one change; the exchange's reason if it does not take it."""
    try:
        asker.signed("POST", setting.path, msgspec.Raw, params=setting.params)
    except VenueRefused as error:
        return f"{setting.text}: {error}"
    return ""

"""The master account's settings: what they are, what must change, and whether the fleet fits. Pure.

All accounts share one master, so what is set there holds for all of them: positions are netted (one-way mode),
margin is one asset's (single-asset mode) and one pool (cross), and a symbol has one leverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.core.instruments import Instrument
from actors.core.units import ZERO, Symbol, plain
from actors.venues.binance.rest import SymbolConfig

CROSSED = "CROSSED"
NAMED_MAX = 5
DEFAULT = "default"
"""The entry of ``leverage`` for symbols without one of their own."""


class MasterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange says of the master account; None is what it does not say."""

    hedge_mode: bool
    multi_assets: bool
    symbols: Mapping[Symbol, SymbolConfig]
    can_trade: bool | None = None
    fee_tier: int | None = None
    bnb_burn: bool | None = None


LEVERAGE = "/fapi/v1/leverage"


class Setting(msgspec.Struct, frozen=True):
    """One change: what to send, for a human what it does, and which line of the settings asks for it."""

    path: str
    params: Mapping[str, str]
    text: str

    def __hash__(self) -> int:
        """By what it says; equal settings say the same."""
        return hash((self.path, self.text))


class Plan(msgspec.Struct, frozen=True):
    """Changes to make, in order, and what is wrong that settings do not allow to change."""

    changes: tuple[Setting, ...] = ()
    faults: tuple[str, ...] = ()


def plan(
    found: MasterSettings,
    instruments: Mapping[Symbol, Instrument],
    leverage: Mapping[str, int],
    *,
    may_set: bool,
) -> Plan:
    """What to change on the master, and what keeps the engine from starting.

    Args:
        found: the master's settings.
        instruments: what is traded; nothing is set on any other symbol.
        leverage: wanted by symbol, with ``default`` for the rest; a symbol without one keeps what it has.
        may_set: whether modes and margin types may be changed.
    """
    changes: list[Setting] = []
    faults: list[str] = []
    for setting in modes(found, instruments):
        if may_set:
            changes.append(setting)
        else:
            faults.append(setting.text)
    if found.can_trade is False:
        faults.append("the exchange does not let the account trade (canTrade is false); ask the exchange why")
    strange = sorted(set(leverage) - set(instruments) - {DEFAULT})
    faults += [f"leverage names {symbol}, which is not traded here; take it out" for symbol in strange]
    for symbol, instrument in instruments.items():
        if not instrument.is_trading:
            continue  # the exchange takes no change of it
        wanted = wanted_leverage(instrument, leverage)
        most = max_leverage(instrument)
        if wanted is not None and most and wanted > most:
            faults.append(
                f"leverage of {symbol} is set to {wanted}, the exchange allows {most} at most; lower it"
            )
        elif wanted is not None and symbol in found.symbols and found.symbols[symbol].leverage != wanted:
            present = found.symbols[symbol].leverage
            params = {"symbol": str(symbol), "leverage": str(wanted)}
            changes.append(
                Setting("/fapi/v1/leverage", params, f"leverage of {symbol}: {present} -> {wanted}")
            )
    return Plan(tuple(changes), tuple(faults))


def modes(found: MasterSettings, instruments: Mapping[Symbol, Instrument]) -> list[Setting]:
    """The changes that position mode, margin mode and margin types need; none when they fit."""
    changes = []
    if found.hedge_mode:
        changes.append(
            Setting(
                "/fapi/v1/positionSide/dual",
                {"dualSidePosition": "false"},
                "the account is in hedge mode (dualSidePosition is true), one-way mode is needed",
            )
        )
    if found.multi_assets:
        changes.append(
            Setting(
                "/fapi/v1/multiAssetsMargin",
                {"multiAssetsMargin": "false"},
                "the account is in multi-assets mode (multiAssetsMargin is true), single-asset mode is needed",
            )
        )
    for symbol, instrument in instruments.items():
        config = found.symbols.get(symbol)
        if (
            config is not None
            and instrument.is_trading
            and config.marginType.upper() not in {CROSSED, "CROSS"}
        ):
            changes.append(
                Setting(
                    "/fapi/v1/marginType",
                    {"symbol": str(symbol), "marginType": CROSSED},
                    f"the margin type of {symbol} is {config.marginType}, {CROSSED} is needed",
                )
            )
    return changes


def wanted_leverage(instrument: Instrument, leverage: Mapping[str, int]) -> int | None:
    """The leverage that settings want for a symbol; the default is lowered to what the exchange allows."""
    own = leverage.get(instrument.symbol)
    if own is not None:
        return own
    default, most = leverage.get(DEFAULT), max_leverage(instrument)
    return min(default, most) if default is not None and most else default


def max_leverage(instrument: Instrument) -> int:
    """The most that any bracket of the symbol allows; 0 when the exchange did not say."""
    return max((b.max_leverage for b in instrument.brackets), default=0)


def notional_cap(instrument: Instrument, leverage: int) -> Decimal | None:
    """The largest position that the master may hold at a leverage, in the quote asset; None if it is not known."""
    caps = [b.notional_cap for b in instrument.brackets if b.max_leverage >= leverage]
    if not instrument.brackets or not max_leverage(instrument):
        return None
    return max(caps, default=ZERO)


def misfits(
    caps: Mapping[Symbol, Decimal], configured: Decimal, exposure: Mapping[Symbol, Decimal]
) -> list[str]:
    """Where the fleet does not fit under what the master may hold; texts for humans.

    Args:
        caps: by symbol, the largest position at its leverage.
        configured: the most that all accounts together may hold, by their limits.
        exposure: by symbol, the size of the fleet's net position at the mid.
    """
    found = [
        f"{symbol}: the fleet holds {plain(round(size, 2))}, at its leverage the master may hold "
        f"{plain(caps[symbol])}: the exchange refuses what would add to it; lower leverage of {symbol}"
        for symbol, size in sorted(exposure.items())
        if symbol in caps and size > caps[symbol]
    ]
    small = sorted((s for s, cap in caps.items() if cap < configured), key=lambda s: (caps[s], s))
    if small:
        named = ", ".join(f"{s} {plain(caps[s])}" for s in small[:NAMED_MAX])
        more = f" and {len(small) - NAMED_MAX} more" if len(small) > NAMED_MAX else ""
        found.append(
            f"accounts may hold {plain(configured)} in one symbol together, at its leverage the master may hold less "
            f"in {named}{more}: lower 'leverage' or the accounts' limits"
        )
    return found

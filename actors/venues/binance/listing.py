"""Which of the exchange's symbols become instruments, and what changed since. Pure.

Rules
1. Perpetual contracts only, whose quote and margin asset is the configured one: the platform stores a symbol
   as base and quote, accounts hold one asset, and a delivery contract ends by itself.
2. Symbols that settings name and that cannot be traded here are refused by name, with the cure.
3. A symbol in which an account holds a position stays, whatever its status and the settings: it must have a
   price and can be closed. It takes no new risk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from actors.core.instruments import NOT_CONFIGURED, TRADING, Bracket, Instrument
from actors.core.units import Symbol
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.filters import brackets_of, instrument_of
from actors.venues.binance.rest import LeverageBracket, SymbolInfo

PERPETUAL = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL"})
NAMED_MAX = 10

SHOWN = ("status", "tick_size", "step_size", "min_qty", "max_qty", "market_max_qty", "min_notional")
"""Rules whose change is reported with both values."""


class Selection(msgspec.Struct, frozen=True):
    """Instruments by symbol, and what a human should know of those that were left out or are in trouble."""

    instruments: dict[Symbol, Instrument]
    notices: tuple[str, ...] = ()


class Changes(msgspec.Struct, frozen=True):
    """How instruments differ from those before; ``text`` has a line for each that changed."""

    added: tuple[Symbol, ...] = ()
    removed: tuple[Symbol, ...] = ()
    changed: Mapping[Symbol, str] = {}

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.removed or self.changed)


def why_not(info: SymbolInfo, asset: str) -> str:
    """Why a symbol can never be an instrument; empty if it can."""
    if info.contractType not in PERPETUAL:
        return f"{info.symbol} is a {info.contractType or 'pending'} contract; only perpetual contracts can be traded"
    margin = info.marginAsset or info.quoteAsset
    if (info.quoteAsset, margin) != (asset, asset):
        return (
            f"{info.symbol} is quoted in {info.quoteAsset} with margin in {margin}, accounts are in {asset}"
        )
    if info.symbol != info.baseAsset + info.quoteAsset:
        return (
            f"{info.symbol} is not spelled as {info.baseAsset} and {info.quoteAsset}, so it cannot be stored"
        )
    return ""


def select(
    infos: Iterable[SymbolInfo],
    wanted: Collection[str],
    held: Collection[str],
    asset: str,
    *,
    strict: bool = True,
) -> Selection:
    """Choose instruments.

    Args:
        infos: all that the exchange lists.
        wanted: what settings name; empty for everything that is traded.
        held: symbols of open positions and orders.
        asset: quote and margin asset of all accounts.
        strict: raise for what is wrong with a wanted symbol; else leave it out and say so.

    Raises:
        MalformedMessage: settings name what cannot be traded here, or a wanted symbol's rules cannot be used.
    """
    listed = {i.symbol: i for i in infos}
    faults = [
        why_not(listed[s], asset) if s in listed else f"{s} is not listed by the exchange"
        for s in wanted
        if s not in listed or why_not(listed[s], asset)
    ]
    if faults and strict:
        raise MalformedMessage(
            f"symbols: {'; '.join(faults)}. Take {'it' if len(faults) == 1 else 'them'} out of 'symbols'"
            ", or set margin_asset to trade contracts of another asset"
        )
    chosen: dict[Symbol, Instrument] = {}
    notices: list[str] = list(faults)
    for info in listed.values():
        named = info.symbol in wanted
        asked_for = named or (not wanted and info.status == TRADING)
        if not (asked_for or info.symbol in held) or why_not(info, asset):
            continue
        try:
            instrument = instrument_of(info)
        except MalformedMessage as error:
            if named and strict:
                raise
            notices.append(f"left out: {error}")
            continue
        if info.status != TRADING:
            what = "positions in it can hardly be closed" if info.symbol in held else "nobody holds it"
            notices.append(f"{info.symbol} is {info.status}: no new risk in it; {what}")
        elif not asked_for:
            instrument = replace(instrument, status=NOT_CONFIGURED)
            notices.append(
                f"{info.symbol} is not in 'symbols', but somebody holds it: it can be closed, not opened"
            )
        chosen[Symbol(info.symbol)] = instrument
    for symbol in sorted(set(held) - set(chosen)):
        why = why_not(listed[symbol], asset) if symbol in listed else f"{symbol} is not listed any more"
        notices.append(
            f"{why or f'the rules of {symbol} cannot be used'}, but somebody holds it; close it by hand"
        )
    return Selection(chosen, tuple(notices))


def with_brackets(
    instruments: Mapping[Symbol, Instrument], answers: Iterable[LeverageBracket]
) -> tuple[dict[Symbol, Instrument], tuple[str, ...]]:
    """Instruments with their leverage brackets, and what is wrong with those that cannot be used."""
    found: dict[Symbol, tuple[Bracket, ...]] = {}
    notices = []
    for answer in answers:
        symbol = Symbol(answer.symbol)
        if symbol in instruments:
            try:
                found[symbol] = brackets_of(answer)
            except MalformedMessage as error:
                notices.append(f"{error}; {symbol} goes on without leverage brackets")
    return {s: replace(i, brackets=found.get(s, ())) for s, i in instruments.items()}, tuple(notices)


def changes(before: Mapping[Symbol, Instrument], after: Mapping[Symbol, Instrument]) -> Changes:
    """What is new, gone and different."""
    changed = {}
    for symbol in after:
        old = before.get(symbol)
        if old is not None and old != after[symbol]:
            changed[symbol] = _difference(old, after[symbol])
    return Changes(
        tuple(s for s in after if s not in before), tuple(s for s in before if s not in after), changed
    )


def _difference(old: Instrument, new: Instrument) -> str:
    pairs = [(name, getattr(old, name), getattr(new, name)) for name in SHOWN]
    told = [f"{name} {a} -> {b}" for name, a, b in pairs if a != b]
    if old.brackets != new.brackets:
        told.append("leverage brackets")
    return ", ".join(told)


def told_of(found: Changes, held: Collection[str]) -> tuple[list[str], list[str]]:
    """Alarms, for symbols in which an account holds a position, and plain notices for the rest; texts for humans."""
    alarms: list[str] = []
    notices: list[str] = []
    for symbol, text in found.changed.items():
        line = f"the exchange changed {symbol}: {text}"
        (alarms if symbol in held else notices).append(line)
    for symbol in found.removed:
        line = f"the exchange does not trade {symbol} any more"
        if symbol in held:
            alarms.append(f"{line}, but somebody holds it; close it by hand")
        else:
            notices.append(line)
    if found.added:
        more = f" and {len(found.added) - NAMED_MAX} more" if len(found.added) > NAMED_MAX else ""
        notices.append(f"new symbols: {', '.join(found.added[:NAMED_MAX])}{more}")
    return alarms, notices

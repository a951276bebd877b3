"""Websocket messages of Binance USD-M futures, by the exchange's one-letter names. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.units import ZERO
from actors.venues.binance.errors import MalformedMessage


class BookTickerEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``<symbol>@bookTicker``: best bid b of size B, best ask a of size A.

    Prices stay text until they are checked: the router wants a float of them, money a Decimal.
    """

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    T: int = 0
    E: int = 0
    e: str = "bookTicker"


class CombinedBookTicker(msgspec.Struct, frozen=True):
    """A frame of ``/stream?streams=...``."""

    stream: str
    data: BookTickerEvent


class OrderDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The ``o`` of ORDER_TRADE_UPDATE."""

    s: str
    c: str
    S: str
    o: str = ""
    f: str = ""
    q: Decimal = ZERO
    p: Decimal = ZERO
    ap: Decimal = ZERO
    x: str
    X: str
    i: int
    l: Decimal  # noqa: E741 - the wire's name
    z: Decimal
    L: Decimal
    T: int
    t: int
    m: bool
    R: bool = False
    er: str = "0"
    n: Decimal | None = None
    N: str | None = None
    sp: Decimal = ZERO
    rp: Decimal = ZERO
    ps: str = "BOTH"


class OrderTradeUpdate(msgspec.Struct, frozen=True, tag_field="e", tag="ORDER_TRADE_UPDATE"):
    """User stream: something happened to an order."""

    E: int
    T: int
    o: OrderDetail


class BalanceDetail(msgspec.Struct, frozen=True):
    """An entry of ``B``: wallet, cross wallet, and change other than PnL and commission."""

    a: str
    wb: Decimal
    cw: Decimal
    bc: Decimal = ZERO


class PositionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of ``P``: amount, entry price, accumulated realized, unrealized."""

    s: str
    pa: Decimal
    ep: Decimal = ZERO
    cr: Decimal = ZERO
    up: Decimal = ZERO
    mt: str = "cross"
    iw: Decimal = ZERO
    ps: str = "BOTH"


class UpdateDetail(msgspec.Struct, frozen=True):
    """The ``a`` of ACCOUNT_UPDATE."""

    m: str
    B: tuple[BalanceDetail, ...] = ()
    P: tuple[PositionDetail, ...] = ()


class AccountUpdate(msgspec.Struct, frozen=True, tag_field="e", tag="ACCOUNT_UPDATE"):
    """User stream: balances and positions changed."""

    E: int
    T: int
    a: UpdateDetail


class ListenKeyExpired(msgspec.Struct, frozen=True, tag_field="e", tag="listenKeyExpired"):
    """User stream: reconnect with a new key."""

    E: int


class CallDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of ``p`` of MARGIN_CALL: symbol, amount, mark, maintenance margin."""

    s: str
    pa: Decimal
    mp: Decimal = ZERO
    mm: Decimal = ZERO


class MarginCall(msgspec.Struct, frozen=True, tag_field="e", tag="MARGIN_CALL"):
    """User stream: the master itself is near its liquidation."""

    E: int
    p: tuple[CallDetail, ...] = ()
    cw: Decimal = ZERO


class LeverageSet(msgspec.Struct, frozen=True):
    """``ac`` of ACCOUNT_CONFIG_UPDATE: a symbol has another leverage."""

    s: str
    l: int  # noqa: E741 - the wire's name


class AssetsModeSet(msgspec.Struct, frozen=True):
    """``ai`` of ACCOUNT_CONFIG_UPDATE: multi-assets mode is on or off."""

    j: bool


class AccountConfigUpdate(msgspec.Struct, frozen=True, tag_field="e", tag="ACCOUNT_CONFIG_UPDATE"):
    """User stream: a setting of the master was changed."""

    E: int
    ac: LeverageSet | None = None
    ai: AssetsModeSet | None = None


UserEvent = OrderTradeUpdate | AccountUpdate | ListenKeyExpired | MarginCall | AccountConfigUpdate

_combined = msgspec.json.Decoder(CombinedBookTicker)
_single = msgspec.json.Decoder(BookTickerEvent)
_user: msgspec.json.Decoder[UserEvent] = msgspec.json.Decoder(UserEvent)
encode = msgspec.json.Encoder().encode


def decode_book_ticker(frame: bytes | str) -> BookTickerEvent:
    """Read a bookTicker frame, combined or not.

    Raises:
        MalformedMessage: not JSON, or a field is missing or of the wrong type.
    """
    try:
        raw = frame.encode() if isinstance(frame, str) else frame
        return _combined.decode(raw).data if raw.startswith(b'{"stream"') else _single.decode(raw)
    except msgspec.MsgspecError as error:
        raise MalformedMessage(f"bookTicker frame: {error}: {frame[:200]!r}") from None


def decode_user_event(frame: bytes | str) -> UserEvent | None:
    """Read a user-stream frame; None for events that we do not use.

    Raises:
        MalformedMessage: not JSON, or a known event with a missing or wrong field.
    """
    try:
        return _user.decode(frame)
    except msgspec.ValidationError as error:
        if str(error).startswith("Invalid value"):
            return None
        raise MalformedMessage(f"user event: {error}: {frame[:300]!r}") from None
    except msgspec.MsgspecError as error:
        raise MalformedMessage(f"user event: {error}: {frame[:300]!r}") from None

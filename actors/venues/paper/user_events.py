"""User data stream events, with the exchange's one-letter field names. Pure data."""

from __future__ import annotations

import msgspec


class OrderBody(msgspec.Struct, frozen=True, kw_only=True):
    """Field ``o`` of ORDER_TRADE_UPDATE. ``N`` and ``n`` are present only with a commission."""

    s: str
    c: str
    S: str
    o: str
    f: str
    q: str
    p: str
    ap: str
    sp: str
    x: str
    X: str
    i: int
    l: str  # noqa: E741 - the wire's name
    z: str
    L: str
    N: str | msgspec.UnsetType = msgspec.UNSET
    n: str | msgspec.UnsetType = msgspec.UNSET
    T: int
    t: int
    b: str
    a: str
    m: bool
    R: bool
    wt: str
    ot: str
    ps: str
    cp: bool
    AP: str | msgspec.UnsetType = msgspec.UNSET
    cr: str | msgspec.UnsetType = msgspec.UNSET
    pP: bool = False
    si: int = 0
    ss: int = 0
    rp: str
    V: str
    pm: str
    gtd: int
    er: str


class OrderTradeUpdate(msgspec.Struct, frozen=True, kw_only=True, tag_field="e", tag="ORDER_TRADE_UPDATE"):
    """An order changed."""

    E: int
    T: int
    o: OrderBody


class TradeLite(msgspec.Struct, frozen=True, kw_only=True, tag_field="e", tag="TRADE_LITE"):
    """Short form of a fill, sent before the full events."""

    E: int
    T: int
    s: str
    q: str
    p: str
    m: bool
    c: str
    S: str
    L: str
    l: str  # noqa: E741 - the wire's name
    t: int
    i: int


class BalanceBody(msgspec.Struct, frozen=True):
    """A balance: wallet, cross wallet, and the change that is neither profit nor commission."""

    a: str
    wb: str
    cw: str
    bc: str


class PositionBody(msgspec.Struct, frozen=True, kw_only=True):
    """A position: amount, entry price, break-even price, realized so far, unrealized."""

    s: str
    pa: str
    ep: str
    bep: str
    cr: str
    up: str
    mt: str
    iw: str
    ps: str


class AccountBody(msgspec.Struct, frozen=True, kw_only=True):
    """Field ``a`` of ACCOUNT_UPDATE; ``m`` is the reason, ``S`` the symbol of a funding event."""

    m: str
    B: tuple[BalanceBody, ...]
    P: tuple[PositionBody, ...]
    S: str | msgspec.UnsetType = msgspec.UNSET


class AccountUpdate(msgspec.Struct, frozen=True, kw_only=True, tag_field="e", tag="ACCOUNT_UPDATE"):
    """Balances or positions changed."""

    E: int
    T: int
    a: AccountBody


class AlgoBody(msgspec.Struct, frozen=True, kw_only=True):
    """Field ``o`` of ALGO_UPDATE."""

    caid: str
    aid: int
    at: str
    o: str
    s: str
    S: str
    ps: str
    f: str
    q: str
    X: str
    ai: str
    ap: str
    aq: str
    act: str
    tp: str
    p: str
    V: str
    wt: str
    pm: str
    cp: bool
    pP: bool
    R: bool
    tt: int
    gtd: int
    rm: str
    ia: bool


class AlgoUpdate(msgspec.Struct, frozen=True, kw_only=True, tag_field="e", tag="ALGO_UPDATE"):
    """An algo order changed."""

    T: int
    E: int
    o: AlgoBody


class LeverageBody(msgspec.Struct, frozen=True):
    """A symbol's leverage."""

    s: str
    l: int  # noqa: E741 - the wire's name


class ModeBody(msgspec.Struct, frozen=True):
    """Multi-assets mode."""

    j: bool


class AccountConfigUpdate(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="e", tag="ACCOUNT_CONFIG_UPDATE"
):
    """A setting of the account changed."""

    E: int
    T: int
    ac: LeverageBody | None = None
    ai: ModeBody | None = None


class MarginCallPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position in a margin call; ``mm`` is its maintenance margin."""

    s: str
    ps: str
    pa: str
    mt: str
    iw: str
    mp: str
    up: str
    mm: str


class MarginCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="e", tag="MARGIN_CALL"):
    """Warning that a liquidation is near."""

    E: int
    cw: str
    p: tuple[MarginCallPosition, ...]


class ListenKeyExpired(msgspec.Struct, frozen=True, kw_only=True, tag_field="e", tag="listenKeyExpired"):
    """The listen key has expired; no more events follow."""

    E: int
    listenKey: str


PaperEvent = (
    OrderTradeUpdate
    | TradeLite
    | AccountUpdate
    | AlgoUpdate
    | AccountConfigUpdate
    | MarginCall
    | ListenKeyExpired
)

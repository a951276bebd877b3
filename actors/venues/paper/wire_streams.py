"""Market stream events, with the exchange's one-letter field names. Pure data."""

from __future__ import annotations

import msgspec


class BookTickerFrame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``<symbol>@bookTicker``."""

    e: str = "bookTicker"
    u: int
    E: int
    T: int
    s: str
    ps: str
    b: str
    B: str
    a: str
    A: str
    st: int = 1


class TradeFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@trade``."""

    e: str = "trade"
    E: int
    T: int
    s: str
    t: int
    p: str
    q: str
    X: str = "MARKET"
    m: bool
    st: int = 1


class AggTradeFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@aggTrade``."""

    e: str = "aggTrade"
    E: int
    s: str
    a: int
    p: str
    q: str
    nq: str
    f: int
    l: int  # noqa: E741 - the wire's name
    T: int
    m: bool
    st: int = 1


class MarkPriceFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@markPrice``."""

    e: str = "markPriceUpdate"
    E: int
    s: str
    p: str
    i: str
    P: str
    r: str
    ap: str
    T: int
    st: int = 1


class KlineBody(msgspec.Struct, frozen=True, kw_only=True):
    """Field ``k`` of a kline event."""

    t: int
    T: int
    s: str
    i: str
    f: int
    L: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741 - the wire's name
    v: str
    n: int
    x: bool
    q: str
    V: str
    Q: str
    B: str = "0"


class KlineFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@kline_<interval>``."""

    e: str = "kline"
    E: int
    s: str
    k: KlineBody


class TickerFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@ticker``."""

    e: str = "24hrTicker"
    E: int
    s: str
    ps: str
    p: str
    P: str
    w: str
    c: str
    Q: str
    o: str
    h: str
    l: str  # noqa: E741 - the wire's name
    v: str
    q: str
    O: int  # noqa: E741 - the wire's name
    C: int
    F: int
    L: int
    n: int
    st: int = 1


class MiniTickerFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@miniTicker``."""

    e: str = "24hrMiniTicker"
    E: int
    s: str
    ps: str
    c: str
    o: str
    h: str
    l: str  # noqa: E741 - the wire's name
    v: str
    q: str
    st: int = 1


class DepthFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@depth`` and ``<symbol>@depth<levels>``."""

    e: str = "depthUpdate"
    E: int
    T: int
    s: str
    ps: str
    U: int
    u: int
    pu: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    st: int = 1


class ForceOrderBody(msgspec.Struct, frozen=True, kw_only=True):
    """Field ``o`` of forceOrder."""

    s: str
    S: str
    o: str
    f: str
    q: str
    p: str
    ap: str
    X: str
    l: str  # noqa: E741 - the wire's name
    z: str
    T: int


class ForceOrderFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@forceOrder``: a liquidation."""

    e: str = "forceOrder"
    E: int
    o: ForceOrderBody
    ps: str
    st: int = 1


class ContractInfoFrame(msgspec.Struct, frozen=True, kw_only=True):
    """``!contractInfo``: a listing, or a change of a contract's status."""

    e: str = "contractInfo"
    E: int
    s: str
    ps: str
    ct: str
    dt: int
    ot: int
    cs: str
    st: int = 1

"""Parsing and authorization of HTTP parameters. Pure.

As on Binance, parameters may be in the query, in a form body, or in both, whatever the content type. Names of list
parameters are not case-sensitive.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

from actors.core.enums import OrderType, Side
from actors.core.units import ZERO, Symbol, parse_decimal
from actors.venues.paper.algo import ALGO_TYPES, AlgoRequest
from actors.venues.paper.codes import HTTP_NO_KEY, ExchangeRefusal, PaperCode, missing
from actors.venues.paper.orders import OrderRequest

Params = Mapping[str, str]

RECV_WINDOW_DEFAULT_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
FUTURE_TOLERANCE_MS = 1_000
CLIENT_ORDER_ID_MAX = 36
SELF_TRADE_MODES = frozenset({"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"})
RESPONSE_TYPES = frozenset({"ACK", "RESULT"})
WORKING_TYPES = frozenset({"CONTRACT_PRICE", "MARK_PRICE"})

_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]*")
_LISTS = {"orderidlist": "orderIdList", "origclientorderidlist": "origClientOrderIdList"}


def read_params(query: str, body: str) -> dict[str, str]:
    """All parameters of a request; the query wins over the body."""
    found: dict[str, str] = {}
    for part in (body, query):
        for name, value in parse_qsl(part, keep_blank_values=True):
            found[_LISTS.get(name.lower(), name)] = value
    return found


def signed_payload(query: str, body: str) -> tuple[str, str]:
    """The signed payload exactly as sent (query and body joined), and the signature."""
    signature, parts = "", []
    for part in (query, body):
        kept = []
        for field in part.split("&") if part else ():
            if field.startswith("signature="):
                signature = field.removeprefix("signature=")
            else:
                kept.append(field)
        parts.append("&".join(kept))
    return "".join(parts), signature


def check_key(key: str | None, keys: Mapping[str, str]) -> str:
    """Check an API key and return its secret.

    Raises:
        ExchangeRefusal: missing or unknown key.
    """
    if not key:
        raise ExchangeRefusal(PaperCode.BAD_API_KEY_FMT, status=HTTP_NO_KEY)
    if key not in keys:
        raise ExchangeRefusal(PaperCode.REJECTED_MBX_KEY, status=HTTP_NO_KEY)
    return keys[key]


def check_signature(text: str, signature: str, secret: str) -> None:
    """Check an HMAC SHA256 signature over a text.

    Raises:
        ExchangeRefusal: missing or wrong signature.
    """
    if not signature:
        raise missing("signature")
    right = hmac.new(secret.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace")):
        raise ExchangeRefusal(PaperCode.INVALID_SIGNATURE)


def check_time(params: Params, now_ms: int) -> None:
    """Check ``timestamp`` against ``recvWindow``.

    Raises:
        ExchangeRefusal: too old, too far ahead, or malformed.
    """
    try:
        timestamp = int(params.get("timestamp", ""))
    except ValueError:
        raise missing("timestamp") from None
    window = int_param(params, "recvWindow")
    window = RECV_WINDOW_DEFAULT_MS if window is None else window
    if not 0 < window <= RECV_WINDOW_MAX_MS:
        raise ExchangeRefusal(PaperCode.BAD_RECV_WINDOW)
    if now_ms - timestamp > window or timestamp - now_ms > FUTURE_TOLERANCE_MS:
        raise ExchangeRefusal(PaperCode.INVALID_TIMESTAMP)


def int_param(params: Params, name: str) -> int | None:
    """An integer parameter, None when absent or empty.

    Raises:
        ExchangeRefusal: not an integer.
    """
    text = params.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ExchangeRefusal(
            PaperCode.ILLEGAL_CHARS, f"Illegal characters found in parameter '{name}': {text!r}."
        ) from None


def decimal_param(params: Params, name: str) -> Decimal | None:
    """A decimal parameter, None when absent or empty.

    Raises:
        ExchangeRefusal: not a number.
    """
    text = params.get(name, "")
    if not text:
        return None
    try:
        return parse_decimal(text, name)
    except ValueError:
        raise ExchangeRefusal(
            PaperCode.ILLEGAL_CHARS, f"Illegal characters found in parameter '{name}': {text!r}."
        ) from None


def limit_param(params: Params, name: str, default: int, maximum: int) -> int:
    """A count like ``limit``: the default when absent, capped at ``most``."""
    found = int_param(params, name)
    return default if found is None else max(1, min(found, maximum))


def optional_bool(params: Params, name: str) -> bool:
    """A boolean parameter that may be absent.

    Raises:
        ExchangeRefusal: neither true nor false.
    """
    text = params.get(name, "").lower()
    if text not in {"", "true", "false"}:
        raise ExchangeRefusal(
            PaperCode.ILLEGAL_CHARS, f"Illegal characters found in parameter '{name}': {text!r}."
        )
    return text == "true"


def parse_order(params: Params) -> OrderRequest:
    """Parse the parameters of a new order.

    Raises:
        ExchangeRefusal: a malformed parameter, by name; a conditional type, which needs algoOrder.
    """
    side = parse_side(params)
    kind = params.get("type", "")
    if not kind:
        raise missing("type")
    if kind in ALGO_TYPES:
        raise ExchangeRefusal(PaperCode.CONDITIONAL_MOVED)
    if kind not in set(OrderType):
        raise ExchangeRefusal(PaperCode.INVALID_ORDER_TYPE)
    order_type = OrderType(kind)
    quantity = decimal_param(params, "quantity")
    if quantity is None:
        raise missing("quantity")
    price = _price(params, order_type)
    check_response_type(params)
    return OrderRequest(
        symbol=Symbol(params.get("symbol", "")),
        side=side,
        type=order_type,
        quantity=quantity,
        price=price,
        time_in_force=_time_in_force(params, order_type),
        reduce_only=optional_bool(params, "reduceOnly"),
        client_order_id=parse_client_id(params, "newClientOrderId"),
        self_trade=_one_of(
            params, "selfTradePreventionMode", SELF_TRADE_MODES, "EXPIRE_MAKER",
            PaperCode.INVALID_SELF_TRADE_PREVENTION_MODE,
        ),
        price_match=params.get("priceMatch") or "NONE",
        good_till_ms=int_param(params, "goodTillDate") or 0,
        position_side=params.get("positionSide") or "BOTH",
    )  # fmt: skip


def parse_algo(params: Params) -> AlgoRequest:
    """Parse the parameters of a new conditional order.

    Raises:
        ExchangeRefusal: a malformed parameter, by name.
    """
    if params.get("algoType") != "CONDITIONAL":
        raise missing("algoType")
    side, kind = parse_side(params), params.get("type", "")
    if kind not in ALGO_TYPES:
        raise ExchangeRefusal(PaperCode.INVALID_ORDER_TYPE)
    order_type, trailing = ALGO_TYPES[kind], kind == "TRAILING_STOP_MARKET"
    closes = optional_bool(params, "closePosition")
    quantity = decimal_param(params, "quantity")
    if closes and quantity:
        raise ExchangeRefusal(PaperCode.CLOSE_POSITION_WITH_QUANTITY)
    if not closes and quantity is None:
        raise missing("quantity")
    trigger, callback = decimal_param(params, "triggerPrice"), decimal_param(params, "callbackRate")
    if not trailing and trigger is None:
        raise missing("triggerPrice")
    if trailing and callback is None:
        raise missing("callbackRate")
    check_response_type(params)
    working = _one_of(params, "workingType", WORKING_TYPES, "CONTRACT_PRICE", PaperCode.ILLEGAL_CHARS)
    order = OrderRequest(
        symbol=Symbol(params.get("symbol", "")),
        side=side,
        type=order_type,
        quantity=quantity or ZERO,
        price=_price(params, order_type),
        time_in_force=_time_in_force(params, order_type, needed=False),
        reduce_only=optional_bool(params, "reduceOnly"),
        self_trade=_one_of(
            params, "selfTradePreventionMode", SELF_TRADE_MODES, "EXPIRE_MAKER",
            PaperCode.INVALID_SELF_TRADE_PREVENTION_MODE,
        ),
        price_match=params.get("priceMatch") or "NONE",
        good_till_ms=int_param(params, "goodTillDate") or 0,
        close_position=closes,
        position_side=params.get("positionSide") or "BOTH",
        working_type=working,
        price_protect=optional_bool(params, "priceProtect"),
        activate_price=decimal_param(params, "activatePrice") or ZERO,
        callback_rate=callback or ZERO,
    )  # fmt: skip
    return AlgoRequest(
        order_type=kind,
        order=order,
        client_algo_id=parse_client_id(params, "clientAlgoId"),
        trigger_price=trigger or ZERO,
    )


def parse_side(params: Params) -> Side:
    """The side of an order.

    Raises:
        ExchangeRefusal: missing or invalid.
    """
    text = params.get("side", "")
    if not text:
        raise missing("side")
    if text not in set(Side):
        raise ExchangeRefusal(PaperCode.INVALID_SIDE)
    return Side(text)


def parse_client_id(params: Params, name: str) -> str:
    """A client order id; empty when absent.

    Raises:
        ExchangeRefusal: too long, or with illegal characters.
    """
    text = params.get(name, "")
    if len(text) > CLIENT_ORDER_ID_MAX:
        raise ExchangeRefusal(PaperCode.INVALID_CL_ORD_ID_LEN)
    if not _CLIENT_ID.fullmatch(text):
        raise ExchangeRefusal(
            PaperCode.ILLEGAL_CHARS,
            f"Illegal characters found in parameter '{name}'; legal range is '^[\\.A-Z\\:/a-z0-9_-]{{1,36}}$'.",
        )
    return text


def check_response_type(params: Params) -> None:
    """Check ``newOrderRespType``.

    Raises:
        ExchangeRefusal: invalid.
    """
    _one_of(params, "newOrderRespType", RESPONSE_TYPES, "ACK", PaperCode.INVALID_NEW_ORDER_RESP_TYPE)


def _price(params: Params, order_type: OrderType) -> Decimal | None:
    price, matched = decimal_param(params, "price"), params.get("priceMatch", "NONE") not in {"", "NONE"}
    if order_type is OrderType.LIMIT and price is None and not matched:
        raise missing("price")
    if price is not None and (order_type is OrderType.MARKET or matched):
        raise ExchangeRefusal(PaperCode.UNEXPECTED_PARAM, "Parameter 'price' sent when not required.")
    return price


def _time_in_force(params: Params, order_type: OrderType, *, needed: bool = True) -> str:
    text = params.get("timeInForce", "")
    if order_type is OrderType.MARKET:
        return "GTC"
    if not text and needed:
        raise missing("timeInForce")
    if text not in {"", "GTC", "IOC", "FOK", "GTX", "GTD"}:
        raise ExchangeRefusal(PaperCode.INVALID_TIF)
    return text or "GTC"


def _one_of(params: Params, name: str, known: frozenset[str], default: str, code: PaperCode) -> str:
    text = params.get(name) or default
    if text not in known:
        raise ExchangeRefusal(code)
    return text


def fraction_of(value: object, name: str = "fraction") -> Decimal:
    """A relative price change above -1, for example -0.1 for -10 %.

    Raises:
        ValueError: not a number, or too low; the message names the value.
    """
    fraction = parse_decimal(value, name)
    if fraction <= -1:
        raise ValueError(f"{name}: {fraction} would make prices negative; use more than -1")
    return fraction

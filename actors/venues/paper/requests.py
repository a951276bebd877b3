"""HTTP parameters of the paper exchange to typed requests, and its rate windows. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from actors.units import OrderType, Side, Symbol, parse_decimal
from actors.venues.binance.errors import Code
from actors.venues.binance.signing import verify
from actors.venues.paper.matching import OrderRequest, Refusal

RECV_WINDOW_DEFAULT_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
FUTURE_TOLERANCE_MS = 1_000
CLIENT_ORDER_ID_MAX = 36


def check_signed(
    params: Mapping[str, str], query: str, key: str | None, keys: Mapping[str, str], now_ms: int
) -> Refusal | None:
    """Whether a signed request may pass: key, signature, then time."""
    if not key:
        return Refusal(Code.BAD_API_KEY_FMT, "API-key format invalid.")
    secret = keys.get(key)
    if secret is None:
        return Refusal(Code.REJECTED_MBX_KEY, "Invalid API-key, IP, or permissions for action.")
    if not verify(query, secret):
        return Refusal(Code.INVALID_SIGNATURE, "Signature for this request is not valid.")
    try:
        timestamp = int(params.get("timestamp", ""))
        window = int(params.get("recvWindow", RECV_WINDOW_DEFAULT_MS))
    except ValueError:
        return Refusal(Code.MANDATORY_PARAM_EMPTY_OR_MALFORMED, "Mandatory parameter 'timestamp' malformed.")
    if not 0 < window <= RECV_WINDOW_MAX_MS:
        return Refusal(Code.INVALID_TIMESTAMP, f"recvWindow {window} is outside 1 to {RECV_WINDOW_MAX_MS}.")
    if now_ms - timestamp > window or timestamp - now_ms > FUTURE_TOLERANCE_MS:
        return Refusal(Code.INVALID_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")
    return None


def parse_order(params: Mapping[str, str]) -> OrderRequest | Refusal:
    """Read the parameters of a new order."""
    try:
        side, order_type = Side(params.get("side", "")), OrderType(params.get("type", ""))
    except ValueError:
        bad_side = params.get("side") not in set(Side)
        if bad_side:
            return Refusal(Code.INVALID_SIDE, f"Invalid side: {params.get('side')!r}.")
        return Refusal(Code.INVALID_ORDER_TYPE, f"Invalid orderType: {params.get('type')!r}.")
    try:
        quantity = parse_decimal(params.get("quantity"), "quantity")
        price = parse_decimal(params["price"], "price") if "price" in params else None
    except ValueError as error:
        return Refusal(Code.ILLEGAL_CHARS, str(error))
    if (order_type is OrderType.LIMIT) != (price is not None):
        text = f"Parameter 'price' is {'missing' if price is None else 'not for MARKET orders'}."
        return Refusal(Code.MANDATORY_PARAM_EMPTY_OR_MALFORMED, text)
    time_in_force = params.get("timeInForce", "GTC")
    if time_in_force not in {"GTC", "IOC", "FOK", "GTX"}:
        return Refusal(Code.INVALID_TIF, f"Invalid timeInForce: {time_in_force!r}.")
    client_id = params.get("newClientOrderId", "")
    if not 0 < len(client_id) <= CLIENT_ORDER_ID_MAX:
        return Refusal(Code.INVALID_CL_ORD_ID_LEN, "newClientOrderId must have 1 to 36 characters.")
    return OrderRequest(
        symbol=Symbol(params.get("symbol", "")),
        side=side,
        type=order_type,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        reduce_only=params.get("reduceOnly", "false").lower() == "true",
        client_order_id=client_id,
    )


def parse_id(params: Mapping[str, str], name: str) -> int | None:
    """An integer parameter, None when absent.

    Raises:
        ValueError: naming the parameter and the value.
    """
    if name not in params:
        return None
    try:
        return int(params[name])
    except ValueError:
        raise ValueError(f"Illegal characters found in parameter '{name}': {params[name]!r}.") from None


class RateWindows:
    """Request weight and order counts over sliding windows."""

    def __init__(self, weight_per_minute: int, orders_per_10s: int, orders_per_minute: int) -> None:
        self._limits = (weight_per_minute, orders_per_10s, orders_per_minute)
        self._weight: deque[tuple[int, int]] = deque()
        self._orders: deque[int] = deque()
        self._weight_used = 0

    def take(self, now_ms: int, weight: int, orders: int) -> tuple[bool, dict[str, str]]:
        """Count a request, if the limits allow it; and the headers that tell where they stand."""
        while self._weight and self._weight[0][0] <= now_ms - 60_000:
            self._weight_used -= self._weight.popleft()[1]
        while self._orders and self._orders[0] <= now_ms - 60_000:
            self._orders.popleft()
        in_10s = 0
        for at in reversed(self._orders):
            if at <= now_ms - 10_000:
                break
            in_10s += 1
        weight_max, orders_10s, orders_minute = self._limits
        allowed = self._weight_used + weight <= weight_max and (
            orders == 0 or (in_10s + orders <= orders_10s and len(self._orders) + orders <= orders_minute)
        )
        if allowed:
            self._weight.append((now_ms, weight))
            self._weight_used += weight
            self._orders.extend([now_ms] * orders)
            in_10s += orders
        headers = {
            "x-mbx-used-weight-1m": str(self._weight_used),
            "x-mbx-order-count-10s": str(in_10s),
            "x-mbx-order-count-1m": str(len(self._orders)),
        }
        return allowed, headers


def fraction_of(value: object) -> Decimal:
    """A price shock, above -1.

    Raises:
        ValueError: naming the value.
    """
    fraction = parse_decimal(value, "fraction")
    if fraction <= -1:
        raise ValueError(f"fraction: {fraction} would make prices negative; use more than -1")
    return fraction

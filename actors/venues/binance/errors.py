"""Binance USD-M error codes, and what they mean for an order. Pure."""

from __future__ import annotations

from enum import IntEnum

from actors.core.errors import BadInput
from actors.gateway.messages import Outcome


class MalformedMessage(BadInput):
    """A frame that is not what the protocol says; names what is wrong with it."""


class Code(IntEnum):
    """The codes that we send or act on; the names are Binance's."""

    UNKNOWN = -1000
    DISCONNECTED = -1001
    TOO_MANY_REQUESTS = -1003
    TOO_MANY_ORDERS = -1015
    UNEXPECTED_RESP = -1006
    TIMEOUT = -1007
    INVALID_MESSAGE = -1013
    INVALID_TIMESTAMP = -1021
    INVALID_SIGNATURE = -1022
    ILLEGAL_CHARS = -1100
    MANDATORY_PARAM_EMPTY_OR_MALFORMED = -1102
    BAD_PRECISION = -1111
    INVALID_TIF = -1115
    INVALID_ORDER_TYPE = -1116
    INVALID_SIDE = -1117
    BAD_SYMBOL = -1121
    INVALID_SYMBOL_STATUS = -1122
    INVALID_LISTEN_KEY = -1125
    CANCEL_REJECTED = -2011
    NO_SUCH_ORDER = -2013
    BAD_API_KEY_FMT = -2014
    REJECTED_MBX_KEY = -2015
    MARGIN_NOT_SUFFICIENT = -2019
    REDUCE_ONLY_REJECT = -2022
    PRICE_LESS_THAN_ZERO = -4001
    QTY_LESS_THAN_ZERO = -4003
    QTY_LESS_THAN_MIN_QTY = -4004
    QTY_GREATER_THAN_MAX_QTY = -4005
    PRICE_NOT_INCREASED_BY_TICK_SIZE = -4014
    INVALID_CL_ORD_ID_LEN = -4015
    QTY_NOT_INCREASED_BY_STEP_SIZE = -4023
    INVALID_LEVERAGE = -4028
    POSITION_SIDE_NOT_MATCH = -4061
    DUPLICATED_CLIENT_ORDER_ID = -4116
    MIN_NOTIONAL = -4164


RULE_CODES = frozenset(
    {
        Code.BAD_PRECISION,
        Code.BAD_SYMBOL,
        Code.INVALID_SYMBOL_STATUS,
        Code.QTY_LESS_THAN_MIN_QTY,
        Code.QTY_GREATER_THAN_MAX_QTY,
        Code.PRICE_NOT_INCREASED_BY_TICK_SIZE,
        Code.QTY_NOT_INCREASED_BY_STEP_SIZE,
        Code.MIN_NOTIONAL,
        Code.POSITION_SIDE_NOT_MATCH,
    }
)
"""Refusals for a rule of the symbol, or for the position mode: it is another one than we know, or an order got past our
checks. Both are read again."""

UNKNOWN_CODES = frozenset({Code.UNKNOWN, Code.DISCONNECTED, Code.UNEXPECTED_RESP, Code.TIMEOUT})

THROTTLING_CODES = frozenset({Code.TOO_MANY_REQUESTS, Code.TOO_MANY_ORDERS})

HTTP_OK = 200
HTTP_SERVER_ERROR = 500


def outcome_of(http_status: int, code: int | None) -> Outcome:
    """Classify an answer; ``code`` is that of the exchange's own error body, None without one.

    A refusal is final only when the matching engine itself says so, in its own error body with a 4xx status. A 5xx is
    UNKNOWN even with such a body: Binance documents it as a fault on its side with "execution status UNKNOWN, could
    have been a success", as its front may give up on an order that the engine behind it executes. The same holds for
    codes that report a time-out inside the exchange, and for whatever is not the exchange's word: a 408, a redirect, a
    proxy's page. An order so lost is queried by its client order id, never sent again.
    """
    if http_status == HTTP_OK and code is None:
        return Outcome.OK
    # Server errors first: only a request that was surely not executed may be called throttled,
    # for that one is sent again.
    if code is None or code >= 0 or http_status >= HTTP_SERVER_ERROR or code in UNKNOWN_CODES:
        return Outcome.UNKNOWN
    if code in THROTTLING_CODES:
        return Outcome.THROTTLED
    if code == Code.INVALID_TIMESTAMP:
        return Outcome.MISTIMED
    if code == Code.DUPLICATED_CLIENT_ORDER_ID:
        return Outcome.DUPLICATE
    return Outcome.NOT_FOUND if code == Code.NO_SUCH_ORDER else Outcome.REFUSED

"""Error codes of the exchange and their messages. Pure.

This list is independent of the engine's own list, so that a mistake in one of them makes a test fail.
"""

from __future__ import annotations

from enum import IntEnum

from actors.core.errors import BadInput


class PaperCode(IntEnum):
    """Error codes of the paper exchange; the names are Binance's."""

    UNKNOWN = -1000
    TOO_MANY_REQUESTS = -1003
    TIMEOUT = -1007
    TOO_MANY_ORDERS = -1015
    INVALID_TIMESTAMP = -1021
    INVALID_SIGNATURE = -1022
    ILLEGAL_CHARS = -1100
    MANDATORY_PARAM_EMPTY_OR_MALFORMED = -1102
    UNEXPECTED_PARAM = -1106
    BAD_PRECISION = -1111
    INVALID_TIF = -1115
    INVALID_ORDER_TYPE = -1116
    INVALID_SIDE = -1117
    BAD_INTERVAL = -1120
    BAD_SYMBOL = -1121
    INVALID_LISTEN_KEY = -1125
    BAD_RECV_WINDOW = -1131
    INVALID_NEW_ORDER_RESP_TYPE = -1136
    INVALID_CALL_BK_RATE = -2007
    CANCEL_REJECTED = -2011
    NO_SUCH_ORDER = -2013
    BAD_API_KEY_FMT = -2014
    REJECTED_MBX_KEY = -2015
    BALANCE_NOT_SUFFICIENT = -2018
    MARGIN_NOT_SUFFICIENT = -2019
    UNABLE_TO_FILL = -2020
    WOULD_TRIGGER = -2021
    REDUCE_ONLY_REJECT = -2022
    MAX_OPEN_ORDER_EXCEEDED = -2025
    MAX_LEVERAGE_RATIO = -2027
    PRICE_LESS_THAN_ZERO = -4001
    QTY_LESS_THAN_ZERO = -4003
    QTY_LESS_THAN_MIN_QTY = -4004
    QTY_GREATER_THAN_MAX_QTY = -4005
    PRICE_NOT_INCREASED_BY_TICK_SIZE = -4014
    INVALID_CL_ORD_ID_LEN = -4015
    PRICE_HIGHER_THAN_MULTIPLIER_UP = -4016
    PRICE_LOWER_THAN_MULTIPLIER_DOWN = -4024
    INVALID_LEVERAGE = -4028
    MAX_STOP_ORDER_EXCEEDED = -4045
    NO_NEED_TO_CHANGE_MARGIN_TYPE = -4046
    THERE_EXISTS_OPEN_ORDERS = -4047
    THERE_EXISTS_QUANTITY = -4048
    ADD_MARGIN_ONLY_ISOLATED = -4049
    CROSS_BALANCE_INSUFFICIENT = -4050
    ISOLATED_BALANCE_INSUFFICIENT = -4051
    NO_NEED_TO_CHANGE_POSITION_SIDE = -4059
    INVALID_POSITION_SIDE = -4060
    POSITION_SIDE_NOT_MATCH = -4061
    POSITION_SIDE_OPEN_ORDERS = -4067
    POSITION_SIDE_OPEN_POSITIONS = -4068
    DUPLICATED_CLIENT_ORDER_ID = -4116
    CONDITIONAL_MOVED = -4120
    PERCENT_PRICE = -4131
    CLOSE_POSITION_WITH_QUANTITY = -4137
    CLOSE_POSITION_REDUCE_ONLY = -4138
    INVALID_SYMBOL_STATUS = -4140
    NOTIONAL = -4164
    MULTI_ASSETS_WITH_ISOLATED = -4167
    ISOLATED_WITH_MULTI_ASSETS = -4168
    NO_NEED_TO_CHANGE_JOINT_MARGIN = -4171
    FOK_ORDER_REJECT = -5021
    GTX_ORDER_REJECT = -5022
    SAME_ORDER = -5027
    INVALID_PRICE_MATCH = -5037
    INVALID_SELF_TRADE_PREVENTION_MODE = -5039
    FUTURE_GOOD_TILL_DATE = -5040


TEXTS: dict[PaperCode, str] = {
    PaperCode.UNKNOWN: "An unknown error occurred while processing the request.",
    PaperCode.TOO_MANY_REQUESTS: "Too many requests; current limit is exceeded.",
    PaperCode.TIMEOUT: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    PaperCode.INVALID_TIMESTAMP: "Timestamp for this request is outside of the recvWindow.",
    PaperCode.INVALID_SIGNATURE: "Signature for this request is not valid.",
    PaperCode.TOO_MANY_ORDERS: "Too many new orders; current limit is exceeded.",
    PaperCode.BAD_PRECISION: "Precision is over the maximum defined for this asset.",
    PaperCode.INVALID_TIF: "Invalid timeInForce.",
    PaperCode.INVALID_ORDER_TYPE: "Invalid orderType.",
    PaperCode.INVALID_SIDE: "Invalid side.",
    PaperCode.BAD_INTERVAL: "Invalid interval.",
    PaperCode.BAD_SYMBOL: "Invalid symbol.",
    PaperCode.INVALID_LISTEN_KEY: "This listenKey does not exist.",
    PaperCode.BAD_RECV_WINDOW: "Invalid 'recvWindow'; it must be between 1 and 60000.",
    PaperCode.INVALID_NEW_ORDER_RESP_TYPE: "Invalid newOrderRespType.",
    PaperCode.INVALID_CALL_BK_RATE: "Invalid callBack rate.",
    PaperCode.CANCEL_REJECTED: "Unknown order sent.",
    PaperCode.NO_SUCH_ORDER: "Order does not exist.",
    PaperCode.BAD_API_KEY_FMT: "API-key format invalid.",
    PaperCode.REJECTED_MBX_KEY: "Invalid API-key, IP, or permissions for action.",
    PaperCode.BALANCE_NOT_SUFFICIENT: "Balance is insufficient.",
    PaperCode.MARGIN_NOT_SUFFICIENT: "Margin is insufficient.",
    PaperCode.UNABLE_TO_FILL: "Unable to fill.",
    PaperCode.WOULD_TRIGGER: "Order would immediately trigger.",
    PaperCode.REDUCE_ONLY_REJECT: "ReduceOnly Order is rejected.",
    PaperCode.MAX_OPEN_ORDER_EXCEEDED: "Reach max open order limit.",
    PaperCode.MAX_LEVERAGE_RATIO: "Exceeded the maximum allowable position at current leverage.",
    PaperCode.PRICE_LESS_THAN_ZERO: "Price less than or equal to zero.",
    PaperCode.QTY_LESS_THAN_ZERO: "Quantity less than or equal to zero.",
    PaperCode.QTY_LESS_THAN_MIN_QTY: "Quantity less than min quantity.",
    PaperCode.QTY_GREATER_THAN_MAX_QTY: "Quantity greater than max quantity.",
    PaperCode.PRICE_NOT_INCREASED_BY_TICK_SIZE: "Price not increased by tick size.",
    PaperCode.INVALID_CL_ORD_ID_LEN: "Client order id length should not be more than 36 chars.",
    PaperCode.MAX_STOP_ORDER_EXCEEDED: "Reach max stop order limit.",
    PaperCode.NO_NEED_TO_CHANGE_MARGIN_TYPE: "No need to change margin type.",
    PaperCode.THERE_EXISTS_OPEN_ORDERS: "Margin type cannot be changed if there exists open orders.",
    PaperCode.THERE_EXISTS_QUANTITY: "Margin type cannot be changed if there exists position.",
    PaperCode.ADD_MARGIN_ONLY_ISOLATED: "Add margin only support for isolated position.",
    PaperCode.CROSS_BALANCE_INSUFFICIENT: "Cross balance insufficient.",
    PaperCode.ISOLATED_BALANCE_INSUFFICIENT: "Isolated balance insufficient.",
    PaperCode.NO_NEED_TO_CHANGE_POSITION_SIDE: "No need to change position side.",
    PaperCode.INVALID_POSITION_SIDE: "Invalid position side.",
    PaperCode.POSITION_SIDE_NOT_MATCH: "Order's position side does not match user's setting.",
    PaperCode.POSITION_SIDE_OPEN_ORDERS: "Position side cannot be changed if there exists open orders.",
    PaperCode.POSITION_SIDE_OPEN_POSITIONS: "Position side cannot be changed if there exists position.",
    PaperCode.DUPLICATED_CLIENT_ORDER_ID: "ClientOrderId is duplicated.",
    PaperCode.CONDITIONAL_MOVED: (
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
    ),
    PaperCode.PERCENT_PRICE: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    PaperCode.CLOSE_POSITION_WITH_QUANTITY: "Quantity must be zero with closePosition equals true.",
    PaperCode.CLOSE_POSITION_REDUCE_ONLY: "Reduce only must be true with closePosition equals true.",
    PaperCode.INVALID_SYMBOL_STATUS: "Invalid symbol status for opening position.",
    PaperCode.MULTI_ASSETS_WITH_ISOLATED: "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under isolated-margin mode.",
    PaperCode.ISOLATED_WITH_MULTI_ASSETS: "Unable to adjust to isolated-margin mode under the Multi-Assets mode.",
    PaperCode.NO_NEED_TO_CHANGE_JOINT_MARGIN: (
        "Adjusted asset mode is currently set and does not need to be adjusted repeatedly"
    ),
    PaperCode.FOK_ORDER_REJECT: (
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history."
    ),
    PaperCode.GTX_ORDER_REJECT: (
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history."
    ),
    PaperCode.SAME_ORDER: "No need to modify the order.",
    PaperCode.INVALID_PRICE_MATCH: "Invalid price match.",
    PaperCode.INVALID_SELF_TRADE_PREVENTION_MODE: "Invalid self trade prevention mode.",
    PaperCode.FUTURE_GOOD_TILL_DATE: "The goodTillDate timestamp must be greater than the current time plus 600 seconds.",
}

HTTP_REFUSED = 400
HTTP_NO_KEY = 401


class ExchangeRefusal(BadInput):
    """A request that the exchange rejects.

    Args:
        code: the exchange's error code.
        text: error message; the code's usual message by default.
        status: HTTP status of the answer.
    """

    def __init__(self, code: PaperCode, text: str = "", status: int = HTTP_REFUSED) -> None:
        self.code = code
        self.text = text or TEXTS.get(code, code.name)
        self.status = status
        super().__init__(f"{int(code)}: {self.text}")


def missing(name: str) -> ExchangeRefusal:
    """Refusal for a mandatory parameter that is missing or malformed."""
    return ExchangeRefusal(
        PaperCode.MANDATORY_PARAM_EMPTY_OR_MALFORMED,
        f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
    )

"""What an answer means for an order.

Covers: actors/core/errors.py
"""

from __future__ import annotations

import pytest

from actors.gateway.messages import Outcome
from actors.venues.binance.errors import RULE_CODES, Code, outcome_of


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, None, Outcome.OK),
        (400, Code.MARGIN_NOT_SUFFICIENT, Outcome.REFUSED),
        (400, Code.NO_SUCH_ORDER, Outcome.NOT_FOUND),
        (400, Code.DUPLICATED_CLIENT_ORDER_ID, Outcome.DUPLICATE),
        (400, Code.TIMEOUT, Outcome.UNKNOWN),
        (400, Code.UNEXPECTED_RESP, Outcome.UNKNOWN),
        (503, None, Outcome.UNKNOWN),
        (503, Code.TOO_MANY_REQUESTS, Outcome.UNKNOWN),
        (400, Code.DISCONNECTED, Outcome.UNKNOWN),
        (500, -2019, Outcome.UNKNOWN),
        (429, Code.TOO_MANY_REQUESTS, Outcome.THROTTLED),
        (429, Code.TOO_MANY_ORDERS, Outcome.THROTTLED),
        (418, Code.TOO_MANY_REQUESTS, Outcome.THROTTLED),
        (400, Code.INVALID_TIMESTAMP, Outcome.MISTIMED),
        (401, Code.REJECTED_MBX_KEY, Outcome.REFUSED),
        # Without the exchange's own error body somebody else answered, and it may have the order.
        (400, None, Outcome.UNKNOWN),
        (403, None, Outcome.UNKNOWN),
        (404, None, Outcome.UNKNOWN),
        (408, None, Outcome.UNKNOWN),
        (418, None, Outcome.UNKNOWN),
        (429, None, Outcome.UNKNOWN),
        (201, None, Outcome.UNKNOWN),
        (302, None, Outcome.UNKNOWN),
        (502, None, Outcome.UNKNOWN),
        (400, 40301, Outcome.UNKNOWN),
        (400, 0, Outcome.UNKNOWN),
    ],
)
def test_outcomes(status, code, outcome):
    assert outcome_of(status, code) is outcome


def test_what_others_change_on_the_master_is_read_again_when_an_order_is_refused_for_it():
    """Rules of symbols and the position mode: until they are read, every order is refused."""
    assert {-1111, -1121, -1122, -4014, -4023, -4061, -4164} <= {int(code) for code in RULE_CODES}
    assert RULE_CODES.isdisjoint({Code.MARGIN_NOT_SUFFICIENT, Code.REDUCE_ONLY_REJECT})

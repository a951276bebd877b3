"""What a batch's answers say of whom, limits as they are told, and trades that cannot be."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from actors.gateway.messages import Answered, LimitsLearned, Outcome, Traded
from actors.venues.binance.orders import BATCH
from actors.venues.binance.throttle import Throttle
from tests.factories import ETH
from tests.venues.binance.recorded import Recorded
from tests.venues.binance.test_orders import Fixed, Told, orders_of, request


def taken(number, **changes):
    """An order as the exchange answers it."""
    return {
        "orderId": 100 + number, "symbol": ETH, "status": "NEW", "clientOrderId": f"bh-x-{number}", "price": "0",
        "avgPrice": "0.0", "origQty": "1", "executedQty": "0", "cumQuote": "0", "timeInForce": "GTC", "type": "MARKET",
        "side": "BUY", "updateTime": 1, "time": 1, **changes,
    }  # fmt: skip


NO_MARGIN = {"code": -2019, "msg": "Margin is insufficient."}


class Batches(Recorded):
    """Answers a batch as a test says."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def _answer(self, method, path, params):
        if path != BATCH:
            return super()._answer(method, path, params)
        ids = [order["newClientOrderId"] for order in msgspec.json.decode(params["batchOrders"])]
        return 200, self.answer(ids)


def batch_told(loop, answer):
    with Batches(answer) as exchange:
        transport, told = orders_of(exchange, loop, Throttle())
        for number in range(4):
            transport._unsent.append(request(number=number))
        loop.spawn(transport._send_orders())
        answers = told.of(Answered, 4)
        assert exchange.count(BATCH) == 1
    return {a.client_order_id: (a.outcome, a.report and a.report.client_order_id, a.code) for a in answers}


def test_each_order_of_a_batch_has_its_own_answer(loop):
    found = batch_told(loop, lambda ids: [taken(0), NO_MARGIN, taken(2), taken(3)])
    assert found == {
        "bh-x-0": (Outcome.OK, "bh-x-0", 0),
        "bh-x-1": (Outcome.REFUSED, None, -2019),
        "bh-x-2": (Outcome.OK, "bh-x-2", 0),
        "bh-x-3": (Outcome.OK, "bh-x-3", 0),
    }


def test_answers_of_a_batch_in_another_order_are_of_whom_they_name(loop):
    found = batch_told(loop, lambda ids: [taken(3), taken(1), taken(0), taken(2)])
    assert found == {f"bh-x-{n}": (Outcome.OK, f"bh-x-{n}", 0) for n in range(4)}


def test_whose_a_refusal_is_among_answers_in_another_order_is_asked_after(loop):
    found = batch_told(loop, lambda ids: [taken(3), taken(1), NO_MARGIN, NO_MARGIN])
    assert {id_: outcome for id_, (outcome, _, _) in found.items()} == {
        "bh-x-0": Outcome.UNKNOWN,
        "bh-x-1": Outcome.OK,
        "bh-x-2": Outcome.UNKNOWN,
        "bh-x-3": Outcome.OK,
    }


@pytest.mark.parametrize("answers", [[], [taken(0)], [taken(0)] * 5, [taken(9)] * 4, ["?", 1, None, [2]]])
def test_a_batch_whose_answers_are_not_of_its_orders_is_asked_after(loop, answers):
    found = batch_told(loop, lambda ids: answers)
    assert {outcome for outcome, _, _ in found.values()} == {Outcome.UNKNOWN}


def test_limits_are_told_as_the_venue_has_them(exchange, loop):
    transport, _ = orders_of(exchange, loop, Throttle())
    del transport._gateway
    told = Told()
    transport.start(told)
    [learned] = told.of(LimitsLearned)
    assert (learned.orders_per_10s, learned.orders_per_minute) == (300, 1_200)


@pytest.mark.parametrize("field", ["qty", "price"])
@pytest.mark.parametrize("value", ["0", "0.000", "-0.001", "NaN", "-Infinity"])
def test_a_trade_that_cannot_be_is_no_answer_and_is_asked_for_again(exchange, loop, field, value):
    good = {
        "symbol": ETH, "id": 7, "orderId": 5, "side": "BUY", "price": "2000", "qty": "1", "realizedPnl": "0",
        "quoteQty": "2000", "time": 1, "positionSide": "BOTH", "maker": False, "buyer": True, "commission": "0.1",
        "commissionAsset": "USDT",
    }  # fmt: skip
    transport, told = orders_of(exchange, loop, Throttle())
    for count, body in enumerate(([good], [good, {**good, "id": 8, field: value}]), 1):
        transport._http = Fixed(msgspec.json.encode(body))
        transport.request(replace(request("trades"), exchange_order_id=5))
        told.of(Traded, count)
    first, second = told.of(Traded, 2)
    assert [t.trade_id for t in first.trades] == [7]
    assert second.trades is None

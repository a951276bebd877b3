"""Account settings: stored, published, and rejected with the exchange's code and text.

Covers: actors/venues/paper/brackets.py, actors/venues/paper/settings_endpoints.py
"""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise

import pytest

from actors.venues.paper.brackets import BRACKETS, maintenance
from tests.venues.paper.running import Running, code

OF = {"symbol": "SOLUSDT"}


@pytest.fixture
def paper():
    running = Running()
    yield running
    running.stop()


def post(paper, path, **params):
    return paper.signed("POST", f"/fapi/v1/{path}", **params)


def test_leverage_is_kept_published_and_limits_the_position(paper):
    with paper.user_stream() as stream:
        answer = post(paper, "leverage", **OF, leverage=100).json()
        assert answer == {"symbol": "SOLUSDT", "leverage": 100, "maxNotionalValue": "600000"}
        assert stream.event("ACCOUNT_CONFIG_UPDATE")["ac"] == {"s": "SOLUSDT", "l": 100}
    assert paper.get("v1/symbolConfig", **OF)[0]["leverage"] == 100
    assert paper.get("v1/symbolConfig", symbol="ETHUSDT")[0]["leverage"] == 20
    assert paper.get("v2/positionRisk", **OF)[0]["leverage"] == "100"
    for leverage in (0, 126):
        assert code(post(paper, "leverage", **OF, leverage=leverage)) == -4028
    assert code(post(paper, "leverage", **OF)) == -1102
    assert code(paper.place(**OF, quantity="10000")) == -2027
    post(paper, "leverage", **OF, leverage=50)
    assert paper.place(**OF, quantity="10000").status_code == 200
    assert code(post(paper, "leverage", **OF, leverage=100)) == -2027


def test_margin_type(paper):
    same = post(paper, "marginType", **OF, marginType="CROSSED")
    assert same.json() == {"code": -4046, "msg": "No need to change margin type."}
    assert post(paper, "marginType", **OF, marginType="ISOLATED").json() == {"code": 200, "msg": "success"}
    assert paper.get("v1/symbolConfig", **OF)[0]["marginType"] == "ISOLATED"
    assert code(post(paper, "multiAssetsMargin", multiAssetsMargin="true")) == -4167
    paper.place(**OF, quantity="10")
    assert code(post(paper, "marginType", **OF, marginType="CROSSED")) == -4048
    assert code(post(paper, "marginType", **OF, marginType="LOOSE")) == -1102
    assert code(post(paper, "positionMargin", symbol="ETHUSDT", amount="5", type=1)) == -4049
    moved = post(paper, "positionMargin", **OF, amount="5", type=1).json()
    assert (moved["code"], moved["amount"], moved["type"]) == (200, 5, 1)
    assert code(post(paper, "positionMargin", **OF, amount="1000000000", type=2)) == -4051
    assert [m["amount"] for m in paper.get("v1/positionMargin/history", **OF)] == ["5"]
    paper.resting()
    assert code(post(paper, "marginType", symbol="ETHUSDT", marginType="ISOLATED")) == -4047


def test_an_isolated_position_has_margin_of_its_own(paper):
    of = {"symbol": "LTCUSDT"}

    def risk():
        return next(p for p in paper.get("v2/positionRisk") if p["symbol"] == "LTCUSDT")

    post(paper, "marginType", **of, marginType="ISOLATED")
    post(paper, "leverage", **of, leverage=10)
    paper.place(**of, quantity="4")
    whole = D(risk()["isolatedWallet"])
    assert whole == D(risk()["entryPrice"]) * 4 / 10
    assert 0 < D(risk()["liquidationPrice"]) < D(risk()["entryPrice"])
    now = risk()
    assert D(now["isolatedMargin"]) == D(now["isolatedWallet"]) + D(now["unRealizedProfit"])
    paper.place(**of, quantity="3", side="SELL")
    assert D(risk()["isolatedWallet"]) == whole / 4
    paper.place(**of, quantity="1", side="SELL")
    assert D(risk()["isolatedWallet"]) == 0 == D(risk()["isolatedMargin"])


def test_modes(paper):
    assert code(post(paper, "positionSide/dual", dualSidePosition="false")) == -4059
    assert code(post(paper, "positionSide/dual", dualSidePosition="maybe")) == -1102
    assert post(paper, "positionSide/dual", dualSidePosition="true").json() == {"code": 200, "msg": "success"}
    assert paper.get("v1/positionSide/dual") == {"dualSidePosition": True}
    post(paper, "positionSide/dual", dualSidePosition="false")
    assert code(post(paper, "multiAssetsMargin", multiAssetsMargin="false")) == -4171
    with paper.user_stream() as stream:
        assert post(paper, "multiAssetsMargin", multiAssetsMargin="true").status_code == 200
        stream.until(lambda f: f.get("ai") == {"j": True}, "the mode")
    assert paper.get("v1/accountConfig")["multiAssetsMargin"] is True
    order = paper.resting()
    assert code(post(paper, "positionSide/dual", dualSidePosition="true")) == -4067
    paper.signed("DELETE", "/fapi/v1/order", symbol="ETHUSDT", orderId=order["orderId"])
    paper.place()
    assert code(post(paper, "positionSide/dual", dualSidePosition="true")) == -4068


def test_a_countdown_cancels_unless_it_is_called_off(paper):
    order = paper.resting()
    assert post(paper, "countdownCancelAll", symbol="ETHUSDT", countdownTime=0).json()["countdownTime"] == "0"
    with paper.user_stream() as stream:
        post(paper, "countdownCancelAll", symbol="ETHUSDT", countdownTime=50)
        stream.event("ORDER_TRADE_UPDATE", c=order["clientOrderId"], X="CANCELED")


def test_an_order_is_tested_and_not_placed(paper):
    order = {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert post(paper, "order/test", **order).status_code == 200
    assert code(post(paper, "order/test", **{**order, "quantity": "0.0001"})) == -4004
    assert paper.get("v1/allOrders", symbol="ETHUSDT") == []


def test_algo_orders_over_the_wire(paper):
    wanted = {
        "symbol": "ETHUSDT",
        "side": "SELL",
        "algoType": "CONDITIONAL",
        "type": "STOP_MARKET",
        "quantity": "1",
    }
    with paper.user_stream() as stream:
        made = post(paper, "algoOrder", **wanted, triggerPrice="2600", clientAlgoId="stop-1").json()
        stream.event("ALGO_UPDATE", caid="stop-1", X="NEW")
        assert code(post(paper, "algoOrder", **wanted)) == -1102
        assert code(post(paper, "algoOrder", **{**wanted, "type": "LIMIT"})) == -1116
        assert code(post(paper, "algoOrder", **wanted, triggerPrice="2600", closePosition="true")) == -4137
        assert [a["algoId"] for a in paper.get("v1/openAlgoOrders", symbol="ETHUSDT")] == [made["algoId"]]
        paper.admin("shock", symbol="ETHUSDT", fraction="-0.05", seconds=0.2)
        done = stream.event("ALGO_UPDATE", caid="stop-1", X="FINISHED")["o"]
        stream.event("ORDER_TRADE_UPDATE", c="stop-1", X="FILLED")
    found = paper.get("v1/algoOrder", clientAlgoId="stop-1")
    assert (found["algoStatus"], found["actualOrderId"]) == ("FINISHED", done["ai"])
    assert paper.get("v1/order", symbol="ETHUSDT", orderId=found["actualOrderId"])["status"] == "FILLED"
    second = post(paper, "algoOrder", **wanted, triggerPrice="1000").json()
    gone = paper.signed("DELETE", "/fapi/v1/algoOrder", algoId=second["algoId"]).json()
    assert gone == {
        "algoId": second["algoId"],
        "clientAlgoId": second["clientAlgoId"],
        "code": "200",
        "msg": "success",
    }
    assert code(paper.signed("DELETE", "/fapi/v1/algoOrder", algoId=second["algoId"])) == -2011
    post(paper, "algoOrder", **wanted, triggerPrice="1000")
    assert paper.signed("DELETE", "/fapi/v1/algoOpenOrders", symbol="ETHUSDT").json()["code"] == 200
    assert paper.get("v1/openAlgoOrders") == []


def test_brackets_are_continuous():
    for lower, higher in pairwise(BRACKETS):
        at = D(higher.floor)
        assert (lower.cap, lower.leverage > higher.leverage) == (higher.floor, True)
        assert at * lower.rate - lower.cum == at * higher.rate - higher.cum == maintenance(at)

"""Every path of the exchange: its answer's fields and their types, as the official SDK's models have them.

Covers: actors/venues/paper/account_endpoints.py, actors/venues/paper/algo_endpoints.py, actors/venues/paper/market_endpoints.py, actors/venues/paper/order_endpoints.py, actors/venues/paper/reports.py
"""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal as D

import httpx
import pytest

from actors.venues.paper.algo import FIRST_ALGO_ID
from actors.venues.paper.config import PaperConfig
from actors.venues.paper.routes import routes
from actors.venues.paper.venue import PaperVenue
from tests.venues.paper.running import Running, code

S, N, B, F = str, int, bool, float

ORDER = {
    "clientOrderId": S, "executedQty": S, "orderId": N, "origQty": S, "origType": S, "price": S, "reduceOnly": B,
    "side": S, "positionSide": S, "status": S, "stopPrice": S, "closePosition": B, "symbol": S, "timeInForce": S,
    "type": S, "updateTime": N, "workingType": S, "priceProtect": B, "priceMatch": S, "selfTradePreventionMode": S,
    "goodTillDate": N,
}  # fmt: skip
PLACED = {**ORDER, "cumQty": S}
QUERIED = {**ORDER, "avgPrice": S, "cumQuote": S, "time": N}
ALGO = {
    "algoId": N, "clientAlgoId": S, "algoType": S, "orderType": S, "symbol": S, "side": S, "positionSide": S,
    "timeInForce": S, "quantity": S, "algoStatus": S, "triggerPrice": S, "price": S, "selfTradePreventionMode": S,
    "workingType": S, "priceMatch": S, "closePosition": B, "priceProtect": B, "reduceOnly": B, "createTime": N,
    "updateTime": N, "triggerTime": N, "goodTillDate": N,
}  # fmt: skip
MONEY = (
    "walletBalance unrealizedProfit marginBalance maintMargin initialMargin positionInitialMargin "
    "openOrderInitialMargin crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount"
).split()
TOTALS = (
    "totalInitialMargin totalMaintMargin totalWalletBalance totalUnrealizedProfit totalMarginBalance "
    "totalPositionInitialMargin totalOpenOrderInitialMargin totalCrossWalletBalance totalCrossUnPnl "
    "availableBalance maxWithdrawAmount"
).split()
ETH = {"symbol": "ETHUSDT"}
AS_TEXT = dict.fromkeys

READS = [
    ("v1/order", {**ETH, "origClientOrderId": "t-0"}, QUERIED),
    ("v1/allOrders", ETH, [QUERIED]),
    ("v1/openOrders", {}, [QUERIED]),
    ("v1/userTrades", ETH, [{**AS_TEXT(
        "price qty quoteQty commission commissionAsset realizedPnl side positionSide symbol".split(), S),
        "id": N, "orderId": N, "time": N, "buyer": B, "maker": B}]),
    ("v3/account", {}, {**AS_TEXT(TOTALS, S), "assets": [{**AS_TEXT(MONEY, S), "asset": S, "updateTime": N}],
        "positions": [{**AS_TEXT(
            "symbol positionSide positionAmt unrealizedProfit isolatedMargin notional isolatedWallet "
            "initialMargin maintMargin".split(), S), "updateTime": N}]}),
    ("v2/account", {}, {**AS_TEXT(TOTALS, S), "feeTier": N, "feeBurn": B, "canTrade": B, "canDeposit": B,
        "canWithdraw": B, "updateTime": N, "multiAssetsMargin": B, "tradeGroupId": N,
        "assets": [{**AS_TEXT(MONEY, S), "asset": S, "marginAvailable": B, "updateTime": N}],
        "positions": [{**AS_TEXT(
            "symbol initialMargin maintMargin unrealizedProfit positionInitialMargin openOrderInitialMargin leverage "
            "entryPrice maxNotional bidNotional askNotional positionSide positionAmt".split(), S),
            "isolated": B, "updateTime": N}]}),
    ("v2/balance", {}, [{**AS_TEXT(
        "accountAlias asset balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount".split(), S),
        "marginAvailable": B, "updateTime": N}]),
    ("v3/balance", {}, [{"asset": S, "balance": S, "updateTime": N}]),
    ("v3/positionRisk", {}, [{**AS_TEXT(
        "symbol positionSide positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit liquidationPrice "
        "isolatedMargin notional marginAsset isolatedWallet initialMargin maintMargin positionInitialMargin "
        "openOrderInitialMargin bidNotional askNotional".split(), S), "adl": N, "updateTime": N}]),
    ("v2/positionRisk", {}, [{**AS_TEXT(
        "entryPrice breakEvenPrice marginType isAutoAddMargin isolatedMargin leverage liquidationPrice markPrice "
        "maxNotionalValue positionAmt notional isolatedWallet symbol unRealizedProfit positionSide".split(), S),
        "updateTime": N}]),
    ("v1/symbolConfig", {}, [{"symbol": S, "marginType": S, "isAutoAddMargin": B, "leverage": N, "maxNotionalValue": S}]),
    ("v1/accountConfig", {}, {"feeTier": N, "canTrade": B, "canDeposit": B, "canWithdraw": B, "dualSidePosition": B,
        "multiAssetsMargin": B, "updateTime": N, "tradeGroupId": N}),
    ("v1/positionSide/dual", {}, {"dualSidePosition": B}),
    ("v1/multiAssetsMargin", {}, {"multiAssetsMargin": B}),
    ("v1/feeBurn", {}, {"feeBurn": B}),
    ("v1/commissionRate", ETH, {"symbol": S, "makerCommissionRate": S, "takerCommissionRate": S, "rpiCommissionRate": S}),
    ("v1/income", {}, [{**AS_TEXT("symbol incomeType income asset info tradeId".split(), S), "time": N, "tranId": N}]),
    ("v1/leverageBracket", ETH, [{"symbol": S, "notionalCoef": F, "brackets": [{
        "bracket": N, "initialLeverage": N, "notionalCap": N, "notionalFloor": N, "maintMarginRatio": F, "cum": F}]}]),
    ("v1/adlQuantile", {}, [{"symbol": S, "adlQuantile": {"LONG": N, "SHORT": N, "BOTH": N}}]),
    ("v1/rateLimit/order", {}, [{"rateLimitType": S, "interval": S, "intervalNum": N, "limit": N}]),
    ("v1/apiTradingStatus", {}, {"updateTime": N}),
    ("v1/openAlgoOrders", {}, [{**ALGO, "actualOrderId": S, "actualPrice": S}]),
    ("v1/allAlgoOrders", ETH, [{**ALGO, "actualOrderId": S, "actualType": S, "actualQty": S}]),
    ("v1/algoOrder", {"algoId": FIRST_ALGO_ID}, {**ALGO, "actualOrderId": S, "actualPrice": S, "actualType": S, "actualQty": S}),
    ("v1/premiumIndex", ETH, {**AS_TEXT(
        "symbol markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate".split(), S),
        "nextFundingTime": N, "time": N}),
    ("v1/depth", {**ETH, "limit": 5}, {"lastUpdateId": N, "E": N, "T": N, "bids": [[S]], "asks": [[S]]}),
    ("v1/aggTrades", ETH, [{"a": N, "p": S, "q": S, "nq": S, "f": N, "l": N, "T": N, "m": B}]),
    ("v1/trades", ETH, [{"id": N, "price": S, "qty": S, "quoteQty": S, "time": N, "isBuyerMaker": B, "isRPITrade": B}]),
    ("v1/klines", {**ETH, "interval": "1m"}, [[]]),
    ("v1/markPriceKlines", {**ETH, "interval": "1h"}, [[]]),
    ("v1/ticker/24hr", ETH, {**AS_TEXT(
        "symbol priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice highPrice lowPrice volume "
        "quoteVolume".split(), S), "openTime": N, "closeTime": N, "firstId": N, "lastId": N, "count": N}),
    ("v1/ticker/price", ETH, {"symbol": S, "price": S, "time": N}),
    ("v2/ticker/price", {}, [{"symbol": S, "price": S, "time": N}]),
    ("v1/ticker/bookTicker", {}, [{**AS_TEXT("symbol bidPrice bidQty askPrice askQty".split(), S), "time": N}]),
    ("v1/fundingRate", {}, [{"symbol": S, "fundingRate": S, "fundingTime": N, "markPrice": S, "rateType": S}]),
    ("v1/fundingInfo", {}, [{"symbol": S, "adjustedFundingRateCap": S, "adjustedFundingRateFloor": S,
        "fundingIntervalHours": N, "disclaimer": B}]),
    ("v1/openInterest", ETH, {"symbol": S, "openInterest": S, "time": N}),
    ("v1/forceOrders", {}, [{"orderId": N, "clientOrderId": S, "avgPrice": S, "cumQuote": S, "time": N}]),
    ("v1/exchangeInfo", {}, {"timezone": S, "serverTime": N, "assets": [{"asset": S, "marginAvailable": B}],
        "symbols": [{**AS_TEXT(
            "symbol pair contractType status maintMarginPercent requiredMarginPercent baseAsset quoteAsset marginAsset "
            "underlyingType triggerProtect liquidationFee marketTakeBound".split(), S), "deliveryDate": N,
            "onboardDate": N, "pricePrecision": N, "quantityPrecision": N, "baseAssetPrecision": N,
            "quotePrecision": N, "orderTypes": [S], "timeInForce": [S]}]}),
]  # fmt: skip


@pytest.fixture(scope="module")
def paper():
    running = Running()
    assert running.place().status_code == 200
    running.admin("close", symbol="ETHUSDT", quantity="0.5")
    running.admin("funding", symbol="ETHUSDT", rate="0.0001")
    running.resting()
    algo = {
        **ETH,
        "side": "SELL",
        "algoType": "CONDITIONAL",
        "type": "STOP_MARKET",
        "quantity": "1",
        "triggerPrice": "1000",
    }
    assert running.signed("POST", "/fapi/v1/algoOrder", **algo).status_code == 200
    yield running
    running.stop()


def check(value, wanted, where):
    """Check that a JSON value has the expected fields and types."""
    if isinstance(wanted, dict):
        for name, kind in wanted.items():
            assert name in value, f"{where}.{name} is missing"
            check(value[name], kind, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert value, f"{where} is empty"
        for item in value if wanted else ():
            check(item, wanted[0] if wanted else item, where)
    elif wanted is float:
        assert type(value) in {int, float}, f"{where}: {value!r}"
    else:
        assert type(value) is wanted, f"{where}: {value!r} is no {wanted.__name__}"


@pytest.mark.parametrize(("path", "params", "wanted"), READS, ids=[path for path, _, _ in READS])
def test_a_read_has_all_fields_of_the_right_type(paper, path, params, wanted):
    check(paper.get(path, **params), wanted, path)


def test_answers_to_placing_cancelling_and_amending_have_no_average_price(paper):
    resting = paper.resting()
    changed = paper.signed(
        "PUT", "/fapi/v1/order", **ETH, side="BUY", orderId=resting["orderId"], quantity="2", price="2000.00"
    ).json()
    cancelled = paper.signed("DELETE", "/fapi/v1/order", **ETH, orderId=resting["orderId"]).json()
    batch = json.dumps([paper.order(), paper.order(side="SELL")])
    several = paper.signed("POST", "/fapi/v1/batchOrders", batchOrders=batch).json()
    for answer in (paper.place().json(), resting, changed, cancelled, *several):
        check(answer, PLACED, "order")
        assert not {"avgPrice", "cumQuote"} & set(answer)
    assert {"modifyId", "pair"} <= set(changed)


def test_an_acknowledgement_has_no_execution_details(paper):
    for kind in ("ACK", None):
        answer = paper.place(newOrderRespType=kind).json()
        assert (answer["status"], answer["executedQty"], answer["cumQty"]) == ("NEW", "0", "0")
        assert paper.get("v1/order", **ETH, orderId=answer["orderId"])["status"] == "FILLED"


def test_money_is_never_written_with_an_exponent(paper):
    def texts(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from texts(item)
        elif isinstance(value, str) and value[:1].isdigit():
            yield value

    for path, params, _ in READS:
        for text in texts(paper.get(path, **params)):
            if text.replace(".", "").isdigit() or "E" in text:
                assert f"{D(text):f}" == text, (path, text)


def test_exchange_info_is_complete(paper):
    info = paper.http.get("/fapi/v1/exchangeInfo").json()
    bitcoin = next(s for s in info["symbols"] if s["symbol"] == "BTCUSDT")
    assert (bitcoin["pricePrecision"], bitcoin["quantityPrecision"]) == (1, 3)
    filters = {f["filterType"] for f in bitcoin["filters"]}
    assert filters >= {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "MAX_NUM_ORDERS",
        "MIN_NOTIONAL",
        "PERCENT_PRICE",
    }
    assert "MAX_NUM_ALGO_ORDERS" not in filters
    assert {"LIMIT", "MARKET", "STOP_MARKET", "TRAILING_STOP_MARKET"} <= set(bitcoin["orderTypes"])
    assert {"GTC", "IOC", "FOK", "GTX", "GTD"} <= set(bitcoin["timeInForce"])


def test_what_ccxt_asks_for_first_is_there(paper):
    assert paper.http.get("/sapi/v1/margin/allPairs").json() == []
    assert paper.signed("GET", "/sapi/v1/capital/config/getall").json() == []
    assert paper.http.get("/sapi/v1/capital/config/getall").status_code == 400


def test_depth_agrees_with_l1_and_with_what_a_swept_order_pays():
    running = Running(ticks_per_second=1)
    try:
        book = running.get("v1/depth", symbol="LTCUSDT", limit=5)
        touch = running.http.get("/fapi/v1/ticker/bookTicker", params={"symbol": "LTCUSDT"}).json()
        assert book["asks"][0] == [touch["askPrice"], touch["askQty"]]
        assert book["bids"][0] == [touch["bidPrice"], touch["bidQty"]]
        quantity = sum(D(q) for _, q in book["asks"][:2])
        cost = sum(D(p) * D(q) for p, q in book["asks"][:2])
        placed = running.place(symbol="LTCUSDT", quantity=str(quantity)).json()
        found = running.get("v1/order", symbol="LTCUSDT", orderId=placed["orderId"])
        assert D(found["cumQuote"]) == cost
    finally:
        running.stop()


def test_every_signed_path_wants_a_key_and_a_signature(paper):
    table = routes(PaperVenue(PaperConfig()))
    signed = [(m, p) for (m, p), r in table.items() if r.security.name == "SIGNED"]
    assert len(signed) > 40
    for method, path in signed:
        assert httpx.request(method, paper.address.rest + path).json()["code"] == -2014, path
        assert code(paper.signed(method, path, secret="wrong")) == -1022, path


BODY = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", "text/plain"])
@pytest.mark.parametrize("split", ["body", "query", "both"])
def test_parameters_come_in_body_or_query_or_both_whatever_the_content_type(paper, kind, split):
    import time

    fields = [f"{k}={v}" for k, v in {**paper.order(), "timestamp": int(time.time() * 1000)}.items()]
    at = {"body": 0, "query": len(fields), "both": 3}[split]
    query, body = "&".join(fields[:at]), "&".join(fields[at:])
    signature = "signature=" + signature_of(query + body)
    if body:
        body += "&" + signature
    else:
        query += "&" + signature
    answer = paper.http.post(f"/fapi/v1/order?{query}", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json().get("status")) == (200, "FILLED"), answer.text


def test_a_batch_that_is_not_percent_encoded_is_signed_as_it_stands(paper):
    import time

    batch = json.dumps([paper.order(), paper.order(side="SELL")], separators=(",", ":"))
    body = f"batchOrders={batch}&timestamp={int(time.time() * 1000)}"
    body += "&signature=" + signature_of(body)
    answers = paper.http.post("/fapi/v1/batchOrders", content=body, headers=BODY).json()
    assert [a["status"] for a in answers] == ["FILLED", "FILLED"]


@pytest.mark.parametrize("name", ["orderIdList", "orderidlist", "ORDERIDLIST"])
def test_lists_come_in_any_spelling(paper, name):
    ids = [paper.resting()["orderId"] for _ in range(2)]
    answers = paper.signed(
        "DELETE", "/fapi/v1/batchOrders", **ETH, **{name: json.dumps([*ids, 999_999])}
    ).json()
    assert [a.get("status", a.get("code")) for a in answers] == ["CANCELED", "CANCELED", -2011]


@pytest.mark.parametrize("name", ["origClientOrderIdList", "origclientorderidlist"])
def test_lists_of_client_ids_too(paper, name):
    ids = [paper.resting()["clientOrderId"] for _ in range(2)]
    answers = paper.signed("DELETE", "/fapi/v1/batchOrders", **ETH, **{name: json.dumps(ids)}).json()
    assert [a["status"] for a in answers] == ["CANCELED", "CANCELED"]


def signature_of(text):
    return hmac.new(b"paper-secret", text.encode(), hashlib.sha256).hexdigest()

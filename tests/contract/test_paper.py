"""What the paper exchange answers and tells, against the strict models of the official SDK: no field more or less."""

from __future__ import annotations

import pytest

from actors.venues.paper.config import PaperConfig
from actors.venues.paper.routes import routes
from actors.venues.paper.venue import PaperVenue
from tests.contract.paper_scenario import SYMBOL, market_frames, play, ws_api_answers
from tests.contract.shapes import REFUSAL, Leeway, faults
from tests.e2e.processes import Paper

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

LEEWAY = Leeway(
    absent=frozenset(
        [
            *(  # each filter has fields of its own
                f"ExchangeInformationResponseSymbolsInnerFiltersInner.{name}"
                for name in (
                    "maxPrice", "minPrice", "tickSize", "maxQty", "minQty", "stepSize", "limit", "notional", "multiplierUp",
                    "multiplierDown", "multiplierDecimal",
                )
            ),
            *(  # an order of a batch, or why it was refused
                f"{model}.{name}"
                for model in (
                    "PlaceMultipleOrdersResponseInner", "ModifyMultipleOrdersResponseInner", "CancelMultipleOrdersResponseInner",
                )
                for name in REFUSAL
            ),
            *(  # of conditional orders, which live elsewhere
                f"{model}.{name}"
                for model in (
                    "QueryOrderResponse", "CancelOrderResponse", "AllOrdersResponseInner", "CurrentAllOpenOrdersResponseInner",
                    "QueryCurrentOpenOrderResponse", "CancelMultipleOrdersResponseInner", "TestOrderResponse",
                    "CancelOrderResponseResult", "QueryOrderResponseResult",
                )
                for name in ("activatePrice", "priceRate")
            ),
            *(  # of COIN-M
                f"{model}.{name}"
                for model in ("AllOrdersResponseInner", "UsersForceOrdersResponseInner", "AccountTradeListResponseInner")
                for name in ("cumBase", "pair", "baseQty")
            ),
            *(  # symbols that the rules hold for
                f"FuturesTradingQuantitativeRulesIndicatorsResponseIndicators.{name}" for name in ("ACCOUNT", "BTCUSDT", "ETHUSDT")
            ),
            "PositionAdlQuantileEstimationResponseInnerAdlQuantile.HEDGE",  # in hedge mode
            "AccountConfigUpdate.ac", "AccountConfigUpdate.ai",  # one of the two
            "AccountUpdateA.S",  # with FUNDING_FEE
            "OrderTradeUpdateO.AP", "OrderTradeUpdateO.cr",  # of trailing stops
            "OrderTradeUpdateO.M",  # of amendments with a modifyId
            "OrderTradeUpdateO.n", "OrderTradeUpdateO.N",  # of trades
            "AccountInformationV2ResponseResultAssetsInner.marginAvailable",  # REST has it in balance only
            "websocket_api.OrderBookResponse.bids", "websocket_api.OrderBookResponse.asks",  # it has them beside the result
        ]
    ),
    # What Binance's pages or ccxt's examples have of these answers, and the SDK's models leave out.
    extra=frozenset(
        [
            "ExchangeInformationResponse.futuresType", "ExchangeInformationResponseSymbolsInner.maxMoveOrderLimit",
            "ExchangeInformationResponseSymbolsInnerFiltersInner.positionControlSide",
            "SymbolOrderBookTickerResponse1.lastUpdateId",  # the websocket API's model of the same answer has it
            "SymbolOrderBookTickerResponse2Inner.lastUpdateId",
            "GetFundingRateInfoResponseInner.updateTime",
            *(
                f"{model}.{name}"
                for model in (
                    "QueryAlgoOrderResponse", "QueryAllAlgoOrdersResponseInner", "CurrentAllAlgoOpenOrdersResponseInner",
                    "NewAlgoOrderResponseResult",
                )
                for name in (
                    "activatePrice", "callbackRate", "actualQty", "actualType", "tpTriggerPrice", "tpPrice", "slTriggerPrice",
                    "slPrice",
                )
            ),
            *(
                f"AccountInformationV2ResponsePositionsInner.{name}" for name in ("breakEvenPrice", "isolatedWallet", "notional")
            ),
            "AccountInformationResponseResult.feeBurn",
            *(f"AccountInformationResponseResultPositionsInner.{name}" for name in ("isolatedWallet", "notional")),
            "ModifyOrderResponseResult.pair", "QueryOrderResponse.rateLimits",
            "websocket_api.OrderBookResponseResult.bids", "websocket_api.OrderBookResponseResult.asks",
        ]
    ),
    null=frozenset(
        f"{model}.icebergQuantity"
        for model in (
            "NewAlgoOrderResponse", "QueryAlgoOrderResponse", "QueryAllAlgoOrdersResponseInner", "NewAlgoOrderResponseResult",
            "CurrentAllAlgoOpenOrdersResponseInner",
        )
    ),
)  # fmt: skip
NOT_OF_FUTURES = {("GET", "/sapi/v1/capital/config/getall"), ("GET", "/sapi/v1/margin/allPairs")}
# What a paper exchange has nothing to tell of.
NOT_SERVED = {
    "!assetIndex@arr", "<symbol>@compositeIndex", "tradingSession", "<symbol>@rpiDepth@500ms", "<symbol>@forceOrder",
    "!forceOrder@arr", "!contractInfo", "<pair>_<contractType>@continuousKline_<interval>",
}  # fmt: skip
FILLED_IN = {"<symbol>": SYMBOL.lower(), "<interval>": "1m", "<levels>": "5", "@<updateSpeed>": ""}
USER_EVENTS = {
    "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ALGO_UPDATE", "TRADE_LITE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL",
    "listenKeyExpired",
}  # fmt: skip


@pytest.fixture(scope="module")
def paper():
    process = Paper(limits="none")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def talk(paper):
    return play(paper)


@pytest.fixture(scope="module")
def table():
    return routes(PaperVenue(PaperConfig()))


def test_every_path_of_the_paper_exchange_is_one_of_the_sdk(table, tables):
    known = {(c["method"], c["path"]) for c in tables["rest"]}
    assert set(table) - known == NOT_OF_FUTURES


def test_the_paper_exchange_answers_what_an_account_needs(table, tables):
    beyond = ("convert", "asyn", "stock", "pm", "/futures/data")  # other products, and files to download
    market = {"GET " + "/fapi/v1/" + name for name in (
        "assetIndex", "constituents", "indexInfo", "insuranceBalance", "rpiDepth", "symbolAdlRisk", "tradingSchedule",
    )}  # fmt: skip
    needed = {
        (c["method"], c["path"])
        for c in tables["rest"]
        if not any(word in c["path"] for word in beyond) and f"{c['method']} {c['path']}" not in market
    }
    assert needed - set(table) == set()


def test_every_path_is_tried(talk, table):
    assert {(method, path) for method, path, _ in talk.answers} == set(table)


def test_each_answer_has_the_fields_and_types_of_the_sdk(talk, tables):
    kinds = {(c["method"], c["path"]): c["answer"] for c in tables["rest"]}
    wrong = [
        fault
        for method, path, answer in talk.answers
        if (method, path) not in NOT_OF_FUTURES
        for fault in faults(answer, kinds[method, path], tables["models"], f"{method} {path}", LEEWAY)
    ]
    assert sorted(set(wrong)) == []


def test_each_event_of_the_user_stream_has_the_fields_and_types_of_the_sdk(talk, tables):
    wrong = [
        fault
        for event in talk.events
        for fault in faults(
            {k: v for k, v in event.items() if k != "e"},
            tables["events"][event["e"]],
            tables["models"],
            event["e"],
            LEEWAY,
        )
    ]
    assert sorted(set(wrong)) == []
    assert talk.kinds() == USER_EVENTS
    funding = [e["a"] for e in talk.events if e["e"] == "ACCOUNT_UPDATE" and e["a"]["m"] == "FUNDING_FEE"]
    assert [a.get("S") for a in funding] == [SYMBOL]


def test_each_market_stream_has_the_fields_and_types_of_the_sdk(paper, tables):
    served, kinds = {}, {}
    for stream in tables["streams"]:
        name = stream["stream"]
        if name not in NOT_SERVED:
            for gap, filled in FILLED_IN.items():
                name = name.replace(gap, filled)
            served[name], kinds[name] = stream["route"], stream["answer"]
    frames = market_frames(paper, served)
    assert set(frames) == set(served)
    wrong = []
    for name, frame in frames.items():
        rows = frame if isinstance(frame, list) else [frame]
        kind = kinds[name]["list"] if "list" in kinds[name] else kinds[name]
        wrong += [fault for row in rows for fault in faults(row, kind, tables["models"], name, LEEWAY)]
    assert sorted(set(wrong)) == []


def test_each_answer_of_the_websocket_api_has_the_fields_and_types_of_the_sdk(paper, tables):
    kinds = {c["method"]: c["answer"] for c in tables["ws_api"]}
    answers = ws_api_answers(paper, kinds)
    assert set(answers) == set(kinds)
    wrong = [
        fault
        for method, answer in answers.items()
        for fault in faults(answer, kinds[method], tables["models"], method, LEEWAY)
    ]
    assert sorted(set(wrong)) == []


def test_the_weights_of_the_paper_exchange_are_those_of_the_sdk(table, tables):
    wrong = []
    for call in tables["rest"]:
        route = table.get((call["method"], call["path"]))
        weight = call["weight"] or {}
        if route is None:
            continue
        tried = [
            ({"symbol": SYMBOL, "limit": str(limit)}, cost) for limit, cost in weight.get("by_limit", ())
        ]
        if "weight" in weight:
            tried = [({"symbol": SYMBOL}, weight["weight"]), ({}, weight.get("no_symbol", weight["weight"]))]
        for params, cost in tried:
            if route.cost(params)[0] != cost:
                wrong.append(
                    f"{call['method']} {call['path']} {params}: {route.cost(params)[0]}, the SDK has {cost}"
                )
    assert wrong == []

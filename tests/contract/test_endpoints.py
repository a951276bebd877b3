"""Paths, methods and weights: what the engine asks for, against the SDK and ccxt."""

from __future__ import annotations

import ast
import re

from actors.venues.binance import endpoints
from tests.e2e.processes import ROOT

ENGINE = sorted((ROOT / "actors/venues/binance").glob("*.py"))
METHODS = {"GET", "POST", "PUT", "DELETE"}
# Where ccxt and the SDK differ, or ccxt's is a price for its own throttle and no weight.
CCXT_DIFFERS = {
    ("POST", "/fapi/v1/order"), ("PUT", "/fapi/v1/order"), ("POST", "/fapi/v1/algoOrder"),  # free of weight, not for ccxt
    ("GET", "/fapi/v1/feeBurn"), ("GET", "/fapi/v1/premiumIndex"), ("GET", "/fapi/v1/fundingInfo"),
    ("GET", "/fapi/v2/account"), ("GET", "/fapi/v2/balance"), ("GET", "/fapi/v2/positionRisk"),
    ("GET", "/fapi/v3/account"), ("GET", "/fapi/v3/balance"), ("GET", "/fapi/v3/positionRisk"),
    ("GET", "/fapi/v2/ticker/price"),
}  # fmt: skip

# Free to the SDK, 1 to ccxt: we may count too much, never too little.
COUNTED_ALL_THE_SAME = {("GET", "/fapi/v1/fundingInfo")}


def requests_in(path):
    """Method and path of each request in a source file; without a method where it is not written beside it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            words = [_text(a) for a in node.args[:2]]
            verb = getattr(node.func, "attr", "").upper()
            if words[:1] and words[0] in METHODS and len(words) > 1 and "/fapi/" in words[1]:
                yield words[0], _clean(words[1])
            elif verb in METHODS and words[:1] and "/fapi/" in words[0]:
                yield verb, _clean(words[0])
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.match(r"/fapi/v\d/\w", node.value)
        ):
            yield None, _clean(node.value)


def _text(node):
    """The constant parts of a string, also of an f-string."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _clean(path):
    return re.sub(r"\?.*", "", path[path.index("/fapi/") :])


def test_every_request_of_the_engine_is_one_that_the_sdk_makes_too(tables):
    known = {(c["method"], c["path"]) for c in tables["rest"]}
    paths = {path for _, path in known}
    asked = {(method, path) for file in ENGINE for method, path in requests_in(file)}
    assert len({path for _, path in asked}) > 8  # the search finds them
    assert {(m, p) for m, p in asked if (p not in paths if m is None else (m, p) not in known)} == set()


def test_the_streams_that_the_engine_reads_are_where_the_sdk_reads_them(tables):
    routes = {s["stream"]: s["route"] for s in tables["streams"]}
    text = (ROOT / "actors/venues/binance/market_data.py").read_text(encoding="utf-8")
    names = {f"<symbol>{name}" for name in re.findall(r"\}(@\w+)", text)}
    assert names == {"<symbol>@bookTicker"}
    assert {routes[name] for name in names} == {"public"}
    assert ".public}/stream?streams=" in text


def tried(call):
    """Parameters to ask with, and the weight that the SDK's documentation has for them."""
    weight = call["weight"] or {}
    if "by_limit" in weight:
        yield from (({"symbol": "BTCUSDT", "limit": str(limit)}, cost) for limit, cost in weight["by_limit"])
    elif "weight" in weight:
        yield {"symbol": "BTCUSDT"}, weight["weight"]
        yield {}, weight.get("no_symbol", weight["weight"])


def test_weights_are_those_of_the_sdk(tables):
    wrong = []
    for call in tables["rest"]:
        if (call["method"], call["path"]) in endpoints.WEIGHTS:
            for params, weight in tried(call):
                ours = endpoints.weight_of(call["method"], call["path"], params)
                free = weight == 0 and (call["method"], call["path"]) in COUNTED_ALL_THE_SAME
                if ours != (1 if free else weight):
                    wrong.append(f"{call['method']} {call['path']} {params}: {ours}, the SDK has {weight}")
    assert wrong == []


def test_weights_are_those_of_ccxt(tables):
    wrong = []
    for call in tables["ccxt"]["endpoints"]:
        key = call["method"], call["path"]
        if key in endpoints.WEIGHTS and key not in CCXT_DIFFERS:
            params = {"symbol": "BTCUSDT", "limit": "5"}
            if endpoints.weight_of(*key, params) != call["cost"]:
                wrong.append(f"{key}: {endpoints.weight_of(*key, params)}, ccxt has {call['cost']}")
            if "noSymbol" in call and endpoints.weight_of(*key, {}) != call["noSymbol"]:
                wrong.append(
                    f"{key} without symbol: {endpoints.weight_of(*key, {})}, ccxt has {call['noSymbol']}"
                )
            for limit, cost in call.get("byLimit", []):
                ours = endpoints.weight_of(*key, {"limit": str(limit)})
                if ours != cost:
                    wrong.append(f"{key} with limit {limit}: {ours}, ccxt has {cost}")
    assert wrong == []


def test_every_weight_is_of_a_call_that_exists_and_every_call_that_we_make_has_one(tables):
    known = {(c["method"], c["path"]) for c in tables["rest"]}
    assert set(endpoints.WEIGHTS) - known == set()
    asked = {(m, p) for file in ENGINE for m, p in requests_in(file) if m is not None}
    assert asked - set(endpoints.WEIGHTS) == set()

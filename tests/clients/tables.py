"""What the official SDK and ccxt say of the protocol, as JSON on stdout; read from the installed packages.

It runs in the virtual environment of the clients, which has nothing of ours.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import json
import re
import sys
import textwrap
import types
import typing

import ccxt
from binance_common.configuration import ConfigurationWebSocketAPI
from binance_common.utils import websocket_api_signature
from binance_sdk_derivatives_trading_usds_futures.rest_api import models as rest_models
from binance_sdk_derivatives_trading_usds_futures.websocket_api import models as api_models
from binance_sdk_derivatives_trading_usds_futures.websocket_streams import models as stream_models
from pydantic import BaseModel

SDK = "binance_sdk_derivatives_trading_usds_futures"
SCALARS = {str: "string", int: "integer", bool: "boolean", float: "number", type(None): "null"}
# Words that the SDK's models use for their own working, and that no message holds.
OWN_FIELDS = {"additional_properties", "one_of_schemas", "discriminator_value_class_map", "actual_instance"}
REST_FILES = ("account_api", "market_data_api", "trade_api", "user_data_streams_api")


class Models:
    """Every model that was met, by its module and name, each field with its type."""

    def __init__(self):
        self.found = {}

    def type_of(self, annotation):
        """A type as a word, ``{"list": type}``, ``{"one_of": [types]}`` or ``{"model": name}``."""
        if annotation in SCALARS:
            return SCALARS[annotation]
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            return self.type_of(args[0])
        if origin in {typing.Union, types.UnionType}:
            kinds = [k for k in map(self.type_of, args) if k != "null"]
            return kinds[0] if len(kinds) == 1 else {"one_of": kinds}
        if origin is list:
            inner = self.type_of(args[0])
            # A list of an array class is that array: the class already says so.
            is_array = inspect.isclass(args[0]) and getattr(args[0], "is_array", bool)()
            return inner if is_array else {"list": inner}
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            return self.answer(annotation)
        return "any"

    def answer(self, model):
        """The type of a whole answer: the SDK's array classes hold no fields of their own."""
        fields = model.model_fields
        if "actual_instance" in fields:
            return self.type_of(fields["actual_instance"].annotation)
        if getattr(model, "is_array", bool)():
            inner = next(
                (b for b in model.__mro__[1:] if b not in {BaseModel, object} and issubclass(b, BaseModel)),
                None,
            )
            return {"list": self.model(inner) if inner else "any"}
        return self.model(model)

    def model(self, model):
        name = f"{model.__module__.removeprefix(SDK + '.').split('.')[0]}.{model.__name__}"
        if name not in self.found:
            self.found[name] = {}  # before its fields, for models that hold themselves
            self.found[name] = {
                (field.alias or key): self.type_of(field.annotation)
                for key, field in model.model_fields.items()
                if key not in OWN_FIELDS
            }
        return {"model": name}


def weight_of(text):
    """The weight of a call from its documentation: by the limit asked for, alone, and with no symbol."""
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if "Weight" in line and "|" not in line), None)
    if at is None:
        return None
    said = " ".join(line.strip() for line in lines[at : at + 4])
    by_ip = re.search(r"(\d+) on IP rate limit", said)
    if by_ip:
        on_ten = re.search(r"(\d+) on 10s order rate limit", said)
        return {"weight": int(by_ip[1]), "orders": int(on_ten[1]) if on_ten else 0}
    rows = [
        (int(line.count(">")) + int(found[0]), int(found[-1]))
        for line in lines[at:]
        if re.match(r"\s*\|[^|]*\d[^|]*\|", line) and len(found := re.findall(r"\d+", line)) > 1
    ]
    if rows:
        return {"by_limit": rows}
    numbers = re.findall(r"\*\*(\d+)\*\*|Weight\(IP\): (\d+)|\b(\d+) (?:for a single|when the symbol)", said)
    found = [int(a or b or c) for a, b, c in numbers]
    if not found:
        return {"said": said[:200]}
    return {"weight": found[0], **({"no_symbol": found[1]} if len(found) > 1 else {})}


def calls_in(module, base, sender):
    """Each method of an API class: what it sends, as keywords of its call of ``sender``, and its documentation."""
    for _, made in inspect.getmembers(module, inspect.isclass):
        if made.__module__ != module.__name__:
            continue
        for name, method in inspect.getmembers(made, inspect.isfunction):
            tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
            sent = [
                node for node in ast.walk(tree)
                if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in sender
            ]  # fmt: skip
            if sent:
                yield base, name, {k.arg: k.value for k in sent[0].keywords}, tree, method.__doc__ or ""


def rest_calls(models):
    for file in REST_FILES:
        module = importlib.import_module(f"{SDK}.rest_api.api.{file}")
        for _, name, sent, _, text in calls_in(module, "rest", {"send_request"}):
            model = getattr(rest_models, getattr(sent.get("response_model"), "id", ""), None)
            yield {
                "name": name,
                "method": sent["method"].value,
                "path": sent["path"].value,
                "signed": "is_signed" in sent,
                "security": (re.search(r"Security Type: (\w+)", text) or ["", ""])[1],
                "weight": weight_of(text),
                "answer": models.answer(model) if model else "any",
            }


def wire_name(tree):
    """The method's or stream's name in a call's source, where it is written with a stroke before it."""
    words = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return next(w[1:] for w in words if re.fullmatch(r"/[^\s/][^\s]*", w))


def ws_calls(models):
    for file in REST_FILES:
        module = importlib.import_module(f"{SDK}.websocket_api.api.{file}")
        for _, name, sent, tree, text in calls_in(module, "ws", {"send_message", "send_signed_message"}):
            wire = wire_name(tree)
            model = getattr(api_models, sent["response_model"].id)
            yield {"name": name, "method": wire, "weight": weight_of(text), "answer": models.answer(model)}


def stream_calls(models):
    for file in ("market_api", "public_api"):
        module = importlib.import_module(f"{SDK}.websocket_streams.streams.{file}")
        for _, name, sent, tree, _ in calls_in(module, "streams", {"RequestStream"}):
            wire = wire_name(tree)
            model = getattr(stream_models, sent["response_model"].id)
            yield {
                "name": name,
                "route": file.removesuffix("_api"),
                "stream": wire,
                "answer": models.answer(model),
            }


def enums():
    """Every enumeration of the SDK; those of parameters say what may be sent."""
    return {
        f"{place}.{name}": [member.value for member in made]
        for place, module in (("rest", rest_models), ("ws", api_models), ("streams", stream_models))
        for name, made in inspect.getmembers(module, inspect.isclass)
        if issubclass(made, enum.Enum)
    }


def said_of_codes():
    """What ccxt's source notes beside each error code of futures: the code's name, or the exchange's words."""
    found, block = {}, ""
    for line in inspect.getsource(ccxt.binance.describe).splitlines():
        opened = re.match(r"(?: {16})'(\w+)': \{$", line)
        block = opened[1] if opened else block
        noted = re.match(r"\s+'(-\d+)': \w+,\s+# (.*)", line)
        if noted and block in {"linear", "exact"} and noted[2] != "override commons":
            words = re.search(r'"msg":\s*"([^"]+)"', noted[2])
            name = re.fullmatch(r"([A-Z][A-Z_]+)\.?", noted[2])
            said = {"name": name[1]} if name else {"exact": words[1]} if words else {"text": noted[2]}
            found.setdefault(noted[1], {}).update(said)
    return found


def ccxt_tables():
    exchange = ccxt.binanceusdm()
    versions = {"fapiPublic": 1, "fapiPrivate": 1, "fapiPublicV2": 2, "fapiPrivateV2": 2, "fapiPrivateV3": 3}
    endpoints = [
        {
            "method": method.upper(),
            "path": f"/fapi/v{version}/{path}",
            **(cost if isinstance(cost, dict) else {"cost": cost}),
        }
        for api, version in versions.items()
        for method, paths in exchange.api.get(api, {}).items()
        for path, cost in paths.items()
    ]

    # The table of statuses is written inside the method that uses it.
    tree = ast.parse(textwrap.dedent(inspect.getsource(ccxt.binance.parse_order_status)))
    known = next(ast.literal_eval(node) for node in ast.walk(tree) if isinstance(node, ast.Dict))

    def names(table):
        return {code: made.__name__ for code, made in table.items()}

    return {
        "version": ccxt.__version__,
        "endpoints": endpoints,
        "exceptions": names(exchange.exceptions["exact"]),
        "exceptions_of_fapi_hosts": names(exchange.exceptions["linear"]["exact"]),
        "said": said_of_codes(),
        "statuses": {status: exchange.parse_order_status(status) for status in known},
    }


def signed_by_the_sdk():
    """A request of the websocket API as the SDK signs it."""
    config = ConfigurationWebSocketAPI(api_key="a-key", api_secret="a-secret")
    sent = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "newClientOrderId": "bh-1.x:/_",
        "recvWindow": 2000,
        "timestamp": 1,
    }
    return {"sent": sent, "signed": dict(websocket_api_signature(config, dict(sent)))}


def main():
    models = Models()
    events = importlib.import_module(f"{SDK}.websocket_streams.models.user_data_stream_events_response")
    tables = {
        "rest": sorted(rest_calls(models), key=lambda c: (c["path"], c["method"])),
        "ws_api": sorted(ws_calls(models), key=lambda c: c["method"]),
        "ws_signed": signed_by_the_sdk(),
        "streams": sorted(stream_calls(models), key=lambda c: c["stream"]),
        "events": {
            name: models.answer(model)
            for name, model in events.USERDATASTREAMEVENTSRESPONSE_EVENT_SCHEMA_MAP.items()
        },
        "enums": enums(),
        "ccxt": ccxt_tables(),
    }
    json.dump({**tables, "models": models.found}, sys.stdout)


if __name__ == "__main__":
    main()

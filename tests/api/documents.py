"""The application and its OpenAPI document, made without an engine."""

from __future__ import annotations

import functools
import warnings
from types import SimpleNamespace

from litestar.routes import WebSocketRoute

from actors.api.auth import Tokens
from actors.api.noun import Context
from actors.api.server import application
from actors.assembly.config import EngineConfig


@functools.cache
def app():
    """The application over an engine that is not there: its routes and its document, but no answers."""
    engine = SimpleNamespace(clock=SimpleNamespace(monotonic_ns=lambda: 0), config=EngineConfig())
    with warnings.catch_warnings():
        # Of Litestar 3, about how handlers name what they take; it does not concern the document.
        warnings.simplefilter("ignore", DeprecationWarning)
        made = application(Context(engine), Tokens([]))
        assert made.openapi_schema
    return made


def document():
    """The OpenAPI document as it is served, as plain dictionaries."""
    return app().openapi_schema.to_schema()


def operations():
    """Method and path of every route."""
    return {(method.upper(), path) for path, item in document()["paths"].items() for method in item}


def websockets():
    """The path of every websocket, which OpenAPI has no word for; each is opened by a GET."""
    return {("GET", route.path) for route in app().routes if isinstance(route, WebSocketRoute)}

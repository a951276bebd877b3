"""The OpenAPI document of the application, made without an engine."""

from __future__ import annotations

import functools
from types import SimpleNamespace

from actors.api.auth import Tokens
from actors.api.noun import Context
from actors.api.server import application


@functools.cache
def document():
    """The document as it is served, as plain dictionaries."""
    engine = SimpleNamespace(clock=SimpleNamespace(monotonic_ns=lambda: 0), config=None)
    return application(Context(engine), Tokens([])).openapi_schema.to_schema()


def operations():
    """Method and path of every route."""
    return {(method.upper(), path) for path, item in document()["paths"].items() for method in item}

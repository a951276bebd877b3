"""The application is made of all nouns, and each route is of one noun.

Covers: actors/api/noun.py
"""

from __future__ import annotations

import importlib
import pkgutil

import actors.api
from actors.api.noun import Noun
from actors.api.server import NOUNS
from tests.api.documents import app, document, operations


def modules():
    return [
        importlib.import_module(f"actors.api.{m.name}") for m in pkgutil.iter_modules(actors.api.__path__)
    ]


def test_no_noun_is_forgotten():
    found = [module.NOUN for module in modules() if hasattr(module, "NOUN")]
    assert all(isinstance(noun, Noun) for noun in found)
    assert len(found) == len(NOUNS)
    assert all(any(noun is ours for ours in NOUNS) for noun in found)


def test_no_controller_is_forgotten_in_its_noun():
    for module in modules():
        if hasattr(module, "NOUN"):
            routes = {
                value
                for name, value in vars(module).items()
                if name.endswith("Routes") and value.__module__ == module.__name__
            }
            assert routes == set(module.NOUN.controllers), module.__name__


def test_every_route_needs_a_token_but_health():
    handlers = [handler for route in app().routes for handler in getattr(route, "route_handlers", ())]
    handlers += [route.route_handler for route in app().routes if hasattr(route, "route_handler")]
    assert len(handlers) > 50
    assert all(handler.resolve_guards() for handler in handlers)
    assert {path for handler in handlers if handler.opt.get("open") for path in handler.paths} == {
        "/v1/health"
    }


def test_every_route_says_what_it_does_and_what_may_go_wrong():
    paths = document()["paths"]
    for method, path in operations():
        operation = paths[path][method.lower()]
        assert operation["description"], path
        if path != "/v1/health":
            assert {"400", "401", "403", "404", "409", "503"} <= set(operation["responses"]), path

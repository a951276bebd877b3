"""Commands about the breaker: what each asks the engine for."""

from __future__ import annotations

import pytest

PATH = "/v1/accounts/acct-1/breaker"


@pytest.mark.parametrize(
    ("line", "request_", "text"),
    [
        ("breaker trip acct-1 --reason odd", ("POST", PATH, {"reason": "odd"}), "acct-1: breaker open"),
        (
            "breaker trip acct-1",
            ("POST", PATH, {"reason": "asked for by an operator"}),
            "acct-1: breaker open",
        ),
        ("breaker reset acct-1", ("DELETE", PATH, None), "acct-1: breaker closed"),
    ],
)
def test_it_is_opened_and_closed(line, request_, text, engine, cli):
    assert text in cli(line).out
    assert engine.requests == [request_]

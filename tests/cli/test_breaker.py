"""Commands about the breaker: what each asks the engine for, and what it prints."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from actors.api.breaker import risk_view
from actors.cli import breaker
from tests.factories import ETH, account, market, position

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


def test_risk_is_one_get(engine, cli):
    engine.answers["GET", "/v1/accounts/a%2Fb/risk"] = {}
    assert cli("risk a/b --json").out == "{}\n"
    assert engine.requests == [("GET", "/v1/accounts/a%2Fb/risk", {})]


def printed(call, *arguments):
    out = io.StringIO()
    call(*arguments, Console(file=out, width=80))
    return out.getvalue()


def test_a_pending_fee_of_nothing_has_no_exponent():
    state = account("10000", (position(ETH, "1"),))
    found = msgspec.json.decode(msgspec.json.encode(risk_view(state, market())))
    found["pending_fees"] = [{"trade_id": 7, "symbol": "ETHUSDT", "amount": "0E-8", "asset": "BNB"}]
    assert "trade 7 of ETHUSDT: 0 BNB, rate not known" in printed(breaker.risk_table, found)


def test_a_day_has_its_start_its_equity_then_and_its_loss():
    found = msgspec.json.decode(msgspec.json.encode(risk_view(account("1000", ()), market())))
    found |= {"day_start_ms": 1_795_262_400_123, "day_equity": "1000", "day_loss": None, "day_stopped": True}
    text = " ".join(printed(breaker.risk_table, found).split())
    assert "day since 2026-11-21 12:00:00.123, equity then 1,000.00, loss no price, no new risk today" in text

"""Commands about orders: what each asks the engine for, what it waits for, and how it ends."""

from __future__ import annotations

import io
import json

import pytest

from actors.api.client import NotKnown
from actors.cli import orders
from actors.core.order_tags import TAGS
from tests.cli.fake_engine import ACCEPTED, Answers

PLACED = {**ACCEPTED, "client_order_id": "bh-1"}
PLACE = ("POST", "/v1/accounts/acct-1/orders")
HELD = [{"symbol": "ETHUSDT", "quantity": "0.1"}, {"symbol": "BTCUSDT", "quantity": "-0.01"}]


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(orders, "POLL_SECONDS", 0.001)


def account(*positions, resting=()):
    return {"account_id": "acct-1", "positions": list(positions), "orders": list(resting), "conditionals": []}


def ended(status, **more):
    return {"status": status, "end": "", "filled": "0.1", "quantity": "0.1", **more}


@pytest.mark.parametrize(
    ("options", "kind", "fields"),
    [
        ("", "MARKET", {}),
        ("--price 1500", "LIMIT", {"price": "1500"}),
        ("--stop 1400 --reduce-only", "STOP_MARKET", {"trigger_price": "1400", "reduce_only": True}),
        ("--take-profit 1600", "TAKE_PROFIT_MARKET", {"trigger_price": "1600"}),
        ("--trail 0.02 --activation 1550", "TRAILING_STOP_MARKET", {"callback_rate": "0.02", "activation_price": "1550"}),
        ("--leverage 20 --strategy trend", "MARKET", {"leverage": "20", "strategy": "trend"}),
    ],
)  # fmt: skip
def test_the_type_of_an_order_follows_from_its_price_option(options, kind, fields, engine, cli):
    engine.answers[PLACE] = PLACED
    shown = cli(f"order acct-1 sell 0.1 ethusdt {options}")
    assert shown.out == "bh-1 accepted and durable\n"
    plain = {
        "price": None, "trigger_price": None, "callback_rate": None, "activation_price": None, "leverage": None,
        "reduce_only": False, **dict.fromkeys(TAGS, ""),
    }  # fmt: skip
    body = {"symbol": "ETHUSDT", "side": "SELL", "quantity": "0.1", "order_type": kind, **plain, **fields}
    assert engine.requests == [(*PLACE, body)]


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_of_an_order_is_an_option(tag, engine, cli):
    engine.answers[PLACE] = PLACED
    cli(f"order acct-1 sell 0.1 ETHUSDT --{tag.replace('_', '-')} mine")
    [(*_, body)] = engine.requests
    assert body[tag] == "mine"


def test_two_price_options_are_refused(engine, cli):
    shown = cli("order acct-1 sell 0.1 ETHUSDT --price 1 --stop 2")
    assert shown.code == 2
    assert "give one of --price, --stop, --take-profit and --trail" in shown.err
    assert engine.requests == []


def test_an_order_that_is_durable_but_not_in_the_tables_yet_is_waited_for(engine, cli):
    engine.answers[PLACE] = PLACED
    unknown = NotKnown("404: there is no order 'bh-1'")
    engine.answers["GET", "/v1/orders/bh-1"] = Answers([unknown, unknown, ended("FILLED")])
    shown = cli("order acct-1 buy 0.1 ETHUSDT --wait 9")
    assert (shown.code, shown.out) == (0, "bh-1 accepted and durable\nbh-1 FILLED, 0.1 of 0.1 filled\n")
    engine.answers["GET", "/v1/orders/bh-1"] = unknown
    shown = cli("order acct-1 buy 0.1 ETHUSDT --wait 0")
    assert (shown.code, shown.out) == (0, "bh-1 accepted and durable\n")
    shown = cli("order acct-1 buy 0.1 ETHUSDT --wait 1")
    assert (shown.code, shown.out) == (2, "bh-1 accepted and durable\n")
    assert "there is no order" in shown.err


@pytest.mark.parametrize(
    ("status", "code"), [("FILLED", 0), ("CANCELED", 0), ("REJECTED", 1), ("EXPIRED", 1)]
)
def test_it_waits_for_the_end_and_prints_it(status, code, engine, cli):
    engine.answers[PLACE] = PLACED
    engine.answers["GET", "/v1/orders/bh-1"] = Answers(
        [ended("INTENDED"), ended("ACKNOWLEDGED"), ended(status)]
    )
    shown = cli("order acct-1 buy 0.1 ETHUSDT --wait 9")
    assert shown.code == code
    assert shown.out == f"bh-1 accepted and durable\nbh-1 {status}, 0.1 of 0.1 filled\n"
    engine.answers["GET", "/v1/orders/bh-1"] = ended(status)
    assert json.loads(cli("order acct-1 buy 0.1 ETHUSDT --wait 9 --json").out)["status"] == status, (
        "one answer"
    )


def test_the_time_to_wait_can_be_up(engine, cli, monkeypatch):
    engine.answers[PLACE] = PLACED
    engine.answers["GET", "/v1/orders/bh-1"] = ended("ACKNOWLEDGED", filled="0")
    times = iter([0.0, 0.5, 1.5])
    monkeypatch.setattr(orders.time, "monotonic", lambda: next(times))
    assert "bh-1 ACKNOWLEDGED after 1 s, 0 of 0.1 filled" in cli("order acct-1 buy 0.1 ETHUSDT --wait 1").out


def test_cancel_is_one_delete(engine, cli):
    assert cli("cancel acct-1 bh-1").out == "cancel requested\n"
    assert engine.requests == [("DELETE", "/v1/accounts/acct-1/orders/bh-1", None)]


@pytest.mark.parametrize(
    ("line", "path", "params"),
    [
        ("why bh-1", "/v1/why/bh-1", {}),
        ("orders --waiting --limit 7", "/v1/waiting", {"limit": 7}),
        ("caused tick:BTCUSDT:1", "/v1/causes/tick%3ABTCUSDT%3A1", {}),
    ],
)
def test_what_lists_is_one_get(line, path, params, engine, cli):
    engine.answers["GET", path] = []
    assert cli(f"{line} --json").code == 0
    assert engine.requests == [("GET", path, params)]


def test_orders_are_those_of_the_account(engine, cli):
    engine.answers["GET", "/v1/accounts/acct-1"] = account(*HELD, resting=[{"client_order_id": "bh-1"}])
    found = json.loads(cli("orders acct-1 --json").out)
    assert found == {"orders": [{"client_order_id": "bh-1"}], "conditionals": []}


@pytest.mark.parametrize("line", ["orders", "orders acct-1 --waiting"])
def test_orders_are_of_an_account_or_those_that_wait(line, engine, cli):
    shown = cli(line)
    assert (shown.code, engine.requests) == (2, [])
    assert "give an account, or --waiting" in shown.err


CLOSE = ("POST", "/v1/accounts/acct-1/close")
SOLD = {"side": "SELL", "quantity": "0.1", "symbol": "ETHUSDT", "answer": PLACED}


def test_close_cancels_what_rests_on_the_closing_side_first_and_waits_until_all_is_closed(engine, cli):
    resting = [
        {"client_order_id": "bh-8", "symbol": "ETHUSDT", "side": "SELL"},
        {"client_order_id": "bh-9", "symbol": "ETHUSDT", "side": "BUY"},
    ]
    working = {"client_order_id": "bh-1", "symbol": "ETHUSDT", "side": "SELL"}
    engine.answers["GET", "/v1/accounts/acct-1"] = Answers(
        [
            account(*HELD, resting=resting),
            account(*HELD, resting=resting),
            account(*HELD, resting=resting[1:]),
            account(*HELD, resting=[working]),
            account(HELD[1]),
        ]
    )
    engine.answers[CLOSE] = [SOLD]
    shown = cli("close acct-1 ethusdt --yes")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == "SELL 0.1 ETHUSDT: bh-1 accepted and durable\nacct-1: closed\n"
    changes = [request for request in engine.requests if request[0] != "GET"]
    assert changes == [("DELETE", "/v1/accounts/acct-1/orders/bh-8", None), (*CLOSE, {"symbol": "ETHUSDT"})]


def test_what_is_left_is_an_exit_code(engine, cli):
    engine.answers["GET", "/v1/accounts/acct-1"] = account(*HELD)
    engine.answers[CLOSE] = [
        {**SOLD, "answer": {"type": "Rejected", "rejections": [{"code": "NO_PRICE", "text": "none"}]}}
    ]
    shown = cli("close acct-1 --yes --wait 0")
    assert shown.code == 1
    assert "SELL 0.1 ETHUSDT: rejected: NO_PRICE: none" in shown.err
    assert "acct-1 still holds 0.1 ETHUSDT, -0.01 BTCUSDT" in shown.err


def test_nothing_is_closed_without_a_position_or_without_a_yes(engine, cli, monkeypatch):
    engine.answers["GET", "/v1/accounts/acct-1"] = account(*HELD)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "give --yes" in cli("close acct-1").err
    assert (
        "acct-1 has no position in SOLUSDT; it holds ETHUSDT, BTCUSDT"
        in cli("close acct-1 SOLUSDT --yes").err
    )
    engine.answers["GET", "/v1/accounts/acct-1"] = account()
    assert cli("close acct-1 --yes").err == "error: acct-1 has no position\n"
    assert {method for method, _, _ in engine.requests} == {"GET"}


def test_what_the_house_takes_over_is_said():
    took = {"price": "1.5", "fee": "0.01"}
    text = orders.accepted_text({**ACCEPTED, "house": took})
    assert text == "too small for the exchange, so the house took it at 1.5 for a fee of 0.01"
    assert orders.accepted_text(PLACED) == "bh-1 accepted and durable"

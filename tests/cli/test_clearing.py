"""The command about clearing, and its tables: at 80 columns too, and with names that no table may believe.

Covers: actors/cli/clearing_tables.py
"""

from __future__ import annotations

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console

from actors.api.client import NotKnown
from actors.cli import clearing_tables
from tests.cli.test_orders_tables import ORDER

GROUP = {
    "symbol": "ETHUSDT", "side": "SELL", "order_class": "LIQUIDATION", "orders": 311, "quantity": "155.600",
    "shortfall": "4021.5", "oldest_ms": 1_240, "place": 1, "expected_ms": 0, "in_flight": 1,
}  # fmt: skip
BLOCK = {
    "symbol": "ETHUSDT", "number": 7, "client_order_id": "bh-k7m2qx-4t0w9c5e8h2r6v1n-7", "side": "SELL",
    "order_class": "LIQUIDATION", "members": 312, "quantity": "156", "executed": "40.5", "rounds": 2, "sent": True,
    "named": [{"account_id": "acct-9", "client_order_id": "bh-9", "quantity": "3", "allocated": "1.5"}], "more": 311,
}  # fmt: skip
COUNTERS = {"blocks": 7, "members": 2_311, "rounds": 12, "alone": 40}
SYMBOL = {
    "symbol": "ETHUSDT", "status": "RUNNING", "groups": [GROUP], "blocks": [BLOCK], "alone": 2, "slots": 0,
    "not_durable": 0, "remembered": 3, "counters": COUNTERS, "more_waiting": 310,
    "waiting": [
        {
            "place": 1, "side": "SELL", "order_class": "LIQUIDATION", "account_id": "acct-3", "client_order_id": "bh-3",
            "quantity": "0.5", "shortfall": "12.40", "waited_ms": 240,
        }
    ],
}  # fmt: skip
SLOTS = {
    "liquidations": 30, "reducing": 20, "new_risk": 0, "in_flight": 4, "held": 1, "waiting": 2, "paused_ms": 0
}  # fmt: skip
OVERVIEW = {"clearing": "on", "slots": SLOTS, "symbols": [SYMBOL], "idle": 311, "counters": COUNTERS}
OFF = {"clearing": "off", "slots": SLOTS, "symbols": [], "idle": 0, "counters": {}}


def printed(table, found, width=200):
    out = io.StringIO()
    table(found, Console(file=out, width=width))
    text = out.getvalue()
    assert max(cell_len(line) for line in text.split("\n")) <= width
    return " ".join(text.split())


def test_all_symbols_or_one_is_one_get(engine, cli):
    engine.answers["GET", "/v1/clearing"] = OVERVIEW
    engine.answers["GET", "/v1/clearing/ethusdt"] = SYMBOL
    assert json.loads(cli("clearing --json").out) == OVERVIEW
    assert json.loads(cli("clearing ethusdt --json").out) == SYMBOL
    assert "155.6" in cli("clearing").out
    assert "acct-3" in cli("clearing ethusdt").out
    assert {path for _, path, _ in engine.requests} == {"/v1/clearing", "/v1/clearing/ethusdt"}


def test_an_unknown_symbol_is_an_error_in_one_line(engine, cli):
    engine.answers["GET", "/v1/clearing/X"] = NotKnown("404: there is no symbol 'X'")
    shown = cli("clearing X")
    assert (shown.code, shown.out, shown.err) == (2, "", "error: 404: there is no symbol 'X'\n")


def test_off_is_said_and_is_no_failure(engine, cli):
    engine.answers["GET", "/v1/clearing"] = OFF
    engine.answers["GET", "/v1/clearing/ETHUSDT"] = {"symbol": "ETHUSDT", "status": "off"}
    for line in ("clearing", "clearing ETHUSDT"):
        shown = cli(line)
        assert shown.code == 0
        assert 'clearing is off (setting clearing = "off"): every order is sent by itself' in shown.out


@pytest.mark.parametrize("width", [40, 80, 130])
def test_all_symbols_say_what_waits_where_it_stands_and_what_may_be_sent(width):
    text = printed(clearing_tables.overview, OVERVIEW, width)
    for part in (
        "may be sent now: 30 liquidations, 20 reducing, 0 new risk",
        "waiting in the order of service: 2; on their way: 4; slots held: 1",
        "LIQUIDATION", "ETHUSDT", "311", "155.6", "4,021.50", "bh-k7m2qx-4t0w9c5e8h2r6v1n-7", "40.5",
        "2 orders in flight alone", "since the start: block orders 7, orders in them 2,311, rounds 12, splits 0, sent alone 40",
        "1 symbol with orders on their way, 311 without",
    ):  # fmt: skip
        assert part in text, text
    assert "acct-9" not in text, "members are named for one symbol only"


def test_what_is_wrong_is_said():
    sick = {**SYMBOL, "status": "QUARANTINED", "groups": [], "blocks": [], "alone": 0}
    text = printed(clearing_tables.overview, {**OVERVIEW, "slots": None, "symbols": [sick]})
    assert "the gateway is starting or stopping; nothing is sent" in text
    assert "clearing:ETHUSDT is QUARANTINED; 'bulkhead inspect clearing:ETHUSDT' shows why" in text
    assert "no order waits" in text
    paused = printed(clearing_tables.overview, {**OVERVIEW, "slots": {**SLOTS, "paused_ms": 3_400}})
    assert "nothing is sent for another 3.4 s" in paused
    late = printed(clearing_tables.of_symbol, {**SYMBOL, "not_durable": 2})
    assert "2 decisions wait for Postgres" in late


@pytest.mark.parametrize("width", [80, 130])
def test_one_symbol_names_its_orders_and_members_and_counts_the_others(width):
    text = printed(clearing_tables.of_symbol, SYMBOL, width)
    for part in (
        "ETHUSDT clearing RUNNING", "acct-3", "12.40", "0.240", "bh-3", "... and 310 more", "members of block 7",
        "acct-9", "bh-9", "... and 311 more", "in flight: 1 blocks, 2 orders alone", "3 that ended",
    ):  # fmt: skip
        assert part in text, text


def test_a_group_that_wants_no_slot_yet_has_no_place_and_a_block_that_is_not_durable_says_so():
    odd = {**OVERVIEW, "symbols": [{**SYMBOL, "groups": [{**GROUP, "place": None}], "blocks": [{**BLOCK, "sent": False}]}]}  # fmt: skip
    text = printed(clearing_tables.overview, odd)
    assert "\u2502 - \u2502 LIQUIDATION" in text
    assert "not durable yet" in text


ENTRY = {
    "place": 1, "order_class": "LIQUIDATION", "symbol": "ETHUSDT", "side": "SELL", "orders": 311, "account_id": "",
    "client_order_id": "", "quantity": "155.6", "shortfall": "4021.5", "waited_ms": 1_240, "expected_ms": 50,
}  # fmt: skip
LONE = {
    **ENTRY, "place": None, "order_class": "NEW_RISK", "orders": 1, "account_id": "acct-7", "client_order_id": "bh-7",
    "quantity": "2", "shortfall": "0", "expected_ms": None,
}  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 130])
def test_what_waits_is_a_line_for_each_order_that_will_be_sent(width):
    text = printed(clearing_tables.line, {"entries": [ENTRY, LONE], "more": 4, "orders": 400}, width)
    for part in (
        "SELL 155.6 ETHUSDT", "block of 311", "1.2", "0.050", "4,021.50", "acct-7", "bh-7", "... and 4 more",
        "400 orders of accounts wait, to be sent as 6", "without a place:",
    ):  # fmt: skip
        assert part in text, text


def test_nobody_waits():
    text = printed(clearing_tables.line, {"entries": [], "more": 0, "orders": 0})
    assert text == "no order waits to be sent"


STEP = {
    "at_ms": 1_795_262_400_123, "what": "DECIDED", "text": "ADL tier 2, by tick:ETHUSDT:512", "block": None, "order_id": None,
    "trade_id": None, "pooled": 0, "pooled_trades": [], "quantity": None, "price": None, "value": None, "fee": None, "fee_asset": "",
}  # fmt: skip


def step(what, after_ms, **changes):
    return {**STEP, "what": what, "at_ms": STEP["at_ms"] + after_ms, **changes}


IN_BLOCK = {
    **{key: BLOCK[key] for key in ("symbol", "client_order_id", "members", "order_class")},
    "block": 7,
}
TRAIL = {
    **ORDER, "order_type": "MARKET", "price": None, "purpose": "ADL", "side": "SELL", "now": "", "is_block": False,
    "reference_price": "2000", "average_price": "2003.000000000000", "worse_by": "-0.0015", "value": "2003",
    "fees": [{"asset": "", "amount": "0.80"}, {"asset": "BNB", "amount": "0.002"}], "pending_fees": 1, "shortfall": "12.4",
    "in_block": IN_BLOCK, "earlier_blocks": [5], "members": [], "more_members": 0, "more_steps": 3,
    "steps": [
        STEP,
        step("IN_BLOCK", 31, text="after 0.031 s of waiting, in block 7 of ETHUSDT with 311 others"),
        step("ACKNOWLEDGED", 40, order_id=8_999_999_999_999_993),
        step("TRADED", 52, quantity="0.3", price="2003", fee="0.8", trade_id=71, pooled=12, pooled_trades=list(range(60, 72))),
        step("TRADED", 53, quantity="0.2", price="2003", trade_id=72),
        step("CANCEL_WANTED", 60, text="api:desk:8"),
        step("ENDED", 75, text="EXPIRED it expired"),
    ],
    "end": "EXPIRED it expired",
}  # fmt: skip


@pytest.mark.parametrize("width", [80, 130])
def test_an_order_is_followed_from_its_decision_to_the_exchange_s_words(width):
    text = printed(clearing_tables.trail, TRAIL, width)
    for part in (
        "order bh-1", "account acct-1", "what SELL 1 ETHUSDT MARKET, ADL tier 2, its account lacked 12.40 of margin",
        "cause request:7", "status FILLED, 0.5 of 1 filled",
        "price 2,003.00 on average, 2,003.00 in all; 0.15 % better than the touch when it was decided, 2,000.00",
        "fees 0.8, 0.002 BNB, 1 not known yet",
        "block 7 of ETHUSDT, bh-k7m2qx-4t0w9c5e8h2r6v1n-7, with 311 others", "earlier blocks 5, which were not sent",
        "decided: ADL tier 2, by tick:ETHUSDT:512", "0.031", "accepted, with order number 8999999999999993",
        "12 trades: 60, 61, 62, 63,", "68, 69 and 2 more", "fee not known yet; trade 72", "cancel wanted, by api:desk:8", "ended: EXPIRED it expired",
        "... and 3 more", "bh-1: EXPIRED it expired",
    ):  # fmt: skip
        assert part in text.replace("\u2502 ", "").replace(" \u2502", ""), (part, text)


def test_an_order_that_went_by_itself_and_at_the_touch_says_so():
    alone = {**TRAIL, "in_block": None, "earlier_blocks": [], "worse_by": "0", "filled": "0.500"}
    text = printed(clearing_tables.trail, alone)
    assert "block none; it was sent by itself" in text
    assert "2,003.00 in all; at the touch when it was decided, 2,000.00" in text
    assert "0.5 of 1 filled" in text
    waits = {**alone, "steps": [STEP], "average_price": None}
    assert "by itself" not in printed(clearing_tables.trail, waits), "it may be in a block yet"


def test_a_block_is_shown_with_its_rounds_and_members():
    member = {
        "account_id": "acct-9", "client_order_id": "bh-9", "order_id": 8_999, "quantity": "3", "allocated": "1.50",
        "value": "3003", "fee": "1.2000",
    }  # fmt: skip
    block = {
        **TRAIL, "is_block": True, "account_id": "clearing:ETHUSDT", "members": [member], "more_members": 311, "end": "",
        "worse_by": None, "pending_fees": 0, "fees": [{"asset": "*", "amount": "5"}], "earlier_blocks": [], "more_steps": 0,
        "steps": [
            step("DECIDED", 0, text="of 312 orders"),
            step("ROUND", 20, trade_id=71, pooled=1, pooled_trades=[71], quantity="60", price="2000.5", fee="0.002", fee_asset="BNB"),
        ],
    }  # fmt: skip
    text = printed(clearing_tables.trail, block)
    for part in (
        "block order of clearing:ETHUSDT", "SELL 1 ETHUSDT MARKET, LIQUIDATION", "decided: of 312 orders",
        "round 71: 60 at 2,000.50, fee 0.002 BNB; 1 trade: 71", "fees in several assets", "acct-9", "1.5", "3,003.00",
        "... and 311 more",
    ):  # fmt: skip
        assert part in text, text
    assert "with 311 others" not in text


def test_a_block_that_the_journal_had_lost_says_who_has_what_it_traded():
    trail = {
        **TRAIL, "is_block": True, "in_block": {**IN_BLOCK, "members": 0}, "account_id": "clearing:ETHUSDT",
        "end": "FILLED lost with the journal: the house has what it traded",
        "steps": [step("DECIDED", 0, text="lost with the journal")],
    }  # fmt: skip
    text = printed(clearing_tables.trail, trail, 80)
    assert "members none known here: the journal had lost it" in text
    assert "lost with the journal" in text
    assert "the house has what it traded" in text
    assert "LIQUIDATION" not in text


def test_what_has_no_steps_says_why():
    bare = {**TRAIL, "steps": [], "more_steps": 0, "average_price": None, "in_block": None, "now": "waits to be sent, place 3 of 9"}  # fmt: skip
    text = printed(clearing_tables.trail, bare)
    assert "now waits to be sent, place 3 of 9" in text
    assert "the journal has nothing of it" in text
    assert "on average" not in text
    waiting = {**bare, "order_type": "STOP_MARKET", "became": "bh-2"}
    text = printed(clearing_tables.trail, waiting)
    assert "bh-1 was sent as bh-2" in text
    assert "the journal" not in text


def test_text_from_outside_is_never_markup_nor_control(engine, cli):
    odd = {**TRAIL, "account_id": "[/b] [red]desk\x1b[31m", "end": "[bold]no\x07"}
    engine.answers["GET", "/v1/why/bh-1"] = odd
    text = cli("why bh-1").out
    assert "[/b] [red]desk" in text
    assert "[bold]no" in text
    assert not {"\x1b", "\x07"} & set(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0.000"), (999, "0.999"), (1_240, "1.2"), (61_000, "61.0")]
)
def test_a_short_wait_is_said_to_the_millisecond(milliseconds, text):
    assert clearing_tables.seconds(milliseconds) == text


HELD = {
    "account_id": "acct-7",
    "client_order_id": "bh-7",
    "side": "SELL",
    "order_class": "LIQUIDATION",
    "quantity": "1.50",
}
BYPASSED = {
    **SYMBOL,
    "status": "BYPASSED",
    "why": "its row of sequence 1: \x1b[31m",
    "held": 2,
    "held_orders": [HELD, HELD],
}


@pytest.mark.parametrize("width", [80, 200])
def test_one_that_serves_in_a_simpler_way_says_why_what_that_means_and_whose_orders_are_of_unknown_fate(
    width,
):
    for table, found in (
        (clearing_tables.of_symbol, BYPASSED),
        (clearing_tables.overview, {**OVERVIEW, "symbols": [{**BYPASSED, "held_orders": []}]}),
    ):
        text = printed(table, found, width)
        for part in (
            "no new risk, orders go one by one",
            "2 orders of unknown fate",
            "bulkhead restart clearing:ETHUSDT",
        ):
            assert part in text
        assert "its row of sequence 1" in text
        assert "\x1b" not in text
        assert ("acct-7" in text) == (table is clearing_tables.of_symbol)

"""Error codes, statuses and order words: the engine's and the paper exchange's, against ccxt's and the SDK's."""

from __future__ import annotations

import re

import pytest

from actors.core.enums import OrderType, Side, TimeInForce
from actors.venues.binance.errors import UNKNOWN_CODES, Code
from actors.venues.binance.rules import STATUSES
from actors.venues.paper import codes

# What ccxt notes as an example or as one of two texts, or with words of its own, is no text to hold to.
NO_TEXT = {"-1003", "-1100", "-1102", "-1106", "-2011", "-2013", "-1021", "-1000", "-4015"}

# Codes of futures that ccxt lists for its other products only, or not at all.
NOT_IN_CCXT = {"BAD_RECV_WINDOW", "INVALID_CALL_BK_RATE"}


@pytest.fixture(scope="module")
def ccxt(tables):
    return tables["ccxt"]


@pytest.mark.parametrize("code", Code, ids=lambda c: c.name)
def test_ccxt_knows_each_error_code_by_our_name(code, ccxt):
    number = str(int(code))
    assert number in ccxt["exceptions"] or number in ccxt["exceptions_of_fapi_hosts"]
    assert ccxt["said"].get(number, {}).get("name", code.name) == code.name


def test_an_order_is_of_unknown_fate_where_ccxt_says_that_the_operation_failed(ccxt):
    # A subclass of OperationFailed says that the exchange, and not the request, is at fault.
    theirs = {ccxt["exceptions"][str(int(code))] for code in UNKNOWN_CODES}
    assert theirs <= {"OperationFailed", "RequestTimeout"}
    retried = {
        c for c in Code if ccxt["exceptions"].get(str(int(c))) in {"OperationFailed", "RequestTimeout"}
    }
    assert retried == set(UNKNOWN_CODES)


def test_the_engine_knows_each_status_that_ccxt_knows_of_an_order(ccxt):
    # The rest are of algo orders, of other endpoints, or spellings that the exchange does not use.
    others = {"ACCEPTED", "TRIGGERING", "TRIGGERED", "FINISHED", "S", "F", "CANCELLED", "PENDING_CANCEL"}
    assert set(STATUSES) == set(ccxt["statuses"]) - others


def test_what_is_final_to_the_engine_is_not_open_to_ccxt(ccxt):
    for status, ours in STATUSES.items():
        assert ours.is_final == (ccxt["statuses"][status] != "open"), status


def test_the_sdk_takes_the_words_of_our_orders(tables):
    enums = tables["enums"]
    assert {s.value for s in Side} == set(enums["rest.NewOrderSideEnum"])
    assert {t.value for t in OrderType} == set(enums["ws.NewOrderTypeEnum"])
    assert {t.value for t in TimeInForce} <= set(enums["rest.NewOrderTimeInForceEnum"])


def norm(text):
    return re.sub(r"[^a-z0-9]+", " ", text.casefold()).strip()


def test_the_paper_exchange_says_what_ccxt_notes_for_each_code(ccxt):
    wrong = []
    for code, text in codes.TEXTS.items():
        number = str(int(code))
        said = ccxt["said"].get(number, {})
        theirs = said.get("exact") or said.get("text")
        if theirs and number not in NO_TEXT and "%s" not in theirs:
            ours, theirs = norm(text), norm(theirs)
            if ours not in theirs and theirs not in ours:
                wrong.append(f"{number}: {text!r} is {theirs!r} to ccxt")
    assert wrong == []


def test_ccxt_knows_each_code_of_the_paper_exchange_by_its_name(ccxt):
    known = set(ccxt["exceptions"]) | set(ccxt["exceptions_of_fapi_hosts"])
    others = {c.name for c in codes.PaperCode if str(int(c)) not in known}
    assert others <= NOT_IN_CCXT
    names = {c.name: ccxt["said"].get(str(int(c)), {}).get("name", c.name) for c in codes.PaperCode}
    assert {ours: theirs for ours, theirs in names.items() if ours != theirs} == {}

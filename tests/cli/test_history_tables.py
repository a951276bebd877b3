"""How a history, alerts and a statement look: words, columns, formats; a statement that does not add up is not printed.

Covers: actors/cli/statement_page.py, actors/cli/times.py
"""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from actors.cli import history_tables, statement_page
from actors.cli.history import merged
from actors.cli.times import parse_time, period
from actors.core.errors import BadInput, BooksWrong
from actors.core.order_tags import TAGS
from actors.persistence.history_records import HistoryKind, Record
from actors.persistence.statement import HeldPosition, LedgerEntry, Statement, StatementTrade, Sum
from actors.subaccount.income import Income
from tests.cli.test_orders_tables import printed

AT = 1_795_000_000_000


def record(**more):
    made = Record(id="7-0", at_ms=AT, account_id="acct-1", **{"kind": HistoryKind.ORDER, **more})
    return msgspec.to_builtins(made)


def test_a_line_says_what_it_was_in_words():
    fill = record(
        kind=HistoryKind.FILL, side="BUY", quantity=D("0.5"), symbol="ETHUSDT", order_type="MARKET", price=D(2000),
        fee=D("0.001"), fee_asset="BNB", purpose="ADL",
    )  # fmt: skip
    assert history_tables.what(fill) == "BUY 0.5 ETHUSDT MARKET at 2,000.00 ADL fee 0.001 BNB"
    assert history_tables.what(record(kind=HistoryKind.BALANCE, text="DEPOSIT")) == "DEPOSIT"
    assert (history_tables.signed("250.50"), history_tables.signed("-0.5")) == ("+250.5", "-0.5")
    text = printed(history_tables.history, {"records": [fill], "next": "7-0"})
    assert "there is more: --before 7-0" in text
    assert "account" not in text
    both = {"records": [fill, {**fill, "account_id": "acct-2"}], "next": None}
    assert "account" in printed(history_tables.history, both)
    assert "nothing in this time" in printed(history_tables.history, {"records": [], "next": None})


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_of_an_order_is_a_column_where_an_order_has_it(tag):
    text = printed(history_tables.history, {"records": [record(**{tag: "mine"}), record()], "next": None})
    assert tag in text.splitlines()[1]
    assert text.count("mine") == 1
    assert tag not in printed(history_tables.history, {"records": [record()], "next": None})


def test_an_alarm_that_says_what_an_alert_says_is_no_second_line():
    alert = {
        "id": "5-0",
        "at_ms": 5,
        "account_id": "a",
        "kind": "BREAKER",
        "level": "WARNING",
        "symbol": "",
        "text": "open",
        "cause": "",
    }
    alarms = [
        {"alarm_id": 1, "at_ms": 6, "text": "a: open", "level": "WARNING"},
        {"alarm_id": 2, "at_ms": 7, "text": "Postgres is away", "level": "CRITICAL"},
        {"alarm_id": 3, "at_ms": 1, "text": "long ago", "level": "CRITICAL"},
        {"alarm_id": 4, "at_ms": 8, "text": "a is in quarantine", "level": "CRITICAL"},
    ]  # fmt: skip
    found = {"alerts": [alert], "alarms": alarms}
    assert [line["id"] for line in merged(found, None, 4, 9)] == ["alarm-4", "alarm-2", "5-0"]
    assert [line["id"] for line in merged(found, "a", 4, 9)] == ["alarm-4", "5-0"]
    assert [line["id"] for line in merged(found, None, 4, 1)] == ["alarm-4"]
    text = printed(history_tables.alerts, merged(found, None, 4, 9))
    assert "WARNING BREAKER a: open" in text
    assert "no alerts in this time" in printed(history_tables.alerts, [])


def entry(part, income, amount, balance, **more):
    return LedgerEntry(
        position=3, part=part, at_ms=AT, income_type=income, amount=D(amount), balance=D(balance),
        **{"asset": "", "asset_amount": None, "symbol": "", "trade_id": None, "client_order_id": None, "info": "", "cause": "", **more},
    )  # fmt: skip


@pytest.fixture
def stated():
    rows = (
        entry(0, Income.TRANSFER, "1000000.123456789", "1000000.123456789", info="DEPOSIT"),
        entry(1, Income.COMMISSION, "-0.5", "999999.623456789", asset="BNB", asset_amount=D("-0.001")),
    )
    trade = StatementTrade(
        position=3, at_ms=AT, trade_ms=AT, symbol="1000PEPEUSDT", side="SELL", quantity=D("123456.7"),
        price=D("0.012345678901234"), realized=D("-12345.678"), fee=D("0.001"), fee_asset="BNB", maker=False,
        purpose="USER", trade_id=5, client_order_id="bh-1",
    )  # fmt: skip
    held = HeldPosition(
        symbol="ETHUSDT", quantity=D("-0.5"), entry_price=D("2000.123456789012"), opened_ms=AT
    )
    made = Statement(
        account_id="acct-1", from_ms=AT, to_ms=AT + 1, asset="USDT", opening=D(0), closing=D("999999.623456789"),
        sums=(Sum(name="COMMISSION", count=1, amount=D("-0.5")), Sum(name="TRANSFER", count=1, amount=D("1000000.123456789"))),
        fees=(Sum(name="BNB", count=1, amount=D("-0.5"), of_asset=D("-0.001")),), funding=(), entries=rows,
        trades=(trade,) * 40, positions=(held,), fees_pending=1,
    )  # fmt: skip
    return msgspec.to_builtins(made)


def test_a_page_has_all_digits_of_money_and_no_line_over_80_columns(stated):
    statement_page.check(stated)
    lines = [*statement_page.lines(stated)]
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for words in (
        "+1,000,000.123456789", "999,999.623456789", "-0.001 BNB", "1 fee of a trade is not known yet", "Trades (40)",
        "and 10 more: --csv and --json have all", "-12,345.68", "0.0123", "2000.12345679", "DEPOSIT",
    ):  # fmt: skip
        assert words in text
    assert lines.index(next(n for n in lines if "TRANSFER" in n)) < lines.index(
        next(n for n in lines if "COMMISSION" in n)
    )
    for length in (54, 60, 61, 64):
        named = [*statement_page.lines({**stated, "account_id": "a" * length})]
        assert max(map(len, named)) <= 80
        assert any(line.endswith("a" * length) for line in named)
    stated["positions"] = None
    assert "not worked out" in "\n".join(statement_page.lines(stated))
    empty = {**stated, "positions": [], "trades": [], "entries": [], "sums": [], "fees": [], "asset": ""}
    text = "\n".join(statement_page.lines(empty))
    assert "No open positions" in text
    assert "no entries in this period" in text
    assert "in the quote asset" in text


def test_one_that_does_not_add_up_where_it_is_printed_is_refused(stated):
    wrong = {**stated, "closing": "1"}
    with pytest.raises(BooksWrong, match=r"come to 999999.623456789, not to the closing balance 1"):
        statement_page.check(wrong)
    stated["entries"][1]["amount"] = "-0.4"
    with pytest.raises(BooksWrong, match=r"COMMISSION -0.4 at position 3, part 1, does not make"):
        statement_page.check(stated)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01", 0),
        ("2026-11-01", 1_793_491_200_000),
        ("2026-11-01T08:30", 1_793_521_800_000),
        ("2026-11-01T08:30:00.250Z", 1_793_521_800_250),
        ("2026-11-01T08:30:00+01:00", 1_793_518_200_000),
        ("20261101", 1_793_491_200_000),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text, ms):
    assert parse_time(text, "--from") == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1793491200",
        "2026-02-30",
        "0001-01-01",
        "1969-12-31T23:59",
        "9999-12-31T23:59:59-23:59",
        "x" * 500,
    ],
)
def test_what_is_no_time_is_named_with_one_that_is(text):
    with pytest.raises(BadInput, match="2026-11-01T08:30") as raised:
        parse_time(text, "--to")
    assert len(str(raised.value)) < 300


def test_a_period_ends_now_and_begins_a_day_before():
    assert period(None, None, None, 10**12, 24) == (10**12 - 86_400_000, None)
    assert period(None, "2026-11-01", 1, 10**12, 24) == (1_793_491_200_000 - 3_600_000, 1_793_491_200_000)
    assert period("2026-11-01", None, None, 0, 24) == (1_793_491_200_000, None)
    for hours in (0, -1, float("nan"), float("inf"), 87_601):
        with pytest.raises(BadInput, match="--hours"):
            period(None, None, hours, 10**12, 24)

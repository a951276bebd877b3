"""The monitor says each thing once, exactly beyond its bound (seed 004), and closes nothing itself."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import Alert, ReconsiderReason
from actors.core.facts import PositionAlerted
from actors.core.messages import Reconsider, Wake
from actors.core.trading_day import ALWAYS
from actors.subaccount import monitor
from actors.subaccount.alerts import alerts_of
from actors.subaccount.decide import decide
from tests.factories import BTC, ETH, WALL_MS, WIDE, account, market, position, run

WAKE = Wake(ETH, "t")
LIMITS = replace(WIDE, position_timeout_seconds=3600, excessive_loss_percent=D("0.1"))


def holding(quantity="1", opened_ms=WALL_MS, limits=LIMITS):
    return account("100000", [replace(position(quantity=quantity), opened_ms=opened_ms)], limits)


def at(mid="2000", seconds=0.0):
    return market({ETH: mid}, wall_ms=WALL_MS + int(seconds * 1000), day=ALWAYS)


@pytest.mark.parametrize(("quantity", "quiet", "loud"), [("1", "1800", "1799.99"), ("-1", "2200", "2200.01")])
def test_more_than_ten_percent_of_loss(quantity, quiet, loud):
    state = holding(quantity)
    assert decide(state, WAKE, at(quiet)).facts == ()
    [alert] = decide(state, WAKE, at(loud)).facts
    assert (alert.alert, alert.limit) == (Alert.EXCESSIVE_LOSS, D("0.1"))
    assert alert.value == D("0.100005")
    told = run(state, WAKE, at(loud))
    assert decide(told, WAKE, at("1000" if quantity == "1" else "3000")).facts == ()
    assert told.positions[0].quantity == D(quantity)


def test_more_than_an_hour():
    state = holding()
    assert decide(state, Reconsider(ReconsiderReason.DEADLINE), at(seconds=3600)).facts == ()
    [alert] = decide(state, Reconsider(ReconsiderReason.DEADLINE), at(seconds=3600.001)).facts
    assert (alert.alert, alert.value, alert.limit) == (Alert.TIMEOUT, D("3600.001"), D(3600))
    told = run(state, Reconsider(ReconsiderReason.DEADLINE), at(seconds=3601))
    assert decide(told, Reconsider(ReconsiderReason.DEADLINE), at(seconds=7200)).facts == ()
    assert monitor.next_deadline_ms(told) is None


def test_the_next_deadline_is_that_of_the_oldest_position():
    positions = [
        replace(position(ETH), opened_ms=WALL_MS),
        replace(position(BTC, "0.1", "60000", number=2), opened_ms=WALL_MS - 5_000),
    ]
    assert monitor.next_deadline_ms(account("1000", positions, LIMITS)) == WALL_MS - 5_000 + 3_600_000
    assert monitor.next_deadline_ms(account("1000", positions, WIDE)) is None


def test_without_limits_or_prices_it_says_nothing():
    assert decide(holding(limits=WIDE), WAKE, at("1", 10**6)).facts == ()
    assert decide(holding(), WAKE, market({}, wall_ms=WALL_MS)).facts == ()


def test_an_alert_in_words():
    [text] = alerts_of("acct-1", [PositionAlerted(ETH, Alert.TIMEOUT, D("3600.5"), D(3600))])
    assert text == "acct-1: TIMEOUT of the position in ETHUSDT: 3600.5000, the limit is 3600"


def test_either_limit_works_without_the_other():
    only_age = replace(WIDE, position_timeout_seconds=3600)
    [alert] = decide(holding(limits=only_age), WAKE, at("1000", 3601)).facts
    assert alert.alert is Alert.TIMEOUT
    only_loss = replace(WIDE, excessive_loss_percent=D("0.1"))
    [alert] = decide(holding(limits=only_loss), WAKE, at("1000", 3601)).facts
    assert alert.alert is Alert.EXCESSIVE_LOSS


def test_the_price_beyond_which_it_loses_too_much():
    for quantity, price in (("1", D(1800)), ("-1", D(2200))):
        state = holding(quantity)
        assert monitor.loss_price(state, state.positions[0]) == price
    told = run(holding(), WAKE, at("1000"))
    assert monitor.loss_price(told, told.positions[0]) is None

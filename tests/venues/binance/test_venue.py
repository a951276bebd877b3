"""Rules and settings of a running engine, against a real server that changes them."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.assembly.fleet import exposure_of
from actors.core.errors import ExchangeBusy
from actors.venues.binance import venue
from actors.venues.binance.venue import DELISTED, BinanceVenue, Settings
from tests.e2e.processes import until
from tests.factories import BTC, ETH, account, position, tick
from tests.venues.binance.recorded import Recorded, brackets, symbol


@pytest.fixture
def exchange():
    with Recorded() as server:
        yield server


class Running:
    """One venue, and what it told whom."""

    def __init__(self, exchange, states=(), **settings):
        self.alarms, self.applied, self.ticks = [], [], {}
        self.venue = BinanceVenue(
            Settings(exchange=exchange.base, api_key="paper", api_secret="paper-secret", **settings),
            self.alarms.append,
            lambda: exposure_of(states, self.ticks),
        )
        held = {p.symbol for state in states for p in state.positions}
        self.venue.begin(lambda: held, lambda _text: None)
        self.venue._on_rules = self.applied.append

    def alarm(self, text):
        return [a for a in self.alarms if text in a]


@pytest.fixture
def running(exchange):
    made = []

    def start(*args, **more):
        made.append(Running(exchange, *args, **more))
        return made[-1]

    yield start
    for one in made:
        one.venue.stop()


def test_a_new_symbol_that_does_not_fit_is_left_out_until_it_does(exchange, running):
    one = running(symbols=())
    exchange.symbols.append(symbol("SOLUSDT"))
    exchange.leverage["SOLUSDT"], exchange.margin["SOLUSDT"] = 20, "ISOLATED"
    one.venue.read_again()
    assert one.applied == []
    [text] = one.alarm("new symbols are not traded yet")
    assert "margin type of SOLUSDT is ISOLATED" in text
    one.venue.read_again()
    assert len(one.alarm("new symbols")) == 1, "said once"
    exchange.margin["SOLUSDT"] = "CROSSED"
    one.venue.read_again()
    assert set(one.applied[-1].instruments) == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}


def test_a_symbol_whose_brackets_change_is_named_and_others_are_not(exchange, running):
    one = running([account("100", [position(BTC, "1")]), account("100", [position(ETH, "1")])])
    exchange.brackets[0] = brackets("BTCUSDT", 100, 20)
    one.venue.read_again()
    assert [b.max_leverage for b in one.applied[-1].instruments["BTCUSDT"].brackets] == [100, 20]
    assert one.applied[-1].changed == ("BTCUSDT",)
    assert one.alarm("the exchange changed BTCUSDT: leverage brackets")
    one.venue.read_again()
    assert len(one.applied) == 1, "nothing changed"


def test_brackets_that_are_not_told_once_stay_as_they_were(exchange, running):
    one = running([account("100", [position(BTC, "1")])])
    before = one.venue.instruments["BTCUSDT"].brackets
    assert before
    exchange.refusals[("GET", "/fapi/v1/leverageBracket")] = (
        400,
        -1021,
        "Timestamp outside of the recvWindow.",
    )
    one.venue.read_again()
    assert one.venue.instruments["BTCUSDT"].brackets == before
    assert (one.applied, one.alarm("changed BTCUSDT")) == ([], [])
    assert one.alarm("leverage brackets not told")


def test_a_delisted_symbol_keeps_its_rules_for_who_holds_it(exchange, running):
    one = running([account("100", [position(BTC, "1")])])
    del exchange.symbols[0]
    one.venue.read_again()
    kept = one.applied[-1].instruments["BTCUSDT"]
    assert kept.status == DELISTED
    assert not kept.is_trading
    assert kept.step_size == D("0.001")
    assert one.alarm("the exchange does not trade BTCUSDT any more, but somebody holds it")


def test_a_refusal_for_a_rule_has_the_rules_read_at_once(exchange, running, monkeypatch):
    monkeypatch.setattr(venue, "AT_ONCE_EVERY_S", 0.05)
    one = running(rules_every_seconds=3_600)
    one.venue.watch(one.applied.append)
    exchange.symbols[1] = symbol("ETHUSDT", status="BREAK")
    one.venue._wake.set()
    until(lambda: one.applied, "the rules")
    assert "ETHUSDT" not in one.applied[-1].instruments, "nobody holds it, and nobody named it"


def test_an_exchange_that_fails_for_a_while_changes_nothing(exchange, running, monkeypatch):
    monkeypatch.setattr(venue, "AT_ONCE_EVERY_S", 0.05)
    one = running(rules_every_seconds=1)
    before = exchange.count("/fapi/v1/exchangeInfo")
    exchange.refusals["GET", "/fapi/v1/exchangeInfo"] = (502, 0, "Bad Gateway")
    one.venue.watch(one.applied.append)
    until(lambda: exchange.count("/fapi/v1/exchangeInfo") >= before + 2, "two tries")
    assert one.applied == []
    exchange.symbols.append(symbol("SOLUSDT"))
    exchange.leverage["SOLUSDT"], exchange.margin["SOLUSDT"] = 20, "CROSSED"
    del exchange.refusals["GET", "/fapi/v1/exchangeInfo"]
    until(lambda: one.applied, "the rules, after all")


def test_a_fleet_that_does_not_fit_is_an_alarm_with_both_figures(exchange, running):
    exchange.leverage["BTCUSDT"] = 100
    one = running([account("100", [position(BTC, "1")])])
    one.ticks[BTC] = tick(BTC, "60000")
    one.venue.check_fleet()
    assert one.alarm("BTCUSDT: the fleet holds 60000, at its leverage the master may hold 50000")
    assert one.alarm("accounts may hold")
    view = one.venue.view(1)
    assert [(r.symbol, r.leverage, r.notional_cap, r.held) for r in view.symbols] == [
        ("BTCUSDT", 100, D(50_000), D(60_000))
    ]


def test_what_comes_back_is_told_again(exchange, running):
    one = running(symbols=("BTCUSDT", "ETHUSDT"))
    for status in ("BREAK", "TRADING", "BREAK"):
        exchange.symbols[0] = symbol("BTCUSDT", status=status)
        one.venue.read_again()
    assert len(one.alarm("BTCUSDT is BREAK: no new risk")) == 2


def test_settings_that_somebody_changes_later_are_an_alarm(exchange, running, monkeypatch):
    monkeypatch.setattr(venue, "MASTER_EVERY_S", 0)
    one = running()
    exchange.hedge = True
    one.venue.read_again()
    one.venue.read_again()
    [text] = one.alarm("the master does not fit any more")
    assert "hedge mode" in text
    assert one.venue.view(1).position_mode == "hedge"


def test_recovery_does_not_wait_behind_people(exchange, running):
    one = running()
    used = one.venue.throttle.use().used
    one.venue.throttle.set_limit(used + 10)
    assert one.venue.positions() == {}
    one.venue.watch(one.applied.append)
    with pytest.raises(ExchangeBusy, match="must wait"):
        one.venue.positions()


def test_limits_of_weight_follow_the_exchange(exchange, running):
    one = running()
    assert one.venue.throttle.use().limit == 2_400

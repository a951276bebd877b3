"""Rules and settings of a running engine, against a real server that changes them."""

from __future__ import annotations

from decimal import Decimal as D
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from actors.assembly.config import EngineConfig
from actors.core.errors import ExchangeBusy
from actors.core.messages import Reconsider
from actors.symbol_router.book import PriceBook
from actors.venues.binance import side
from actors.venues.binance.side import DELISTED, ExchangeSide, fleet_of
from tests.e2e.processes import until
from tests.factories import BTC, ETH, WIDE, account, position, tick
from tests.venues.binance.recorded import Recorded, brackets, symbol


class Holder:
    """Stands in for an account's ref."""

    def __init__(self, state):
        self.state, self.told = state, []
        self.cell = SimpleNamespace(actor=SimpleNamespace(inspect_state=lambda: self.state))

    def tell(self, message):
        self.told.append(message)


@pytest.fixture
def exchange():
    with Recorded() as server:
        yield server


class Running:
    """One exchange side, and what it told whom."""

    def __init__(self, exchange, accounts=(), **config):
        self.alarms, self.applied, self.book = [], [], PriceBook()
        self.accounts = {h.state.account_id: h for h in accounts}
        settings = EngineConfig(exchange=exchange.base, **config)
        self.side = ExchangeSide(settings, self.alarms.append, self.book, self.accounts)
        held = {p.symbol for h in accounts for p in h.state.positions}
        self.venue = self.side.begin(held, lambda _text: None)
        self.side._apply = self.applied.append

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
        one.side.stop()


def test_the_fleet_is_added_up():
    limits = replace(WIDE, max_total_exposure=D(500), max_position_notional=D(300))
    found = fleet_of(
        [
            account("100", [position(BTC, "1"), position(ETH, "2")], limits),
            account("100", [position(ETH, "-2")], replace(limits, max_position_notional=None)),
        ]
    )
    assert found.net == {BTC: 1, ETH: 0}
    assert found.allowed == 800


def test_a_new_symbol_that_does_not_fit_is_left_out_until_it_does(exchange, running):
    one = running(symbols=())
    exchange.symbols.append(symbol("SOLUSDT"))
    exchange.leverage["SOLUSDT"], exchange.margin["SOLUSDT"] = 20, "ISOLATED"
    one.side.read_again()
    assert one.applied == []
    [text] = one.alarm("new symbols are not traded yet")
    assert "margin type of SOLUSDT is ISOLATED" in text
    one.side.read_again()
    assert len(one.alarm("new symbols")) == 1, "said once"
    exchange.margin["SOLUSDT"] = "CROSSED"
    one.side.read_again()
    assert set(one.applied[-1]) == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}


def test_who_holds_a_symbol_whose_brackets_change_looks_again_and_others_do_not(exchange, running):
    holder, other = Holder(account("100", [position(BTC, "1")])), Holder(account("100", [position(ETH, "1")]))
    other.state = replace(other.state, account_id="acct-2")
    one = running([holder, other])
    exchange.brackets[0] = brackets("BTCUSDT", 100, 20)
    one.side.read_again()
    assert [b.max_leverage for b in one.applied[-1]["BTCUSDT"].brackets] == [100, 20]
    assert [type(m) for m in holder.told] == [Reconsider]
    assert other.told == []
    assert one.alarm("the exchange changed BTCUSDT: leverage brackets")
    one.side.read_again()
    assert len(one.applied) == 1, "nothing changed"


def test_brackets_that_are_not_told_once_stay_as_they_were(exchange, running):
    one = running([Holder(account("100", [position(BTC, "1")]))])
    before = one.side.instruments["BTCUSDT"].brackets
    assert before
    exchange.refusals[("GET", "/fapi/v1/leverageBracket")] = (
        400,
        -1021,
        "Timestamp outside of the recvWindow.",
    )
    one.side.read_again()
    assert one.side.instruments["BTCUSDT"].brackets == before
    assert (one.applied, one.alarm("changed BTCUSDT")) == ([], [])
    assert one.alarm("leverage brackets not told")


def test_a_delisted_symbol_keeps_its_rules_for_who_holds_it(exchange, running):
    one = running([Holder(account("100", [position(BTC, "1")]))])
    del exchange.symbols[0]
    one.side.read_again()
    kept = one.applied[-1]["BTCUSDT"]
    assert kept.status == DELISTED
    assert not kept.is_trading
    assert kept.step_size == D("0.001")
    assert one.alarm("the exchange does not trade BTCUSDT any more, but somebody holds it")


def test_a_refusal_for_a_rule_has_the_rules_read_at_once(exchange, running, monkeypatch):
    monkeypatch.setattr(side, "AT_ONCE_EVERY_S", 0.05)
    one = running(rules_every_seconds=3_600)
    one.side.watch(one.applied.append)
    exchange.symbols[1] = symbol("ETHUSDT", status="BREAK")
    one.side._wake.set()
    until(lambda: one.applied, "the rules")
    assert "ETHUSDT" not in one.applied[-1], "nobody holds it, and nobody named it"


def test_an_exchange_that_fails_for_a_while_changes_nothing(exchange, running, monkeypatch):
    monkeypatch.setattr(side, "AT_ONCE_EVERY_S", 0.05)
    one = running(rules_every_seconds=1)
    before = exchange.count("/fapi/v1/exchangeInfo")
    exchange.refusals["GET", "/fapi/v1/exchangeInfo"] = (502, 0, "Bad Gateway")
    one.side.watch(one.applied.append)
    until(lambda: exchange.count("/fapi/v1/exchangeInfo") >= before + 2, "two tries")
    assert one.applied == []
    exchange.symbols.append(symbol("SOLUSDT"))
    exchange.leverage["SOLUSDT"], exchange.margin["SOLUSDT"] = 20, "CROSSED"
    del exchange.refusals["GET", "/fapi/v1/exchangeInfo"]
    until(lambda: one.applied, "the rules, after all")


def test_a_fleet_that_does_not_fit_is_an_alarm_with_both_figures(exchange, running):
    exchange.leverage["BTCUSDT"] = 100
    one = running([Holder(account("100", [position(BTC, "1")]))])
    one.book.apply(tick(BTC, "60000"))
    one.side.check_fleet()
    assert one.alarm("BTCUSDT: the fleet holds 60000, at its leverage the master may hold 50000")
    assert one.alarm("accounts may hold")
    view = one.side.view(1)
    assert [(r.symbol, r.leverage, r.notional_cap, r.held) for r in view.symbols] == [
        ("BTCUSDT", 100, D(50_000), D(60_000))
    ]


def test_what_comes_back_is_told_again(exchange, running):
    one = running(symbols=("BTCUSDT", "ETHUSDT"))
    for status in ("BREAK", "TRADING", "BREAK"):
        exchange.symbols[0] = symbol("BTCUSDT", status=status)
        one.side.read_again()
    assert len(one.alarm("BTCUSDT is BREAK: no new risk")) == 2


def test_settings_that_somebody_changes_later_are_an_alarm(exchange, running, monkeypatch):
    monkeypatch.setattr(side, "MASTER_EVERY_S", 0)
    one = running()
    exchange.hedge = True
    one.side.read_again()
    one.side.read_again()
    [text] = one.alarm("the master does not fit any more")
    assert "hedge mode" in text
    assert one.side.view(1).position_mode == "hedge"


def test_recovery_does_not_wait_behind_people(exchange, running):
    one = running()
    used = one.side.throttle.use().used
    one.side.throttle.set_limit(used + 10)
    assert one.side.positions() == {}
    one.side.watch(one.applied.append)
    with pytest.raises(ExchangeBusy, match="must wait"):
        one.side.positions()


def test_limits_of_weight_follow_the_exchange(exchange, running):
    one = running()
    assert one.side.throttle.use().limit == 2_400

"""What a decision reads is noted, exactly that, and nothing else can be read of what was noted."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.errors import FaultInjected, InputMissing
from actors.core.messages import FaultOnPurpose, PlaceOrder, SetLimits, Wake
from actors.core.order_ids import Origin
from actors.core.trading_day import TradingDay
from actors.core.units import AccountId, Nanos, Symbol
from actors.subaccount.decide import decide
from actors.subaccount.market import Market
from actors.subaccount.recording import (
    RECORDED_OF_ONE,
    Action,
    Recorder,
    Watch,
    decide_again,
    inputs_of,
    market_of,
    watched,
)
from actors.symbol_router.book import PriceBook
from tests.factories import BTC, BUY, ETH, INSTRUMENTS, SOL, account, market, position, tick


def order(symbol=ETH, quantity="0.1"):
    return PlaceOrder(symbol=Symbol(symbol), side=BUY, quantity=D(quantity), leverage=D(20))


def seen(state, message, at=None):
    decision = decide(state, message, watched(at or market({ETH: "2000", BTC: "40000", SOL: "50"})))
    return decision, inputs_of(decision.now.market)


def test_what_was_read_is_noted_and_what_was_not_is_not():
    _, inputs = seen(account(positions=[position()]), Wake(ETH, "tick"))
    assert set(inputs.ticks) == {ETH}
    assert inputs.ticks[ETH].bid == 2000
    assert inputs.day_ticks is None
    assert not inputs.has_history
    _, inputs = seen(account(positions=[position()]), order(BTC, "0.01"))
    assert set(inputs.ticks) == {ETH, BTC}
    assert set(inputs.instruments) >= {BTC}


def test_no_field_of_a_market_is_forgotten():
    """A new field is noted too, or decisions that read it cannot be made again."""
    at = Market(
        {}, {}, Nanos(5), 6, Origin("fleet1", "start1"), True, TradingDay(1, 2), {}, PriceBook(), frozenset(["a"]), frozenset([ETH])
    )  # fmt: skip
    made = market_of(inputs_of(watched(at)))
    read_through = {"ticks", "instruments", "day_ticks", "price_history"}
    for name in set(Market.__struct_fields__) - read_through:
        default = dict(
            zip(reversed(Market.__struct_fields__), reversed(Market.__struct_defaults__), strict=False)
        ).get(name)
        assert getattr(at, name) != default, f"give {name} a value of its own here"
        assert getattr(made, name) == getattr(at, name), name


def test_what_is_not_there_is_noted_as_not_there():
    decision, inputs = seen(account(), order("NOSUCH"))
    assert inputs.instruments["NOSUCH"] is None
    assert inputs.symbols == tuple(INSTRUMENTS), "the order's refusal names symbols that are alike"
    again = decide_again(account(), order("NOSUCH"), inputs, Action.DECIDE)
    assert again.reply == decision.reply
    assert market_of(inputs).instruments.get(Symbol("ALSONOT")) is None, "all that there are were noted"


def test_anything_else_is_refused_by_name():
    _, inputs = seen(account(positions=[position()]), Wake(ETH, "tick"))
    made = market_of(replace(inputs, has_history=True))
    history = made.price_history
    for read, what in (
        (lambda: made.ticks.get(BTC), "the price of BTCUSDT"),
        (lambda: made.ticks[BTC], "the price of BTCUSDT"),
        (lambda: BTC in made.ticks, "the price of BTCUSDT"),
        (lambda: made.instruments[BTC], "the rules of BTCUSDT"),
        (lambda: list(made.instruments), "all symbols of which there is a rules"),
        (lambda: len(made.instruments), "all symbols"),
        (lambda: history.next_checkpoint, "the present moment"),
        (lambda: history.extremes(ETH, 4), "the range of ETHUSDT since 4"),
        (lambda: history.correlation(ETH, BTC), "the correlation of ETHUSDT and BTCUSDT"),
        (lambda: history.returns(ETH), "the returns of ETHUSDT"),
    ):
        with pytest.raises(InputMissing, match=f"{what}.* is not among the recorded inputs"):
            read()
    with pytest.raises(InputMissing, match="the market"):
        decide_again(account(), Wake(ETH, "tick"), None, Action.DECIDE)
    with pytest.raises(FaultInjected, match="why"):
        decide_again(account(), FaultOnPurpose("why"), None, Action.DECIDE)


def test_answers_of_the_price_history_and_of_the_begin_of_the_day_are_kept():
    book = PriceBook(7)
    for mid in ("2000", "2010", "1990"):
        book.apply(tick(ETH, mid, update_id=book.next_checkpoint))
    at = market(price_history=book, day_ticks={ETH: tick(ETH, "1900")})
    noted = watched(at)
    answers = (
        noted.extremes(ETH, 7),
        noted.moment,
        noted.price_history.correlation(ETH, BTC),
        noted.price_history.returns(ETH),
        noted.day_ticks[ETH],
    )
    made = market_of(inputs_of(noted))
    assert answers == (
        made.extremes(ETH, 7),
        made.moment,
        made.price_history.correlation(ETH, BTC),
        made.price_history.returns(ETH),
        made.day_ticks[ETH],
    )
    assert answers[:2] == ((D(1990), D(2010)), 10)


def test_a_watch_that_is_used_again_has_forgotten_and_what_was_noted_stays():
    watch, first = Watch(), market({ETH: "2000"})
    watch.over(first.ticks, first.instruments, None, PriceBook())
    made = replace(first, ticks=watch.ticks, instruments=watch.instruments, day_ticks=watch.day_ticks)
    made.ticks.get(ETH)
    inputs = inputs_of(made)
    second = market({ETH: "3000"})
    watch.over(second.ticks, second.instruments, {}, PriceBook())
    assert inputs.ticks[ETH].bid == 2000
    assert inputs_of(made).ticks == {}
    assert watch.day_ticks is not None
    assert made.ticks.get(ETH).bid == 3000
    assert inputs_of(first) is None, "nobody watches that one"


def keep(recorder, name, message, at=None):
    state = account(account_id=AccountId(name))
    decision, _ = seen(state, message, at)
    recorder.keep(decision, state, message, Action.DECIDE)


def test_decisions_and_refusals_are_kept_and_what_changes_nothing_is_not():
    recorder = Recorder(100)
    keep(recorder, "a", Wake(ETH, "tick"))
    assert recorder.of(AccountId("a")) == []
    keep(recorder, "a", order("NOSUCH"))
    keep(recorder, "a", SetLimits((("max_positions", "3"),)))
    refused, decided = recorder.of(AccountId("a"))
    assert (refused.facts, len(refused.reply.rejections)) == ((), 1)
    assert decided.facts
    assert decided.inputs.wall_ms == market().wall_ms
    assert recorder.of(AccountId("b")) == []


def test_what_is_kept_is_bounded_for_one_account_and_for_all():
    recorder = Recorder(3 * RECORDED_OF_ONE)
    for number in range(RECORDED_OF_ONE + 5):
        keep(recorder, "busy", order("NOSUCH"), market(now_ns=number))
    kept = recorder.of(AccountId("busy"))
    assert [one.inputs.now_ns for one in kept] == [Nanos(n) for n in range(5, RECORDED_OF_ONE + 5)]
    assert recorder.count == RECORDED_OF_ONE
    for number in range(2 * RECORDED_OF_ONE):
        keep(recorder, f"other-{number}", order("NOSUCH"))
    assert recorder.count == 3 * RECORDED_OF_ONE
    keep(recorder, "other-0", order("NOSUCH"))
    assert recorder.of(AccountId("busy")) == [], "it decided longest ago"
    assert len(recorder.of(AccountId("other-0"))) == 2
    assert recorder.count == 2 * RECORDED_OF_ONE + 1
    off = Recorder(0)
    keep(off, "a", order("NOSUCH"))
    assert (off.count, off.of(AccountId("a"))) == (0, [])

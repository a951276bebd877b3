"""Commissions that fills did not tell: asked for once per order, few at a time, and told to who asked."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.core.messages import FeeKnown
from actors.core.order_messages import AskFees
from actors.core.trades import Trade
from actors.gateway.fees import FEE_QUERIES_MAX, FeeQuestions
from actors.gateway.messages import Traded
from actors.gateway.orders import Deliver, Request
from tests.factories import BUY, ETH


def question(number=1, trades=(7,)):
    return AskFees("acct-1", f"bh-x-{number}", 100 + number, ETH, trades)


def trade(trade_id=7, fee="0.001", asset="BNB"):
    return Trade(
        exchange_order_id=101, trade_id=trade_id, symbol=ETH, side=BUY, quantity=D(1), price=D(2000),
        fee=None if fee is None else D(fee), maker=False, trade_ms=5, fee_asset=asset,
    )  # fmt: skip


def answer(number=1, trades=None):
    return Traded(
        client_order_id=f"bh-x-{number}", trades=(trade(),) if trades is None else trades, request="fees"
    )


def test_an_order_is_asked_after_and_its_fee_delivered():
    questions = FeeQuestions()
    [request] = questions.queue(question(), 1_000)
    assert request == Request(
        kind="fees", symbol=ETH, client_order_id="bh-x-1", exchange_order_id=101, timestamp_ms=1_000
    )
    assert questions.answered(answer(), 1_100) == [
        Deliver("acct-1", FeeKnown(ETH, 7, D("0.001"), "BNB", "userTrades"))
    ]
    assert questions.answered(answer(), 1_200) == []


def test_what_the_exchange_still_does_not_tell_or_nobody_asked_for_is_not_delivered():
    questions = FeeQuestions()
    questions.queue(question(), 1)
    assert questions.answered(answer(trades=(trade(fee=None), trade(8))), 2) == []
    questions.queue(question(), 3)
    assert questions.answered(replace(answer(), trades=None), 4) == []


def test_few_at_a_time_and_the_rest_as_those_are_answered():
    questions = FeeQuestions()
    sent = [len(questions.queue(question(n), n)) for n in range(1, 5)]
    assert sent == [1] * FEE_QUERIES_MAX + [0] * (4 - FEE_QUERIES_MAX)
    [_, following] = questions.answered(answer(1), 9)
    assert following.client_order_id == f"bh-x-{FEE_QUERIES_MAX + 1}"


def test_asked_again_before_the_answer_it_is_asked_again_after_it():
    questions = FeeQuestions()
    questions.queue(question(), 1)
    assert questions.queue(question(trades=(7, 8)), 2) == []
    *told, again = questions.answered(answer(), 3)
    assert [d.message.trade_id for d in told] == [7]
    assert again.kind == "fees"
    told = questions.answered(answer(trades=(trade(7), trade(8))), 4)
    assert [d.message.trade_id for d in told] == [7, 8]

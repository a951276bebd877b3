"""The exchange's reason in Postgres: with the order, with the account, and found by either order's id."""

from __future__ import annotations

from decimal import Decimal as D

from actors.core.enums import ConditionalKind, OrderStatus
from actors.core.messages import OrderClosed, PlaceConditional, PlaceOrder, Wake
from actors.core.records import RecordDeadLetter
from actors.runtime.envelope import shown
from tests.factories import BUY, ETH, SELL, market
from tests.persistence.authors import NOW, Author, create, load, project

WORDS = "Margin is insufficient."


def refuse(author):
    id_ = author.state.orders[-1].client_order_id
    author.decide(OrderClosed(id_, OrderStatus.REJECTED, D(0), -2019, WORDS))
    return id_


def test_code_and_words_come_back_with_the_order_and_with_the_account(store, dsn):
    author = Author(create(store)[0])
    author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20), cause="t"))
    id_ = refuse(author)
    assert set(store.commit(author.batch)) == {None}
    project(dsn)
    order = store.with_operator_records(lambda d: d.order(id_))
    assert (order.end_code, order.end_reason, order.end) == (-2019, WORDS, f"REJECTED -2019 {WORDS}")
    assert store.with_operator_records(lambda d: d.caused("t")) == [order]
    assert load(store, author.state).risk.last_refusal == f"{id_} REJECTED -2019 {WORDS}"
    assert load(store, author.state) == author.state


def test_an_order_without_a_reason_has_none(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    store.commit(author.batch)
    project(dsn)
    [order] = store.with_operator_records(lambda d: d.caused(""))
    assert (order.status, order.end, order.became) == ("FILLED", "", None)


def test_a_conditional_order_is_found_by_its_id_with_what_became_of_it(store, dsn):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    author.decide(
        PlaceConditional(
            kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=SELL, quantity=D("0.1"), trigger_price=D(1990),
            reduce_only=True, cause="t",
        )
    )  # fmt: skip
    stop = author.state.conditionals[0].client_order_id
    author.decide(Wake(ETH, "tick"), market({ETH: "1985"}))
    sent = refuse(author)
    assert set(store.commit(author.batch)) == {None}
    project(dsn)
    found = store.with_operator_records(lambda d: d.order(stop))
    assert (found.order_type, found.status, found.became) == ("STOP_MARKET", "TRIGGERED", sent)
    assert found.end.startswith("TRIGGERED the mid was 1985")
    assert store.with_operator_records(lambda d: d.order(found.became)).end == f"REJECTED -2019 {WORDS}"


def test_a_dead_letter_of_an_end_says_why_it_ended(store):
    closed = OrderClosed("bh-x-1", OrderStatus.REJECTED, D(0), -2019, WORDS)
    letter = RecordDeadLetter(
        actor="acct-1",
        message_kind="OrderClosed",
        message=shown(closed),
        error="E",
        traceback="",
        state="",
        wall_ms=NOW,
    )
    store.with_operator_records(lambda d: d.record_dead_letter(letter))
    [kept] = store.with_operator_records(lambda d: d.dead_letters())
    assert f"REJECTED -2019 {WORDS}" in kept.message

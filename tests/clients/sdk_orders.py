"""The official SDK over REST: orders, fills, positions, income, and conditional orders."""

from __future__ import annotations

import time

from binance_sdk_derivatives_trading_usds_futures.rest_api import models
from sdk_market import some
from sdk_settings import refused
from steps import Steps, near, until

step = Steps()
SYMBOL, CONDITIONAL, TICKS = "ADAUSDT", "LINKUSDT", 3
BUY, SELL = models.NewOrderSideEnum.BUY, models.NewOrderSideEnum.SELL
LIMIT, MARKET = models.NewOrderTypeEnum.LIMIT, models.NewOrderTypeEnum.MARKET
GTC = models.NewOrderTimeInForceEnum.GTC
RESULT = models.NewOrderNewOrderRespTypeEnum.RESULT
QUANTITY = 500


def price_of(client, symbol, fraction):
    best = some(client.symbol_order_book_ticker(symbol))
    digits = 4 if symbol == SYMBOL else TICKS
    return round(float(best.bid_price) * fraction, digits)


def rested(client, fraction=0.97, quantity=QUANTITY, **more):
    price = price_of(client, SYMBOL, fraction)
    return client.new_order(
        SYMBOL, BUY, LIMIT, time_in_force=GTC, quantity=quantity, price=price, **more
    ).data()


def wallet(client):
    return float(next(b for b in client.futures_account_balance_v3().data() if b.asset == "USDT").balance)


@step
def a_limit_order_rests_is_found_changed_and_canceled(client, _exchange):
    order = rested(client, new_client_order_id="sdk-1")
    assert order.status == "NEW" and order.client_order_id == "sdk-1" and order.executed_qty in {"0", "0.0"}
    assert order.position_side == "BOTH" and order.reduce_only is False and order.orig_type == "LIMIT"
    assert order.self_trade_prevention_mode == "EXPIRE_MAKER" and order.update_time > 0
    for found in (
        client.query_order(SYMBOL, order_id=order.order_id).data(),
        client.query_order(SYMBOL, orig_client_order_id="sdk-1").data(),
        client.query_current_open_order(SYMBOL, order_id=order.order_id).data(),
    ):
        assert found.order_id == order.order_id and found.time > 0 and float(found.avg_price) == 0
    assert [o.order_id for o in client.current_all_open_orders(SYMBOL).data()] == [order.order_id]
    assert order.order_id in {o.order_id for o in client.current_all_open_orders().data()}
    side = models.ModifyOrderSideEnum.BUY
    price = price_of(client, SYMBOL, 0.96)
    changed = client.modify_order(SYMBOL, side, 2 * QUANTITY, price, order_id=order.order_id).data()
    assert changed.order_id == order.order_id and float(changed.orig_qty) == 2 * QUANTITY
    (amendment,) = client.get_order_modify_history(SYMBOL, order_id=order.order_id).data()
    assert float(amendment.amendment.price.after) == price and amendment.amendment.count == 1
    canceled = client.cancel_order(SYMBOL, order_id=order.order_id).data()
    assert canceled.status == "CANCELED" and canceled.client_order_id == "sdk-1"
    refused(-2011, client.cancel_order, SYMBOL, order_id=order.order_id)
    refused(-2013, client.query_order, SYMBOL, order_id=10**15)
    refused(-2013, client.query_current_open_order, SYMBOL, order_id=order.order_id)


@step
def a_trial_order_is_checked_and_not_placed(client, _exchange):
    kind, side = models.TestOrderTypeEnum.MARKET, models.TestOrderSideEnum.BUY
    assert client.test_order(SYMBOL, side, kind, quantity=QUANTITY).data().symbol == SYMBOL
    refused(-1121, client.test_order, "NOSUCHUSDT", side, kind, quantity=QUANTITY)
    assert client.current_all_open_orders(SYMBOL).data() == []


@step
def a_market_order_fills_and_everything_tells_it(client, _exchange):
    client.change_initial_leverage(SYMBOL, 10)
    before = wallet(client)
    order = client.new_order(SYMBOL, BUY, MARKET, quantity=QUANTITY, new_order_resp_type=RESULT).data()
    assert order.status == "FILLED" and float(order.executed_qty) == QUANTITY == float(order.cum_qty)
    known = client.query_order(SYMBOL, order_id=order.order_id).data()
    assert float(known.avg_price) > 0 and known.status == "FILLED"
    near(float(known.cum_quote), float(known.avg_price) * QUANTITY, 1e-5)
    trades = client.account_trade_list(SYMBOL, order_id=order.order_id).data()
    near(sum(float(t.qty) for t in trades), QUANTITY)
    assert all(t.buyer is True and t.maker is False and t.commission_asset == "USDT" for t in trades)
    fee = sum(float(t.commission) for t in trades)
    assert fee > 0
    near(wallet(client), before - fee, 1e-12)
    for (position,) in (
        client.position_information_v2(SYMBOL).data(),
        client.position_information_v3(SYMBOL).data(),
    ):
        assert float(position.position_amt) == QUANTITY and float(position.mark_price) > 0
        near(float(position.entry_price), float(known.avg_price), 1e-4)
    assert client.position_information_v2(SYMBOL).data()[0].leverage == "10"
    held = next(p for p in client.account_information_v3().data().positions if p.symbol == SYMBOL)
    near(float(held.position_initial_margin if hasattr(held, "position_initial_margin") else held.initial_margin),
         abs(float(held.notional)) / 10, 1e-3)  # fmt: skip
    assert {p.symbol for p in client.position_information_v3().data()} == {SYMBOL}
    (rank,) = client.position_adl_quantile_estimation(SYMBOL).data()
    assert rank.symbol == SYMBOL


@step
def income_tells_what_moved_the_wallet(client, exchange):
    exchange.admin("funding", symbol=SYMBOL, rate="0.001")
    kinds = models.GetIncomeHistoryIncomeTypeEnum
    (paid,) = client.get_income_history(SYMBOL, kinds.FUNDING_FEE).data()
    assert float(paid.income) < 0 and paid.asset == "USDT" and paid.tran_id > 0
    before = wallet(client)
    order = client.new_order(
        SYMBOL, SELL, MARKET, quantity=QUANTITY, reduce_only=models.NewOrderReduceOnlyEnum("true"), new_order_resp_type=RESULT
    ).data()  # fmt: skip
    assert order.reduce_only is True and order.status == "FILLED"
    trades = client.account_trade_list(SYMBOL, order_id=order.order_id).data()
    realized = sum(float(t.realized_pnl) for t in trades)
    near(wallet(client), before + realized - sum(float(t.commission) for t in trades), 1e-12)
    booked = client.get_income_history(SYMBOL).data()
    assert {"COMMISSION", "FUNDING_FEE", "REALIZED_PNL"} <= {i.income_type for i in booked}
    assert {i.trade_id for i in booked if i.income_type == "REALIZED_PNL"} >= {str(t.id) for t in trades}
    assert client.get_income_history(SYMBOL, start_time=int(time.time() * 1000) + 60_000).data() == []
    refused(
        -2022,
        client.new_order,
        SYMBOL,
        SELL,
        MARKET,
        quantity=QUANTITY,
        reduce_only=models.NewOrderReduceOnlyEnum("true"),
    )


@step
def batches(client, _exchange):
    row = models.PlaceMultipleOrdersBatchOrdersParameterInner
    price = price_of(client, SYMBOL, 0.97)
    good = [
        row(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=QUANTITY, price=price, newClientOrderId=f"sdk-b{n}")
        for n in range(4)
    ]  # fmt: skip
    bad = row(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=10**9, price=price)
    placed = client.place_multiple_orders([*good, bad]).data()
    assert [p.status for p in placed[:4]] == ["NEW"] * 4
    assert placed[4].code == -4005 and placed[4].msg
    change = models.ModifyMultipleOrdersBatchOrdersParameterInner
    wanted = [
        change(orderId=p.order_id, symbol=SYMBOL, side="BUY", quantity=QUANTITY + 1, price=price)
        for p in placed[:2]
    ]
    changed = client.modify_multiple_orders(wanted).data()
    assert [float(c.orig_qty) for c in changed] == [QUANTITY + 1] * 2
    ids = [placed[0].order_id, placed[1].order_id]
    assert [c.status for c in client.cancel_multiple_orders(SYMBOL, order_id_list=ids).data()] == [
        "CANCELED"
    ] * 2
    (other,) = client.cancel_multiple_orders(SYMBOL, orig_client_order_id_list=["sdk-b2"]).data()
    assert other.order_id == placed[2].order_id
    assert client.cancel_all_open_orders(SYMBOL).data().code == 200
    assert client.current_all_open_orders(SYMBOL).data() == []


@step
def the_history_of_orders(client, _exchange):
    orders = client.all_orders(SYMBOL).data()
    assert {"FILLED", "CANCELED"} <= {o.status for o in orders}
    assert [o.order_id for o in orders] == sorted(o.order_id for o in orders)
    assert len(client.all_orders(SYMBOL, limit=2).data()) == 2
    later = client.all_orders(SYMBOL, order_id=orders[-1].order_id).data()
    assert [o.order_id for o in later] == [orders[-1].order_id]
    newest = client.account_trade_list(SYMBOL, limit=1).data()
    assert [t.id for t in client.account_trade_list(SYMBOL, from_id=newest[0].id).data()] == [newest[0].id]
    assert client.users_force_orders().data() == []


@step
async def a_countdown_cancels_all(client, _exchange):
    order = rested(client)
    answer = client.auto_cancel_all_open_orders(SYMBOL, 1_000).data()
    assert answer.symbol == SYMBOL and answer.countdown_time == "1000"
    await until(
        lambda: client.query_order(SYMBOL, order_id=order.order_id).data().status in {"CANCELED", "EXPIRED"}, "the countdown"
    )  # fmt: skip


@step
def isolated_margin(client, _exchange):
    kinds = models.ChangeMarginTypeMarginTypeEnum
    client.change_margin_type(SYMBOL, kinds.ISOLATED)
    client.new_order(SYMBOL, BUY, MARKET, quantity=QUANTITY)
    added = client.modify_isolated_position_margin(SYMBOL, 3.0, 1).data()
    assert added.code == 200 and added.type == 1
    near(float(added.amount), 3)
    assert client.modify_isolated_position_margin(SYMBOL, 1.0, 2).data().type == 2
    log = client.get_position_margin_change_history(SYMBOL).data()
    assert [(float(e.amount), e.type) for e in log][-2:] == [(3, 1), (1, 2)]
    (position,) = client.position_information_v3(SYMBOL).data()
    assert float(position.isolated_wallet) > 2
    client.new_order(
        SYMBOL, SELL, MARKET, quantity=QUANTITY, reduce_only=models.NewOrderReduceOnlyEnum("true")
    )
    client.change_margin_type(SYMBOL, kinds.CROSSED)


def conditional(client, kind, side=models.NewAlgoOrderSideEnum.SELL, **more):
    algo = models.NewAlgoOrderAlgoTypeEnum.CONDITIONAL
    return client.new_algo_order(algo, CONDITIONAL, side, models.NewAlgoOrderTypeEnum[kind], **more).data()


@step
def conditional_orders_are_placed_found_and_canceled(client, _exchange):
    low, high = price_of(client, CONDITIONAL, 0.9), price_of(client, CONDITIONAL, 1.1)
    stop = conditional(client, "STOP_MARKET", quantity=10, trigger_price=low, client_algo_id="sdk-a1")
    assert stop.algo_status == "NEW" and stop.client_algo_id == "sdk-a1" and stop.order_type == "STOP_MARKET"
    assert float(stop.trigger_price) == low and stop.create_time > 0 and stop.close_position is False
    others = [
        conditional(client, "TAKE_PROFIT_MARKET", quantity=10, trigger_price=high),
        conditional(client, "STOP", quantity=10, trigger_price=low, price=low),
        conditional(client, "TAKE_PROFIT", quantity=10, trigger_price=high, price=high),
        conditional(client, "TRAILING_STOP_MARKET", quantity=10, callback_rate=1.5),
    ]
    for found in (
        client.query_algo_order(algo_id=stop.algo_id).data(), client.query_algo_order(client_algo_id="sdk-a1").data()
    ):  # fmt: skip
        assert found.algo_id == stop.algo_id and found.algo_status == "NEW" and found.actual_order_id == ""
    open_ones = client.current_all_algo_open_orders(symbol=CONDITIONAL).data()
    assert {o.algo_id for o in open_ones} == {stop.algo_id, *(o.algo_id for o in others)}
    assert len(client.current_all_algo_open_orders().data()) == 5
    canceled = client.cancel_algo_order(algo_id=stop.algo_id).data()
    assert canceled.algo_id == stop.algo_id and canceled.client_algo_id == "sdk-a1" and canceled.code == "200"
    assert client.cancel_all_algo_open_orders(CONDITIONAL).data().code == 200
    assert client.current_all_algo_open_orders(symbol=CONDITIONAL).data() == []
    history = client.query_all_algo_orders(CONDITIONAL).data()
    assert {o.algo_status for o in history} == {"CANCELED"} and len(history) == 5


@step
async def a_conditional_order_triggers(client, exchange):
    client.new_order(CONDITIONAL, BUY, MARKET, quantity=10)
    trigger = price_of(client, CONDITIONAL, 0.98)
    stop = conditional(
        client,
        "STOP_MARKET",
        trigger_price=trigger,
        close_position=models.NewAlgoOrderClosePositionEnum("true"),
    )
    exchange.admin("shock", symbol=CONDITIONAL, fraction="-0.04", seconds=0.5)

    def triggered():
        order = client.query_algo_order(algo_id=stop.algo_id).data()
        return order if order.algo_status in {"TRIGGERED", "FINISHED"} and order.actual_order_id else None

    order = await until(triggered, "the trigger")
    actual = client.query_order(CONDITIONAL, order_id=int(order.actual_order_id)).data()
    assert actual.status == "FILLED" and actual.side == "SELL" and float(actual.executed_qty) == 10
    near(float(order.actual_qty), 10)
    near(float(order.actual_price), float(actual.avg_price), 1e-6)
    assert client.position_information_v3(CONDITIONAL).data() == []


@step
def conditional_orders_elsewhere_are_refused(client, _exchange):
    for kind in ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"):
        refused(
            -4120, client.new_order, CONDITIONAL, SELL, models.NewOrderTypeEnum[kind], quantity=10, price=9.0
        )

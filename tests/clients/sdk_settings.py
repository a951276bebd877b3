"""The official SDK over REST: the account's settings, and what is refused."""

from __future__ import annotations

import itertools

from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as sdk
from binance_sdk_derivatives_trading_usds_futures.rest_api import models
from sdk_market import some
from steps import Steps

step = Steps()
SYMBOL = "ETHUSDT"


def refused(code, call, *given, **named):
    """That a call is refused with this code."""
    try:
        answer = call(*given, **named).data()
    except BadRequestError as error:
        assert error.status_code == code, f"{error.status_code}: {error.error_message}, not {code}"
        return error.error_message
    raise AssertionError(f"not refused: {answer}")


@step
def accounts(client, _exchange):
    old, new = client.account_information_v2().data(), client.account_information_v3().data()
    assert old.can_trade is True and old.multi_assets_margin is False and old.fee_tier >= 0
    assert {a.asset for a in new.assets} >= {"USDT"}
    usdt = next(a for a in new.assets if a.asset == "USDT")
    assert float(usdt.wallet_balance) > 1_000 and usdt.update_time > 0
    assert float(new.total_wallet_balance) >= float(usdt.wallet_balance)
    assert SYMBOL in {p.symbol for p in old.positions}
    config = client.futures_account_configuration().data()
    assert (
        config.can_trade is True
        and config.dual_side_position is False
        and config.multi_assets_margin is False
    )


@step
def balances(client, _exchange):
    for read in (client.futures_account_balance_v2, client.futures_account_balance_v3):
        usdt = next(b for b in read().data() if b.asset == "USDT")
        assert float(usdt.balance) >= float(usdt.available_balance) > 1_000 and usdt.margin_available is True


@step
def leverage_is_kept(client, _exchange):
    for leverage in (9, 17):
        answer = client.change_initial_leverage(SYMBOL, leverage).data()
        assert (
            answer.leverage == leverage and answer.symbol == SYMBOL and float(answer.max_notional_value) > 0
        )
        (row,) = client.symbol_configuration(SYMBOL).data()
        assert row.leverage == leverage and row.margin_type == "CROSSED" and row.is_auto_add_margin is False
    assert len(client.symbol_configuration().data()) >= 10
    refused(-4028, client.change_initial_leverage, SYMBOL, 126)
    refused(-1121, client.change_initial_leverage, "NOSUCHUSDT", 5)


@step
def margin_type(client, _exchange):
    kinds = models.ChangeMarginTypeMarginTypeEnum
    assert client.change_margin_type(SYMBOL, kinds.ISOLATED).data().msg == "success"
    said = refused(-4046, client.change_margin_type, SYMBOL, kinds.ISOLATED)
    assert said == "No need to change margin type."
    assert client.symbol_configuration(SYMBOL).data()[0].margin_type == "ISOLATED"
    assert client.change_margin_type(SYMBOL, kinds.CROSSED).data().code == 200


@step
def modes(client, _exchange):
    assert client.get_current_position_mode().data().dual_side_position is False
    refused(-4059, client.change_position_mode, "false")
    assert client.change_position_mode("true").data().code == 200
    assert client.get_current_position_mode().data().dual_side_position is True
    assert client.change_position_mode("false").data().msg == "success"
    assert client.get_current_multi_assets_mode().data().multi_assets_margin is False
    assert client.change_multi_assets_mode("true").data().code == 200
    assert client.get_current_multi_assets_mode().data().multi_assets_margin is True
    assert client.change_multi_assets_mode("false").data().code == 200
    refused(-4171, client.change_multi_assets_mode, "false")


@step
def bnb_burn(client, _exchange):
    before = client.get_bnb_burn_status().data().fee_burn
    assert client.toggle_bnb_burn_on_futures_trade("false" if before else "true").data().code == 200
    assert client.get_bnb_burn_status().data().fee_burn is not before
    client.toggle_bnb_burn_on_futures_trade("true" if before else "false")


@step
def brackets(client, _exchange):
    (row,) = some(client.notional_and_leverage_brackets(SYMBOL))
    assert row.symbol == SYMBOL and row.brackets[0].notional_floor == 0
    for lower, upper in itertools.pairwise(row.brackets):
        assert lower.notional_cap == upper.notional_floor and lower.initial_leverage > upper.initial_leverage
        assert lower.bracket + 1 == upper.bracket and lower.cum < upper.cum
    assert len(some(client.notional_and_leverage_brackets())) >= 10


@step
def fees_and_limits(client, _exchange):
    fee = client.user_commission_rate(SYMBOL).data()
    assert 0 < float(fee.maker_commission_rate) < float(fee.taker_commission_rate) and fee.symbol == SYMBOL
    rows = client.query_user_rate_limit().data()
    assert {(r.interval, r.interval_num) for r in rows} == {("SECOND", 10), ("MINUTE", 1)}
    answer = client.query_user_rate_limit()
    used = [r for r in answer.rate_limits if r.rateLimitType == "REQUEST_WEIGHT"]
    assert used and used[0].count > 0
    client.futures_trading_quantitative_rules_indicators().data()


@step
def strangers_are_refused(_client, exchange):
    for key, secret, code in (
        (exchange.key, "no-such-secret", -1022),
        ("no-such-key", exchange.secret, -2015),
    ):
        configuration = ConfigurationRestAPI(
            api_key=key, api_secret=secret, base_path=exchange.rest, timeout=10_000
        )
        stranger = sdk.DerivativesTradingUsdsFutures(config_rest_api=configuration).rest_api
        try:
            stranger.account_information_v3()
        except (BadRequestError, UnauthorizedError) as error:
            assert error.status_code == code, f"{error.status_code}: {error.error_message}"
        else:
            raise AssertionError(f"an account was told to somebody who should have been refused with {code}")

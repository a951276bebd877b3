"""Limits from profile, file and environment: who wins, and every bad value with its place."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.assembly.config import load
from actors.core.errors import BadConfig
from actors.limits.layers import (
    _DIFFERING,
    DIFFERING_KNOWN,
    differing,
    merge,
    merged,
    read,
    rule_layer,
    with_rule,
)
from actors.limits.model import RiskLimits


def from_file(tmp_path, text, environment=None):
    path = tmp_path / "bulkhead.toml"
    path.write_text(text)
    return load(path, environment or {}, {}).risk


def test_later_layers_win(tmp_path):
    text = '[risk]\nprofile = "paranoid"\nmax_positions = 7\nmax_daily_loss = "300.5"\nmax_leverage = 12.5\n'
    config = from_file(tmp_path, text, {"RISK_MAX_DAILY_LOSS": "200", "RISK_MAX_CONSECUTIVE_LOSSES": "off"})
    limits = config.limits
    assert limits.max_open_orders == 10  # the profile's
    assert (limits.max_positions, limits.max_leverage) == (7, D("12.5"))  # the file's
    assert (limits.max_daily_loss, limits.max_consecutive_losses) == (D(200), None)  # the environment's
    assert limits.max_notional_per_trade == D(200)  # built in
    assert [layer.source.split("/")[-1] for layer in config.layers] == [
        "profile paranoid",
        "bulkhead.toml",
        "environment",
    ]


def test_nothing_said_is_the_built_in_limits():
    assert read({}, {}).limits == RiskLimits()
    assert load(None, {}, {}).risk.limits == RiskLimits()


def test_the_trading_day_is_configured_with_the_limits(tmp_path):
    config = from_file(tmp_path, '[risk]\nday_begins = "17:00"\nday_zone = "UTC"\n')
    assert config.day_rule.day_of(0).end_ms == 17 * 3_600_000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max_daily_los = 3", "did you mean max_daily_loss?"),
        ("qqq = 3", "known are adl_all_below"),
        ("max_positions = 0", "count, at least 1"),
        ("max_positions = 1.5", "whole number"),
        ("max_positions = true", "not a number"),
        ("max_positions = [1]", "not a number"),
        ("max_leverage = 0.5", "times, at least 1"),
        ("max_leverage = nan", "finite"),
        ("max_leverage = inf", "finite"),
        ('max_leverage = "off"', "cannot be switched off"),
        ("max_daily_loss = -5", "quote asset"),
        ("max_daily_loss_percent = 1.01", "ratio"),
        ("max_daily_loss = 1e30", "digits"),
        ("breaker_cooldown_seconds = 9999999999999999", "ten years"),
        ('breaker_reset = "never"', "manual, timed"),
        ('maintenance_basis = "marks"', "entry, mark, brackets"),
        ('adl_tiers = "0.9"', "ratio:fraction"),
        ('adl_tiers = "0.9:0.3, 0.9:0.5"', "must rise"),
        ('adl_tiers = "0.9:0.3, 1.2:1"', "at most 1"),
        ('profile = "reckless"', "known are aggressive"),
        ('day_begins = "8"', "time of day"),
        ('day_zone = "Mars"', "no time zone"),
    ],
)
def test_a_bad_value_is_named_with_its_line(tmp_path, line, words):
    with pytest.raises(BadConfig) as refusal:
        from_file(tmp_path, f'data_dir = "x"\n\n[risk]\nmax_order_notional = 5\n{line}\n')
    assert "bulkhead.toml:5: [risk] " in str(refusal.value)
    assert words in str(refusal.value)
    assert line.split(" ")[0] in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"), [("RISK_MAX_POSITIONS", "many"), ("RISK_NO_SUCH", "1"), ("RISK_PROFILE", "x")]
)
def test_a_bad_variable_is_named(name, value):
    with pytest.raises(BadConfig, match=name):
        read({}, {name: value})


def test_a_file_that_is_no_text_and_a_table_that_is_none(tmp_path):
    path = tmp_path / "bulkhead.toml"
    path.write_bytes(b"[risk]\n\xff\xfe")
    with pytest.raises(BadConfig, match="not UTF-8"):
        load(path, {}, {})
    path.write_text("risk = 5\n")
    with pytest.raises(BadConfig, match=r"\[risk\]"):
        load(path, {}, {})


def test_an_engine_setting_among_the_limits_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="api_port: no such limit"):
        from_file(tmp_path, "[risk]\napi_port = 1\n")


def test_a_rule_row_lies_over_the_limits_of_all_and_is_taken_as_it_is():
    base = merge(RiskLimits(), {"max_positions": "5", "max_leverage": "20"})
    limits = with_rule(base, (None, D(0), D(900), D("0.8")))
    assert (limits.max_positions, limits.max_leverage) == (5, D(20))
    assert (limits.max_notional_per_trade, limits.max_total_exposure) == (D(0), D(900))
    assert limits.liquidation_threshold == D("0.8")


@pytest.mark.parametrize("threshold", ["0", "-1", "1.01"])
def test_a_threshold_that_cannot_be_is_read_as_the_platform_does(threshold):
    assert with_rule(RiskLimits(), (None, None, None, D(threshold))) == RiskLimits()


def test_a_rule_row_is_shown_as_the_layer_of_all_or_of_the_account():
    row = (D(20), D(300), D("900.50"), D("0.80"))
    of_all = rule_layer(row, is_global=True)
    assert of_all.source == "platform's rule for all"
    assert of_all.values == {
        "max_leverage": "20",
        "max_notional_per_trade": "300",
        "max_total_exposure": "900.5",
        "liquidation_threshold": "0.8",
    }
    assert rule_layer(row, is_global=False).source == "platform's rule of the account"
    assert merged([of_all]) == with_rule(RiskLimits(), row)


def test_what_differs_from_the_built_in_limits_is_said_by_name_as_the_text_that_would_set_it():
    assert differing(RiskLimits()) == ()
    limits = merge(RiskLimits(), {"max_positions": "5", "max_price_deviation": "off", "mark_source": "exit"})
    limits = with_rule(limits, (D("20.50"), D("200.00"), None, None))
    assert differing(limits) == (
        ("mark_source", "exit"),
        ("max_leverage", "20.5"),
        ("max_positions", "5"),
        ("max_price_deviation", "off"),
    )
    assert merge(RiskLimits(), dict(differing(limits))) == limits


def test_what_differs_is_remembered_of_some_limits_and_never_of_others_at_their_place():
    for count in range(1, 3 * DIFFERING_KNOWN):
        limits = merge(RiskLimits(), {"max_positions": str(count)})
        assert differing(limits) == differing(limits) == (("max_positions", str(count)),)
        del limits  # its place in memory is free for the next
    assert len(_DIFFERING) <= DIFFERING_KNOWN

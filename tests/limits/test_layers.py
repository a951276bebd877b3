"""Limits from profile, file and environment: who wins, and every bad value with its place."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.assembly.config import load
from actors.core.errors import BadConfig
from actors.limits.layers import merge, merged, read
from actors.limits.model import LIMITS, AdlTier, RiskLimits, Unit
from actors.limits.parse import parse, shown
from actors.limits.profiles import PROFILES


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


def values_of(spec):
    if spec.choice is not None:
        return st.sampled_from([c.value for c in spec.choice])
    if spec.unit is Unit.TIERS:
        return st.just("0.5:0.1, 0.75:0.5, 1:1")
    if spec.unit in {Unit.COUNT, Unit.SECONDS}:
        return st.integers(1, 10_000).map(str)
    if spec.unit is Unit.RATIO:
        return st.decimals("0.0001", "1", places=4).map(str)
    return st.decimals("1", "100000", places=3).map(str)


@given(st.sampled_from(sorted(LIMITS)), st.data())
def test_every_limit_survives_being_shown_and_read_again(name, data):
    text = data.draw(
        values_of(LIMITS[name]) | st.just("off") if LIMITS[name].optional else values_of(LIMITS[name])
    )
    value = parse(name, text)
    assert parse(name, shown(value)) == value
    changed = merge(RiskLimits(), {name: text})
    assert getattr(changed, name) == value
    assert {n for n in LIMITS if getattr(changed, n) != getattr(RiskLimits(), n)} <= {name}


def test_every_limit_has_a_spec_and_every_profile_is_good():
    told = {"price_max_age_ns", "needs_day", "watches_equity"}
    assert set(RiskLimits.__struct_fields__) - told == set(LIMITS)
    for profile in PROFILES.values():
        assert merge(RiskLimits(), profile) != RiskLimits()
    assert merged(()) == RiskLimits()


def test_what_the_limits_say_of_themselves_follows_every_change():
    limits = merge(RiskLimits(), {"max_daily_loss": "5"})
    assert (limits.needs_day, limits.watches_equity) == (True, True)
    assert not merge(limits, {"max_daily_loss": "off"}).watches_equity
    lifelong = merge(RiskLimits(), {"max_cumulative_loss": "5"})
    assert (lifelong.needs_day, lifelong.watches_equity) == (False, True)


def test_own_tiers_are_exact_and_shifted_ones_keep_their_distance():
    assert merge(RiskLimits(), {"adl_tiers": "0.5:0.1,1:1"}).tiers() == (
        AdlTier(D("0.5"), D("0.1")),
        AdlTier(D(1), D(1)),
    )
    shifted = RiskLimits(liquidation_threshold=D("0.97")).tiers()
    assert [t.margin_ratio for t in shifted] == [D("0.97"), D("0.995"), D(1)]


def test_tiers_are_read_as_they_are_shown_with_spaces_between_them():
    tiers = (AdlTier(D("0.9"), D("0.3")), AdlTier(D("0.95"), D(1)))
    assert shown(tiers) == "0.9:0.3, 0.95:1"
    assert parse("adl_tiers", shown(tiers)) == parse("adl_tiers", " 0.9 : 0.3 ,0.95:1 ") == tiers

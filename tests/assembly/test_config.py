"""Settings: which source wins, and each bad one named with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.assembly.config import EngineConfig, load
from actors.core.errors import BadConfig
from actors.limits.model import LIMITS, RiskLimits
from actors.limits.parse import parse


def test_later_sources_win(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text('api_port = 1000\nlease_seconds = 20\nsymbols = ["BTCUSDT"]\n')
    config = load(
        path, {"BULKHEAD_API_PORT": "2000", "BULKHEAD_SYMBOLS": "ETHUSDT,SOLUSDT"}, {"lease_seconds": 30}
    )
    assert (config.api_port, config.lease_seconds, config.symbols) == (2000, 30, ("ETHUSDT", "SOLUSDT"))
    assert load(None, {"PATH": "x"}, {"dsn": None}) == EngineConfig()


def test_the_assets_that_fees_are_taken_in_are_a_list():
    assert EngineConfig().fee_assets == ("BNB",)
    assert load(None, {"BULKHEAD_FEE_ASSETS": "BNB,USDC"}, {}).fee_assets == ("BNB", "USDC")
    assert load(None, {"BULKHEAD_FEE_ASSETS": ""}, {}).fee_assets == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api_prot = 1", "api_prot"),
        ("api_port = 70000", "70000 is not a port"),
        ('api_port = "x"', "api_port"),
        ("api_port = ", "not valid TOML"),
        ('exchange_ws = "ws://x"', "exchange_ws"),
        ("lease_seconds = 1", "at least 3"),
        ("rules_every_seconds = 0", "at least 1"),
        ('margin_asset = "BTC"', "'BTC' is none of USDT, USDC, FDUSD"),
        ("leverage = { BTCUSDT = 126 }", "BTCUSDT = 126 is not a leverage, 1 to 125"),
        ("leverage = { default = 0 }", "default = 0 is not a leverage"),
        ("leverage = { btcusdt = 5 }", "neither a symbol such as BTCUSDT nor default"),
        ("leverage = { BTCUSDT = 2.5 }", "leverage"),
        ('set_master = "perhaps"', "set_master"),
        ("price_max_age_ms = 0", "at least 1"),
        ('clearing = "yes"', "clearing: 'yes' is none of on, off"),
        ('audit = "yes"', "audit: 'yes' is none of on, off"),
        ("audit_days = -1", "audit_days: -1 must be 0 (all are kept) to 36,500"),
        ("recorded_decisions = -1", "recorded_decisions: -1 must be 0 (none are kept) to 10,000,000"),
        ("recorded_decisions = 10000001", "each takes some 1.5 KB of memory"),
        ("daily_snapshots_days = -1", "daily_snapshots_days: -1 must be 0 (none is kept) to 36,500"),
        ("daily_snapshots_days = 1.5", "daily_snapshots_days: 1.5 is not a whole number"),
        ("archive_dir = 7", "archive_dir: 7 is not a text in quotes"),
        ("clearing = true", "clearing: True is not a text in quotes"),
        (
            "block_split_at_depth = -1",
            "block_split_at_depth: -1 must be 0 (never split by depth) to 1,000,000",
        ),
        ("block_split_at_depth = 1000001", "1000001 must be 0"),
        ("block_split_at_depth = 0.5", "block_split_at_depth: 0.5 is not a whole number"),
        ('fee_assets = ["bnb"]', "fee_assets: 'bnb' is no asset"),
        ('fee_assets = ["BNB", ""]', "fee_assets: '' is no asset"),
        (
            'exchange_ws = "ws://x"',
            "exchange_ws: no such setting; it is exchange_ws_public and exchange_ws_private",
        ),
        ("leverage = 20", "leverage: 20 is not a table, for example { default = 20"),
        (
            'leverage = { BTCUSDT = "x" }',
            """leverage: {"BTCUSDT":"x"} is not good; a whole number is needed in it""",
        ),
        ('leverage = { "" = 5 }', "leverage: '' is neither a symbol"),
        ('fee_assets = "BNB"', """fee_assets: 'BNB' is not a list, for example ["BNB"]"""),
        ("set_master = 7", "set_master: 7 is not true or false"),
        ("exchange_ws_private = 5", "exchange_ws_private: 5 is not a text in quotes"),
        ('rules_every_seconds = "soon"', "rules_every_seconds: 'soon' is not a whole number"),
        ("rules_every_seconds = 1e99", "rules_every_seconds: 1E+99 is not a whole number"),
        (
            "rules_every_seconds = 99999999999",
            "rules_every_seconds: 99999999999 must be at most 86400, a day",
        ),
        ("funding_every_seconds = 86401", "86401 must be at most 86400"),
        ("lease_seconds = 999999", "lease_seconds: 999999 must be at most 86400"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, expected):
    path = tmp_path / "engine.toml"
    path.write_text(text)
    with pytest.raises(BadConfig) as error:
        load(path, {}, {})
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SET_MASTER", "maybe", "BULKHEAD_SET_MASTER: 'maybe' is not true or false"),
        ("RULES_EVERY_SECONDS", "", "BULKHEAD_RULES_EVERY_SECONDS: '' is not a whole number"),
        ("LEVERAGE", "=20", "BULKHEAD_LEVERAGE: '' is neither a symbol"),
        ("LEVERAGE", "BTCUSDT=20,BTCUSDT=30", "BULKHEAD_LEVERAGE: BTCUSDT is named twice"),
        ("EXCHANGE_WS", "ws://x", "BULKHEAD_EXCHANGE_WS: no such setting; it is exchange_ws_public and"),
        ("API_TOKENS", "abc", "BULKHEAD_API_TOKENS: tokens are set in the file of --config"),
    ],
)
def test_a_bad_variable_is_named(name, value, expected):
    with pytest.raises(BadConfig) as error:
        load(None, {f"BULKHEAD_{name}": value}, {})
    assert expected in str(error.value)


def test_leverage_can_be_given_in_the_environment():
    config = load(None, {"BULKHEAD_LEVERAGE": "default=20,BTCUSDT=50", "BULKHEAD_SET_MASTER": "true"}, {})
    assert config.leverage == {"default": 20, "BTCUSDT": 50}
    assert config.set_master
    assert load(None, {"BULKHEAD_LEVERAGE": ""}, {}).leverage == {}
    with pytest.raises(BadConfig, match="BULKHEAD_LEVERAGE: 'BTCUSDT:50' does not look like BTCUSDT=50"):
        load(None, {"BULKHEAD_LEVERAGE": "BTCUSDT:50"}, {})


def test_a_missing_file_and_an_unknown_variable_are_named(tmp_path):
    with pytest.raises(BadConfig, match=r"none\.toml: cannot be read"):
        load(tmp_path / "none.toml", {}, {})
    with pytest.raises(BadConfig, match="BULKHEAD_PROT: no such setting"):
        load(None, {"BULKHEAD_PROT": "1"}, {})


def test_the_shipped_file_lists_every_setting_with_its_default():
    shipped = load(Path(__file__).parents[2] / "deploy" / "bulkhead.toml", {}, {})
    assert shipped == EngineConfig()
    text = (Path(__file__).parents[2] / "deploy" / "bulkhead.toml").read_text()
    settings = [n for n in EngineConfig.__struct_fields__ if n != "risk"]
    assert all(f"\n{name} = " in text for name in settings)
    assert "\n[risk]" in text


def test_the_shipped_file_shows_every_limit_with_its_default():
    text = (Path(__file__).parents[2] / "deploy" / "bulkhead.toml").read_text()
    shown_there = dict(re.findall(r"^# (\w+) = \"?([^\"#]*?)\"? *(?:#.*)?$", text, re.MULTILINE))
    limits = RiskLimits()
    for name in LIMITS:
        assert parse(name, shown_there[name]) == getattr(limits, name), name


@pytest.mark.parametrize(
    ("environment", "overrides", "text"),
    [
        (
            {"BULKHEAD_API_PORT": "abc"},
            {},
            "BULKHEAD_API_PORT: 'abc' is not a whole number, for example 8780$",
        ),
        ({"BULKHEAD_API_PORT": "99999"}, {}, "^BULKHEAD_API_PORT: 99999 is not a port, 0 to 65535"),
        ({"BULKHEAD_LEASE_SECONDS": "1"}, {}, "^BULKHEAD_LEASE_SECONDS: 1 must be at least 3"),
        ({"BULKHEAD_MARGIN_ASSET": "EUR"}, {}, "^BULKHEAD_MARGIN_ASSET: 'EUR' is none of"),
        (
            {"BULKHEAD_APIPORT": "3"},
            {},
            r"^BULKHEAD_APIPORT: no such setting; did you mean BULKHEAD_API_PORT\?$",
        ),
        ({}, {"api_port": 99_999}, "^--api-port: 99999 is not a port"),
    ],
)
def test_a_bad_value_is_said_with_where_it_was_set_and_what_would_do(environment, overrides, text):
    with pytest.raises(BadConfig, match=text):
        load(None, environment, overrides)


def test_a_bad_value_of_a_file_is_said_with_the_file(tmp_path):
    path = tmp_path / "b.toml"
    path.write_text("api_port = 99999")
    with pytest.raises(BadConfig, match=r"b\.toml: api_port: 99999 is not a port"):
        load(path, {}, {})
    path.write_text("apiport = 1")
    with pytest.raises(BadConfig, match=r"b\.toml: apiport: no such setting; did you mean api_port\?"):
        load(path, {}, {})

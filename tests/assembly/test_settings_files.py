"""The files made from settings and limits are up to date, and the sample means what it meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.assembly.config import EngineConfig, Setting, load
from actors.assembly.settings_files import FILES, main, toml
from actors.limits.model import LIMITS, RiskLimits
from actors.limits.parse import parse
from actors.limits.profiles import PROFILES

ROOT = Path(__file__).parents[2]
BEFORE = Path(__file__).parent / "settings" / "written_by_hand.toml"
"""The file that was written by hand, up to the release that began to make it."""

LIMIT = re.compile(r"^# (\w+) = (\"?[^\"#]*?\"?) *(?:#.*)?$", re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_the_repository_is_what_is_made(name):
    assert (ROOT / name).read_text() == FILES[name](), f"{name} is out of date: run 'make settings'"


def test_the_command_writes_all_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr("actors.assembly.settings_files.ROOT", tmp_path)
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
    main()
    for name in FILES:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()


def test_the_sample_means_what_the_one_written_by_hand_meant(tmp_path):
    made = tmp_path / "bulkhead.toml"
    made.write_text(toml())
    assert load(made, {}, {}) == load(BEFORE, {}, {}) == EngineConfig()
    of_before, of_made = (dict(LIMIT.findall(text)) for text in (BEFORE.read_text(), toml()))
    assert set(of_before) <= set(of_made), "an old file's names are still known"
    for name in set(of_before) & set(LIMITS):
        old, new = (parse(name, values[name].strip('"')) for values in (of_before, of_made))
        assert old == new == getattr(RiskLimits(), name), name


def test_the_sample_is_read_with_every_limit_switched_to_what_it_shows(tmp_path):
    path = tmp_path / "bulkhead.toml"
    path.write_text(LIMIT.sub(lambda line: line[0].removeprefix("# "), toml()))
    config = load(path, {}, {})
    layers = {layer.source: dict(layer.values) for layer in config.risk.layers}
    assert set(layers[str(path)]) == set(LIMITS)
    assert layers["profile paranoid"] == PROFILES["paranoid"]


def test_every_setting_says_what_it_is():
    from msgspec.structs import fields

    told = {
        f.name
        for f in fields(EngineConfig)
        if any(isinstance(m, Setting) for m in getattr(f.type, "__metadata__", ()))
    }
    assert told == set(EngineConfig.__struct_fields__) - {"risk"}


def test_an_example_is_not_broken_over_lines():
    assert "{ default = 20, BTCUSDT = 50 }" in toml()
    assert '[{ name = "prometheus", role = "viewer", token = "at least 16 characters" }]' in toml()
    assert max(map(len, toml().splitlines())) <= 120

"""Every limit names the layer that it comes from."""

from __future__ import annotations

from actors.api.limits import limit_rows
from actors.limits.layers import Layer
from actors.limits.model import LIMITS, RiskLimits


def test_the_highest_layer_that_sets_a_limit_is_its_source():
    layers = [
        Layer("profile paranoid", {"max_positions": "3", "max_leverage": "5"}),
        Layer("account", {"max_positions": "4"}),
    ]
    found = limit_rows(RiskLimits(), layers)
    rows = {row.name: row.source for row in found}
    assert list(rows) == list(LIMITS)
    assert {row.name: (row.unit, row.text) for row in found} == {
        n: (f.unit, f.text) for n, f in LIMITS.items()
    }
    assert rows["max_positions"] == "account"
    assert rows["max_leverage"] == "profile paranoid"
    assert rows["max_daily_loss"] == "built-in"

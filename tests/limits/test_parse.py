"""Values as text: every one survives being shown and read again, and what cannot be is refused with its cure."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadConfig
from actors.limits.layers import merge
from actors.limits.model import LIMITS, AdlTier, RiskLimits, Unit
from actors.limits.parse import parse, shown


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


def test_tiers_are_read_as_they_are_shown_with_spaces_between_them():
    tiers = (AdlTier(D("0.9"), D("0.3")), AdlTier(D("0.95"), D(1)))
    assert shown(tiers) == "0.9:0.3, 0.95:1"
    assert parse("adl_tiers", shown(tiers)) == parse("adl_tiers", " 0.9 : 0.3 ,0.95:1 ") == tiers


@pytest.mark.parametrize(
    ("name", "text", "cure"),
    [
        ("breaker_reset", "off", "breaker_reset: cannot be switched off; give one of manual, timed"),
        ("max_leverage", "OFF", r"max_leverage: cannot be switched off; give a number \(times, at least 1\)"),
        ("max_leverages", "5", r"max_leverages: no such limit; did you mean max_leverage\?"),
        ("max_positions", "0", "max_positions: 0 cannot be; it is a count, at least 1"),
        ("adl_tiers", "0.9", "'0.9' is not ratio:fraction, for example 0.9:0.3"),
    ],
)
def test_an_error_names_the_limit_the_value_and_what_would_do(name, text, cure):
    with pytest.raises(BadConfig, match=cure):
        parse(name, text)

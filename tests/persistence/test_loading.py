"""The platform's rules for an account as they are read."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.limits.model import RiskLimits
from actors.persistence.loading import BaseLimits
from tests.factories import account

DEFAULTS = RiskLimits(liquidation_threshold=D("0.8"), max_leverage=D(33))


@pytest.mark.parametrize(
    ("threshold", "read"),
    [("0.5", "0.5"), ("1", "1"), ("0.0001", "0.0001"), ("0", None), ("-1", None), ("1.0001", None)],
)
def test_a_threshold_of_the_platform_that_cannot_be_is_its_own_default(threshold, read):
    rule = (None, None, None, threshold)
    found = BaseLimits(DEFAULTS).of(rule)
    expected = RiskLimits().liquidation_threshold if read is None else D(read)
    assert found == replace(DEFAULTS, liquidation_threshold=expected)


def test_what_a_rule_does_not_say_is_the_default_and_what_it_says_is_taken_as_it_is():
    below = BaseLimits(DEFAULTS)
    assert below.of((None, None, None, None)) == DEFAULTS
    found = below.of(("7", "0", None, None))
    assert (found.max_leverage, found.max_notional_per_trade) == (D(7), D(0)), (
        "a notional of 0: nothing at all"
    )
    assert found.liquidation_threshold == DEFAULTS.liquidation_threshold


def test_accounts_of_equal_limits_share_them():
    below = BaseLimits(DEFAULTS)
    rule = ("7", None, None, None)
    assert below.of(rule) is below.of(list(rule)) is below.of(("7.0", None, None, None))
    own = [below.merged(account(overrides=(("max_positions", "3"),)), rule) for _ in range(2)]
    assert own[0].limits is own[1].limits
    assert (own[0].limits.max_positions, own[0].limits.max_leverage) == (3, D(7))

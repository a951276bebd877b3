"""The platform's rules for an account as they are read, and what of an account's risk is written when."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.facts import BalanceAdjusted, LimitsChanged, OrderAcknowledged, PositionClosed
from actors.limits.model import RiskLimits
from actors.persistence import risk_rows
from actors.persistence.loading import Loader
from tests.factories import ETH, account

DEFAULTS = RiskLimits(liquidation_threshold=D("0.8"), max_leverage=D(33))


@pytest.mark.parametrize(
    ("threshold", "read"),
    [("0.5", "0.5"), ("1", "1"), ("0.0001", "0.0001"), ("0", None), ("-1", None), ("1.0001", None)],
)
def test_a_threshold_of_the_platform_that_cannot_be_is_its_own_default(threshold, read):
    rule = (None, None, None, D(threshold))
    found = Loader(DEFAULTS).base(rule)
    expected = RiskLimits().liquidation_threshold if read is None else D(read)
    assert found == replace(DEFAULTS, liquidation_threshold=expected)


def test_what_a_rule_does_not_say_is_the_default_and_what_it_says_is_taken_as_it_is():
    loader = Loader(DEFAULTS)
    assert loader.base((None, None, None, None)) == DEFAULTS
    found = loader.base((D(7), D(0), None, None))
    assert (found.max_leverage, found.max_notional_per_trade) == (D(7), D(0)), (
        "a notional of 0: nothing at all"
    )
    assert found.liquidation_threshold == DEFAULTS.liquidation_threshold


def test_accounts_of_equal_limits_share_them():
    loader = Loader(DEFAULTS)
    rule = (D(7), None, None, None)
    assert loader.base(rule) is loader.base(rule)
    base, own = loader.base(rule), (("max_positions", "3"),)
    assert loader._own(base, own) is loader._own(base, own)
    assert loader._own(base, own).max_positions == 3


CLOSED = PositionClosed(
    position_id="p", symbol=ETH, quantity=D(1), entry_price=D(2000), realized=D(1), fees=D(0), funding=D(0),
    mae=D(0), mfe=D(0), strategy="", purpose="USER", opened_ms=1, closed_ms=2,
)  # fmt: skip


def names(state, *facts):
    return [name for name, _ in risk_rows.statements(state, facts, 5)]


def test_risk_is_written_when_what_it_counts_may_have_changed_and_not_else():
    quiet = account()
    with_day = replace(quiet, risk=replace(quiet.risk, day_start_ms=1))
    cash = BalanceAdjusted(D(5), "DEPOSIT")
    assert (names(quiet, cash), names(with_day, cash)) == ([], ["risk_upsert"])
    losses = replace(quiet, limits=replace(quiet.limits, max_consecutive_losses=2))
    assert "risk_upsert" not in names(quiet, CLOSED)
    assert "risk_upsert" in names(losses, CLOSED)
    errors = replace(quiet, limits=replace(quiet.limits, max_consecutive_errors=2))
    told = OrderAcknowledged("bh-x", 5)
    assert (names(quiet, told), names(errors, told)) == ([], ["risk_upsert"])


def test_a_limit_that_is_taken_back_is_deleted_and_one_that_is_set_is_kept():
    changed = LimitsChanged((("max_positions", "3"), ("max_leverage", None)))
    assert names(account(), changed) == ["limit_set", "limit_unset", "risk_upsert"]

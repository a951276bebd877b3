"""The model of the limits: each field says what it is, and what follows from the fields follows every change."""

from __future__ import annotations

from decimal import Decimal as D

from actors.limits.layers import merge, merged
from actors.limits.model import LIMITS, AdlTier, RiskLimits, Unit
from actors.limits.profiles import PROFILES


def test_every_limit_says_what_it_is_and_every_profile_is_good():
    no_limits = {"price_max_age_ns", "needs_day", "watches_equity"}
    assert set(RiskLimits.__struct_fields__) - no_limits == set(LIMITS)
    for name, limit in LIMITS.items():
        assert all((limit.text, limit.source)), name
        assert limit.default == getattr(RiskLimits(), name)
        assert (limit.choice is not None) == (limit.unit is Unit.CHOICE)
        assert limit.optional or limit.default is not None
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

"""How many accounts have which margin ratio: the bounds, and what is told while a crowd decides."""

from __future__ import annotations

import pytest

from actors.api.margin_ratios import BOUNDS, KEPT, MarginRatios
from tests.factories import BTC, account, market, position


class Rig:
    def __init__(self):
        self.at, self.now_ns, self.is_crowded = market(), 1, False
        self.ratios = MarginRatios(lambda: self.at, lambda: self.now_ns, lambda: self.is_crowded)

    def of(self, *balances):
        return self.ratios.of([account(balance, (position(),)) for balance in balances])


@pytest.mark.parametrize(
    ("balance", "below"),
    [("1000", "0.2"), ("50.01", "0.2"), ("50", "0.4"), ("10.6", "0.95"), ("10.01", "1"), ("10", ">= 1"), ("-5", ">= 1")],
)  # fmt: skip
def test_an_account_counts_below_the_first_bound_that_its_ratio_does_not_reach(balance, below):
    # 10 USDT to maintain: 0.5 % of 2,000.
    assert Rig().of(balance) == {below: 1}
    assert below in (*BOUNDS, ">= 1")


def test_accounts_without_positions_do_not_count_and_those_without_a_price_count_as_such():
    states = [account("1000"), account("1000", (position(BTC),)), account("50", (position(),))]
    assert Rig().ratios.of(states) == {"no price": 1, "0.4": 1}


def test_while_a_crowd_decides_what_was_found_is_told_again_for_some_seconds():
    rig = Rig()
    rig.is_crowded = True
    assert rig.of("1000") == {"0.2": 1}, "nothing was found before"
    rig.now_ns += KEPT - 1
    assert rig.of("50") == {"0.2": 1}
    rig.now_ns += 1
    assert rig.of("50") == {"0.4": 1}
    rig.is_crowded = False
    assert rig.of("10") == {">= 1": 1}, "without a crowd it is always of now"

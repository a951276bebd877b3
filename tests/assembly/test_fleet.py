"""All accounts together, and who looks again when the exchange's rules change."""

from __future__ import annotations

from types import SimpleNamespace

from msgspec.structs import replace

from actors.assembly.fleet import exposure_of, reconsider_holders, states_of
from actors.core.messages import Reconsider
from tests.factories import BTC, ETH, WIDE, D, account, position, tick


class Holder:
    """Stands in for an account's ref."""

    def __init__(self, state):
        self.state, self.told = state, []
        self.cell = SimpleNamespace(actor=SimpleNamespace(inspect_state=lambda: self.state))

    def tell(self, message):
        self.told.append(message)


def test_the_fleet_is_added_up():
    limits = replace(WIDE, max_total_exposure=D(500), max_position_notional=D(300))
    found = exposure_of(
        [
            account("100", [position(BTC, "1"), position(ETH, "2")], limits),
            account("100", [position(ETH, "-2")], replace(limits, max_position_notional=None)),
        ],
        {BTC: tick(BTC, "60000")},
    )
    assert found.net == {BTC: 1, ETH: 0}
    assert found.notional == {BTC: 60_000}
    assert found.allowed == 800


def test_who_holds_a_symbol_whose_rules_change_looks_again_and_others_do_not():
    holder, other = Holder(account("100", [position(BTC, "1")])), Holder(account("100", [position(ETH, "1")]))
    other.state = replace(other.state, account_id="acct-2")
    loading = Holder(None)
    accounts = {"acct-1": holder, "acct-2": other, "acct-3": loading}
    assert states_of(accounts) == [holder.state, other.state]
    reconsider_holders(accounts, ["BTCUSDT"])
    assert [type(m) for m in holder.told] == [Reconsider]
    assert other.told == loading.told == []

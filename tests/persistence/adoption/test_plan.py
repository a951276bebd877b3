"""What an adoption would do: whole accounts, sums that are the exchange's, and refusals that name figures and cure."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.enums import AccountStatus, Phase
from actors.core.units import AccountId
from actors.limits.model import RiskLimits
from actors.persistence.adoption.adopting import below_of
from actors.persistence.adoption.figures import AccountRow, PendingRow, PositionRow
from actors.persistence.adoption.plan import NOWHERE, plan
from actors.persistence.open_books import Books
from actors.persistence.projection.spelling import platform_symbol
from actors.subaccount import funding
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState, books_balance
from tests.factories import BTC, ETH, INSTRUMENTS, SOL, WALL_MS

NO_RULE = (None, None, None, None)


def row(id_="a", **more):
    return AccountRow(
        **{
            "account_id": id_, "name": id_, "status": "ACTIVE", "mode": "ADL_30", "rate": "0.005", "balance": "1000.1",
            "rule": NO_RULE, "pending": 0, **more,
        }
    )  # fmt: skip


def held(id_, account, quantity, symbol=ETH, price="2000.5", leverage="20", **more):
    size = abs(D(quantity))
    notional = size * D(price)
    return PositionRow(
        **{
            "position_id": id_, "account_id": account, "symbol": platform_symbol(symbol),
            "side": "LONG" if D(quantity) > 0 else "SHORT", "entry_price": price, "quantity": str(size),
            "notional": str(notional), "leverage": leverage, "margin": str(notional / D(leverage)),
            "opened_at": "2026-02-17 04:10:00", **more,
        }
    )  # fmt: skip


def planned(accounts, positions=(), master=None, books=NOWHERE, **more):
    return plan(
        accounts, positions, books=books, master=master or {}, instruments=INSTRUMENTS,
        below=below_of(RiskLimits()), wall_ms=WALL_MS, **more,
    )  # fmt: skip


def the_refusal(made):
    assert made.adoptions == ()
    [refusal] = made.refusals
    return refusal


def test_an_account_is_taken_over_as_it_is_and_folds_to_that():
    made = planned([row(status="FROZEN")], [held("p", "a", "0.15"), held("q", "a", "-0.01", BTC, "60000")], {ETH: D("0.15"), BTC: D("-0.01")})  # fmt: skip
    assert made.refusals == ()
    [adoption] = made.adoptions
    state = folded(AccountState(account_id=AccountId("a")), [adoption.fact])
    assert (state.status, state.balance, state.deposits) == (AccountStatus.FROZEN, D("1000.1"), D("1000.1"))
    assert books_balance(state)
    eth = state.position(ETH)
    assert (eth.position_id, eth.quantity, eth.cost, eth.margin) == (
        "p",
        D("0.15"),
        D("300.075"),
        D("15.00375"),
    )
    assert (eth.leverage, eth.entry_price, eth.opened_ms) == (20, D("2000.5"), 1_771_301_400_000)
    assert state.position(BTC).quantity == D("-0.01")


def test_funding_from_before_an_adoption_is_none_of_ours():
    [adoption] = planned(
        [row()], [held("p", "a", "0.15", opened_at="2023-11-01 00:00:00")], {ETH: D("0.15")}
    ).adoptions
    state = folded(AccountState(account_id=AccountId("a")), [adoption.fact])
    hour = 3_600_000
    before, after = WALL_MS - WALL_MS % hour, WALL_MS - WALL_MS % hour + hour
    assert funding.due(state, ETH, before) is None
    assert funding.due(state, ETH, after).quantity == D("0.15")


def test_a_liquidated_account_is_taken_over_as_such_and_one_with_positions_is_not():
    [adoption] = planned([row(status="LIQUIDATED", balance="0")]).adoptions
    state = folded(AccountState(account_id=AccountId("a")), [adoption.fact])
    assert (state.status, state.phase) == (AccountStatus.LIQUIDATED, Phase.LIQUIDATED)
    made = planned([row(status="LIQUIDATED")], [held("p", "a", "1")], {ETH: D(1)})
    assert "LIQUIDATED and has OPEN positions" in the_refusal(made).why


def test_rules_of_the_platform_become_limits_below():
    [adoption] = planned([row(rule=("25", "5000", "9000", "0.8"))]).adoptions
    assert dict(adoption.fact.below) == {
        "max_leverage": "25", "max_notional_per_trade": "5000", "max_total_exposure": "9000", "liquidation_threshold": "0.8",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"status": "CLOSED"}, "status 'CLOSED' is none of ACTIVE, FROZEN, LIQUIDATED"),
        ({"mode": "NONE"}, "liquidation_mode 'NONE' is none of"),
        ({"rate": "0"}, "maintenance_rate is 0, which must be between 0 and 1"),
        ({"rate": "1"}, "maintenance_rate is 1, which must be between 0 and 1"),
        ({"rate": "NaN"}, "maintenance_rate 'NaN'"),
        ({"balance": "-0.01"}, "balance is -0.01; put it right"),
        ({"balance": "Infinity"}, "current_balance 'Infinity'"),
        ({"pending": 2}, "2 PENDING orders"),
        ({"bots": ("enabled",)}, "its bot is switched on (bot_configs.enabled), and would go on"),
        ({"account_id": "a b"}, "its id cannot be one here"),
        ({"rule": ("abc", None, None, None)}, "the platform's rule for it cannot be read"),
    ],
)
def test_an_account_that_cannot_be_taken_over_is_named_with_the_cure(more, says):
    made = planned([row(**more)])
    assert says in the_refusal(made).why
    assert made.refusals[0].account_id == more.get("account_id", "a")


def pending(id_, exchange_order_id, account="a"):
    return PendingRow(id_, account, "ETH/USDT:USDT", "LONG", "0.1", "1900", exchange_order_id)


@pytest.mark.parametrize(
    ("orders", "says"),
    [
        ([pending("o", "77")], "ETH/USDT:USDT LONG 0.1 at 1900 rests at the exchange as 77: cancel it on the platform"),
        ([pending("o", "78")], "at the exchange 78, does not rest there: if it traded, let the platform book that first"),
        ([pending("o", None)], "has no id of the exchange: if nothing of it rests there, set its row to CANCELLED"),
        ([pending("o", "77", "b")], "it has 1 PENDING orders. "),
        ([pending(f"o{n}", "77") for n in range(3)], "cancel it on the platform"),
        ([pending(f"o{n}", "77") for n in range(5)], "; and 2 more"),
    ],
)  # fmt: skip
def test_a_pending_order_is_compared_with_what_rests_at_the_exchange(orders, says):
    made = planned([row(pending=1)], pending=orders, resting={77})
    assert says in the_refusal(made).why
    assert ("more" in the_refusal(made).why) == (len(orders) > 3)
    assert the_refusal(made).why.count("ETH/USDT:USDT") == min(3, sum(o.account_id == "a" for o in orders))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"quantity": "0.1505"}, "quantity 0.1505 is not a multiple of 0.001"),
        ({"quantity": "NaN"}, "quantity 'NaN'"),
        ({"quantity": "0"}, "quantity 0 must be above 0"),
        ({"entry_price": "-1"}, "entry_price -1 must be above 0"),
        ({"leverage": "0"}, "leverage 0 must be above 0"),
        (
            {"notional": "12"},
            "its notional is 12, and by its entry price, quantity and leverage it would be 300.075",
        ),
        ({"margin": "12"}, "its margin is 12, and"),
        ({"symbol": "ETHUSDT"}, "the symbol 'ETHUSDT' is not spelled"),
        ({"symbol": "NOPE/USDT:USDT"}, "the exchange lists no NOPEUSDT"),
        ({"side": "BUY"}, "side 'BUY' is neither LONG nor SHORT"),
        ({"opened_at": "soon"}, "opened_at: 'soon' is no time"),
    ],
)
def test_a_position_that_cannot_be_taken_over_is_named_with_account_symbol_and_cure(more, says):
    refusal = the_refusal(planned([row()], [held("p", "a", "0.15")._replace(**more)], {ETH: D("0.15")}))
    assert "position p: " in refusal.why
    assert says in refusal.why
    assert (refusal.account_id, refusal.symbol) == ("a", more.get("symbol", "ETH/USDT:USDT"))


def test_both_sides_of_a_symbol_and_duplicates_are_refused_by_name():
    made = planned([row()], [held("p", "a", "1"), held("q", "a", "-0.4")], {ETH: D("0.6")})
    assert "LONG and SHORT are OPEN at once; close one" in the_refusal(made).why
    made = planned([row()], [held("p", "a", "1"), held("q", "a", "1")], {ETH: D(2)})
    assert "2 OPEN rows of one LONG position" in the_refusal(made).why
    assert "sanitize-positions.js" in made.refusals[0].why


def test_what_does_not_add_up_is_refused_with_both_numbers_and_what_depends_on_it_too():
    positions = [held("p", "a", "1"), held("q", "a", "0.5", SOL, "100"), held("r", "b", "2", SOL, "100"), held("s", "c", "3", BTC, "60000")]  # fmt: skip
    made = planned(
        [row("a"), row("b"), row("c"), row("d")], positions, {ETH: D("1.2"), SOL: D("2.5"), BTC: D(3)}
    )
    assert [a.account_id for a in made.adoptions] == ["c", "d"]
    assert [(r.account_id, r.symbol) for r in made.refusals] == [("a", ETH), ("b", SOL)]
    assert "have 1 of it, and the exchange 1.2; find the 0.2 first" in made.refusals[0].why
    eth = next(s for s in made.symbols if s.symbol == ETH)
    assert (eth.asked, eth.adopted, eth.master, eth.difference) == (D(1), D(0), D("1.2"), D("0.2"))


def test_ours_count_with_the_house_and_what_is_on_its_way():
    books = Books({ETH: D(1)}, {ETH: D("0.5")}, {ETH: D("-0.1")})
    made = planned([row()], [held("p", "a", "1")], {ETH: D("2.4")}, books)
    assert made.refusals == ()
    assert made.symbols[0].ours == D("1.4")


SYMBOLS = (ETH, BTC, SOL)


@given(st.data())
def test_what_is_left_of_a_plan_always_adds_up(data):
    """Whatever is at the exchange: each account is whole or refused, and the sums are the exchange's."""
    small = st.integers(min_value=-3, max_value=3).map(D)
    holdings = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(SYMBOLS, small)), max_size=6))
    ours = data.draw(st.fixed_dictionaries(dict.fromkeys(SYMBOLS, small)))
    off = data.draw(st.fixed_dictionaries({s: st.sampled_from([D(0), D(0), D(1)]) for s in SYMBOLS}))
    accounts = [row(f"a{n}") for n in range(len(holdings))]
    positions = [
        held(f"p{n}-{s}", f"a{n}", str(q), s) for n, h in enumerate(holdings) for s, q in h.items() if q
    ]
    master = {s: ours[s] + sum((h[s] for h in holdings), D(0)) + off[s] for s in SYMBOLS}
    made = planned(accounts, positions, master, Books(ours, {}, {}))
    adopted = Counter()
    for adoption in made.adoptions:
        mine = holdings[int(adoption.account_id[1:])]
        assert {p.symbol: p.quantity for p in adoption.fact.positions} == {s: q for s, q in mine.items() if q}
        for position in adoption.fact.positions:
            adopted[position.symbol] += position.quantity
    touched = {p.symbol for a in made.adoptions for p in a.fact.positions}
    assert all(adopted[s] + ours[s] == master[s] for s in touched)
    assert {a.account_id for a in made.adoptions} | set(made.refused) == {r.account_id for r in accounts}
    assert not {a.account_id for a in made.adoptions} & set(made.refused)
    if not any(off.values()):
        assert made.refusals == ()

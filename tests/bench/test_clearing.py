"""What the benchmark of clearing makes of a journal, and its report; the benchmark itself is not run here."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from bench import clearing
from bench.clearing import Case, Measured, Outcome, Row, measure


def intended(id_, purpose="LIQUIDATION", symbol="ETHUSDT"):
    return {"fact": "OrderIntended", "client_order_id": id_, "purpose": purpose, "symbol": symbol}


def filled(id_, at_ms):
    return {"fact": "FillApplied", "client_order_id": id_, "trade": {"trade_ms": at_ms}}


def phase(name):
    return {"fact": "PhaseChanged", "phase": name}


def rows(*decisions):
    return [Row(stream, at_ms, at_ms + 5, facts) for stream, at_ms, *facts in decisions]


def test_a_step_counts_from_its_decision_to_its_first_trade():
    found = measure(
        rows(
            ("a", 1_000, phase("REDUCING"), intended("a1", "ADL")),
            ("b", 1_010, phase("LIQUIDATING"), intended("b1")),
            ("a", 1_060, filled("a1", 1_050)),
            ("a", 1_061, filled("a1", 1_055)),
            ("a", 1_070, phase("HEALTHY")),
            ("b", 1_400, filled("b1", 1_310), {"fact": "BadDebtRecorded", "amount": "2.5"}, phase("LIQUIDATED")),
        )
    )  # fmt: skip
    assert found.covered_after == [50, 300]
    assert (found.breached, found.liquidated, found.bad_debt) == ({"a", "b"}, {"b"}, D("2.5"))
    assert (found.first_breach_ms, found.last_calm_ms) == (1_000, 1_400)
    assert (found.first_trade_ms, found.last_fill_ms) == (1_050, 1_405)
    assert (found.steps, found.own_orders, found.block_orders, found.uncovered) == (2, 2, 0, 0)


def test_a_step_that_was_given_back_counts_from_its_first_decision():
    found = measure(
        rows(
            ("a", 1_000, phase("LIQUIDATING"), intended("a1")),
            ("a", 3_000, {"fact": "OrderEnded", "client_order_id": "a1"}, intended("a2")),
            ("a", 5_000, filled("a2", 4_900)),
            ("a", 5_001, intended("a3")),
            ("a", 5_100, filled("a3", 5_050)),
        )
    )
    assert found.covered_after == [3_900, 49]


def test_a_step_that_nobody_needs_any_more_is_none_and_one_that_still_waits_is_counted():
    found = measure(
        rows(
            ("a", 1_000, phase("REDUCING"), intended("a1")),
            ("b", 1_000, phase("REDUCING"), intended("b1")),
            ("a", 2_000, phase("WARNING")),
            ("a", 9_000, phase("REDUCING"), intended("a2")),
            ("a", 9_500, filled("a2", 9_400)),
        )
    )
    assert (found.covered_after, found.uncovered) == ([400], 1)


def test_orders_of_traders_are_none_of_its_business():
    found = measure(rows(("a", 1_000, intended("a1", "USER")), ("a", 1_100, filled("a1", 1_050))))
    assert found == Measured()


def test_a_block_is_one_order_of_all_its_members():
    members = [{"client_order_id": id_} for id_ in ("a1", "b1")]
    found = measure(
        rows(
            ("a", 1_000, phase("LIQUIDATING"), intended("a1")),
            ("b", 1_001, phase("LIQUIDATING"), intended("b1")),
            ("c", 1_002, phase("LIQUIDATING"), intended("c1")),
            ("clearing:ETHUSDT", 1_003, {"fact": "BlockFormed", "order": intended("x"), "members": members}),
            (
                "clearing:ETHUSDT",
                1_004,
                {"fact": "BlockFormed", "order": intended("y", "USER"), "members": []},
            ),
            ("a", 1_030, filled("a1", 1_020)),
            ("b", 1_030, filled("b1", 1_020)),
            ("c", 1_040, filled("c1", 1_015)),
        )
    )
    assert found.covered_after == [20, 19, 13]
    assert (found.own_orders, found.block_orders, found.risk_orders) == (1, 1, 2)


def outcome(count=2_000, limits="none", state="off", bad_debt="10", liquidated=10, **changes):
    measured = Measured(
        bad_debt=D(bad_debt),
        liquidated={str(n) for n in range(liquidated)},
        own_orders=changes.pop("orders", 100),
        covered_after=list(range(1_000)),
        first_breach_ms=1_000,
        last_calm_ms=3_500,
        first_trade_ms=1_100,
        last_fill_ms=1_310,
    )
    values = {
        "exchange_orders": 123,
        "depth_share": D("0.00123"),
        "shortfall": D(0),
        "not_calm": 0,
        "splits": 0,
        "differing": 0,
        "opened": count,
    }
    case = Case(count, limits, state)._replace(**changes.pop("case", {}))
    return Outcome(case, measured, **(values | changes))


def test_four_columns_fit_a_terminal():
    columns = [outcome(n, a) for n in (2_000, 10_000) for a in ("none", "binance")]
    columns[1].not_calm, columns[1].shortfall, columns[3].measured.bad_debt = (
        10,
        D("123456.78"),
        D("1234567.89"),
    )
    lines = clearing.table(columns).split("\n")
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for shown in (
        "10,000",
        "binance",
        "> 60 s",
        "2.5 s",
        "0.50 s",
        "0.99 s",
        "1.00 s",
        "12.3",
        "0.21 s",
        "4.5%, 4 s",
        "1,234,567.89",
    ):
        assert shown in text
    # What those that are not done will lose counts, and so do they.
    assert columns[1].lost_each == (D(10) + D("123456.78")) / 20


@pytest.mark.parametrize(("bad_debt", "verdict"), [("21", "met"), ("21.1", "missed")])
def test_bad_debt_with_limits_is_held_against_that_without(bad_debt, verdict):
    said = list(clearing.verdicts([outcome(), outcome(limits="binance", bad_debt=bad_debt)]))
    assert len(said) == 1
    assert said[0].endswith(f"at most 2.10: {verdict}")


@pytest.mark.parametrize(("orders", "verdict"), [(150, "met"), (151, "missed")])
def test_orders_may_not_grow_with_the_fleet(orders, verdict):
    said = list(clearing.verdicts([outcome(limits="binance"), outcome(10_000, "binance", orders=orders)]))
    assert [line.rpartition(" ")[2] for line in said] == [verdict]


@pytest.mark.parametrize(("late", "verdict"), [(10, "met"), (11, "missed")])
def test_a_hundredth_of_the_steps_may_be_covered_later_than_in_a_second(late, verdict):
    column = outcome(state="on")
    column.measured.covered_after = [1_000] * (1_001 - late) + [1_001] * late
    [said] = clearing.verdicts([column])
    assert said.endswith(f"at most 1 s: {verdict}")


def test_steps_that_were_never_covered_are_not_met():
    column = outcome(state="on")
    column.measured.uncovered = 1
    [said] = clearing.verdicts([column])
    assert said.endswith("missed")


@pytest.mark.parametrize(("splits", "verdict"), [(90, "met"), (89, "missed")])
def test_one_tick_for_all_makes_ten_orders_besides_splits(splits, verdict):
    column = outcome(10_000, "binance", "on", splits=splits, case={"symbols": 1, "drop_seconds": 0})
    _, said = clearing.verdicts([column])
    assert said.endswith(f"at most 10: {verdict}")


def test_every_account_gets_a_long_position_near_its_limit():
    symbols = list(clearing.LISTINGS)[:3]
    orders = clearing.opening_orders(400, symbols)
    assert orders == clearing.opening_orders(400, symbols), "the same for every column"
    assert {o["symbol"] for o in orders} == set(symbols)
    for order in orders:
        listing = clearing.LISTINGS[order["symbol"]]
        assert listing.instrument.is_on_step(D(order["quantity"]))
        used = D(order["quantity"]) * listing.start_price / clearing.DEPOSIT / D(order["leverage"])
        assert D("0.6") < used <= D("0.92"), order


def test_the_columns_to_compare_stand_beside_each_other():
    made = clearing.cases(counts=(10, 20), clearing=("off", "on"))
    assert [c[:3] for c in made][:4] == [
        (10, "none", "off"), (10, "binance", "off"), (20, "none", "off"), (20, "binance", "off"),
    ]  # fmt: skip
    assert {c.clearing for c in made[4:]} == {"on"}

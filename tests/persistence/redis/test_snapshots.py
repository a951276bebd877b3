"""The risk snapshot has the reference's keys, all of them, and numbers that the account's own margin confirms."""

from __future__ import annotations

import json
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.enums import AccountStatus, LiquidationMode
from actors.core.errors import StateCorrupt
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, AccountId
from actors.core.utc import time_of
from actors.persistence.redis.snapshots import (
    DIGITS,
    decode,
    encode,
    key_of,
    short,
    snapshot_of,
)
from actors.subaccount import margin
from tests.factories import BTC, ETH, WALL_MS, account, market, position

# As the reference lists them (section 3.1), in its order.
EVALUATED = (
    "subAccountId, timestamp, status, liquidationMode, liquidationThreshold, equity, equityRaw, balance, unrealizedPnl, "
    "marginUsed, availableMargin, totalExposure, maintenanceMargin, marginRatio, accountLiqPrice, positions"
).split(", ")
TRADED = "positionCount"
POSITION = (
    "id, symbol, side, entryPrice, markPrice, quantity, notional, leverage, margin, liquidationPrice, unrealizedPnl, "
    "pnlPercent, babysitterExcluded, openedAt"
).split(", ")


def told(state, at=None):
    made = snapshot_of(state, market({ETH: "2050", BTC: "60000"}) if at is None else at)
    return json.loads(encode(made))


def held():
    return account(
        "1000",
        (position(ETH, "1", "2000", "10"), position(BTC, "-0.01", "61000", "5", 2)),
        mode=LiquidationMode.TAKEOVER,
    )


def test_it_has_both_groups_of_the_references_keys_and_no_others():
    found = told(held())
    assert set(found) == {*EVALUATED, TRADED}
    assert [set(p) for p in found["positions"]] == [set(POSITION)] * 2


def test_its_numbers_are_the_accounts():
    state = held()
    at = market({ETH: "2050", BTC: "60000"})
    marks = {ETH: D(2050), BTC: D(60000)}
    view = margin.view(state, marks)
    assert told(state, at) == {
        "subAccountId": "acct-1",
        "timestamp": WALL_MS,
        "status": "ACTIVE",
        "liquidationMode": "TAKEOVER",
        "liquidationThreshold": 0.9,
        "equity": 1060,
        "equityRaw": 1060,
        "balance": 1000,
        "unrealizedPnl": 60,
        "marginUsed": 322,
        "availableMargin": 738,
        "totalExposure": 2610,
        "maintenanceMargin": 13.05,
        "marginRatio": float(round(view.ratio, DIGITS)),
        "accountLiqPrice": pytest.approx(float(margin.account_liquidation_price(state, marks)[1]), abs=1e-9),
        "positionCount": 2,
        "positions": [
            {
                "id": state.positions[0].position_id,
                "symbol": "ETH/USDT:USDT",
                "side": "LONG",
                "entryPrice": 2000,
                "markPrice": 2050,
                "quantity": 1,
                "notional": 2000,
                "leverage": 10,
                "margin": 200,
                "liquidationPrice": pytest.approx(
                    float(margin.liquidation_price(state, state.positions[0], marks)), abs=1e-9
                ),
                "unrealizedPnl": 50,
                "pnlPercent": 25,
                "babysitterExcluded": True,
                "openedAt": time_of(state.positions[0].opened_ms),
            },
            {
                "id": state.positions[1].position_id,
                "symbol": "BTC/USDT:USDT",
                "side": "SHORT",
                "entryPrice": 61000,
                "markPrice": 60000,
                "quantity": 0.01,
                "notional": 610,
                "leverage": 5,
                "margin": 122,
                "liquidationPrice": pytest.approx(
                    float(margin.liquidation_price(state, state.positions[1], marks)), abs=1e-9
                ),
                "unrealizedPnl": 10,
                "pnlPercent": pytest.approx(8.196721311475, abs=1e-9),
                "babysitterExcluded": True,
                "openedAt": time_of(state.positions[1].opened_ms),
            },
        ],
    }


def test_after_the_last_close_it_is_one_of_zeros():
    found = told(account("950", status=AccountStatus.LIQUIDATED))
    assert found["positions"] == []
    assert found["status"] == "LIQUIDATED"
    assert {k: v for k, v in found.items() if v == 950} == dict.fromkeys(
        ("equity", "equityRaw", "balance", "availableMargin"), 950
    )
    zeros = "unrealizedPnl marginUsed totalExposure maintenanceMargin marginRatio positionCount".split()
    assert [found[name] for name in zeros] == [0] * 6
    assert found["accountLiqPrice"] is None


def test_without_equity_the_ratio_is_one_and_the_shown_equity_zero():
    found = told(account("10", (position(ETH, "1", "2000", "10"),)), market({ETH: "1900"}))
    assert (found["equity"], found["equityRaw"], found["marginRatio"]) == (0, -90, 1)
    assert found["availableMargin"] == -200


def test_no_price_is_no_snapshot_and_an_old_one_is_as_old_as_it_says():
    state = held()
    assert snapshot_of(state, market({ETH: "2050"})) is None
    now_ns = 60 * NANOS_PER_SECOND
    old = market({ETH: "2050", BTC: "60000"}, now_ns=now_ns, received_ns=now_ns - 15 * NANOS_PER_SECOND)
    assert told(state, old)["timestamp"] == WALL_MS + 60_000 - 15_000
    young = market({ETH: "2050", BTC: "60000"}, now_ns=now_ns, received_ns=now_ns - 9 * NANOS_PER_SECOND)
    assert told(state, young)["timestamp"] == WALL_MS + 60_000


def test_a_price_of_the_very_age_that_an_account_takes_is_not_stale():
    state, now_ns = held(), 60 * NANOS_PER_SECOND
    limit_ns = state.limits.price_max_age_ns
    for more_ns, stale_ms in ((0, 0), (NANOS_PER_MS, limit_ns // NANOS_PER_MS + 1)):
        at = market({ETH: "2050", BTC: "60000"}, now_ns=now_ns, received_ns=now_ns - limit_ns - more_ns)
        assert told(state, at)["timestamp"] == WALL_MS + 60_000 - stale_ms


def test_it_is_read_as_it_was_written_and_so_are_both_shapes_of_the_platform():
    id_ = AccountId("acct-1")
    made = snapshot_of(held(), market({ETH: "2050", BTC: "60000"}))
    assert encode(decode(encode(made), id_)) == encode(made)
    whole = told(held())
    traded = {
        k: v
        for k, v in whole.items()
        if k not in {"status", "liquidationMode", "liquidationThreshold", "accountLiqPrice"}
    }
    evaluated = {k: v for k, v in whole.items() if k != TRADED} | {"marginRatio": 999}
    assert decode(json.dumps(traded).encode(), id_).position_count == 2
    assert decode(json.dumps(evaluated).encode(), id_).margin_ratio == 999


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "holds no snapshot"),
        (b"\xff\xfe", "holds no snapshot"),
        (b"[]", "holds no snapshot"),
        (b"{}", "holds no snapshot"),
        (b'{"subAccountId": 5}', "holds no snapshot"),
        (
            encode(snapshot_of(account(), market())).replace(b'"acct-1"', b'"acct-2"'),
            "the snapshot of 'acct-2'",
        ),
        (
            encode(snapshot_of(account(), market())).replace(b'"balance":1000', b'"balance":"much"'),
            "holds no snapshot",
        ),
    ],
)
def test_what_is_no_snapshot_is_refused_by_the_name_of_its_key(text, fault):
    with pytest.raises(StateCorrupt, match=r"pms:risk:acct-1 .*") as refused:
        decode(text, AccountId("acct-1"))
    assert fault in str(refused.value)


def test_its_key():
    assert key_of(AccountId("acct-1")) == "pms:risk:acct-1"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=8))
def test_a_number_is_the_same_number_without_zeros_at_its_end(value):
    written = str(short(value))
    assert D(written) == value
    assert "E+" not in written
    assert not ("." in written and written.endswith("0"))


def test_a_time_is_written_as_javascript_does():
    assert time_of(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"

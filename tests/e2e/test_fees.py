"""A master that pays its fees in BNB: booked at the rate of their time, live and after a restart."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from tests.e2e.processes import EngineProcess, Paper, account_bodies, bulkhead, differences, idle, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

MAX_AGE_MS = 1_500
"""How old a price may be here: a fill that is learned later than that needs the rate of its minute."""


@pytest.fixture(scope="module")
def paper():
    process = Paper("--bnb", "10", "--bnb-burn", "--symbols", "ETHUSDT", "BNBUSDT")
    yield process
    process.stop()


def start(paper, folder):
    return EngineProcess(
        paper, folder, BULKHEAD_SYMBOLS="ETHUSDT", BULKHEAD_PRICE_MAX_AGE_MS=str(MAX_AGE_MS),
    )  # fmt: skip


def state(engine, account):
    return engine.client.get(f"/v1/actors/{account}")["state"]


def place(engine, account, **changes):
    body = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.5", "leverage": "20", **changes}
    return engine.client.post(f"/v1/accounts/{account}/orders", body)


def paid_in_quote(engine, account):
    """Fees of an account, once none is pending."""
    found = until(
        lambda: (s := state(engine, account)) and not s["pending_fees"] and D(s["fees"]) and s, "fees"
    )
    assert D(found["balance"]) == D(found["deposits"]) + D(found["realized"]) - D(found["fees"])
    return D(found["fees"])


def test_fees_in_bnb_are_booked_live_and_after_a_restart(paper, tmp_path):
    engine = start(paper, tmp_path)
    engine.client.post("/v1/accounts", account_bodies(3, deposit="10000"))
    until(lambda: place(engine, "acct-1")["type"] == "Accepted", "prices")
    until(lambda: idle(engine.client), "a fill")
    entry = D(engine.client.get("/v1/accounts/acct-1")["positions"][0]["notional"])
    live = paid_in_quote(engine, "acct-1")
    # A taker's fee with the discount for paying in BNB, never the number of BNB.
    assert entry * D("0.0002") < live < entry * D("0.0006"), (live, entry)
    refused = place(engine, "acct-1", symbol="BNBUSDT")
    assert [r["code"] for r in refused["rejections"]] == ["UNKNOWN_SYMBOL"]
    assert bulkhead("reconcile", "--data-dir", tmp_path).returncode == 0
    told_later(paper, engine, live)
    by_hand(tmp_path)

    mark = D(engine.client.get("/v1/positions")[0]["mark"])
    resting = place(engine, "acct-2", order_type="LIMIT", price=str(round(mark * D("0.985"), 1)))[
        "client_order_id"
    ]
    until(lambda: engine.client.get(f"/v1/orders/{resting}")["status"] == "ACKNOWLEDGED", "a resting order")
    engine.kill()
    paper.admin("shock", symbol="ETHUSDT", fraction="-0.03", seconds=1)
    until(lambda: not paper.signed("/fapi/v1/openOrders"), "a fill that nobody hears of")
    began = paper.signed("/fapi/v1/userTrades", symbol="ETHUSDT")[-1]["time"]
    until(
        lambda: (
            paper.signed("/fapi/v1/userTrades", symbol="ETHUSDT") and now_ms(paper) > began + 2 * MAX_AGE_MS
        ),
        "age",
    )

    engine = start(paper, tmp_path)
    late = paid_in_quote(engine, "acct-2")
    assert mark * D("0.985") * D("0.5") * D("0.0001") < late < live * 2
    until(lambda: idle(engine.client), "an end")
    assert set(differences(engine.client).values()) == {D(0)}
    engine.stop()


def told_later(paper, engine, live):
    """A fill that does not say what was taken: booked, and its fee is asked for."""
    paper.admin("faults", kind="fill_without_fee")
    assert place(engine, "acct-3")["type"] == "Accepted"
    until(lambda: engine.client.get("/v1/accounts/acct-3")["positions"], "a position")
    assert live / 2 < paid_in_quote(engine, "acct-3") < live * 2
    trace = engine.client.get("/v1/actors/acct-3", limit=200)["snapshot"]["trace"]
    assert "FeeKnown" in [t["kind"] for t in trace]


def by_hand(folder):
    """There is nothing to book by hand, and that is said."""
    done = bulkhead("book-fee", "acct-1", "ETHUSDT", "7", "--rate", "512.5", "--data-dir", folder)
    assert done.returncode == 1
    assert "FEE_NOT_PENDING: no fee of trade 7 of ETHUSDT is pending" in done.stderr


def now_ms(paper):
    return paper.signed("/fapi/v1/time")["serverTime"]

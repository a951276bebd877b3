"""What the benchmark of a steady flow of orders makes of a journal; the benchmark itself is not run here."""

from __future__ import annotations

from decimal import Decimal as D

from bench import flow
from bench.clearing import Row
from bench.flow import Column, Flow, follow


def intended(id_, purpose="USER"):
    return {"fact": "OrderIntended", "client_order_id": id_, "purpose": purpose}


def fact(kind, id_, **more):
    return {"fact": kind, "client_order_id": id_, **more}


def test_orders_are_followed_from_their_commit_to_that_of_their_first_fill():
    rows = [
        Row("a", 1_000, 1_010, [intended("a1")]),
        Row("b", 1_000, 1_010, [intended("b1"), intended("b2"), intended("b3", "LIQUIDATION")]),
        Row("clearing:ETHUSDT", 1_020, 1_030, [fact("BlockFormed", ""), intended("block")]),
        Row("a", 1_100, 1_110, [fact("FillApplied", "a1")]),
        Row("a", 1_200, 1_210, [fact("FillApplied", "a1"), fact("OrderEnded", "a1", status="FILLED")]),
        Row("b", 1_300, 1_310, [fact("FillApplied", "b1"), fact("OrderEnded", "b1", status="EXPIRED")]),
        Row("b", 1_300, 1_310, [fact("OrderEnded", "b2", status="NEVER_SENT")]),
        Row("b", 1_300, 1_310, [fact("FillApplied", "b3"), fact("FillApplied", "of another time")]),
    ]
    assert follow(rows) == Flow(accepted=3, filled=2, ended={"NEVER_SENT": 1}, took=[100, 300])


def test_an_order_that_was_decided_again_is_one_order_since_the_first():
    rows = [
        Row("a", 1_000, 1_010, [intended("a1")]),
        Row("a", 3_000, 3_010, [fact("OrderEnded", "a1", status="NEVER_SENT"), intended("a2")]),
        Row("a", 5_000, 5_010, [fact("OrderEnded", "a2", status="NEVER_SENT"), intended("a3")]),
        Row("a", 5_500, 5_510, [fact("FillApplied", "a3")]),
        Row("b", 5_500, 5_510, [intended("b1")]),
        Row("b", 9_500, 9_510, [fact("OrderEnded", "b1", status="NEVER_SENT")]),
    ]
    assert follow(rows) == Flow(accepted=2, filled=1, ended={"NEVER_SENT": 1}, took=[4_500])


def test_each_account_buys_and_then_sells_the_same(monkeypatch):
    class Client:
        def __init__(self):
            self.orders = []

        def post(self, _path, some):
            self.orders += some
            return [{"type": "Rejected" if order["account_id"] == "acct-1" else "Accepted"} for order in some]

    clock = iter(range(10_000))
    monkeypatch.setattr(flow.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(flow.time, "sleep", lambda _: None)
    client = Client()
    # Four accounts, two orders a minute each: eight a minute, for a bit more than one.
    refused = flow.send(client, 4, 61)
    assert [(o["account_id"], o["side"]) for o in client.orders] == [
        *((f"acct-{n}", "BUY") for n in range(4)),
        *((f"acct-{n}", "SELL") for n in range(4)),
    ]
    assert refused == 2
    assert all(D(o["quantity"]) > 0 for o in client.orders)


def test_two_columns_fit_a_terminal():
    state = {"most_orders_in_10s": 300, "most_orders_in_a_minute": 1_199, "rejected_orders": 0}
    off = Column("off", Flow(4_000, 2_400, {"NEVER_SENT": 1_600}, list(range(30_000))), 12, state, 2_400)
    on = Column("on", Flow(4_000, 4_000, {}, [400] * 4_000), 0, state, 260)
    lines = flow.report([off, on]).split("\n")
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for shown in ("1,600 NEVER_SENT", "29.70 s", "0.40 s", "1,199", "600", "65"):
        assert shown in text

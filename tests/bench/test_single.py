"""What the benchmark of single orders reads from a journal; the benchmark itself is not run here."""

from __future__ import annotations

from bench.clearing import Row
from bench.single import Side, Times, follow, in_turn, report


def fact(kind, id_, **more):
    return {"fact": kind, "client_order_id": id_, **more}


def test_an_order_is_timed_from_its_commit_to_its_first_trade_and_to_the_commit_of_that():
    times = Times()
    rows = [
        Row("a", 1_000, 1_010, [fact("OrderIntended", "a1")]),
        Row("clearing:ETHUSDT", 1_020, 1_030, [fact("OrderIntended", "a1"), fact("FillApplied", "a1")]),
        Row("a", 1_100, 1_110, [fact("FillApplied", "a1", trade={"trade_ms": 1_050})]),
        Row("a", 1_200, 1_210, [fact("FillApplied", "a1", trade={"trade_ms": 1_150})]),
        Row("b", 1_300, 1_310, [fact("FillApplied", "of another time", trade={"trade_ms": 1_300})]),
    ]
    follow(rows, times)
    assert (times.traded, times.filled) == ([40], [100])


def test_both_sides_get_the_same_orders_and_each_is_the_first_in_turn():
    sent = []

    class Taken(Side):
        def __init__(self, clearing):
            self.clearing, self.times = clearing, Times(answered=[1.5], filled=[2])

        def order(self, order):
            sent.append((self.clearing, order["account_id"], order["side"]))

    sides = [Taken("off"), Taken("on")]
    in_turn(sides, 22)
    assert sent[:4] == [
        ("on", "acct-0", "BUY"),
        ("off", "acct-0", "BUY"),
        ("off", "acct-1", "BUY"),
        ("on", "acct-1", "BUY"),
    ]
    assert [side for name, account, side in sent if (name, account) == ("on", "acct-0")] == ["BUY", "SELL"]
    assert report(sides).splitlines()[2].split() == [
        "accepted",
        "over",
        "HTTP,",
        "p50",
        "1.5",
        "ms",
        "1.5",
        "ms",
    ]

"""Whom the supervisor is responsible for."""

from __future__ import annotations

from actors.supervision.gate import TradingGate
from actors.supervision.registry import ChildSpec, Registry


def never(*_):
    raise AssertionError("nothing is started, and nobody informed")


def spec(name, **more):
    return ChildSpec(name=name, start=never, **more)


def test_symbols_that_were_listed_meanwhile_are_added_in_order_and_none_twice():
    known = spec("clearing:ETHUSDT", ready_seconds=3.0)
    registry = Registry(
        accounts={}, quarantined={}, actors={}, specs=(known,), gate=TradingGate(), alarm=never, halt=never, start_guard=never,
    )  # fmt: skip
    registry.add_specs([spec("clearing:BTCUSDT"), spec("clearing:ETHUSDT"), spec("clearing:SOLUSDT")])
    assert [s.name for s in registry.specs] == ["clearing:ETHUSDT", "clearing:BTCUSDT", "clearing:SOLUSDT"]
    assert registry.spec("clearing:ETHUSDT") is known
    registry.add_specs([spec("clearing:BTCUSDT")])
    assert len(registry.specs) == 3

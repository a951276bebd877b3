"""The gate is shut while anybody objects."""

from __future__ import annotations

from actors.supervision.gate import TradingGate


def test_it_opens_only_when_the_last_objection_is_gone():
    gate = TradingGate()
    assert not gate.reduce_only
    gate.close("writer")
    gate.close("gateway")
    gate.close("writer")
    gate.open("writer")
    assert gate.reduce_only
    assert gate.closers == ("gateway",)
    gate.open("nobody")
    gate.open("gateway")
    assert not gate.reduce_only


def test_a_clearing_keeps_new_risk_out_of_its_symbol_only():
    gate = TradingGate()
    gate.close("clearing:ETHUSDT")
    assert (gate.reduce_only, gate.closers, gate.closed_symbols) == (False, (), {"ETHUSDT"})
    gate.close("writer")
    assert (gate.reduce_only, gate.closers, gate.closed_symbols) == (True, ("writer",), {"ETHUSDT"})
    gate.open("clearing:ETHUSDT")
    assert (gate.reduce_only, gate.closed_symbols) == (True, frozenset())
    gate.open("writer")
    assert not gate.reduce_only


def test_without_a_lease_sending_is_free_and_with_one_it_ends():
    gate = TradingGate()
    assert gate.may_send(10**18)
    gate.extend_lease(100)
    assert gate.may_send(99)
    assert not gate.may_send(100)

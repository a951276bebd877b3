"""Orders of an earlier run, and cancels that do not wait for the database."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from actors.assembly import recovery
from actors.assembly.reconciliation import Difference
from actors.core.enums import OrderType
from actors.core.facts import OrderIntended
from actors.core.messages import CancelOrder, PlaceOrder
from actors.core.order_messages import Recover, Submit
from actors.core.orders import WorkingOrder
from actors.core.records import Recovery
from actors.subaccount.decide import decide
from tests.assembly.test_build import Built
from tests.factories import BUY, ETH, D, account, market


@pytest.fixture
def built():
    made = Built()
    made.assembly.supervise()
    made.assembly.start("writer", "gateway", "router", prove=False)
    made.run()
    made.assembly.actors["gateway"].cell.actor.inspect_state = lambda: SimpleNamespace(unknown=())
    return made


def resting():
    """An account with one resting order, and the order."""
    order = PlaceOrder(
        symbol=ETH, side=BUY, quantity=D(1), order_type=OrderType.LIMIT, price=D(1900), leverage=D(10)
    )
    decision = decide(account("10000"), order, market())
    return decision.state, next(f for f in decision.facts if isinstance(f, OrderIntended))


def test_the_gateway_gets_the_orders_and_differences_are_alarms(built, monkeypatch):
    monkeypatch.setattr(recovery.time, "sleep", lambda _s: built.run())
    said, (_, intent) = [], resting()
    known = WorkingOrder(intent=intent, exchange_order_id=0)
    left = Recovery(working=(known,))
    recovery.recover(built.assembly, left, lambda _s: [Difference(ETH, D(1), D(0), D(3))], said.append)
    assert built.got("gateway") == [Recover(left)]
    assert said == ["asking the exchange after 1 unfinished orders"]
    [alarm] = built.alarms
    assert "ETHUSDT: the master has 3, the accounts 1" in alarm


def test_orders_whose_fate_stays_unknown_are_an_alarm(built, monkeypatch):
    monkeypatch.setattr(recovery, "RECOVERY_SECONDS", 0.05)
    built.assembly.actors["gateway"].cell.actor.inspect_state = lambda: SimpleNamespace(unknown=("bh-1",))
    recovery.recover(built.assembly, Recovery(working=()), lambda _s: [], lambda _text: None)
    assert ["still of unknown fate" in a for a in built.alarms] == [True]


def test_only_what_an_account_wants_cancelled_is_cancelled_at_once_or_all_of_its_own(built):
    state, intent = resting()
    built.assembly.start_account(state.account_id, state)
    built.run()
    assert recovery.cancel_at_once(built.assembly, "nobody") == 0
    assert recovery.cancel_at_once(built.assembly, state.account_id) == 0
    assert recovery.cancel_at_once(built.assembly, state.account_id, all_own=True) == 1
    actor = built.assembly.accounts[state.account_id].cell.actor
    actor.state = decide(state, CancelOrder(client_order_id=intent.client_order_id), market()).state
    assert recovery.cancel_at_once(built.assembly, state.account_id) == 1
    built.run()
    sent = [m for m in built.got("gateway") if isinstance(m, Submit)]
    assert [(m.orders, m.cancels[0].client_order_id) for m in sent] == [((), intent.client_order_id)] * 2

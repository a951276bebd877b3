"""Durable decisions per second through the writer's store, against a commit each."""

from __future__ import annotations

import itertools
import tempfile
from decimal import Decimal
from pathlib import Path

from actors.messages import Fill, OrderIntended, PlaceOrder, Tick
from actors.paper.instruments import LISTINGS
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.messages import NewAccount, Persist
from actors.persistence.store import Store
from actors.subaccount.checks import Market
from actors.subaccount.decide import decide
from actors.subaccount.state import AccountState
from actors.units import AccountId, Nanos, Side, Symbol
from bench.common import seconds

ETH = Symbol("ETHUSDT")
ACCOUNTS = 1_000
_trades = itertools.count(1)


def run() -> None:
    """Print fills/s by batch size."""
    with (
        tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as dsn,
    ):
        store = Store.open(dsn)
        store.acquire("bench", 600)
        wide = Decimal(10**9)
        ids = [AccountId(f"acct-{n}") for n in range(ACCOUNTS)]
        store.create_accounts(
            [
                NewAccount(
                    account_id=i, name=i, deposit=wide, max_notional_per_trade=wide, max_total_exposure=wide
                )
                for i in ids
            ],
            0,
        )
        states = store.load(ids)
        rates = {}
        for batch in (1, 100, 512):
            states, fills = _fills(store, states)
            fills = fills[: 200 if batch == 1 else ACCOUNTS]
            took = seconds(lambda f=fills, b=batch: [store.commit(f[a : a + b]) for a in range(0, len(f), b)])  # type: ignore[misc]
            rates[batch] = len(fills) / took
            states = store.load(ids)
        for batch, rate in rates.items():
            print(f"batch {batch:>4}: {rate:>8,.0f} durable fills/s, {rate / rates[1]:.1f}x a commit each")
        store.close()


def _fills(store: Store, states: list[AccountState]) -> tuple[list[AccountState], list[Persist]]:
    tick = Tick(ETH, Decimal(2000), Decimal(1), Decimal(2000), Decimal(1), 1, 1, Nanos(0), 2000.0)
    market = Market({ETH: tick}, {ETH: LISTINGS[ETH].instrument}, Nanos(0), 0)
    orders, fills, after = [], [], []
    for state in states:
        placed = decide(state, PlaceOrder(symbol=ETH, side=Side.BUY, quantity=Decimal("0.1")), market)
        orders.append(_persist(state, placed.facts, placed.state))
        intended = next(f for f in placed.facts if isinstance(f, OrderIntended))
        fill = Fill(
            account_id=state.account_id,
            client_order_id=intended.client_order_id,
            exchange_order_id=1,
            trade_id=next(_trades),
            symbol=ETH,
            side=Side.BUY,
            quantity=intended.quantity,
            price=Decimal(2000),
            fee=Decimal("0.1"),
            maker=False,
            trade_ms=0,
        )
        filled = decide(placed.state, fill, market)
        fills.append(_persist(placed.state, filled.facts, filled.state))
        after.append(filled.state)
    for at in range(0, len(orders), 500):
        store.commit(orders[at : at + 500])
    return after, fills


def _persist(before: AccountState, facts: tuple[object, ...], after: AccountState) -> Persist:
    return Persist(
        account_id=before.account_id,
        previous_sequence=before.sequence,
        facts=facts,  # type: ignore[arg-type]
        state=after,
        wall_ms=0,
    )

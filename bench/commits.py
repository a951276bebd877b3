"""Durable decisions per second through the writer's store, against a commit each."""

from __future__ import annotations

import itertools
import tempfile
from decimal import Decimal
from pathlib import Path

from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.store import Store
from actors.subaccount.durability import Persist
from actors.subaccount.state import AccountState
from bench.common import placed_and_filled, seconds

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
    pairs = [placed_and_filled(state, next(_trades)) for state in states]
    orders, fills = [p for p, _ in pairs], [f for _, f in pairs]
    for at in range(0, len(orders), 500):
        store.commit(orders[at : at + 500])
    return [f.state for f in fills], fills

"""Resident memory per account with one position, against an idle stock Pykka actor."""

from __future__ import annotations

import gc

import psutil

from bench.common import Fleet
from bench.messages import Stock

COUNT = 100_000
STOCK = 1_000


def run() -> None:
    """Print bytes per account."""
    before = resident()
    fleet = Fleet(COUNT)
    ours = (resident() - before) / COUNT
    before = resident()
    refs = [Stock.start() for _ in range(STOCK)]
    stock = (resident() - before) / STOCK
    for ref in refs:
        ref.stop()
    print(f"ours, account actor with state, position, trigger ({len(fleet.accounts):,}): {ours:,.0f} B")
    print(f"stock Pykka, an empty actor and its thread ({STOCK:,}): {stock:,.0f} B, {stock / ours:.1f}x ours")


def resident() -> int:
    """Bytes of resident memory."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)

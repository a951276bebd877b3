"""The demo's command; ``demo_run`` does it, ``demo_view`` draws it."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from actors.cli.app import app

Limits = Literal["binance", "none"]
LIMITS: Limits = "binance"
"""The exchange's limits of a demo that says nothing else."""


@app.command
def demo(
    *,
    keep: Annotated[bool, Parameter(negative=())] = False,
    accounts: int = 2_000,
    seconds: int = 40,
    limits: Limits = LIMITS,
) -> None:
    """Run everything for about a minute on a paper exchange: trade, crash one account, drop the market.

    Example: bulkhead demo --keep      (runs until Ctrl-C, and prints commands to look inside)

    Args:
        keep: keep running after the summary.
        accounts: how many accounts, 10 to 100000.
        seconds: how long to trade after all accounts have a position.
        limits: the paper exchange's: binance (300 orders in 10 s, 1,200 and weight 2,400 a minute), or none.
    """
    from actors.cli.demo_run import run_demo  # noqa: PLC0415 - not needed for 'bulkhead inspect'

    sys.exit(run_demo(accounts, seconds, limits, keep=keep))

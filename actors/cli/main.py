"""Entry point of ``bulkhead``: all nouns' commands, and how errors end."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from actors.cli.interrupt import EXIT_INTERRUPTED, QuietInterrupt

with QuietInterrupt():
    from actors.cli import (
        accounts,
        actors,
        audit,
        breaker,
        clearing,
        db,
        db_adopt,
        db_archive,
        deadletters,
        demo,
        drop_copy,
        engine,
        history,
        limits,
        orders,
        paper,
        position_sizes,
        prices,
        quarantine,
        replay,
        statement,
        time_travel,
    )
    from actors.cli.app import app
    from actors.cli.common import err
    from actors.core.errors import BulkheadError

NOUNS = (
    accounts,
    orders,
    history,
    statement,
    clearing,
    limits,
    position_sizes,
    prices,
    breaker,
    actors,
    time_travel,
    quarantine,
    deadletters,
    drop_copy,
    engine,
    audit,
    db,
    db_adopt,
    db_archive,
    paper,
    replay,
    demo,
)
"""Files with commands; importing one adds its commands to ``app``."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; errors of ours are one line on standard error and exit code 2, Ctrl-C is exit code 130.

    Args:
        arguments: of the command line; by default those of this process.
    """
    try:
        _run(arguments)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _run(arguments: Sequence[str] | None) -> None:
    try:
        app(arguments)
    except BulkheadError as error:
        err.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)

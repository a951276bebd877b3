"""What ``bulkhead db adopt`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from actors.cli.table import Sheet
from actors.core.units import ZERO, plain
from actors.persistence.adoption.adopting import Adopted
from actors.persistence.adoption.plan import Plan

ACCOUNTS_SHOWN = 50
"""So many accounts are listed for people; --json has all."""


def plan(found: Plan, out: Console) -> None:
    """Accounts, the sums per symbol, and what is refused."""
    accounts = Sheet("account", "status", "Balance", "Positions", "name")
    for adoption in found.adoptions[:ACCOUNTS_SHOWN]:
        fact = adoption.fact
        positions = str(len(fact.positions))
        accounts.add_row(adoption.account_id, fact.status, f"{fact.balance:,.2f}", positions, adoption.name)
    if found.adoptions:
        out.print(accounts)
    if len(found.adoptions) > ACCOUNTS_SHOWN:
        out.print(
            f"and {len(found.adoptions) - ACCOUNTS_SHOWN:,} accounts more; --json lists all", highlight=False
        )
    symbols = Sheet("symbol", "To adopt", "Ours", "Exchange", "Difference")
    for s in found.symbols:
        difference = Text(plain(s.difference), "red" if s.difference else "green")
        symbols.add_row(s.symbol, plain(s.asked), plain(s.ours), plain(s.master), difference)
    if found.symbols:
        out.print(symbols)
    for refusal in found.refusals:
        where = f" {refusal.symbol}" if refusal.symbol else ""
        out.print(Text("refused", "red"), f"{refusal.account_id}{where}: {refusal.why}", highlight=False)
    out.print(summary(found), highlight=False)


def summary(found: Plan) -> str:
    """One line of it."""
    balance = sum((a.fact.balance for a in found.adoptions), ZERO)
    positions = sum(len(a.fact.positions) for a in found.adoptions)
    left = f", {found.left:,} not asked for" if found.left else ""
    return (
        f"{len(found.adoptions):,} accounts with {positions:,} positions and {balance:,.2f} in all; "
        f"{len(found.refused):,} refused{left}"
    )


def at_work(signs: Sequence[str], out: Console) -> None:
    """Who else works there."""
    for sign in signs:
        out.print(Text("at work", "red"), sign, highlight=False)


def done(found: Plan, out: Console) -> None:
    """What was done, and what is next."""
    if not found.adoptions:
        out.print("nothing was adopted: there is no account to take over")
        return
    out.print(f"{len(found.adoptions):,} accounts are adopted; 'bulkhead run' starts them", highlight=False)
    out.print("until an account's first decision 'bulkhead db adopt --undo' gives it back", highlight=False)


def undone(found: Sequence[Adopted], out: Console) -> None:
    """What was given back, and what was not."""
    able = [one for one in found if not one.why_not]
    for one in found:
        if one.why_not:
            out.print(Text("stays", "yellow"), f"{one.account_id}: {one.why_not}", highlight=False)
    out.print(f"{len(able):,} accounts are the platform's again", highlight=False)


def undone_json(found: Sequence[Adopted]) -> object:
    """As JSON."""
    return {
        "undone": [one.account_id for one in found if not one.why_not],
        "kept": [{"account_id": o.account_id, "why": o.why_not} for o in found if o.why_not],
    }


def as_json(found: Plan, *, done: bool, at_work: Sequence[str] = ()) -> dict[str, Any]:
    """A plan as JSON: money as text."""
    return {
        "done": done,
        "accounts": [
            {"account_id": a.account_id, "name": a.name, **msgspec.to_builtins(a.fact)}
            for a in found.adoptions
        ],
        "symbols": [{**msgspec.to_builtins(s), "difference": str(s.difference)} for s in found.symbols],
        "refusals": msgspec.to_builtins(found.refusals),
        "left": found.left,
        "at_work": list(at_work),
    }

"""What the commands about the audit's files print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console

from actors.cli.table import Sheet
from actors.cli.values import brief

if TYPE_CHECKING:
    from actors.persistence.audit.against_journal import Compared
    from actors.persistence.audit.chain import Fault
    from actors.persistence.audit.line import Line
    from actors.persistence.audit.verify import Report
    from actors.persistence.verify import Report as JournalReport

FINE, BAD = "green", "red"
WHAT_SHOWN = 300
"""Characters of what a line says; JSON has all of it."""

NOT_SHOWN = {"cursors"}
"""What lines say of where the audit stands, for the engine."""


def verified(found: Report, compared: Compared | None, journal: JournalReport | None, out: Console) -> None:
    """What was looked at, each fault, and what to keep."""
    faults = [*found.faults, *(compared.faults if compared else ())]
    out.print(
        f"{found.days:,} {'day' if found.days == 1 else 'days'}, lines {found.first_n:,} to {found.last_n:,} of all: {found.lines:,} lines that are what was "
        f"written, {found.events:,} of the journal, {found.roots:,} with its root",
        highlight=False,
    )
    if found.is_being_written:
        out.print("an engine writes the audit now; what came since is not looked at", highlight=False)
    if compared is not None:
        void = f", {compared.superseded:,} of before a restore" if compared.superseded else ""
        archived = (
            f"; positions 1 to {compared.archived} are archived, and lines of them were not compared"
            if compared.archived
            else ""
        )
        behind = f"; {compared.behind:,} decisions are not in the file yet" if compared.behind else ""
        out.print(
            f"compared with the journal: {compared.events:,} events and {compared.roots:,} roots{void}{behind}{archived}",
            highlight=False,
        )
    for fault in faults:
        out.print(f"{_where(fault)}: {fault.wrong}: {fault.text}", style=BAD, highlight=False)
    if journal is not None and journal.fault is not None:
        where = "" if journal.fault.position is None else f" position {journal.fault.position}"
        out.print(f"journal{where}: {journal.fault.wrong}: {journal.fault.text}", style=BAD, highlight=False)
    if faults or (journal is not None and not journal.ok):
        out.print("the audit is not what was written", style=BAD, highlight=False)
        return
    if journal is not None:
        out.print(
            f"the journal is what was written: {journal.rows:,} decisions, root {journal.root}",
            highlight=False,
        )
    out.print("the chain holds", style=FINE, highlight=False)
    out.print("keep this elsewhere, and give it as --root later:", highlight=False)
    out.print(found.last_hash, highlight=False)


def lines(found: Sequence[Line], count: int, out: Console) -> None:
    """One row a line."""
    table = Sheet("time", "kind", "account", "id", "what")
    for line in found:
        table.add_row(line.time, line.kind, line.account, line.id, brief(_what(line), WHAT_SHOWN))
    out.print(table if found else "no lines")
    if count > len(found):
        out.print(
            f"the last {len(found):,} of {count:,} lines; --limit or --json shows more", highlight=False
        )


def as_json(
    found: Report, compared: Compared | None, journal: JournalReport | None, *, ok: bool
) -> dict[str, Any]:
    """Both as JSON has them."""
    whole: dict[str, Any] = msgspec.to_builtins(found)
    whole["ok"] = ok
    whole["against_journal"] = None if compared is None else msgspec.to_builtins(compared)
    whole["journal"] = None if journal is None else msgspec.to_builtins(journal)
    return whole


def _where(fault: Fault) -> str:
    line = "" if fault.line is None else f" line {fault.line:,}"
    return f"{fault.file or 'the audit'}{line}"


def _what(line: Line) -> str:
    """The data as ``name value``, without what is empty."""
    if line.kind == "REJECTION":
        why = "; ".join(f"{r['code']}: {r['text']}" for r in line.data.get("rejections", ()))
        order = line.data.get("order")
        asked = _pairs(order) if isinstance(order, dict) else ""
        return f"{why} ({line.data.get('command')} {asked})"
    return _pairs({name: value for name, value in line.data.items() if name not in NOT_SHOWN})


def _pairs(data: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in data.items() if value not in (None, "", {}))


def _short(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

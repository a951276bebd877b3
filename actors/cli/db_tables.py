"""What the commands about the database print."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from actors.cli.table import Sheet
from actors.cli.values import day_time
from actors.persistence.database_status import DatabaseStatus
from actors.persistence.projection.differences import TableDifference
from actors.persistence.schema import Found
from actors.persistence.verify import Hashes, Report
from actors.persistence.verify_chain import Fault

MEGABYTE = 1_000_000
ADOPT = "'bulkhead db adopt --dry-run' shows what would be taken over"


def report(found: Report, out: Console) -> None:
    """What a check of the journal found."""
    if found.fault is not None:
        _fault(found.fault, out)
        return
    counts = {
        "rows": found.rows,
        "commits": found.commits,
        "accounts": found.streams - found.clearings,
        "trades": found.trades,
        "snapshots": found.snapshots,
    }
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    out.print(Text("OK", "green"), f"the journal is what was written: {told}", highlight=False)
    out.print(f"position {found.position}, root {found.root}", highlight=False)
    if found.known_roots:
        out.print(f"{found.known_roots} roots that this data folder knows are in it", highlight=False)
    else:
        out.print("this data folder knows no root of it, so rows cut off at its end would not be seen")
    if found.archived and found.archived_read:
        out.print(
            f"positions 1 to {found.archived} are archived; those files are what was written, too",
            highlight=False,
        )
    elif found.archived:
        out.print(f"positions 1 to {found.archived} are archived; those files were not read", highlight=False)
    if found.fleet_hash:
        out.print(f"fleet state {found.fleet_hash}", highlight=False)


def _fault(fault: Fault, out: Console) -> None:
    if fault.position is None:
        where = "behind the journal"
    elif fault.position == fault.until:
        where = f"position {fault.position}"
    else:
        where = f"one of the positions {fault.position} to {fault.until}"
    whose = f", decision {fault.sequence} of {fault.stream}" if fault.stream else ""
    out.print(Text("NOT OK", "red"), f"{where}{whose}: {fault.wrong}", highlight=False)
    out.print(fault.text, highlight=False)


def hashes(found: Hashes, out: Console, *, accounts: bool) -> None:
    """The fleet's hash, and each account's."""
    if accounts:
        sheet = Sheet("account", "Decision", "state hash")
        for account_id, sequence, hash_ in [*found.accounts, *found.clearings]:
            sheet.add_row(account_id, str(sequence), hash_)
        out.print(sheet)
    out.print(
        f"fleet state {found.fleet_hash} of {len(found.accounts)} accounts, journal position {found.position}, root "
        f"{found.root}",
        highlight=False,
    )


def status(found: DatabaseStatus, out: Console) -> None:
    """What a database holds."""
    if found.found is not Found.READY:
        of = f", schema version {found.version}" if found.version else ""
        out.print(
            f"{found.found}{of}; this program works with version {found.program_version}", highlight=False
        )
        if found.not_adopted:
            out.print(
                f"{found.not_adopted:,} accounts of the platform are not run here; {ADOPT}", highlight=False
            )
        return
    last = f", written {day_time(found.last_ms)}" if found.last_ms else ""
    kept = (
        "the tables of version 6 are kept in schema bulkhead_6" if found.has_version_6 else "no older tables"
    )
    lines = {
        "schema": f"version {found.version}; {kept}",
        "fleet": found.fleet,
        "owner": found.owner or "none: no engine uses it",
        "accounts": f"{found.accounts:,}"
        + (f"; {found.not_adopted:,} of the platform are not run here: {ADOPT}" if found.not_adopted else ""),
        "journal": f"position {found.position}, root {found.root}{last}",
        "size": f"journal {found.journal_bytes / MEGABYTE:,.1f} MB of {found.database_bytes / MEGABYTE:,.1f} MB",
        "projection": f"position {found.projection}, {found.projection_lag:,} behind",
        "snapshots": f"{found.snapshots:,}",
        "parked": f"{len(found.parked)} accounts",
    }
    for name, line in lines.items():
        out.print(f"{name:<11} {line}", highlight=False)
    if found.parked:
        sheet = Sheet("account", "Decision", "since", "why")
        for parked in found.parked:
            sheet.add_row(parked.stream, str(parked.sequence), day_time(parked.since_ms), parked.error)
        out.print(sheet)


def differences(found: Sequence[TableDifference], out: Console) -> None:
    """How tables differ from what the journal makes."""
    sheet = Sheet("table", "Rows", "Wrong", "Lacking")
    for table in found:
        sheet.add_row(table.table, str(table.rows), str(table.wrong), str(table.lacking))
    out.print(sheet)
    for table in found:
        for example in table.examples:
            out.print(f"{table.table} {example}", highlight=False)


def as_json(found: Hashes) -> dict[str, object]:
    """Hashes as an object with names."""
    return {
        **found._asdict(),
        "accounts": [
            dict(zip(("account_id", "sequence", "state_hash"), row, strict=True)) for row in found.accounts
        ],
        "clearings": [
            dict(zip(("stream", "sequence", "state_hash"), row, strict=True)) for row in found.clearings
        ],
    }


def plain(found: Report | DatabaseStatus | Sequence[TableDifference]) -> object:
    """A struct as what JSON is made of."""
    return msgspec.to_builtins(found)

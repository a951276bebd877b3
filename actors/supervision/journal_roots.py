"""What this machine knows of the journal's roots: ends that the journal had, so that rows cut off later are found.

The database cannot prove that its journal is whole: a backup of yesterday is consistent, too. So the engine writes the
journal's last position and root to a file of its own (``operator_log``), every now and then, and compares at its start.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

KEPT = 1_000
"""So many roots stay when the file is rewritten: each further one tells closer where a journal was changed."""


class JournalRoot(msgspec.Struct, frozen=True, kw_only=True):
    """An end that the journal of a database had.

    ``fleet`` is the database's id, which a backup of it has too. ``journal_root`` is the root of the commit whose last
    row has that ``position``, in hex. ``accepted`` is why an operator said that the journal ends here and no later, whatever
    was known before; else empty. ``looked`` says that orders were looked for which the exchange has and the restored
    journal does not (``assembly.lost_orders``).
    """

    journal_root: str
    position: int
    at_ms: int
    fleet: str
    accepted: str = ""
    looked: bool = False


def binding(roots: Iterable[JournalRoot], fleet: str) -> list[JournalRoot]:
    """Those that the journal of a database must still have, oldest first."""
    found: list[JournalRoot] = []
    for root in roots:
        if root.fleet == fleet:
            if root.accepted:
                found.clear()
            found.append(root)
    return found


def kept(roots: Iterable[JournalRoot], most: int = KEPT) -> list[JournalRoot]:
    """What is left when the file is rewritten: of each database the binding ones, the newest ``most``."""
    everything = list(roots)
    newest: list[JournalRoot] = []
    for fleet in dict.fromkeys(root.fleet for root in everything):
        newest += binding(everything, fleet)[-most:]
    return newest

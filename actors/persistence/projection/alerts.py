"""What is projected of alerts: where in the journal they are. The words are made when somebody reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from actors.core.facts import AnyFact
from actors.persistence import journal
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.tables import Table
from actors.subaccount.alert_kinds import alert_of

ALERT = Table("bulkhead.alert", ("position", "fact"), "position fact account_id wall_ms kind symbol")


def project(batch: Batch, decided: Decided) -> None:
    """The alerts of one decision."""
    for number, fact in enumerate(decided.facts):
        found = alert_of(fact)
        if found is not None:
            kind, symbol = found
            of_it = {"account_id": decided.stream, "wall_ms": decided.wall_ms}
            batch.of(ALERT).insert(decided.position, number, **of_it, kind=kind, symbol=symbol)


def rows_of(entry: journal.Entry, facts: Iterable[AnyFact]) -> Iterator[Sequence[Any]]:
    """The columns of the alerts of a row of the journal."""
    for number, fact in enumerate(facts):
        found = alert_of(fact)
        if found is not None:
            yield (entry.position, number, entry.stream, entry.wall_ms, *found)

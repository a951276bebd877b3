"""Audits made up for tests: lines over some days, and small stand-ins of the tail and of the database."""

from __future__ import annotations

from decimal import Decimal as D

from actors.core.errors import NotKept, StoreUnreachable
from actors.core.facts import BalanceAdjusted
from actors.persistence import journal
from actors.persistence.audit import files, records
from actors.persistence.audit.append import Appender
from actors.persistence.audit.line import Content, Kind, read
from actors.persistence.tail import Decided

DAY_MS = 86_400_000
BEGIN_MS = 1_795_305_600_000
"""2026-11-22T00:00:00Z."""


def content(n, day=0, **more):
    """The ``n``-th line of some audit, on the ``day``-th day."""
    fields = {
        "wall_ms": BEGIN_MS + day * DAY_MS + n,
        "kind": "FILL",
        "account": f"acct-{n % 3}",
        "data": {"quantity": str(n), "text": "käuflich"},
    }
    return Content(**{**fields, **more})


def written(folder, days=(4,)):
    """An audit with so many lines on each day, beside what the engine adds; gives the appender, closed."""
    file = Appender(folder)
    file.open()
    file.append([content(0, kind=Kind.STARTED, data={"format": 1, "fleet": "f"})])
    n = 0
    for day, count in enumerate(days):
        for _ in range(count):
            n += 1
            file.append([content(n, day)])
    file.close()
    return file


def only(folder):
    """The one file with lines of an audit."""
    [path] = folder.glob("*.jsonl*")
    return path


class Rows:
    """A journal in memory, as ``persistence.tail.JournalTail`` gives it."""

    def __init__(self, rows=()):
        self.rows = list(rows)
        self.away = False
        self.first = 1

    @property
    def position(self):
        return len(self.rows)

    def end(self):
        if self.away:
            raise StoreUnreachable("away")
        return self.position

    def read(self, after, limit):
        if self.away:
            raise StoreUnreachable("away")
        if after + 1 < self.first:
            raise NotKept(f"begin after {self.first - 1}")
        return self.rows[after : after + limit]


def decided(position, wall_ms=None, stream=None, amounts=(1, 2)):
    """A row of a journal; two facts, so two events."""
    facts = tuple(BalanceAdjusted(D(position * n), "DEPOSIT") for n in amounts)
    at = BEGIN_MS + position if wall_ms is None else wall_ms
    return Decided(position, stream or f"acct-{position % 3}", position, at, "test", facts)


class Database:
    """Stands in for a reader with its connection: answers what the audit asks, by its statements."""

    def __init__(self, rows):
        self.rows = rows
        self.roots = {}
        """Overrides the root of a position; None takes it away."""
        self.actions, self.letters, self.quarantines = [], [], []
        self.asked = []
        """Each statement that was executed."""

    def ask(self, call):
        if self.rows.away:
            raise StoreUnreachable("away")
        return call(self)

    def root(self, position):
        made = position.to_bytes(16, "big")
        return self.roots.get(position, made)

    def execute(self, statement, values=()):
        self.asked.append(statement)
        if statement is records.ROOT_UP_TO:
            ends = range(min(values[1], self.rows.position), 0, -1)
            found = [(at, self.root(at)) for at in ends if self.root(at)][:1]
        elif statement is journal.ROOTS_AT:
            found = [(p, self.root(p)) for p in values[1] if 0 < p <= self.rows.position and self.root(p)]
        elif statement is journal.FIRST_KEPT:
            found = [(self.rows.first,)]
        elif statement is records.LAST_NUMBERS:
            found = [tuple(max((row[0] for row in rows), default=0) for rows in (self.actions, self.letters))]
        elif statement is records.ACTIONS:
            found = [row for row in self.actions if row[0] > values[0]]
        elif statement is records.LETTERS:
            found = [row for row in self.letters if row[0] > values[0]]
        elif statement is records.QUARANTINES:
            found = [row for row in self.quarantines if (row[1], row[0]) > (values[0], values[1])]
        else:
            raise AssertionError(statement)
        return Answer(found)


class Answer:
    def __init__(self, rows):
        self._rows = rows

    def fetchone(self):
        return self._rows[0] if self._rows else None

    def fetchall(self):
        return self._rows


def lines_in(folder):
    """Every line of an audit that is what was written."""
    return [
        found.line for day in files.days_in(folder) for p in files.lines_of(day) if (found := read(p.raw))
    ]


def ids_in(folder):
    return [line.id for line in lines_in(folder) if line.id]

"""Journals made up for the tests of what checks them, in memory and in a database."""

from __future__ import annotations

from decimal import Decimal as D

from actors.core import fact_codec
from actors.core.enums import LiquidationMode
from actors.core.facts import AccountOpened, BalanceAdjusted
from actors.persistence.journal import NO_HASH, Entry, root_of, row_hash
from actors.persistence.verify_chain import Commit

CAUSE = "test"
WALL_MS = 1_700_000_000_000
OPENED = AccountOpened(LiquidationMode.ADL_30, D("0.005"))


def facts_of(sequence):
    return fact_codec.encode((OPENED,) if sequence == 0 else (BalanceAdjusted(D(sequence), "DEPOSIT"),))


def journal(streams, cuts):
    """A journal whose rows are decisions of ``streams`` (indexes, in order), in commits of ``cuts`` rows each."""
    heads, rows, commits, root = {}, [], [], NO_HASH
    for stream in streams:
        sequence, previous = heads.get(stream, (-1, NO_HASH))
        row = Entry(
            len(rows) + 1, f"a-{stream}", sequence + 1, WALL_MS, CAUSE, 1, facts_of(sequence + 1), b""
        )
        row = rehashed(row, previous)
        heads[stream] = (sequence + 1, row.hash)
        rows.append(row)
    done = 0
    for cut in [*cuts, len(rows)]:
        end = min(done + cut, len(rows))
        if end > done:
            root = root_of(root, (row.hash for row in rows[done:end]))
            commits.append(Commit(end, end - done, root))
            done = end
    return rows, commits


def rehashed(row, previous):
    """A row with the hash that belongs to what it says."""
    return row._replace(
        hash=row_hash(previous, row.stream, row.sequence, row.wall_ms, row.cause, row.version, row.facts)
    )


def with_stream_rehashed(rows, number):
    """Rows with the hashes of row ``number`` and of all later ones of its stream made anew."""
    found, previous = list(rows), NO_HASH
    stream = rows[number].stream
    for at, row in enumerate(found):
        if row.stream == stream:
            if at >= number:
                found[at] = rehashed(row, previous)
            previous = found[at].hash
    return found


def with_roots_anew(rows, commits):
    """The commits with roots that belong to the rows as they are."""
    found, root, done = [], NO_HASH, 0
    for commit in commits:
        root = root_of(root, (row.hash for row in rows[done : commit.position]))
        found.append(commit._replace(root=root))
        done = commit.position
    return found


def forged(row):
    """A row that says something else."""
    return row._replace(facts=fact_codec.encode((OPENED, BalanceAdjusted(D(999), "GIFT"))))

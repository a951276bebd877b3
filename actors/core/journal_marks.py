"""A mark says which journal somebody has read: a position where a commit ended, and the journal's root there. Pure.

The root covers every row up to there. After a database was restored from a backup its positions are used again by other
rows, and the roots there are others: so whoever goes on from a position, and gives a mark at it or behind it, is told if what
was read is another history.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from actors.core.errors import BadInput
from actors.core.names import shown

FORM = re.compile(r"(0|[1-9][0-9]{0,18}):([0-9a-f]{32})", re.ASCII)

KEPT = 32
"""Marks that somebody who reads keeps: the newest ones, and of older ones fewer and fewer."""


class Mark(NamedTuple):
    """The journal's root in hex, at a position where a commit ended; position 0 is the begin of every journal."""

    position: int
    root: str

    def __str__(self) -> str:
        return f"{self.position}:{self.root}"


def mark_of(text: str) -> Mark:
    """A mark as it is written, ``POSITION:ROOT``.

    Raises:
        BadInput: it is none; says what would be.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise BadInput(
            f"root: {shown(text)} is no place of the journal with its root; give what came as 'root' with the last event, for "
            f"example 4711:{'0' * 32}"
        )
    return Mark(int(found[1]), found[2])


def kept(marks: Sequence[Mark], newest: Mark, most: int = KEPT) -> list[Mark]:
    """Marks with one more, ascending: the newest ones all, older ones at distances that grow.

    So whoever finds the newest that is common to two histories reads at most about twice of what is needed again.
    """
    found = [mark for mark in marks if mark.position < newest.position]
    found.append(newest)
    while len(found) > most:
        end = newest.position
        # The one whose neighbours are nearest to each other, as seen from the end.
        gone = min(
            range(1, len(found) - 1),
            key=lambda i: (
                (found[i + 1].position - found[i - 1].position) / (end - found[i].position + 1),
                i,
            ),
        )
        del found[gone]
    return found

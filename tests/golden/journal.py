"""Golden journals: what each release wrote, one file a release, and what is made of it today.

A file has a line for each decision of some accounts, and of a clearing, as the journal keeps it, with the hash of the state
after it, and at the end of each stream a line with the state that the release made of them, as a snapshot keeps it. A file is
never changed once its release is out: whatever a later release does with facts, it must make the same states of them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from actors.persistence.journal import encoded
from actors.persistence.streams import kind_of

FOLDER = Path(__file__).parent


class Row(msgspec.Struct, frozen=True, tag="decision", tag_field="line"):
    """One decision, and the hash of the state after it."""

    stream: str
    sequence: int
    version: int
    hash: str
    facts: msgspec.Raw


class End(msgspec.Struct, frozen=True, tag="end", tag_field="line"):
    """What the release made of a stream, as a snapshot keeps it."""

    stream: str
    sequence: int
    version: int
    state: msgspec.Raw


Line = Row | End


def path_of(release):
    """The file of a release."""
    return FOLDER / f"{release}.jsonl"


def releases():
    """The files that there are, the oldest first."""
    return sorted(FOLDER.glob("*.jsonl"), key=lambda path: tuple(int(part) for part in path.stem.split(".")))


def lines_of(scene):
    """What is written of one stream's life."""
    stream, kind = scene.stream, kind_of(scene.stream)
    for sequence, facts, hash_ in scene.rows:
        version, data = encoded(stream, facts)
        yield Row(stream, sequence, version, hash_, msgspec.Raw(data))
    yield End(stream, scene.state.sequence, kind.version, msgspec.Raw(kind.encode(scene.state)))


def read(path):
    """The lines of a file."""
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]


def check(lines):
    """Fold each stream of a file and compare it with what the release made of it; how many decisions there were.

    Raises:
        AssertionError: another state, a decision that is missing, or a stream without an end.
    """
    state, decisions = None, 0
    for line in lines:
        kind = kind_of(line.stream)
        if isinstance(line, Row):
            facts = kind.facts(line.version, bytes(line.facts))
            if state is None:
                assert kind.begins(line.sequence, facts), line
                state = kind.blank(line.stream)
            else:
                assert (line.stream, line.sequence) == (kind.stream_of(state), state.sequence + 1), line
            state = kind.after(state, facts, line.sequence)
            assert kind.hash_of(state) == line.hash, f"{line.stream} {line.sequence}: another hash"
            decisions += 1
        else:
            assert (line.stream, line.sequence) == (kind.stream_of(state), state.sequence), line
            kept = kind.decode(line.version, line.state)
            assert state == kept, f"{line.stream}: the facts make another state than its snapshot"
            state = None
    assert state is None, f"{line.stream} has no end"
    return decisions

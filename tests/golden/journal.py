"""Golden journals: what each release wrote, one file a release, and what is made of it today.

A file has a line for each decision of some accounts, as the journal keeps it, with the hash of the account after it, and at
the end of each account a line with the state that the release made of them, as a snapshot keeps it. A file is never changed once its release is
out: whatever a later release does with facts, it must make the same accounts of them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec.structs import replace

from actors.core import fact_codec
from actors.core.units import AccountId
from actors.subaccount import state_codec
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState

FOLDER = Path(__file__).parent


class Row(msgspec.Struct, frozen=True, tag="decision", tag_field="line"):
    """One decision, and the hash of the account after it."""

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
    """What is written of one account's life."""
    id_ = scene.state.account_id
    for sequence, facts, hash_ in scene.rows:
        yield Row(id_, sequence, fact_codec.VERSION, hash_, msgspec.Raw(fact_codec.encode(facts)))
    yield End(id_, scene.state.sequence, state_codec.VERSION, msgspec.Raw(state_codec.encode(scene.state)))


def read(path):
    """The lines of a file."""
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]


def check(lines):
    """Fold each account of a file and compare it with what the release made of it; how many decisions there were.

    Raises:
        AssertionError: another state, a decision that is missing, or a stream without an end.
    """
    state, decisions = None, 0
    for line in lines:
        if isinstance(line, Row):
            begins = state is None
            if begins:
                state = AccountState(account_id=AccountId(line.stream))
            else:
                assert (line.stream, line.sequence) == (state.account_id, state.sequence + 1), line
            facts = fact_codec.decode(line.version, bytes(line.facts))
            state = replace(folded(state, facts), sequence=line.sequence)
            assert state_codec.state_hash(state) == line.hash, f"{line.stream} {line.sequence}: another hash"
            decisions += 1
        else:
            assert (line.stream, line.sequence) == (state.account_id, state.sequence), line
            kept = state_codec.decode(line.version, line.state)
            assert state == kept, f"{line.stream}: the facts make another account than its snapshot"
            state = None
    assert state is None, f"{state.account_id} has no end"
    return decisions

"""Whatever is done to a journal is found, and named: no fault without one, and none later than what was done.

Covers: actors/supervision/journal_roots.py
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from actors.persistence.journal import Head
from actors.persistence.verify_chain import Begin, Chain, Found, Wrong
from actors.supervision.journal_roots import JournalRoot, binding, kept
from tests.persistence.journals import forged, journal, rehashed, with_roots_anew, with_stream_rehashed

JOURNALS = st.builds(
    journal,
    st.lists(st.integers(0, 4), min_size=2, max_size=30),
    st.lists(st.integers(1, 6), max_size=30),
)
COLUMNS = ("position", "stream", "sequence", "wall_ms", "cause", "version", "facts", "hash")


def fault_of(rows, commits, known=None):
    """The first fault; rows come by position, as from a table."""
    in_order = sorted(rows, key=lambda row: row.position)
    places = {(row.stream, row.sequence): row.position for row in in_order}
    chain = Chain(known or {}, lambda stream, sequence: places.get((stream, sequence)))
    try:
        chain.walk(in_order, sorted(commits, key=lambda commit: commit.position))
    except Found as found:
        return found.fault
    assert chain.position == len(rows)
    return None


def changed(value, bit):
    """A value with one bit, or one letter, that is another."""
    if isinstance(value, int):
        return value ^ (1 << bit % 40)
    if isinstance(value, str):
        at = bit % len(value)
        return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    at = bit % (8 * len(value))
    as_bytes = bytearray(value)
    as_bytes[at // 8] ^= 1 << at % 8
    return bytes(as_bytes)


def commit_of(commits, position):
    """First and last position of the commit that a position is in."""
    last = next(c for c in commits if c.position >= position)
    return last.position - last.rows + 1, last.position


def names(fault, position):
    return fault.position <= position <= fault.until


@given(JOURNALS)
def test_a_journal_that_nobody_touched_has_no_fault(made):
    rows, commits = made
    known = {commit.position: commit.root.hex() for commit in commits}
    assert fault_of(rows, commits, known) is None


@given(JOURNALS, st.sampled_from(COLUMNS), st.integers(0, 10_000), st.integers(0, 1_000))
def test_a_changed_column_is_found_and_its_row_named(made, column, pick, bit):
    rows, commits = made
    number = pick % len(rows)
    row = rows[number]
    after = row._replace(**{column: changed(getattr(row, column), bit)})
    tampered = [*rows[:number], after, *rows[number + 1 :]]
    assume(len({r.position for r in tampered}) == len(rows))  # two rows of one position the key forbids
    fault = fault_of(tampered, commits)
    if column == "position":
        assert fault.wrong in {Wrong.MISSING, Wrong.CUT_OFF, Wrong.CHANGED}
        assert names(fault, row.position) or names(fault, after.position)
    else:
        assert (fault.wrong, fault.position, fault.until) == (Wrong.CHANGED, row.position, row.position)


@given(JOURNALS, st.sampled_from(["position", "rows", "root"]), st.integers(0, 10_000), st.integers(0, 1_000))
def test_a_changed_commit_is_found_where_it_is(made, column, pick, bit):
    rows, commits = made
    number = pick % len(commits)
    commit = commits[number]
    after = commit._replace(**{column: changed(getattr(commit, column), bit)})
    tampered = [*commits[:number], after, *commits[number + 1 :]]
    assume(len({c.position for c in tampered}) == len(commits))
    fault = fault_of(rows, tampered)
    first, last = commit_of(commits, commit.position)
    assert fault.position <= last
    assert fault.until >= min(first, after.position)


@given(JOURNALS, st.integers(0, 10_000))
def test_a_deleted_row_is_missing_or_cut_off(made, pick):
    rows, commits = made
    number = pick % len(rows)
    fault = fault_of([*rows[:number], *rows[number + 1 :]], commits)
    is_last = number == len(rows) - 1
    assert fault.wrong is (Wrong.CUT_OFF if is_last else Wrong.MISSING)
    assert (fault.position, fault.until) == (number + 1, number + 1)


@pytest.mark.parametrize(
    ("gone", "text"), [(1, "position 3 is missing"), (2, "positions 3 to 4 are missing")]
)
def test_what_is_missing_is_said_as_one_or_as_many(gone, text):
    rows, commits = journal([0, 1, 0, 1, 0], [5])
    fault = fault_of([*rows[:2], *rows[2 + gone :]], commits)
    assert (fault.position, fault.until) == (3, 2 + gone)
    assert text in fault.text


@given(JOURNALS, st.integers(0, 10_000))
def test_a_deleted_row_whose_place_was_closed_is_found(made, pick):
    rows, commits = made
    number = pick % len(rows)
    closed = [r._replace(position=r.position - 1) for r in rows[number + 1 :]]
    assert fault_of([*rows[:number], *closed], commits).position <= len(rows)


@given(JOURNALS, st.integers(0, 10_000))
def test_a_cut_off_tail_is_found_by_a_root_from_elsewhere_only(made, pick):
    rows, commits = made
    left = commits[: pick % len(commits)]
    end = left[-1].position if left else 0
    known = {commits[-1].position: commits[-1].root.hex()}
    assert fault_of(rows[:end], left) is None
    fault = fault_of(rows[:end], left, known)
    assert (fault.wrong, fault.position, fault.until) == (Wrong.CUT_OFF, end + 1, len(rows))


@given(JOURNALS, st.integers(0, 10_000))
def test_rows_without_their_commit_row_are_found(made, pick):
    rows, commits = made
    number = pick % len(commits)
    fault = fault_of(rows, [*commits[:number], *commits[number + 1 :]])
    first, last = commit_of(commits, commits[number].position)
    assert fault.wrong is Wrong.MISSING
    assert fault.position <= first <= fault.until
    assert last


@given(JOURNALS, st.integers(0, 10_000), st.integers(0, 10_000))
def test_two_rows_in_each_other_s_place_are_found_in_the_first_s_commit(made, one, two):
    rows, commits = made
    a, b = sorted((one % len(rows), two % len(rows)))
    assume(a != b)
    swapped = list(rows)
    swapped[a], swapped[b] = rows[b]._replace(position=a + 1), rows[a]._replace(position=b + 1)
    fault = fault_of(swapped, commits)
    first, last = commit_of(commits, a + 1)
    assert first <= fault.position <= last
    assert names(fault, a + 1) or fault.wrong is Wrong.REORDERED


@given(JOURNALS, st.integers(0, 10_000))
def test_a_forged_row_with_a_hash_of_its_own_is_found(made, pick):
    rows, commits = made
    number = pick % len(rows)
    row = forged(rows[number])
    before = [r.hash for r in rows[:number] if r.stream == row.stream] or [bytes(16)]
    fault = fault_of([*rows[:number], rehashed(row, before[-1]), *rows[number + 1 :]], commits)
    first, last = commit_of(commits, number + 1)
    if any(r.stream == row.stream for r in rows[number + 1 : last]):
        # The next of its stream in the same commit does not follow it, which names it alone.
        assert (fault.wrong, fault.position, fault.until) == (Wrong.CHANGED, number + 1, number + 1)
        assert "replaced together with its hash" in fault.text
    else:
        assert (fault.wrong, fault.position, fault.until) == (Wrong.ROOT, first, last)


@given(JOURNALS, st.integers(0, 10_000))
def test_a_forged_row_with_all_later_hashes_of_its_stream_is_found_by_the_root(made, pick):
    rows, commits = made
    number = pick % len(rows)
    tampered = with_stream_rehashed([*rows[:number], forged(rows[number]), *rows[number + 1 :]], number)
    fault = fault_of(tampered, commits)
    assert fault.wrong is Wrong.ROOT
    assert (fault.position, fault.until) == commit_of(commits, number + 1)


@given(JOURNALS, st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_journal_that_was_forged_with_all_its_roots_is_found_by_a_root_from_elsewhere(made, pick, where):
    rows, commits = made
    number = pick % len(rows)
    tampered = with_stream_rehashed([*rows[:number], forged(rows[number]), *rows[number + 1 :]], number)
    roots_anew = with_roots_anew(tampered, commits)
    assert fault_of(tampered, roots_anew) is None
    known = {
        commits[where % len(commits)].position: commits[where % len(commits)].root.hex(),
        len(rows): commits[-1].root.hex(),
    }
    fault = fault_of(tampered, roots_anew, known)
    assert fault.wrong is Wrong.ROOT
    assert names(fault, number + 1)


def test_a_stream_that_does_not_begin_at_its_beginning_is_found_though_every_hash_is_right():
    rows, commits = journal([0, 1, 0], [])
    later = rehashed(rows[1]._replace(sequence=3), bytes(16))
    tampered = [rows[0], later, rows[2]]
    fault = fault_of(tampered, with_roots_anew(tampered, commits))
    assert (fault.wrong, fault.position) == (Wrong.CHANGED, 2)
    assert "no beginning" in fault.text


ROOTS = [JournalRoot(journal_root=f"{n:02x}", position=n, at_ms=n, fleet=f"f{n % 2}") for n in range(1, 7)]


def test_an_accepted_end_takes_back_what_was_known_of_that_database_only():
    accepted = JournalRoot(journal_root="aa", position=2, at_ms=7, fleet="f1", accepted="restored")
    everything = [*ROOTS, accepted]
    assert [r.position for r in binding(everything, "f1")] == [2]
    assert [r.position for r in binding(everything, "f0")] == [2, 4, 6]
    assert binding(everything, "other") == []
    assert [(r.fleet, r.position) for r in kept(everything, 2)] == [("f1", 2), ("f0", 4), ("f0", 6)]


@pytest.mark.parametrize(("position", "is_commit"), [(2, True), (3, False), (4, True)])
def test_a_known_root_that_is_another_or_at_no_commit_is_found(position, is_commit):
    rows, commits = journal([0, 1, 0, 1], [2, 2])
    fault = fault_of(rows, commits, {position: "ff"})
    assert fault.wrong is Wrong.ROOT
    roots = {commit.position: commit.root.hex() for commit in commits}
    has = roots[position] if is_commit else "none"
    assert f"this machine wrote down the root ff, and the journal has {has}: what follows" in fault.text


def test_rows_of_one_stream_in_each_other_s_place_are_named_by_where_the_earlier_one_is():
    rows, commits = journal([0, 0, 0, 1], [4])
    swapped = [rows[0], rows[2]._replace(position=2), rows[1]._replace(position=3), rows[3]]
    fault = fault_of(swapped, commits)
    assert (fault.wrong, fault.position) == (Wrong.REORDERED, 2)
    assert "decision 1 of a-0 comes after it, at 3" in fault.text


def test_a_row_in_the_place_of_another_that_is_nowhere_is_said():
    rows, commits = journal([0, 0, 0, 1], [4])
    # Decision 1 is gone, and a copy of what comes behind it fills its place.
    tampered = [rows[0], rows[2]._replace(position=2), rows[2], rows[3]]
    fault = fault_of(tampered, commits)
    assert (fault.wrong, fault.position) == (Wrong.MISSING, 2)
    assert "decision 1 of a-0, which is before it, is missing" in fault.text
    twice = [rows[0], rows[1], rows[1]._replace(position=3), rows[3]]
    fault = fault_of(twice, commits)
    assert (fault.wrong, fault.position) == (Wrong.REORDERED, 3)
    assert "it comes after decision 1 of a-0" in fault.text


@given(JOURNALS, st.integers(0, 10_000))
def test_a_walk_may_begin_behind_any_commit_whose_root_is_known(made, pick):
    rows, commits = made
    number = pick % len(commits)
    position, _, root = commits[number]
    heads = {row.stream: Head(row.sequence, row.hash) for row in rows[:position]}
    # Of the begin itself and what is before it nothing is compared, whatever was written down.
    known = dict.fromkeys(range(1, position + 1), "ff") | {
        c.position: c.root.hex() for c in commits[number + 1 :]
    }
    chain = Chain(known, begin=Begin(position, root, heads))
    chain.walk(rows[position:], commits[number + 1 :])
    assert (chain.position, chain.root, chain.commits) == (
        len(rows),
        commits[-1].root,
        len(commits) - number - 1,
    )
    assert chain.streams == len({row.stream for row in rows})


def test_the_end_of_a_walk_that_began_later_is_known_too():
    rows, commits = journal([0, 1, 0], [2, 1])
    heads = {row.stream: Head(row.sequence, row.hash) for row in rows[:2]}
    with pytest.raises(Found, match="ends at position 2, and this machine knows that it had position 3"):
        Chain({3: commits[1].root.hex()}, begin=Begin(2, commits[0].root, heads)).walk([], [])

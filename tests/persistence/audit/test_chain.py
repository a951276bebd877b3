"""The chain: every edit of its lines is found, and named where it is.

Covers: actors/persistence/audit/verify.py
"""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.errors import BadInput
from actors.persistence.audit import files, upkeep
from actors.persistence.audit.append import Appender
from actors.persistence.audit.chain import Wrong
from actors.persistence.audit.line import NO_HASH, Kind
from actors.persistence.audit.line import written as line_of
from actors.persistence.audit.verify import Range, verify
from tests.persistence.audit.made import BEGIN_MS, DAY_MS, content, only, written


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lines of one day, seven of them."""
    folder = tmp_path_factory.mktemp("whole")
    written(folder, (5,))
    return only(folder).read_bytes().splitlines(keepends=True)


def judged(tmp_path, lines, name="2026-11-22.jsonl"):
    (tmp_path / name).write_bytes(b"".join(lines))
    return verify(tmp_path)


def one(report):
    assert not report.ok
    [fault] = report.faults
    return fault.wrong, fault.line, fault.text


def test_what_was_written_is_right(tmp_path):
    last = written(tmp_path, (3, 2, 1)).end
    found = verify(tmp_path)
    assert found.ok
    assert found.faults == ()
    assert (found.days, found.lines, found.first_n, found.last_n) == (3, 10, 1, 10)
    assert found.last_hash == last.hash
    assert [d.day for d in files.days_in(tmp_path)] == ["2026-11-22", "2026-11-23", "2026-11-24"]


def test_a_flipped_byte(whole, tmp_path):
    lines = [*whole]
    lines[3] = lines[3].replace(b'"quantity":"2"', b'"quantity":"3"')
    wrong, line, text = one(judged(tmp_path, lines))
    assert (wrong, line) == (Wrong.CHANGED, 4)
    assert "its hash is not that of what it says" in text


def test_a_removed_line(whole, tmp_path):
    wrong, line, text = one(judged(tmp_path, whole[:3] + whole[4:]))
    assert (wrong, line) == (Wrong.MISSING, 4)
    assert "line 4 of all is missing before it" in text


def test_several_removed_lines(whole, tmp_path):
    assert "lines 3 to 5 of all are missing" in one(judged(tmp_path, whole[:2] + whole[5:]))[2]


def test_the_first_line_removed(whole, tmp_path):
    wrong, _, text = one(judged(tmp_path, whole[1:]))
    assert wrong == Wrong.MISSING
    assert "lines 1 to 1 of all are missing" in text


@pytest.mark.parametrize("at", range(6))
def test_a_swapped_pair(whole, tmp_path, at):
    lines = [*whole[:at], whole[at + 1], whole[at], *whole[at + 2 :]]
    wrong, line, text = one(judged(tmp_path, lines))
    assert (wrong, line) == (Wrong.MOVED, at + 1)
    assert "the two were swapped" in text


def test_a_line_twice(whole, tmp_path):
    wrong, line, _ = one(judged(tmp_path, [*whole[:4], *whole[3:]]))
    assert (wrong, line) == (Wrong.ADDED, 5)


def test_a_line_added_that_is_none(whole, tmp_path):
    for junk in (b"\n", b"{}\n", b'{"n":4}\n'):
        assert one(judged(tmp_path, [*whole[:3], junk, *whole[3:]]))[:2] == (Wrong.ADDED, 4)


def test_a_line_added_with_all_its_hashes(whole, tmp_path):
    before = files.read(whole[2][:-1])
    forged = line_of(content(9, data={"quantity": "1000000"}), 4, before.hash)[0]
    wrong, line, text = one(judged(tmp_path, [*whole[:3], forged, *whole[3:]]))
    assert (wrong, line) == (Wrong.ADDED, 5)
    assert "2026-11-22.jsonl line 4 was added" in text
    # The other way round: the forged one behind the true one.
    forged = line_of(content(9), 5, files.read(whole[3][:-1]).hash)[0]
    assert one(judged(tmp_path, [*whole[:5], forged, *whole[5:]]))[:2] == (Wrong.ADDED, 6)


def test_a_line_replaced_together_with_its_hash(whole, tmp_path):
    before = files.read(whole[2][:-1])
    forged = line_of(content(9), 4, before.hash)[0]
    wrong, line, text = one(judged(tmp_path, [*whole[:3], forged, *whole[4:]]))
    assert (wrong, line) == (Wrong.CHANGED, 5)
    assert "line 4 of all, 2026-11-22.jsonl line 4: that one was replaced" in text


def test_an_end_cut_in_the_middle_of_a_line(whole, tmp_path):
    assert one(judged(tmp_path, [*whole[:6], whole[6][:-9]]))[:2] == (Wrong.CUT_OFF, 7)
    assert one(judged(tmp_path, [*whole[:6], whole[6][:-1]]))[:2] == (Wrong.CUT_OFF, 7)


def test_an_end_cut_between_lines_is_known_by_what_was_noted(tmp_path):
    file = written(tmp_path, (5,))
    files.keep_end(tmp_path, file.end)
    assert verify(tmp_path).ok
    path = only(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    wrong, line, text = one(verify(tmp_path))
    assert (wrong, line) == (Wrong.CUT_OFF, None)
    assert "ends at line 5 of all, and end.json knows line 7" in text


def test_everything_written_anew_is_known_by_what_was_noted(tmp_path):
    file = written(tmp_path, (5,))
    files.keep_end(tmp_path, file.end)
    only(tmp_path).unlink()
    forged = Appender(tmp_path)
    forged.open()
    forged.append([content(n, data={"quantity": "7"}) for n in range(9)])
    forged.close()
    wrong, line, text = one(verify(tmp_path))
    assert (wrong, line) == (Wrong.CHANGED, 7)
    assert "end.json knows line 7 of all with the hash" in text
    (tmp_path / files.END_FILE).unlink()
    # A chain cannot say that it is another one: only who kept a hash elsewhere can.
    assert verify(tmp_path).ok
    wrong, _, text = one(verify(tmp_path, roots=[file.end.hash]))
    assert wrong == Wrong.ROOT
    assert file.end.hash in text


def test_a_last_line_that_was_changed_or_replaced_is_known_by_what_was_noted(tmp_path):
    file = written(tmp_path, (5,))
    files.keep_end(tmp_path, file.end)
    path = only(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = lines[-1].replace(b'"quantity":"5"', b'"quantity":"9"')
    path.write_bytes(b"".join([*lines[:-1], changed]))
    wrong, line, text = one(verify(tmp_path))
    assert (wrong, line) == (Wrong.CHANGED, 7)
    assert "its hash is not that of what it says; it stands where line 7 of all was" in text
    forged = line_of(content(9), 7, files.read(lines[-2][:-1]).hash)[0]
    path.write_bytes(b"".join([*lines[:-1], forged]))
    wrong, line, text = one(verify(tmp_path))
    assert (wrong, line) == (Wrong.CHANGED, 7)
    assert "end.json knows line 7 of all with the hash" in text


def test_a_first_line_that_follows_another(tmp_path):
    raw, _ = line_of(content(1), 1, "ab" * 32)
    wrong, line, text = one(judged(tmp_path, [raw]))
    assert (wrong, line) == (Wrong.CHANGED, 1)
    assert "it is the first line of all, and carries the hash of one before it" in text
    raw, _ = line_of(content(1), 1, NO_HASH)
    assert judged(tmp_path, [raw]).ok


def test_a_first_line_that_was_changed_is_counted_from_the_next(whole, tmp_path):
    broken = whole[3].replace(b"acct", b"acc2")
    assert "it stands where line 4 of all was" in one(judged(tmp_path, [broken, *whole[4:]]))[2]
    assert "it stands where line 1 of all was" in one(judged(tmp_path, [broken]))[2]


@pytest.mark.parametrize(("gone", "which"), [(1, "line 5 of all is"), (2, "lines 4 to 5 of all are")])
def test_the_end_of_a_day_removed(tmp_path, gone, which):
    written(tmp_path, (3, 2))
    path = tmp_path / "2026-11-22.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-gone]))
    wrong, line, text = one(verify(tmp_path))
    assert (wrong, line) == (Wrong.MISSING, 1)
    assert f"{which} missing before it: the end of 2026-11-22.jsonl, or whole days" in text


def test_days_that_another_line_than_theirs_was_removed_with_are_missing(tmp_path):
    """The engine says with which line what it removed ended; what is there begins behind another one of that number."""
    file = written(tmp_path, (3, 2))
    file.open()
    first = (tmp_path / "2026-11-22.jsonl").read_bytes().splitlines()[-1]
    last = files.read(first)
    for hash_, is_right in (("ab" * 32, False), (last.hash, True)):
        file.append([content(60, 1, kind=Kind.REMOVED, data={"through": last.line.n, "hash": hash_})])
        (tmp_path / "2026-11-22.jsonl").unlink(missing_ok=True)
        assert verify(tmp_path).ok == is_right
    file.close()


def test_a_line_that_was_removed_further_than_what_is_there_excuses_it(tmp_path):
    """Somebody put files back that the engine had removed."""
    file = written(tmp_path, (3, 2, 4))
    kept = (tmp_path / "2026-11-23.jsonl").read_bytes()
    file.open()
    assert upkeep.remove_old(file, 1, BEGIN_MS + 2 * DAY_MS + 50) == 2
    file.close()
    assert verify(tmp_path).ok
    (tmp_path / "2026-11-23.jsonl").write_bytes(kept)
    assert verify(tmp_path).ok


def test_a_whole_day_removed(tmp_path):
    written(tmp_path, (3, 2, 4))
    (tmp_path / "2026-11-23.jsonl").unlink()
    wrong, line, text = one(verify(tmp_path))
    assert (wrong, line) == (Wrong.MISSING, 1)
    assert "lines 6 to 8 of all are missing" in text
    assert "between 2026-11-22 and 2026-11-24" in text


def test_the_first_days_removed_by_hand_and_by_the_engine(tmp_path):
    file = written(tmp_path, (3, 2, 4))
    file.open()
    assert upkeep.remove_old(file, 2, BEGIN_MS + 2 * DAY_MS + 50) == 1
    file.close()
    assert verify(tmp_path).ok
    (tmp_path / "2026-11-23.jsonl").unlink()
    assert "no line says that the engine removed them" in one(verify(tmp_path))[2]


def test_what_was_noted_as_the_end_was_changed(tmp_path):
    written(tmp_path)
    (tmp_path / files.END_FILE).write_text("{")
    wrong, _, text = one(verify(tmp_path))
    assert wrong == Wrong.UNREADABLE
    assert "not what the engine wrote" in text


def test_a_part_of_the_days(tmp_path):
    written(tmp_path, (3, 2, 4))
    whole = verify(tmp_path, Range("2026-11-23", "2026-11-23"))
    assert (whole.ok, whole.lines, whole.first_n, whole.last_n) == (True, 3, 6, 8)
    path = tmp_path / "2026-11-23.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    # The first line of the next day knows the last one of this.
    fault = one(verify(tmp_path, Range("2026-11-23", "2026-11-23")))
    assert fault[0] == Wrong.MISSING
    path.write_bytes(b"".join(lines[1:]))
    assert one(verify(tmp_path, Range("2026-11-23", "2026-11-24")))[0] == Wrong.MISSING
    with pytest.raises(BadInput, match="no such day; it has 2026-11-22 to 2026-11-24"):
        verify(tmp_path, Range("2027-01-01", ""))


def test_no_audit_is_said(tmp_path):
    with pytest.raises(BadInput, match="there is no audit in"):
        verify(tmp_path / "nowhere")


def compressed(folder):
    file = Appender(folder)
    file.open()
    while upkeep.compress_one(file, BEGIN_MS + 2 * DAY_MS + 60):
        pass
    file.close()


def test_compressed_days_are_verified_alike(tmp_path):
    written(tmp_path, (3, 2, 4))
    compressed(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.gz")) == ["2026-11-22.jsonl.gz", "2026-11-23.jsonl.gz"]
    found = verify(tmp_path)
    assert (found.ok, found.lines) == (True, 15)
    path = tmp_path / "2026-11-23.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:1] + lines[2:])))
    wrongs = {fault.wrong for fault in verify(tmp_path).faults}
    assert wrongs == {Wrong.MISSING, Wrong.CHANGED}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_edit_of_any_byte_of_any_file_is_found(tmp_path_factory, data):
    """Law: flip, take out or put in one byte anywhere, compressed or not, and the files are not right any more."""
    folder = tmp_path_factory.mktemp("edit")
    days = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    written(folder, days)
    if data.draw(st.booleans()):
        compressed(folder)
    assert verify(folder).ok
    path = data.draw(st.sampled_from(sorted(folder.glob("*.jsonl*"))))
    raw = path.read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255))
    edited = data.draw(
        st.sampled_from(
            [
                raw[:at] + bytes([byte]) + raw[at + 1 :],
                raw[:at] + raw[at + 1 :],
                raw[:at] + bytes([byte]) + raw[at:],
                raw + bytes([byte]),
            ]
        )
    )
    path.write_bytes(edited)
    found = verify(folder)
    assert found.ok == (edited == raw)
    assert all(fault.file for fault in found.faults)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_other_order_or_choice_of_lines_is_found(whole, tmp_path_factory, data):
    """Law: lines that are taken out (but at the end), moved, or repeated are found."""
    folder = tmp_path_factory.mktemp("order")
    chosen = data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=10))
    found = judged(folder, [whole[n] for n in chosen])
    assert found.ok == (chosen == list(range(len(chosen))))


def test_a_hundred_faults_are_not_all_named(tmp_path):
    written(tmp_path, (90,))
    path = only(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"acct-1", b"acct-7"))
    assert len(verify(tmp_path).faults) == 20


def test_the_last_line_may_be_in_the_middle_of_being_written(whole, tmp_path):
    torn = [*whole[:6], whole[6][:-9]]
    (tmp_path / "2026-11-22.jsonl").write_bytes(b"".join(torn))
    lock = files.locked(tmp_path)
    assert lock is not None
    try:
        found = verify(tmp_path)
        assert found.is_being_written
        assert found.ok
    finally:
        files.os.close(lock)
    assert not verify(tmp_path).ok


def test_roots_are_found_in_lines_of_both_kinds(tmp_path):
    file = written(tmp_path, (2,))
    file.open()
    file.append([content(50, kind=Kind.ROOT, data={"position": 3, "root": "5" * 32})])
    file.close()
    found = verify(tmp_path, roots=["5" * 32, file.end.hash])
    assert found.ok
    assert (found.roots, found.root_position, found.root) == (1, 3, "5" * 32)
    assert one(verify(tmp_path, roots=[NO_HASH]))[0] == Wrong.ROOT


def test_progress_is_told_by_file(tmp_path):
    written(tmp_path, (2, 2))
    told = []
    verify(tmp_path, progress=lambda *step: told.append(step))
    assert [name for name, _, _ in told] == ["2026-11-22.jsonl", "2026-11-23.jsonl"]
    assert all(done == total for _, done, total in told)

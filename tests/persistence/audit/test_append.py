"""The files as they are written: one a day, whole lines only, one writer, and on from the last line.

Covers: actors/persistence/audit/files.py, actors/persistence/audit/progress.py, actors/persistence/audit/upkeep.py
"""

from __future__ import annotations

import gzip
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.errors import BadInput, NotRecorded
from actors.core.events import EventId
from actors.persistence.audit import append, files, progress, upkeep
from actors.persistence.audit.append import Appender, cut_content
from actors.persistence.audit.line import Kind
from actors.persistence.audit.progress import Cursor, Progress
from actors.persistence.audit.verify import verify
from tests.persistence.audit.made import BEGIN_MS, DAY_MS, content, lines_in, only, written


def opened(folder):
    file = Appender(folder)
    return file, file.open()


def test_a_file_is_one_persons_and_its_first_line_is_a_day(tmp_path):
    folder = tmp_path / "audit"
    written(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert only(folder).stat().st_mode & 0o777 == 0o600
    assert [line.kind for line in lines_in(folder)][:3] == [Kind.DAY, Kind.STARTED, "FILL"]


def test_it_goes_on_behind_its_last_line(tmp_path):
    before = written(tmp_path, (3, 1))
    file, cut = opened(tmp_path)
    assert cut is None
    assert file.end == before.end
    assert file.progress == before.progress
    file.append([content(70, 1)])
    file.close()
    assert verify(tmp_path).lines == before.n + 1


def test_what_comes_late_stands_in_the_present_day(tmp_path):
    file = written(tmp_path, (1, 1))
    file.open()
    file.append([content(90, 0)])
    file.close()
    assert lines_in(tmp_path)[-1].time.startswith("2026-11-22")
    assert file.end.file == "2026-11-23.jsonl"


def test_two_writers_are_one_too_many(tmp_path):
    first, _ = opened(tmp_path)
    with pytest.raises(NotRecorded, match="another process writes the audit"):
        Appender(tmp_path).open()
    assert files.is_being_written(tmp_path)
    first.close()
    assert not files.is_being_written(tmp_path)
    opened(tmp_path)[0].close()


@pytest.mark.parametrize("torn", [b'{"n":7,"pre', b"\0" * 700, b'{"n":7}\n\n\0\0', b"\n"])
def test_a_torn_end_is_cut_off_and_named(tmp_path, torn):
    before = written(tmp_path)
    with only(tmp_path).open("ab") as file:
        file.write(torn)
    file, cut = opened(tmp_path)
    assert (cut.file, cut.size) == ("2026-11-22.jsonl", len(torn))
    assert file.end == before.end
    file.append([cut_content(cut, BEGIN_MS + 99)])
    file.close()
    assert verify(tmp_path).ok
    assert lines_in(tmp_path)[-1].data["bytes"] == len(torn)


def test_a_last_line_that_was_changed_is_cut_off_and_kept_in_the_line_that_names_it(tmp_path):
    before = written(tmp_path)
    path = only(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"quantity":"4"', b'"quantity":"9"'))
    file, cut = opened(tmp_path)
    assert '"quantity":"9"' in cut.text
    assert file.n == before.n - 1
    file.close()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_after_a_cut_anywhere_it_goes_on_with_whole_lines(tmp_path_factory, data):
    """Law: whatever part of the end is gone, what is left is whole lines, and the chain goes on behind them."""
    folder = tmp_path_factory.mktemp("cut")
    written(folder, data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    path = max(folder.glob("*.jsonl"))
    raw = path.read_bytes()
    kept = raw[: data.draw(st.integers(0, len(raw)))]
    path.write_bytes(kept + data.draw(st.binary(max_size=20)))
    n = sum(p.read_bytes().count(b"\n") for p in folder.glob("*.jsonl") if p != path) + kept.count(b"\n")
    file, _ = opened(folder)
    assert file.n == n
    file.append([content(99, 4)])
    file.close()
    assert verify(folder).ok


def test_a_file_without_a_whole_line_is_kept_aside(tmp_path):
    before = written(tmp_path, (3, 1))
    later = tmp_path / "2026-11-23.jsonl"
    later.write_bytes(b"junk\n" * 40_000)
    file, cut = opened(tmp_path)
    file.append([content(99, 1)])
    file.close()
    assert cut.file == later.name
    assert file.n == before.n
    [aside] = tmp_path.glob("*.damaged-*")
    assert aside.stat().st_size == 200_000
    assert verify(tmp_path).ok


def test_a_file_that_is_no_longer_than_an_end_may_be_and_has_no_line_is_not_kept(tmp_path, monkeypatch):
    junk = b"junk\n" * 100
    for more, is_kept in ((0, False), (1, True)):
        folder = tmp_path / f"{more}"
        before = written(folder, (3, 1))
        later = folder / "2026-11-23.jsonl"
        later.write_bytes(junk)
        monkeypatch.setattr(files, "TAIL_FIRST", len(junk) - more)
        file, cut = opened(folder)
        file.close()
        assert (cut.file, cut.size, file.n) == (later.name, len(junk), before.n - 2)
        assert bool(list(folder.glob("*.damaged-*"))) == is_kept
        assert not later.exists()


def test_of_two_ends_that_are_cut_off_the_last_file_s_is_named(tmp_path):
    before = written(tmp_path, (3, 1))
    (tmp_path / "2026-11-23.jsonl").write_bytes(b"junk\n")
    with (tmp_path / "2026-11-22.jsonl").open("ab") as first:
        first.write(b"torn")
    file, cut = opened(tmp_path)
    file.close()
    assert (cut.file, file.n) == ("2026-11-23.jsonl", before.n - 2)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_where_it_stands_is_known_without_opening_it(tmp_path_factory, data):
    """Law: the same as who opens it finds, also where a line is damaged, or a whole day says nothing of that."""
    folder = tmp_path_factory.mktemp("stands")
    file = written(folder, data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)))
    file.open()
    for n in range(data.draw(st.integers(0, 3))):
        at = {"position": 41 + n, "root": f"{n:032x}"}
        file.append([content(90, 5, id=f"{41 + n}-0"), content(91, 5, kind=Kind.ROOT, data=at)])
    file.append([content(92, 5, id="77-1"), content(93, 5, kind=Kind.OPERATOR, data={"audit_id": 8})])
    file.close()
    assert append.stands_at(folder) == file.progress
    assert file.progress.cursor.journal == "77-1"


def test_where_it_stands_of_files_that_do_not_say_it(tmp_path):
    assert append.stands_at(tmp_path) == Progress()
    first, n_hash = append.written(content(1, kind=Kind.STARTED, data={"fleet": "f"}), 1, "0" * 64)
    second, _ = append.written(content(2, id="5-1"), 2, n_hash)
    path = tmp_path / "2026-11-22.jsonl"
    # The first line of all needs none before it; a later one does.
    path.write_bytes(first + second)
    assert append.stands_at(tmp_path).cursor.journal == "5-1"
    (tmp_path / "2026-11-23.jsonl").write_bytes(b"junk\n" + append.written(content(3, 1), 3, "0" * 64)[0])
    assert append.stands_at(tmp_path).cursor.journal == "5-1", "a day without a state says nothing"
    path.write_bytes(second)
    assert append.stands_at(tmp_path) == Progress()


def test_no_more_of_a_file_is_read_than_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "TAIL_FIRST", 1_000)
    written(tmp_path, (40,))
    path = only(tmp_path)
    lines = path.read_bytes().splitlines()
    tail = files.tail_of(path, lambda _whole: True)
    assert 0 < len(tail.whole) < 10
    assert tail.whole == lines[-len(tail.whole) :]
    assert files.tail_of(path, lambda _whole: False).whole == lines


def test_a_long_file_is_read_from_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "TAIL_FIRST", 300)
    before = written(tmp_path, (40,))
    file, _ = opened(tmp_path)
    assert (file.end, file.progress) == (before.end, before.progress)
    file.close()


def test_the_newest_file_may_have_been_compressed_by_hand(tmp_path):
    before = written(tmp_path)
    path = only(tmp_path)
    (tmp_path / "2026-11-22.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert verify(tmp_path).ok
    file, _ = opened(tmp_path)
    assert file.end == before.end
    file.append([content(99)])
    file.close()
    assert only(tmp_path).name == "2026-11-22.jsonl"
    assert verify(tmp_path).ok


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    file = written(tmp_path)
    file.open()
    left = [120]

    def write(descriptor, some, real=os.write):
        if not left[0]:
            raise OSError(28, "No space left on device")
        part = real(descriptor, some[: left[0]])
        left[0] = 0
        return part

    n = file.n
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", write)
        with pytest.raises(OSError, match="No space left"):
            file.append([content(90), content(91)])
    cut = file.open()
    assert cut.size == 120
    assert file.n == n
    file.append([content(90), content(91)])
    file.close()
    assert verify(tmp_path).ok


def test_the_end_is_noted_beside_the_files(tmp_path):
    file = written(tmp_path)
    files.keep_end(tmp_path, file.end)
    [known] = files.known_end(tmp_path)
    assert (known.n, known.hash) == (file.end.n, file.end.hash)
    assert files.known_end(tmp_path / "nowhere") == []


# -- days that have ended


def test_a_day_that_has_ended_is_compressed_and_the_present_one_is_not(tmp_path):
    file = written(tmp_path, (3, 2))
    file.open()
    before = (tmp_path / "2026-11-22.jsonl").read_bytes()
    assert upkeep.compress_one(file, BEGIN_MS + DAY_MS + 80)
    assert not upkeep.compress_one(file, BEGIN_MS + DAY_MS + 80)
    file.close()
    path = tmp_path / "2026-11-22.jsonl.gz"
    assert gzip.decompress(path.read_bytes()) == before
    assert path.stat().st_mode & 0o777 == 0o600
    told = lines_in(tmp_path)[-1]
    assert (told.kind, told.data["sha256"]) == (Kind.COMPRESSED, files.sha256_of(path))
    assert not (tmp_path / "2026-11-22.jsonl").exists()


def test_compressing_that_was_interrupted_begins_again(tmp_path, monkeypatch):
    file = written(tmp_path, (3, 2))
    file.open()
    assert not upkeep.compress_one(file, BEGIN_MS + DAY_MS + 80, lambda: False)
    with monkeypatch.context() as patched:
        patched.setattr(files, "replace_by", lambda _day, _fresh: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            upkeep.compress_one(file, BEGIN_MS + DAY_MS + 80)
    assert verify(tmp_path).ok
    assert upkeep.compress_one(file, BEGIN_MS + DAY_MS + 80)
    file.close()
    assert verify(tmp_path).ok


def test_a_copy_that_is_not_the_same_replaces_nothing(tmp_path, monkeypatch):
    file = written(tmp_path, (3, 2))
    file.open()
    monkeypatch.setattr(files, "sha256_of", lambda _path: "0" * 64)
    with pytest.raises(OSError, match="does not hold what"):
        upkeep.compress_one(file, BEGIN_MS)
    file.close()
    assert verify(tmp_path).ok
    assert not list(tmp_path.glob("*.gz"))


def test_all_days_are_kept_or_the_last_ones(tmp_path):
    file = written(tmp_path, (1, 1, 1, 1))
    file.open()
    assert upkeep.remove_old(file, 0, BEGIN_MS) == 0
    assert upkeep.remove_old(file, 9, BEGIN_MS) == 0
    assert upkeep.remove_old(file, 2, BEGIN_MS + 3 * DAY_MS + 70) == 2
    file.close()
    assert [day.day for day in files.days_in(tmp_path)] == ["2026-11-24", "2026-11-25"]
    told = lines_in(tmp_path)[-1]
    assert told.data["files"] == ["2026-11-22.jsonl", "2026-11-23.jsonl"]
    assert verify(tmp_path).ok


# -- where it stands


def test_lines_say_how_far_each_source_is():
    at = Progress()
    for kind, id_, data in (
        (Kind.STARTED, "", {"fleet": "f"}),
        ("FILL", "41-1", {}),
        (Kind.OPERATOR, "", {"audit_id": 7}),
        (Kind.DEAD_LETTER, "", {"dead_letter_id": 3}),
        (Kind.QUARANTINE, "", {"since_ms": 5, "account": "acct-1"}),
        (Kind.REJECTION, "", {}),
    ):
        at = progress.after(at, kind, id_, data)
    assert at.cursor == Cursor(
        journal="41-1", operator=7, dead_letter=3, quarantine_ms=5, quarantine="acct-1"
    )
    assert at.cursor.event == EventId(41, 1)
    assert at.is_running
    at = progress.after(at, Kind.ROOT, "", {"position": 41, "root": "r"})
    assert at.cursor.journal == "41"
    # A commit that ends before the last event moves nothing back; a restore does.
    assert progress.after(at, Kind.ROOT, "", {"position": 40, "root": "r"}).cursor.journal == "41"
    assert progress.after(at, Kind.RESTORED, "", {"position": 9, "root": "q"}).cursor.root_position == 9
    assert progress.after(at, Kind.NOT_KEPT, "", {"position": 60}).cursor.journal == "60"
    other = progress.after(at, Kind.STARTED, "", {"fleet": "g"})
    assert (other.cursor, other.cursors["f"]) == (Cursor(), at.cursor)
    assert not progress.after(at, Kind.STOPPED, "", {}).is_running


def test_a_place_that_is_none_is_refused_or_the_begin():
    assert Cursor(journal="x").event == progress.BEGIN
    line = append.read(append.written(content(1, kind=Kind.ROOT, data={"cursors": 7}), 1, "0" * 64)[0][:-1])
    with pytest.raises(BadInput, match="line 1 of the audit does not say where it stands"):
        progress.of_lines([line.line])

"""Lines that hold some bytes, newest first: the same as of reading all, whatever the blocks that are read."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.persistence.audit import search
from actors.persistence.audit.chain import Unreadable
from actors.persistence.audit.files import Day
from actors.persistence.audit.search import newest

NEEDLE = b"<>"
LINES = st.lists(
    st.lists(st.sampled_from([b"<>", b"<", b">", b"a", b"bb"]), max_size=6).map(b"".join), max_size=30
)


@given(lines=LINES, chunk=st.integers(1, 20), ends=st.booleans(), most=st.integers(1, 40))
def test_it_finds_what_reading_all_finds(lines, chunk, ends, most, tmp_path_factory, monkeypatch_):
    monkeypatch_.setattr(search, "CHUNK", chunk)
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    wanted = [line for line in reversed(content.split(b"\n")) if NEEDLE in line and b"a" not in line]
    folder = tmp_path_factory.mktemp("day")
    plain, packed = folder / "2026-01-01.jsonl", folder / "2026-01-02.jsonl.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content, 1))

    def made(raw):
        return None if b"a" in raw else raw

    assert list(newest(Day("2026-01-01", plain), NEEDLE, made, most)) == wanted
    assert list(newest(Day("2026-01-02", packed), NEEDLE, made, most)) == wanted[:most]


@pytest.fixture(scope="module")
def monkeypatch_():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_a_line_without_an_end_fills_no_memory_and_hides_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "CHUNK", 10)
    monkeypatch.setattr(search, "LINE_MAX", 10)
    path = tmp_path / "2026-01-01.jsonl"
    path.write_bytes(b"<>1\n" + b"x" * 500 + b"\n<>2\n")
    assert list(newest(Day("2026-01-01", path), NEEDLE, lambda raw: raw, 9)) == [b"<>2", b"<>1"]
    assert search._bounded(b"x" * 11) == b""
    assert search._bounded(b"x" * 10) == b"x" * 10


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"<>\n" * 100)[:-12], b""])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "2026-01-01.jsonl.gz"
    path.write_bytes(content)
    if content:
        with pytest.raises(Unreadable, match=r"2026-01-01.jsonl.gz cannot be read: \w"):
            list(newest(Day("2026-01-01", path), NEEDLE, lambda raw: raw, 9))
    else:
        assert list(newest(Day("2026-01-01", path), NEEDLE, lambda raw: raw, 9)) == []
    with pytest.raises(Unreadable, match="No such file"):
        list(newest(Day("2026-01-03", tmp_path / "2026-01-03.jsonl.gz"), NEEDLE, lambda raw: raw, 9))

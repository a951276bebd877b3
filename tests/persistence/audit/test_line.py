"""One line: its hash is that of the bytes before it, and any other byte is noticed."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.events import EventKind
from actors.persistence.audit import line
from actors.persistence.audit.line import KINDS, NO_HASH, Content, Kind, read, written
from tests.persistence.audit.made import content

TEXTS = st.text(max_size=30)


def test_a_line_is_json_with_the_hash_of_the_one_before_and_its_own():
    raw, own = written(content(3), 7, "ab" * 32)
    found = json.loads(raw)
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    assert (found["n"], found["prev"], found["hash"]) == (7, "ab" * 32, own)
    assert found["time"] == "2026-11-22T00:00:00.003Z"
    assert found["data"]["text"] == "käuflich"
    # As any other program would compute it.
    assert own == hashlib.sha256(raw.split(b',"hash":"')[0]).hexdigest()


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=4))
def test_what_is_written_is_read(account, cause, data):
    raw, own = written(Content(wall_ms=1, kind="FILL", account=account, cause=cause, data=data), 1, NO_HASH)
    found = read(raw[:-1])
    assert found is not None
    assert found.hash == own
    assert (found.line.account, found.line.cause, found.line.data) == (account, cause, data)


@given(st.data())
def test_any_other_byte_is_noticed(data):
    raw = written(content(1), 1, NO_HASH)[0][:-1]
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != raw[at]))
    assert read(raw[:at] + bytes([byte]) + raw[at + 1 :]) is None
    assert read(raw[:at] + raw[at + 1 :]) is None
    assert read(raw[:at] + bytes([byte]) + raw[at:]) is None


def test_json_with_a_right_hash_that_is_no_line_is_none():
    body = b'{"n":"one"'
    assert read(body + b',"hash":"' + line.hash_of(body).encode() + b'"}') is None


@pytest.mark.parametrize("data", [{"x": "\ud800"}, {"x": object()}, {"x": "y" * (1 << 21)}])
def test_what_no_line_can_hold_is_said_and_keeps_nothing_from_being_written(data):
    raw, _ = written(content(1, data=data), 1, NO_HASH)
    found = read(raw[:-1])
    assert found is not None
    assert "not_written" in found.line.data
    assert len(raw) < line.LINE_MAX


def test_the_longest_line_that_is_one(monkeypatch):
    monkeypatch.setattr(line, "LINE_MAX", 1_000)
    empty = len(written(content(1, data={"x": ""}), 1, NO_HASH)[0])
    for more, is_whole in ((0, True), (1, False)):
        text = "y" * (999 - empty + more)
        raw, _ = written(content(1, data={"x": text}), 1, NO_HASH)
        found = read(raw[:-1])
        assert ("not_written" not in found.line.data) == is_whole
        assert (len(raw) == 999) == is_whole


@pytest.mark.parametrize("raw", [b"", b'"}', b',"hash":"' + b"0" * 64 + b'"}', b"x" * 200])
def test_what_is_too_short_or_has_no_hash_is_no_line(raw):
    assert read(raw) is None
    body = b""
    assert read(body + b',"hash":"' + line.hash_of(body).encode() + b'"}') is None


def test_kinds_have_one_name_each():
    assert not set(map(str, Kind)) & set(map(str, EventKind))
    assert len(KINDS) == len(Kind) + len(EventKind)

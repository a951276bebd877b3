"""The quick traceback is the one that Python prints."""

from __future__ import annotations

import traceback

import pytest

from actors.runtime import failure_text
from actors.runtime.failure_text import traceback_text, where


def fails(text, depth=2):
    if depth:
        return fails(text, depth - 1)
    raise ValueError(text)


def caught(call, *args):
    try:
        call(*args)
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def chained():
    try:
        fails("inner")
    except ValueError as error:
        raise RuntimeError("outer") from error


def in_a_handler():
    try:
        fails("inner")
    except ValueError:
        raise KeyError("second")  # noqa: B904


@pytest.mark.parametrize(
    "call", [lambda: fails("x"), lambda: fails("y"), lambda: fails("deep", 9), chained, in_a_handler]
)
def test_it_is_what_python_prints(call):
    for _ in range(2):
        error = caught(call)
        assert traceback_text(error) == "".join(traceback.format_exception(error))


def test_alike_failures_are_formatted_once(monkeypatch):
    calls = []
    real = traceback.format_tb
    monkeypatch.setattr(failure_text.traceback, "format_tb", lambda tb: calls.append(1) or real(tb))
    failure_text._cache.clear()
    texts = {traceback_text(caught(fails, str(n))) for n in range(50)}
    assert len(texts) == 50
    assert len(calls) == 1


def test_the_cache_is_bounded():
    failure_text._cache.clear()
    for depth in range(failure_text.CACHE_MAX + 20):
        traceback_text(caught(fails, "x", depth))
    assert len(failure_text._cache) <= failure_text.CACHE_MAX


def test_where_names_type_and_line_and_not_the_text():
    assert where(caught(fails, "x")) == where(caught(fails, "y"))
    assert where(caught(fails, "x")).startswith("ValueError at test_failure_text.py:")
    assert where(ValueError("never raised")) == "ValueError at ?"
    assert traceback_text(ValueError("never raised")) == "ValueError: never raised\n"

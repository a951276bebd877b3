"""One answer for all who ask within a moment."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from actors.assembly import shared_answer
from actors.assembly.shared_answer import SharedAnswer


def test_all_who_ask_at_once_share_one_answer():
    asked, begin = [], threading.Event()

    def ask():
        asked.append(1)
        time.sleep(0.05)
        return len(asked)

    shared, found = SharedAnswer(ask, keep_s=60), []
    threads = [threading.Thread(target=lambda: (begin.wait(), found.append(shared.get()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    begin.set()
    for thread in threads:
        thread.join(10)
    assert found == [1] * 20
    assert len(asked) == 1


def test_an_answer_is_asked_for_anew_when_it_is_too_old():
    answers = iter(range(10))
    shared = SharedAnswer(lambda: next(answers), keep_s=0)
    assert [shared.get(), shared.get()] == [0, 1]


def test_an_error_is_shared_too_and_then_forgotten(monkeypatch):
    now_s, tries = [100.0], []
    monkeypatch.setattr(shared_answer, "time", SimpleNamespace(monotonic=lambda: now_s[0]))

    def ask():
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not now")
        return "yes"

    shared = SharedAnswer(ask, keep_s=0.2)
    for moment in (100.0, 100.1, 100.19):
        now_s[0] = moment
        with pytest.raises(ValueError, match="not now"):
            shared.get()
    assert len(tries) == 1
    now_s[0] = 100.2
    assert shared.get() == "yes"

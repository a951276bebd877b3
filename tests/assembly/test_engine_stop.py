"""A stop does not wait for a part that nobody restarts any more.

Covers: actors/assembly/engine.py
"""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from actors.assembly.engine import HALTED_SECONDS, Engine
from actors.runtime.cell import Status


@pytest.mark.parametrize(
    ("halted", "status", "seconds"),
    [
        (True, Status.CRASHED, HALTED_SECONDS),
        (True, Status.RUNNING, 9.0),
        (
            False,
            Status.CRASHED,
            9.0,
        ),  # its restart may be a moment away, and what waits in it is written then
        (True, None, 9.0),
    ],
)
def test_only_one_that_failed_in_an_engine_that_halted_gets_less_time(halted, status, seconds):
    stopped = []
    actors = {} if status is None else {"writer": SimpleNamespace(cell=SimpleNamespace(status=status))}
    engine = Engine.__new__(Engine)
    engine.halted, engine.actors, engine._is_assembled = threading.Event(), actors, True
    engine.assembly = SimpleNamespace(stop=lambda *names, timeout_s: stopped.append((names, timeout_s)))
    if halted:
        engine.halted.set()
    engine._stop_children("gateway", "writer", seconds=9.0)
    engine._stop_children("writer", seconds=0.1)
    assert stopped == [(("gateway", "writer"), seconds), (("writer",), 0.1)]

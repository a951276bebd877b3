"""Alarms are kept, counted once for each cause, and there again after a restart until a person has seen them."""

from __future__ import annotations

import time

import pytest

from actors.core.alarm_level import Critical, Info, Level
from actors.core.units import Nanos
from actors.runtime.clock import VirtualClock
from actors.supervision.alarms import ACCOUNTS_PER_SECOND, AGAIN_EVERY_MS, KEPT, Alarms


@pytest.fixture
def clock():
    return VirtualClock(1_000)


def begun(clock, folder=None):
    alarms = Alarms(clock, folder)
    alarms.start()
    return alarms


def test_a_flood_of_accounts_is_counted_and_said(clock):
    alarms = Alarms(clock)
    clock.advance_to(Nanos(10**9))
    for n in range(100_000):
        alarms.of_account(f"acct-{n}")
    alarms.tell("the engine's own")
    assert alarms.count == 100_001
    assert len(alarms.entries) == ACCOUNTS_PER_SECOND + 1
    clock.advance_to(Nanos(2 * 10**9))
    alarms.of_account("acct-1")
    assert f"{100_000 - ACCOUNTS_PER_SECOND} more alarms" in alarms.entries[-2].text
    assert alarms.entries[-1].text == "acct-1"
    assert alarms.entries[-1].at_ms == 3_000


def test_the_same_alarm_again_counts_up_and_a_seen_one_comes_anew(clock):
    alarms = Alarms(clock)
    alarms.tell("a symbol is quiet")
    alarms.tell(Critical("Postgres is away: a"), "postgres")
    clock.advance_to(Nanos(5 * 10**9))
    alarms.tell("a symbol is quiet")
    alarms.tell(Critical("Postgres is away: b"), "postgres")
    quiet, away = alarms.entries
    assert (quiet.count, quiet.first_ms, quiet.at_ms, quiet.level) == (2, 1_000, 6_000, Level.WARNING)
    assert (away.text, away.count, away.level) == ("Postgres is away: b", 2, Level.CRITICAL)
    assert alarms.open_by_level() == {"INFO": 0, "WARNING": 1, "CRITICAL": 1}
    alarms.over("postgres")
    assert alarms.entries[1].over_ms == 6_000
    assert alarms.entries[1].is_open, "it ended, but nobody has seen it"
    assert alarms.acknowledge(away.alarm_id, "ann").acknowledged_by == "ann"
    assert alarms.acknowledge(away.alarm_id, "bob").acknowledged_by == "ann"
    assert alarms.acknowledge(99, "ann") is None
    alarms.tell("Postgres is away: c", "postgres")
    assert alarms.entries[-1].count == 1
    assert alarms.entries[-1].alarm_id == 3
    alarms.tell(Info("it came back"))
    assert alarms.entries[-1].level is Level.INFO


def test_a_restart_keeps_what_nobody_acknowledged_and_goes_on_counting(clock, tmp_path):
    first = begun(clock, tmp_path)
    for text in ("seen", "unseen", "again"):
        first.tell(text)
    first.acknowledge(1, "ann")
    clock.advance_to(Nanos(AGAIN_EVERY_MS * 1_000_000))
    first.tell("again")
    first.stop()
    second = begun(clock, tmp_path)
    assert [(e.alarm_id, e.text, e.count) for e in second.entries] == [(2, "unseen", 1), (3, "again", 2)]
    second.tell("again")
    second.tell("new")
    assert [(e.alarm_id, e.count) for e in second.entries] == [(2, 1), (3, 3), (4, 1)]
    second.stop()


def test_a_torn_line_loses_no_other_alarm(clock, tmp_path):
    first = begun(clock, tmp_path)
    first.tell("kept")
    first.stop()
    with (tmp_path / "alarms.jsonl").open("ab") as torn:
        torn.write(b'{"alarm_id": 7, "te')
    second = begun(clock, tmp_path)
    assert [e.text for e in second.entries] == ["kept"]
    second.stop()


def test_of_too_many_the_lesser_and_the_older_go_first(clock):
    alarms = Alarms(clock)
    alarms.tell(Critical("the one that matters"))
    for n in range(2 * KEPT):
        alarms.tell(f"warning {n}")
    texts = [e.text for e in alarms.entries]
    assert len(texts) == KEPT
    assert "the one that matters" in texts
    assert texts[-1] == f"warning {2 * KEPT - 1}"
    assert alarms.dropped == KEPT + 1


def test_a_folder_that_cannot_be_written_is_an_alarm_itself(clock, tmp_path):
    (tmp_path / "taken").write_text("a file")
    alarms = begun(clock, tmp_path / "taken")
    alarms.tell("one")
    deadline = time.monotonic() + 5
    while len(alarms.entries) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    alarms.stop()
    [found] = [e for e in alarms.entries if "cannot be written" in e.text]
    assert found.level is Level.CRITICAL
    assert any(e.text == "one" for e in alarms.entries)

"""``replay``: byte for byte the same, and honest about what it did not place.

Covers: actors/assembly/replay.py
"""

from __future__ import annotations

import json

import pytest

from actors.venues.paper.recording import write_recording
from tests.e2e.processes import bulkhead
from tests.factories import BTC, ETH

pytestmark = pytest.mark.timeout(240)


def test_replay_of_100_000_rows_twice_is_the_same_byte_for_byte(tmp_path):
    files = [tmp_path / "BTCUSDT-bookTicker-1.csv.gz", tmp_path / "ETHUSDT-bookTicker-1.csv"]
    for path, symbol in zip(files, (BTC, ETH), strict=True):
        write_recording(path, symbol, 50_000, seed=11)
    outputs = []
    for number in (1, 2):
        log = tmp_path / f"decisions-{number}.jsonl"
        done = bulkhead("replay", *files, "--accounts", 30, "--output", log)
        assert done.returncode == 0, done.stderr
        outputs.append((done.stdout, log.read_bytes()))
    assert outputs[0] == outputs[1]
    shown, log = outputs[0]
    assert "rows 100000" in shown
    assert "wakes " in shown
    assert all(f"acct-{n:05d}" in shown for n in range(1, 31))
    decisions = [json.loads(line) for line in log.splitlines()]
    assert len(decisions) >= 90
    assert {d["refused"] for d in decisions} == {None}
    other = bulkhead("replay", *files, "--accounts", 30, "--seed", 2)
    assert other.stdout != shown


def test_replay_says_what_it_did_not_place_and_why(tmp_path):
    path = tmp_path / "BTCUSDT-bookTicker-1.csv.gz"
    write_recording(path, BTC, 3_000, seed=11)
    done = bulkhead("replay", path, "--accounts", 700)
    assert done.returncode == 0, done.stderr
    line = next(x for x in done.stdout.splitlines() if x.startswith("opening orders 700"))
    lost = int(line.rsplit(maxsplit=1)[1])
    # 240 may be sent at once; the other 460 wait for the limits of ten seconds and a minute.
    held = sum(" BTCUSDT" in x for x in done.stdout.splitlines() if x.startswith("acct-"))
    assert lost > 0
    assert held + lost == 700
    assert "turn to be sent" in done.stdout

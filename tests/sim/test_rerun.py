"""Every decision of a simulated day, made again from what was recorded of it, is the one in the journal.

Covers: actors/subaccount/recording.py, actors/subaccount/capture.py, actors/assembly/rerun.py
"""

from __future__ import annotations

from collections import Counter

import pytest

from actors.assembly.rerun import Verdict, own_frames, rerun
from actors.assembly.simulation.world import World
from actors.core import fact_codec
from actors.core.clearing_messages import is_clearing
from actors.subaccount import capture
from actors.subaccount.recording import Recorder

ALL = 10**9


class Day:
    """A simulated day that records all decisions, and what the journal has of them, by account and sequence."""

    def __init__(self, seed):
        self.world = World(seed, clearing=seed % 3 == 0)
        self.world.context.recorder = self.recorder = Recorder(ALL, ALL)
        self.journal = {}
        committed = self.world.store._committed

        def noted(decision):
            refusal = committed(decision)
            if refusal is None and not is_clearing(decision.stream):
                key = decision.stream, decision.previous_sequence + 1
                self.journal[key] = fact_codec.encode(decision.facts), decision.cause
            return refusal

        self.world.store._committed = noted

    def run(self, seconds):
        for second in range(seconds):
            if second == seconds // 2:
                self.world.generator.shock(None, -0.05, 3)
            self.world.second()
        self.world.calm(10)
        return self

    def captures(self):
        for id_ in self.world.accounts:
            recorded = self.recorder.of(id_)
            decisions = tuple(capture.captured(one) for one in recorded)
            made = capture.Capture(account=id_, made_ms=0, decisions=decisions)
            yield recorded, capture.decode(capture.encode(made), "test")


@pytest.mark.parametrize("seed", range(6))
def test_rerun_makes_the_decisions_of_the_journal_byte_for_byte(seed):
    day = Day(seed).run(12)
    kinds, durable = Counter(), set()
    for recorded, made in day.captures():
        found = list(rerun(made))
        assert [one.difference for one in found if one.difference] == []
        for one, again in zip(recorded, found, strict=True):
            kinds[type(one.message).__name__] += 1
            key = one.before.account_id, one.before.sequence + 1
            in_journal = day.journal.get(key)
            # A decision that was lost was made anew, perhaps otherwise: the last one of a sequence is the durable one.
            if one.facts and in_journal == (again.facts, again.recorded.cause):
                durable.add(key)
    assert durable == set(day.journal), "a decision in the journal was not recorded, or reruns to other bytes"
    assert len(durable) > 200
    assert {"Wake", "Fill", "PlaceOrder", "ApplyFunding"} <= set(kinds)


def test_the_dead_letters_of_a_day_repeat_their_tracebacks():
    day = Day(1).run(8)
    letters = [letter for letter in day.world.store.dead if letter.actor.startswith("acct-")]
    with_capture = [letter for letter in letters if letter.capture]
    assert len(with_capture) > 1
    for letter in with_capture:
        made = capture.decode(letter.capture, "letter")
        [again] = rerun(made)
        assert (again.verdict, again.error) == (Verdict.SAME_ERROR, letter.error)
        assert own_frames(again.traceback) == own_frames(letter.traceback) != []

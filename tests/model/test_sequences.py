"""The engine and a model that knows nothing of it, told the same: money, positions, orders and refusals are the same.

``MODEL_SEQUENCES=20000 MODEL_SEED=7 pytest tests/model`` runs more, or others; so does ``python -m tests.model``, with
a progress bar.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.model.compare import Difference
from tests.model.seen import MUST_BE_SEEN
from tests.model.sequence import Sequence

SEQUENCES = int(os.environ.get("MODEL_SEQUENCES", "2000"))
SEED = os.environ.get("MODEL_SEED", "1")
SHOWN = 5
ENOUGH = 2000


@pytest.fixture(scope="module")
def played():
    """What differed, and what was seen."""
    differences, seen = [], Counter()
    for number in range(SEQUENCES):
        sequence = Sequence(f"{SEED}:{number}")
        try:
            sequence.play()
        except Difference as difference:
            differences.append(f"{difference}\n  repeat: python -m tests.model --seed {SEED} --only {number}")
        seen.update(sequence.seen.keys())
    return differences, seen


@pytest.mark.timeout(60 + SEQUENCES // 5)
def test_the_engine_and_the_model_never_differ(played):
    differences, _ = played
    assert not differences, f"{len(differences)} of {SEQUENCES}:\n" + "\n".join(differences[:SHOWN])


def test_the_sequences_come_to_everything_that_is_compared(played):
    _, seen = played
    if SEQUENCES < ENOUGH:
        pytest.skip(f"{SEQUENCES} sequences are too few for everything; {ENOUGH} are enough")
    assert [name for name in MUST_BE_SEEN if not seen[name]] == []

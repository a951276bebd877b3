"""The pause keeper: what survived is looked at once."""

from __future__ import annotations

import gc

import pytest

from actors.runtime.gc_control import GcControl


@pytest.fixture
def keeper():
    made = GcControl(pause_max_ms=0.0)
    before = gc.get_threshold()
    made.start()
    yield made
    made.stop()
    assert gc.get_threshold() == before
    assert made._collected not in gc.callbacks
    assert gc.get_freeze_count() == 0


def test_what_survived_a_long_collection_is_frozen(keeper):
    kept = [[n] for n in range(1_000)]
    before = gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() > before + len(kept)
    assert (keeper.collections, keeper.freezes) == (1, 1)
    assert keeper.longest_ms > 0


def test_a_short_one_freezes_nothing():
    keeper = GcControl(pause_max_ms=60_000.0)
    keeper.start()
    gc.collect()
    assert (keeper.collections, keeper.freezes) == (1, 0)
    keeper.stop()


def test_nothing_is_collected_while_much_is_made_and_all_of_it_is_frozen_after(keeper):
    with keeper.held():
        assert not gc.isenabled()
        before = keeper.collections
        kept = [[n] for n in range(100_000)]
    assert keeper.collections == before
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)


def test_garbage_that_was_made_before_is_not_frozen(keeper):
    class Node:
        freed = 0

        def __del__(self):
            Node.freed += 1

    node = Node()
    node.me = node
    del node
    with keeper.held():
        assert Node.freed == 1

"""One step stays one step, wherever a collection begins and lets others in."""

from __future__ import annotations

import gc
from types import MappingProxyType

import pytest

from actors.core.safe_copy import keys, pairs

SIZE = 5_000
"""More pairs than Python keeps empty tuples in stock for: some must be made, which is where a collection begins."""


def looks(look):
    """Look once, while each collection changes the dictionary, as a thread would that it lets in."""
    live, begun = dict.fromkeys(range(SIZE)), []

    def change(phase, _info):
        if phase == "start":
            begun.append(phase)
            live[SIZE + len(begun)] = None

    thresholds = gc.get_threshold()
    gc.callbacks.append(change)
    gc.set_threshold(1, 2, 2)
    try:
        return look(live), begun
    finally:
        gc.callbacks.remove(change)
        gc.set_threshold(*thresholds)


@pytest.mark.parametrize(
    "look", [pairs, keys, lambda d: keys(MappingProxyType(d)), list, lambda d: list(d.values()), sorted]
)
def test_a_look_never_meets_a_dictionary_in_the_middle_of_a_change(look):
    found, begun = looks(look)
    assert begun, "nobody came in: this test shows nothing"
    assert SIZE <= len(found) <= SIZE + len(begun)


@pytest.mark.parametrize(
    "look",
    [
        lambda d: list(d.items()),
        lambda d: [tuple(d), [], tuple(d)],  # one of them with a collection between iterator and tuple
        lambda d: {k: [v] for k, v in d.items()},
        lambda d: sorted(d.items()),
    ],
)
def test_what_is_not_one_step_is_met_in_the_middle(look):
    with pytest.raises(RuntimeError, match="changed size"):
        looks(look)


def test_what_is_seen():
    live = {"a": 1, "b": 2}
    assert pairs(live) == [("a", 1), ("b", 2)]
    assert keys(live) == ("a", "b")

"""Looking at a dictionary that another thread changes. Pure.

``list(d.items())`` is not one step: each pair is a new container, so a garbage collection may begin in the middle,
a callback of it lets another thread in, and the dictionary has changed its size. The same goes for ``tuple(d)``,
whose tuple is made after its iterator, and for every loop in Python. What stands here makes no container between its
first look and its last, so nobody comes in between; ``list(d)``, ``list(d.values())``, ``sorted(s)`` and a list of a
deque are such single steps too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def pairs(live: dict[Key, Value]) -> list[tuple[Key, Value]]:
    """Keys and values as they were at one time."""
    return list(dict(live).items())


def keys(live: Mapping[Key, Value]) -> tuple[Key, ...]:
    """Keys as they were at one time."""
    return tuple(list(live))  # noqa: C414 - see the module: the list is what makes it one step

"""Faults planted into the engine's code in memory, to see that the model notices them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.compare import Difference
from tests.model.sequence import Sequence

ENGINE = "actors.subaccount"


@dataclass(frozen=True)
class Fault:
    """``old`` in the source of ``module.function`` becomes ``new``. ``within`` sequences must notice."""

    name: str
    module: str
    function: str
    old: str
    new: str
    within: int


@contextlib.contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The engine with the fault, wherever the function is known, until the end of the block."""
    module = importlib.import_module(f"{ENGINE}.{fault.module}")
    sound = getattr(module, fault.function)
    source = textwrap.dedent(inspect.getsource(sound))
    if source.count(fault.old) != 1:
        raise ValueError(
            f"{fault.name}: {fault.old!r} is {source.count(fault.old)} times in {fault.module}.{fault.function}; "
            f"write the fault anew in {__name__}"
        )
    scope = dict(module.__dict__)
    exec(compile(source.replace(fault.old, fault.new), str(module.__file__), "exec"), scope)
    faulty = scope[fault.function]
    changed = [
        (place, name)
        for path, place in list(sys.modules.items())
        if path.startswith(ENGINE)
        for name, value in list(vars(place).items())
        if value is sound
    ]
    for place, name in changed:
        setattr(place, name, faulty)
    try:
        yield
    finally:
        for place, name in changed:
            setattr(place, name, sound)


def noticed(sequences: int, seed: str = "planted") -> tuple[int, Difference] | None:
    """The first sequence that differs, counted from 1, and how."""
    for number in range(1, sequences + 1):
        try:
            Sequence(f"{seed}:{number}").play()
        except Difference as difference:
            return number, difference
    return None

"""How an order's fields go from one struct to the next: request, conditional order, intent, and back to a request.

A field that two of them share by name is carried by name, so that a new one is added where it is said and where it is
read, and nowhere in between.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def made_of(kind: type[S], source: msgspec.Struct, /, **others: object) -> S:
    """A ``kind`` that has each field which ``source`` has too, but for ``others``, which are given.

    Raises:
        TypeError: a field without a default is in neither, or ``others`` names one that there is not.
    """
    fields = {name: getattr(source, name) for name in _shared(kind, type(source))}
    return kind(**{**fields, **others})


@cache
def _shared(kind: type[msgspec.Struct], source: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name in source.__struct_fields__)

"""What an owner may say of an order of any kind, kept with it to its end.

A field here is, by itself, a field of the request, of what is decided of it (``core.facts``), of what the API shows, a
column of ``bulkhead.intent`` and ``bulkhead.conditional``, and a column of the tables of the command line.
"""

from __future__ import annotations

import msgspec


class OrderTags(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Optional fields of every order; empty by default. None of them decides how it is executed.

    ``strategy`` is whose order it is: for correlation, drawdown and performance.
    """

    strategy: str = ""


TAGS = OrderTags.__struct_fields__

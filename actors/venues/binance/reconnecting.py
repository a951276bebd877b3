"""How long to wait before the next try to connect, and when a connection counts as one.

I/O: none itself; the sockets of this folder wait by it.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from websockets.client import backoff

FIRST_SECONDS, THEN_SECONDS, MAX_SECONDS, FACTOR = 0.2, 0.5, 5.0, 2.0

STEADY_SECONDS = 1.0
"""A connection that ends sooner does not count: a server that accepts and closes at once must not be called in a loop."""


def delays() -> Generator[float]:
    """Seconds to wait before each next try: at random up to 0.2 first, then 0.5, 1, 2, 4, and 5 from there on.

    Shorter than the library's own (up to 90 s): no price and no fill comes meanwhile. The exchange allows 300
    connections in five minutes from one address; one connection tries 60 times in that.
    """
    return partial(backoff, FIRST_SECONDS, THEN_SECONDS, MAX_SECONDS, FACTOR)()

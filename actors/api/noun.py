"""What the HTTP API is made of: nouns, each with its services and its routes.

One file per noun (``accounts.py``, ``orders.py``, ...) holds the structs of its requests and answers, the service that
asks actors or the store, and the Controllers with the routes. A new route is written in that file alone; only a new
noun needs a line elsewhere, in ``NOUNS`` of ``server.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from litestar import Controller, Router
from litestar.di import Provide

from actors.api.asking import Asker
from actors.api.drop_copy_stats import DropCopyStats
from actors.api.lookup import Lookup
from actors.api.mailbox_statistics import StatisticsCollector
from actors.assembly.engine import Engine


class Context:
    """What services work with: the engine, and the shared ways to look at it and to ask it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.lookup = Lookup(engine)
        self.asker = Asker(engine, self.lookup)
        self.mailboxes = StatisticsCollector(self.lookup.all_actors, engine.clock.monotonic_ns)
        self.drop_copies = DropCopyStats()


class Noun(NamedTuple):
    """One noun of the API.

    ``services`` are by the name of the parameter by which a route takes them.
    """

    services: Mapping[str, Callable[[Context], Any]]
    controllers: tuple[type[Controller], ...]

    def router(self, context: Context) -> Router:
        """The noun's routes, with its services."""

        def provided(service: Any) -> Provide:
            # Not in a thread: a pool would bound all routes alike, and health must wait for no thread.
            return Provide(lambda: service, sync_to_thread=False)

        return Router(
            path="/",
            route_handlers=self.controllers,
            dependencies={name: provided(make(context)) for name, make in self.services.items()},
        )

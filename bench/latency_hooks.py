"""Runs one command of a checkout with a clock at each stage of an order's way; for ``bench.latency``.

``python latency_hooks.py OUT.json run --data-dir ...`` in the folder of the checkout, which may have the layout of
today or that of 53ea69c: ``module`` finds a module by any of its names. The times of each order are written when the
command ends.
"""

from __future__ import annotations

import atexit
import importlib
import json
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path[0] = str(Path.cwd())
now = time.monotonic_ns
CLIENT_ID = re.compile(r"bh-[0-9A-Za-z-]+")

orders: defaultdict[str, dict[str, int]] = defaultdict(dict)
causes: dict[str, str] = {}
accounts: dict[str, str] = {}
ticks: dict[str, int] = {}


def module(*names: str) -> Any:
    """The first of these modules that the checkout has; its layouts name them differently.

    Its files are looked at, because an import alone may find a module of the checkout that is installed.

    Raises:
        ModuleNotFoundError: it has none of them.
    """
    for name in names:
        if Path(name.replace(".", "/")).with_suffix(".py").exists():
            return importlib.import_module(name)
    raise ModuleNotFoundError(f"this checkout has none of {', '.join(names)}")


FACTS = ("actors.core.facts", "actors.facts")
COMMAND = ("actors.cli.main", "actors.cli")


def stamp(client_order_id: str, stage: str) -> None:
    """The first time that an order is at a stage."""
    orders[client_order_id].setdefault(stage, now())


def hook_router() -> None:
    """When a tick came off its socket."""
    router = module("actors.symbol_router.actor").SymbolRouter
    handle = router._on_tick

    def on_tick(self: Any, tick: Any) -> None:
        ticks[f"tick:{tick.symbol}:{tick.update_id}"] = tick.received_ns
        handle(self, tick)

    router._on_tick = on_tick


def hook_account() -> None:
    """When an account begins to decide, and has decided."""
    intended, account = module(*FACTS).OrderIntended, module("actors.subaccount.actor")
    decide = account.decide

    def decided(state: Any, message: Any, market: Any) -> Any:
        began = now()
        decision = decide(state, message, market)
        for fact in decision.facts:
            if isinstance(fact, intended):
                causes[fact.client_order_id] = fact.cause
                accounts[fact.client_order_id] = fact.account_id
                orders[fact.client_order_id].setdefault("woken", began)
                stamp(fact.client_order_id, "decided")
        return decision

    account.decide = decided


def hook_writer() -> None:
    """When the commit begins that holds an order, and when it is durable."""
    intended, store = module(*FACTS).OrderIntended, module("actors.persistence.store").Store
    commit = store.commit

    def committed(self: Any, decisions: Any) -> Any:
        began = now()
        found = commit(self, decisions)
        for decision in decisions:
            for fact in decision.facts:
                if isinstance(fact, intended):
                    orders[fact.client_order_id].setdefault("commit began", began)
                    stamp(fact.client_order_id, "durable")
        return found

    store.commit = committed


def hook_gateway() -> None:
    """When the gateway lets an order go, and when its first trade is known."""
    core = module("actors.gateway.protocol").GatewayCore
    request, deliver = core._request, core._deliver

    def requested(self: Any, kind: str, tracked: Any, now_ms: int) -> Any:
        if kind == "place":
            stamp(tracked.order.client_order_id, "let go")
        return request(self, kind, tracked, now_ms)

    def delivered(self: Any, tracked: Any, trade: Any, *, count: bool) -> Any:
        stamp(tracked.order.client_order_id, "traded")
        return deliver(self, tracked, trade, count=count)

    core._request, core._deliver = requested, delivered


def hook_wires() -> None:
    """When the bytes of an order have been given to its socket: HTTP's, or the websocket's."""
    from httpcore._backends.anyio import AnyIOStream
    from websockets.asyncio.connection import Connection

    write, send = AnyIOStream.write, Connection.send

    async def written(self: Any, buffer: bytes, *more: Any, **named: Any) -> None:
        await write(self, buffer, *more, **named)
        if buffer.startswith((b"POST /fapi/v1/order", b"POST /fapi/v1/batchOrders")):
            for id_ in CLIENT_ID.findall(buffer.decode()):
                stamp(id_, "bytes out")

    async def sent(self: Any, message: Any, *more: Any, **named: Any) -> None:
        await send(self, message, *more, **named)
        if isinstance(message, str) and '"order.place"' in message:
            for id_ in CLIENT_ID.findall(message):
                stamp(id_, "bytes out")

    AnyIOStream.write, Connection.send = written, sent  # type: ignore[method-assign]


def save(path: str) -> None:
    """Write what was seen."""
    found = []
    for id_, stages in orders.items():
        cause = causes.get(id_, "")
        if cause in ticks:
            stages["tick"] = ticks[cause]
        found.append({"cause": cause, "account": accounts.get(id_, ""), **stages})
    Path(path).write_text(json.dumps(found), encoding="utf-8")


def main() -> None:
    """Hook, and run the command."""
    path = sys.argv.pop(1)
    for hook in (hook_router, hook_account, hook_writer, hook_gateway, hook_wires):
        hook()
    atexit.register(save, path)
    module(*COMMAND).main()


if __name__ == "__main__":
    main()

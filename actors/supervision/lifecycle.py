"""Start in order, each child proven alive; stop by name in reverse, under one deadline."""

from __future__ import annotations

import time

import pykka

from actors.core.errors import NotStarted
from actors.core.messages import Ping
from actors.runtime.actor import Ref
from actors.supervision.registry import (
    ChildSpec,
    log,
)


def start_in_order(specs: tuple[ChildSpec, ...], actors: dict[str, Ref]) -> None:
    """Start children one after the other; each must answer a ping before the next starts.

    Raises:
        ValueError: two specs of one name.
        NotStarted: a child did not answer in time.
    """
    if len({spec.name for spec in specs}) != len(specs):
        raise ValueError(f"children must have different names: {[s.name for s in specs]}")
    for spec in specs:
        ref = actors[spec.name] = spec.start()
        try:
            ref.ask(Ping(), timeout=spec.ready_seconds)
        except pykka.Timeout:
            crashes = ref.cell.crashes
            why = crashes[-1].error if crashes else "its on_start is still running"
            raise NotStarted(f"{spec.name} did not start within {spec.ready_seconds} s: {why}") from None
        log.info("started", actor=spec.name)


def stop_in_reverse(specs: tuple[ChildSpec, ...], actors: dict[str, Ref], timeout_s: float) -> list[str]:
    """Stop children in reverse start order, all within ``timeout_s``.

    Returns:
        Names of those that did not stop in time.
    """
    late = []
    deadline = time.monotonic() + timeout_s
    for spec in reversed(specs):
        ref = actors.pop(spec.name, None)
        if ref is not None:
            try:
                ref.stop(timeout=max(0.01, deadline - time.monotonic()))
            except Exception:  # noqa: BLE001 - the others must stop all the same
                log.exception("did not stop", actor=spec.name)
                late.append(spec.name)
    return late

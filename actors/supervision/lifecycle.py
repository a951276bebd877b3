"""Start by name, in the order of the specs, each child proven alive; stop by name in reverse, under one deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeVar

import pykka
import structlog

from actors.core.errors import NotStarted
from actors.core.messages import Ping
from actors.runtime.actor import Ref
from actors.supervision.registry import ChildSpec

log = structlog.get_logger("supervisor")

Parts = TypeVar("Parts")


def named(specs: Sequence[ChildSpec[Any]], names: Sequence[str]) -> list[ChildSpec[Any]]:
    """The specs of these names, in start order.

    Raises:
        ValueError: two specs of one name, or a name without a spec.
    """
    known = [spec.name for spec in specs]
    if len(set(known)) != len(known):
        raise ValueError(f"children must have different names: {known}")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]} is none of the children {known}")
    return [spec for spec in specs if spec.name in names]


def start(
    specs: Sequence[ChildSpec[Parts]],
    names: Sequence[str],
    parts: Parts,
    actors: dict[str, Ref],
    *,
    prove: bool = True,
) -> None:
    """Start children one after the other.

    Args:
        specs: all children, in start order.
        names: which of them.
        parts: what they are made of.
        actors: refs by name; the started ones are added.
        prove: each must answer a ping before the next starts. False where the caller's own thread
            runs the actors, as in simulation: there nothing answers before the caller runs them.

    Raises:
        ValueError: two specs of one name, or a name without a spec.
        NotStarted: a child did not answer in time.
    """
    for spec in named(specs, names):
        ref = actors[spec.name] = spec.start(parts)
        if prove:
            _answers(ref, spec.ready_seconds)
            log.info("started", actor=spec.name)


def _answers(ref: Ref, seconds: float) -> None:
    try:
        ref.ask(Ping(), timeout=seconds)
    except pykka.Timeout:
        crashes = ref.cell.crashes
        why = crashes[-1].error if crashes else "its on_start is still running"
        raise NotStarted(f"{ref.name} did not start within {seconds} s: {why}") from None


def stop(
    specs: Sequence[ChildSpec[Any]], names: Sequence[str], actors: dict[str, Ref], timeout_s: float
) -> list[str]:
    """Stop children in reverse start order, all within ``timeout_s``.

    Returns:
        Names of those that did not stop in time.

    Raises:
        ValueError: two specs of one name, or a name without a spec.
    """
    late = []
    deadline = time.monotonic() + timeout_s
    for spec in reversed(named(specs, names)):
        ref = actors.pop(spec.name, None)
        if ref is not None:
            try:
                ref.stop(timeout=max(0.01, deadline - time.monotonic()))
            except Exception:
                log.exception("did not stop", actor=spec.name)
                late.append(spec.name)
    return late

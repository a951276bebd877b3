"""The supervision tree: what there are hundreds of is counted, and named where it is in trouble."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actors.api import actors
from actors.api.actors import TROUBLED_LISTED, Inspector
from actors.api.errors import NotFound
from actors.api.lookup import Lookup
from actors.core.clearing_messages import clearing_name
from actors.runtime.cell import Status


def ref(name, status=Status.RUNNING, error=""):
    crashes = [SimpleNamespace(error=error)] if error else []
    return SimpleNamespace(
        name=name, cell=SimpleNamespace(status=status, restarts=int(bool(error)), crashes=crashes)
    )


def engine(clearings, accounts=()):
    core = [ref("supervisor"), ref("writer"), ref("gateway")]
    actors = {one.name: one for one in (*core, *clearings)}
    specs = [SimpleNamespace(name=name, group="") for name in actors if name != "supervisor"]
    registry = SimpleNamespace(specs=specs, groups={}, own_actors=lambda: list(accounts))
    gate, fleets = (
        SimpleNamespace(closers=(), closed_symbols=frozenset()),
        SimpleNamespace(origin=SimpleNamespace(fleet="abc123")),
    )
    return SimpleNamespace(actors=actors, registry=registry, gate=gate, fleets=fleets, find=actors.get)


def tree(*arguments):
    made = engine(*arguments)
    return Inspector(SimpleNamespace(engine=made, lookup=Lookup(made))).tree()


def named(count, **more):
    return [ref(clearing_name(f"S{n:03}USDT"), **more) for n in range(count)]


def test_hundreds_of_clearings_are_one_line():
    found = tree(named(312))
    assert [child.name for child in found.children] == ["writer", "gateway", "clearing", "accounts"]
    [clearing] = [child for child in found.children if child.name == "clearing"]
    assert (clearing.status, clearing.counts, clearing.children) == ("312 symbols", {"RUNNING": 312}, [])


def test_those_in_trouble_are_named_with_their_last_error():
    sick = ref(clearing_name("ETHUSDT"), Status.QUARANTINED, "StateCorrupt: no")
    [clearing] = [child for child in tree([*named(4), sick]).children if child.name == "clearing"]
    assert clearing.counts == {"RUNNING": 4, "QUARANTINED": 1}
    [child] = clearing.children
    assert (child.name, child.status, child.last_error) == (
        "clearing:ETHUSDT",
        "QUARANTINED",
        "StateCorrupt: no",
    )
    many = tree(named(TROUBLED_LISTED + 9, status=Status.CRASHED)).children[2]
    assert len(many.children) == TROUBLED_LISTED


def test_without_clearing_there_is_no_line_of_it():
    assert [child.name for child in tree([], [ref("acct-1")]).children] == ["writer", "gateway", "accounts"]


def test_an_unknown_actor_is_named_without_the_names_of_hundreds():
    with pytest.raises(NotFound, match=r"give an account id or one of supervisor, writer, gateway$"):
        Lookup(engine(named(312))).actor("nobody")


def followed(monkeypatch, reads):
    """What a follower of an actor gets that handles those messages between two looks, a tenth of a second apart."""
    now = SimpleNamespace(ns=0)
    script = iter(reads)

    async def sleep(seconds):
        now.ns += int(seconds * 1e9)

    def tap(now_ns, seconds, _rate):
        return SimpleNamespace(until_ns=now_ns + seconds * 10**9, skipped=0, read=lambda: next(script, []))

    monkeypatch.setattr(actors, "Tap", tap)
    monkeypatch.setattr(actors, "traced", lambda message, *_times: message)
    monkeypatch.setattr(actors.asyncio, "sleep", sleep)
    cell = SimpleNamespace(follow=lambda *_: True, unfollow=lambda _: None)
    made = SimpleNamespace(clock=SimpleNamespace(monotonic_ns=lambda: now.ns, wall_ms=lambda: 0))
    lookup = SimpleNamespace(actor=lambda _name: SimpleNamespace(cell=cell))
    inspector = Inspector(SimpleNamespace(engine=made, lookup=lookup))

    async def collect():
        return [line async for line in await inspector.follow("gateway", 3, 50)]

    return asyncio.run(collect())


END = b'{"ended":"the time is up","skipped":0}\n'


def test_a_follower_of_an_actor_that_is_idle_gets_an_empty_line_each_second(monkeypatch):
    assert followed(monkeypatch, []) == [b"\n"] * 3 + [END]


def test_what_an_actor_handles_puts_the_empty_line_off(monkeypatch):
    reads = [[], [], [("a", 0, 0), ("b", 0, 0)], *[[]] * 9, [("c", 0, 0)]]
    assert followed(monkeypatch, reads) == [b'"a"\n', b'"b"\n', b'"c"\n', b"\n", END]

"""A small supervised tree on the seeded dispatcher, for the supervisor's tests."""

from __future__ import annotations

import threading

from msgspec.structs import replace

from actors.assembly.build import Runtime, Settings, build, with_stand_ins
from actors.core.order_ids import FIXED
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.supervision.correlation import CorrelationPolicy
from actors.supervision.policy import RestartPolicy
from actors.supervision.registry import guard_name
from actors.venues.port import VenueConnection
from supervisor import CHILDREN, GROUPS

NAMES = tuple(spec.name for spec in CHILDREN)


class Child(DispatchedActor):
    def __init__(self, log=None):
        super().__init__()
        self.log = [] if log is None else log

    def on_receive(self, message):
        if message == "boom":
            raise RuntimeError("boom")
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, threading.Event):
            message.wait(10)
        self.log.append(message)

    def on_stop(self):
        self.log.append(f"{self.actor_urn} stopped")


class Unbuildable(Child):
    def __init__(self):
        raise RuntimeError("cannot be made")


class Waits(Child):
    def on_start(self):
        self.hold()


class Deaf(Child):
    def on_start(self):
        raise RuntimeError("cannot start")


SECOND = 1_000_000_000


class Tree:
    def __init__(self, accounts=("acct-1", "acct-2"), groups=None, **correlation):
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.alarms, self.halts = [], []
        self.assembly = build(
            Settings(
                origin=FIXED,
                groups=groups or GROUPS,
                correlation=CorrelationPolicy(at_least=3, **correlation),
            ),
            Runtime(
                main=self.dispatcher, io=self.dispatcher, alarm=self.alarms.append, halt=self.halts.append
            ),
            None,
            VenueConnection(instruments={}),
            tuple(
                replace(spec, policy=RestartPolicy(max_restarts=2))
                for spec in with_stand_ins({n: self.child(n) for n in NAMES})
            ),
        )
        self.registry, self.gate = self.assembly.registry, self.assembly.gate
        self.accounts, self.actors = self.assembly.accounts, self.assembly.actors
        self.registry.start_guard = self.start_guard
        self.assembly.supervise()
        self.assembly.start(*NAMES, prove=False)
        for name in accounts:
            self.accounts[name] = Child.start(name, self.dispatcher)
        self.dispatcher.run_until_quiet()

    def run(self, seconds=1):
        self.dispatcher.run_until(self.dispatcher.clock.monotonic_ns() + int(seconds * SECOND))

    def child(self, name):
        return lambda _parts: Child.start(name, self.dispatcher)

    def start_guard(self, id_):
        return Child.start(guard_name(id_), self.dispatcher, held=True)

    def cell(self, name):
        return self.registry.find(name).cell

    def log(self, name):
        return self.cell(name).actor.log

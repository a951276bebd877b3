"""A small supervised tree on the seeded dispatcher, for the supervisor's tests."""

from __future__ import annotations

import threading

from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.supervision.correlation import CorrelationPolicy
from actors.supervision.gate import TradingGate
from actors.supervision.messages import Crashed
from actors.supervision.policy import RestartPolicy
from actors.supervision.registry import ChildSpec, Registry, guard_name
from supervisor import GROUPS, Supervisor


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
        self.accounts, self.actors, self.alarms, self.gate = {}, {}, [], TradingGate()
        self.halts = []
        self.registry = Registry(
            accounts=self.accounts, quarantined={}, actors=self.actors, gate=self.gate, groups=groups or GROUPS,
            alarm=self.alarms.append, halt=self.halts.append, start_guard=self.start_guard,
            correlation=CorrelationPolicy(at_least=3, **correlation),
            specs=tuple(
                ChildSpec(name=n, start=lambda _parts: None, group=g, policy=RestartPolicy(max_restarts=2))
                for n, g in (("writer", ""), ("gateway", ""), ("router", "market"), ("feed", "market"))
            ),
        )  # fmt: skip
        self.actors["supervisor"] = Supervisor.start("supervisor", self.dispatcher, self.registry)
        self.dispatcher.on_crash = lambda cell, report, error: self.actors["supervisor"].tell(
            Crashed(cell, report, error)
        )
        for name in ("writer", "gateway", "router", "feed"):
            self.actors[name] = Child.start(name, self.dispatcher)
        for name in accounts:
            self.accounts[name] = Child.start(name, self.dispatcher)
        self.dispatcher.run_until_quiet()

    def run(self, seconds=1):
        self.dispatcher.run_until(self.dispatcher.clock.monotonic_ns() + int(seconds * SECOND))

    def start_guard(self, id_):
        return Child.start(guard_name(id_), self.dispatcher, held=True)

    def cell(self, name):
        return self.registry.find(name).cell

    def log(self, name):
        return self.cell(name).actor.log

"""The supervision tree as data: the engine's own actors, the accounts' actors, and how to find one by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from actors.core.units import AccountId
from actors.runtime.actor import Ref
from actors.supervision.correlation import CorrelationPolicy
from actors.supervision.gate import TradingGate
from actors.supervision.policy import RestartPolicy
from actors.supervision.strategy import Directives, Strategy, restarted_with

Parts = TypeVar("Parts")

LOOKS = 100
"""How often one looks again for an actor that changes its place just then; a second time nearly always finds it."""


class Fallback(Protocol):
    """A child's simpler way to serve, for when it failed too often as it should be."""

    def fall_back(self, why: str) -> str:
        """Serve in a simpler way from the next start on; says what that means, or nothing if there is no such way."""
        ...

    def restore(self) -> None:
        """Serve as it should from the next start on."""
        ...


class ChildSpec(msgspec.Struct, Generic[Parts], frozen=True, kw_only=True):
    """One of the engine's own actors.

    ``start`` creates it from the assembled parts and is called once: a restart goes through the
    cell, which keeps the mailbox and every ref valid. Children of one ``group`` fail by that
    group's strategy, in the order of the specs; without a group a child fails alone. Without one that is vital the engine
    halts, past that child's restarts; another one serves in a simpler way if it has one (``fallback``), else it stays down, and
    no new risk is taken until an operator restarts it.
    """

    name: str
    start: Callable[[Parts], Ref]
    group: str = ""
    policy: RestartPolicy = RestartPolicy(max_restarts=6)
    directives: Directives = msgspec.field(default_factory=dict)
    ready_seconds: float = 10.0
    is_vital: bool = True
    fallback: Fallback | None = None


class Registry(msgspec.Struct, kw_only=True):
    """All actors that the supervisor is responsible for, and whom it informs.

    ``accounts`` is where an account's actor is found by everyone; while one is quarantined its guard
    stands there and the actor itself in ``quarantined``. ``start_guard`` makes a guard.
    """

    accounts: dict[AccountId, Ref]
    quarantined: dict[AccountId, Ref]
    actors: dict[str, Ref]
    specs: tuple[ChildSpec[Any], ...]
    gate: TradingGate
    alarm: Callable[[str], None]
    halt: Callable[[str], None]
    start_guard: Callable[[AccountId], Ref]
    groups: dict[str, Strategy] = msgspec.field(default_factory=dict)
    correlation: CorrelationPolicy = CorrelationPolicy()

    def find(self, name: str) -> Ref | None:
        """The actor of a name; a quarantined account's own, not its guard. Callable from any thread."""
        return self._own(AccountId(name)) or self.actors.get(name)

    def own_actors(self) -> list[Ref]:
        """The accounts' own actors, those in quarantine too, and no guard. Callable from any thread."""
        refs = list(self.accounts.values())
        return [self._own(account_of(r.name)) or r if is_guard(r.name) else r for r in refs]

    def _own(self, id_: AccountId) -> Ref | None:
        for _ in range(LOOKS):
            found = self.quarantined.get(id_) or self.accounts.get(id_)
            if found is None or not is_guard(found.name):
                break
            # It went into quarantine between the two questions: it stands there now.
        return found

    def spec(self, name: str) -> ChildSpec[Any] | None:
        """The spec of one of the engine's own actors; None for accounts and guards."""
        return next((spec for spec in self.specs if spec.name == name), None)

    def add_specs(self, specs: Iterable[ChildSpec[Any]]) -> None:
        """More of the engine's own actors, such as those of symbols that were listed meanwhile; known names are left out."""
        known = {spec.name for spec in self.specs}
        self.specs = (*self.specs, *(spec for spec in specs if spec.name not in known))

    def is_core(self, name: str) -> bool:
        """Whether it is one of the engine's own actors: neither an account nor a guard."""
        return self.spec(name) is not None

    def group_of(self, name: str) -> tuple[str, ...]:
        """Who is restarted when this actor is, itself included, in start order."""
        spec = self.spec(name)
        if spec is None or not spec.group:
            return (name,)
        members = [s.name for s in self.specs if s.group == spec.group]
        return restarted_with(self.groups.get(spec.group, Strategy.ONE_FOR_ONE), members, name)


GUARD_PREFIX = "guard:"
"""Names of guards; no account id may begin like this."""


def guard_name(account_id: AccountId) -> str:
    """The name of an account's guard."""
    return GUARD_PREFIX + account_id


def is_guard(name: str) -> bool:
    """Whether an actor is a guard."""
    return name.startswith(GUARD_PREFIX)


def account_of(name: str) -> AccountId:
    """The account that an actor, a guard or the account's own, stands for."""
    return AccountId(name.removeprefix(GUARD_PREFIX))

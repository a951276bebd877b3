"""What operators do to actors and dead letters: each is recorded with who did it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pykka
import structlog

from actors import wire
from actors.api import views
from actors.api.sight import Conflict, NotFound, Sight
from actors.engine import ASK_SECONDS, Engine
from actors.errors import BadInput, BulkheadError
from actors.messages import FaultOnPurpose
from actors.persistence.desk import (
    AuditEntry,
    CausedOrder,
    DeadLetter,
    DeadLetterStatus,
    Desk,
    clean,
    wanted_status,
)
from actors.persistence.messages import QuarantineRecord
from actors.runtime.tree import Quarantine, Release, RestartNow
from actors.units import AccountId

log = structlog.get_logger("desk")

T = TypeVar("T")

BIGINT_MAX = 2**63 - 1


class OperatorsDesk:
    """See the module. Callable from any thread; ``who`` is the token's name."""

    def __init__(self, engine: Engine, sight: Sight) -> None:
        self._engine, self._sight = engine, sight

    # -- actors

    def restart(self, name: str, who: str) -> bool:
        """Restart one actor from its durable state; releases it if it is in quarantine."""
        self._sight.find(name)
        if name == "supervisor":
            raise BadInput("the supervisor cannot restart itself; restart the engine")
        self.audit(who, "restart", name)
        return self._ask_supervisor(RestartNow(name, by_operator=True))

    def quarantine(self, account_id: str, reason: str, who: str) -> bool:
        """Take one account out of service; a guard stands in for it."""
        self._account(account_id)
        if AccountId(account_id) in self._engine.quarantined:
            raise Conflict(f"{account_id} is in quarantine already; 'bulkhead inspect {account_id}' says why")
        self.audit(who, "quarantine", account_id, reason)
        return self._ask_supervisor(Quarantine(account_id, reason))

    def release(self, account_id: str, poison: views.Poison, who: str) -> views.Released:
        """Put an account back into service, and replay or drop the message that failed."""
        self._account(account_id)
        if AccountId(account_id) not in self._engine.quarantined:
            raise Conflict(f"{account_id} is not in quarantine")
        letter = self._poison_of(AccountId(account_id))
        message = None
        if poison is views.Poison.REPLAY:
            if letter is None:
                raise BadInput(f"{account_id} has no message to replay; release it with poison drop")
            message = wire.decode(letter.message_kind, letter.payload)
        self.audit(who, "release", account_id, poison)
        self._ask_supervisor(Release(account_id))
        if letter is None:
            return views.Released(dead_letter_id=None, poison=poison)
        status = DeadLetterStatus.REPLAYED if message is not None else DeadLetterStatus.DROPPED
        self._resolve(letter.dead_letter_id, status, who)
        if message is not None:
            # Its own mailbox, not the guard's, which stands in its place until the release is done.
            self._sight.find(account_id).tell(message)
        return views.Released(dead_letter_id=letter.dead_letter_id, poison=poison)

    def _poison_of(self, id_: AccountId) -> DeadLetter | None:
        """The message that brought an account into quarantine; none if somebody put it there by hand."""

        def find(desk: Desk) -> DeadLetter | None:
            record = next((r for r in desk.quarantined() if r.account_id == id_), None)
            if record is None or not record.error:
                return None
            letters = desk.dead_letters(id_, status=DeadLetterStatus.OPEN, limit=1)
            return letters[0] if letters and letters[0].error == record.error else None

        return self._at_desk(find)

    def fault(self, account_id: str, body: views.FaultBody, who: str) -> None:
        """Make an account fail on purpose, where the engine allows it."""
        if not self._engine.services.faults_allowed:
            raise BadInput("faults on purpose are off; start the engine with --faults-allowed to try them")
        self._account(account_id)
        self.audit(who, "fault", account_id, body.reason)
        self._engine.accounts[AccountId(account_id)].tell(FaultOnPurpose(body.reason, body.hang_ms))

    def quarantined(self) -> list[QuarantineRecord]:
        """Who is out of service, and why."""
        return self._at_desk(lambda d: d.quarantined())

    # -- dead letters

    def dead_letters(
        self, actor: str | None, status: str | None, limit: int, before: int
    ) -> list[DeadLetter]:
        """Stored dead letters, newest first."""
        wanted = wanted_status(status)
        name = None if actor is None else clean(actor)
        return self._at_desk(lambda d: d.dead_letters(name, status=wanted, limit=limit, before=before))

    def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """One dead letter."""
        found = None
        if 0 < dead_letter_id <= BIGINT_MAX:
            found = self._at_desk(lambda d: d.dead_letter(dead_letter_id))
        if found is None:
            raise NotFound(
                f"there is no dead letter {dead_letter_id}; 'bulkhead deadletters list' shows them"
            )
        return found

    def replay(self, dead_letter_id: int, who: str) -> DeadLetter:
        """Tell the message to its account once more."""
        letter = self.dead_letter(dead_letter_id)
        message = wire.decode(letter.message_kind, letter.payload)
        ref = self._account(letter.actor)
        if AccountId(letter.actor) in self._engine.quarantined:
            raise Conflict(f"{letter.actor} is in quarantine; release it first, or drop the message")
        self.audit(who, "replay", letter.actor, f"dead letter {dead_letter_id}: {letter.message}")
        self._resolve(dead_letter_id, DeadLetterStatus.REPLAYED, who)
        ref.tell(message)
        return self.dead_letter(dead_letter_id)

    def drop(self, dead_letter_id: int, who: str) -> DeadLetter:
        """Close a dead letter without a replay; it stays readable."""
        letter = self.dead_letter(dead_letter_id)
        self.audit(who, "drop", letter.actor, f"dead letter {dead_letter_id}: {letter.message}")
        self._resolve(dead_letter_id, DeadLetterStatus.DROPPED, who)
        return self.dead_letter(dead_letter_id)

    def _resolve(self, dead_letter_id: int, status: DeadLetterStatus, who: str) -> None:
        wall_ms = self._engine.clock.wall_ms()
        if not self._at_desk(lambda d: d.resolve(dead_letter_id, status, wall_ms, who)):
            letter = self.dead_letter(dead_letter_id)
            raise Conflict(
                f"dead letter {dead_letter_id} was {letter.status.lower()} by {letter.resolved_by} already"
            )

    # -- causes and audit

    def order(self, client_order_id: str) -> CausedOrder:
        """One order with what set it off."""
        id_ = clean(client_order_id)
        found = self._at_desk(lambda d: d.order(id_))
        if found is None:
            raise NotFound(f"there is no order {client_order_id!r}")
        return found

    def caused(self, cause: str, limit: int) -> list[CausedOrder]:
        """Orders that a cause set off."""
        wanted = clean(cause)
        return self._at_desk(lambda d: d.caused(wanted, limit))

    def history(self, account_id: str, limit: int) -> list[CausedOrder]:
        """An account's last orders, newest first."""
        return self._at_desk(lambda d: d.history(AccountId(account_id), limit))

    def audit(self, who: str, action: str, target: str, detail: str = "") -> None:
        """Record what an operator does, before it is done.

        Raises:
            StoreUnreachable: it cannot be recorded, so it is not done.
        """
        log.info("operator", who=who, action=action, target=target, detail=detail)
        wall_ms = self._engine.clock.wall_ms()
        self._at_desk(lambda d: d.record_audit(who, action, target, detail, wall_ms))

    def audits(self, target: str | None, limit: int) -> list[AuditEntry]:
        """What operators did, newest first."""
        wanted = None if target is None else clean(target)
        return self._at_desk(lambda d: d.audit(wanted, limit))

    # -- inside

    def _account(self, account_id: str) -> Any:
        ref = self._engine.accounts.get(AccountId(account_id))
        if ref is None:
            raise NotFound(f"there is no account {account_id!r}; 'bulkhead accounts' lists them")
        return ref

    def _at_desk(self, call: Callable[[Desk], T]) -> T:
        found: T = self._engine.ask_store(lambda store: store.at_desk(call))
        return found

    def _ask_supervisor(self, message: Any) -> bool:
        try:
            return bool(self._engine.actors["supervisor"].ask(message, timeout=ASK_SECONDS))
        except pykka.Timeout:
            raise BulkheadError(
                "the supervisor does not answer; it will do it as soon as its thread is free ('bulkhead stuck' says "
                "who holds it)"
            ) from None

"""What operators do to actors and dead letters: each is recorded with who did it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from actors.api import views
from actors.api.asking import Asking
from actors.api.pools import STORE
from actors.api.sight import Conflict, NotFound, Sight
from actors.assembly.engine import Engine
from actors.core import replay_codec
from actors.core.errors import BadInput, BulkheadError
from actors.core.messages import FaultOnPurpose
from actors.core.names import shown, told_text
from actors.core.records import AuditEntry, QuarantineRecord
from actors.core.units import AccountId
from actors.persistence.operator_records import (
    CausedOrder,
    DeadLetter,
    DeadLetterStatus,
    OperatorRecords,
    clean,
    wanted_status,
)
from actors.persistence.queries import FindPoison, ResolveDeadLetter
from actors.runtime.actor import Ref
from actors.supervision.alarms import AlarmEntry
from actors.supervision.messages import Quarantine, Release, RestartNow
from actors.supervision.operator_log import QUARANTINE, Act, with_fresh

T = TypeVar("T")

BIGINT_MAX = 2**63 - 1


class OperatorsDesk:
    """See the module. Runs in the API's event loop; ``who`` is the token's name."""

    def __init__(self, engine: Engine, sight: Sight, asking: Asking) -> None:
        self._engine, self._sight, self._asking = engine, sight, asking

    # -- actors

    async def restart(self, name: str, who: str) -> bool:
        """Restart one actor from its durable state; releases it if it is in quarantine."""
        self._sight.find(name)
        if name == "supervisor":
            raise BadInput("the supervisor cannot restart itself; restart the engine")
        await self._asking.record(Act(who, "restart", name))
        return await self._ask_supervisor(RestartNow(name, by_operator=True))

    async def quarantine(self, account_id: str, reason: str, who: str) -> bool:
        """Take one account out of service; its orders are cancelled at once, and a guard stands in for it."""
        self._account(account_id)
        told = told_text(reason, "reason")
        if AccountId(account_id) in self._engine.quarantined:
            raise Conflict(f"{account_id} is in quarantine already; 'bulkhead inspect {account_id}' says why")
        await self._asking.record(Act(who, QUARANTINE, account_id, told, protects=True))
        done = await self._ask_supervisor(Quarantine(account_id, told))
        # The guard does the same, once it has its state from Postgres.
        self._engine.cancel_at_once(AccountId(account_id), all_own=True)
        return done

    async def release(self, account_id: str, poison: views.Poison, who: str) -> views.Released:
        """Put an account back into service, and replay or drop the message that failed."""
        self._account(account_id)
        if AccountId(account_id) not in self._engine.quarantined:
            raise Conflict(f"{account_id} is not in quarantine")
        letter = await self._poison_of(AccountId(account_id))
        message = None
        if poison is views.Poison.REPLAY:
            if letter is None:
                raise BadInput(f"{account_id} has no message to replay; release it with poison drop")
            message = replay_codec.decode(letter.message_kind, letter.payload)
        await self._asking.record(Act(who, "release", account_id, poison))
        await self._ask_supervisor(Release(account_id))
        if letter is None:
            return views.Released(dead_letter_id=None, poison=poison)
        status = DeadLetterStatus.REPLAYED if message is not None else DeadLetterStatus.DROPPED
        await self._resolve(letter.dead_letter_id, status, who)
        if message is not None:
            # Its own mailbox, not the guard's, which stands in its place until the release is done.
            self._sight.find(account_id).tell(message)
        return views.Released(dead_letter_id=letter.dead_letter_id, poison=poison)

    async def _poison_of(self, id_: AccountId) -> DeadLetter | None:
        """The message that brought an account into quarantine; none if somebody put it there by hand."""
        # The writer has all that was told before: the quarantine may be a moment old.
        return await self._asking.store(FindPoison(id_))

    async def fault(self, account_id: str, body: views.FaultBody, who: str) -> None:
        """Make an account fail on purpose, where the engine allows it."""
        if not self._engine.context.faults_allowed:
            raise BadInput("faults on purpose are off; start the engine with --faults-allowed to try them")
        ref = self._account(account_id)
        reason = told_text(body.reason, "reason")
        await self._asking.record(Act(who, "fault", account_id, reason))
        ref.tell(FaultOnPurpose(reason, body.hang_ms))

    async def quarantined(self) -> list[QuarantineRecord]:
        """Who is out of service, and why."""
        return await self._read(lambda d: d.quarantined())

    # -- dead letters

    async def dead_letters(
        self, actor: str | None, status: str | None, limit: int, before: int
    ) -> list[DeadLetter]:
        """Stored dead letters, newest first."""
        wanted = wanted_status(status)
        name = None if actor is None else clean(actor)
        return await self._read(lambda d: d.dead_letters(name, status=wanted, limit=limit, before=before))

    async def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """One dead letter."""
        found = None
        if 0 < dead_letter_id <= BIGINT_MAX:
            found = await self._read(lambda d: d.dead_letter(dead_letter_id))
        if found is None:
            raise NotFound(
                f"there is no dead letter {dead_letter_id}; 'bulkhead deadletters list' shows them"
            )
        return found

    async def replay(self, dead_letter_id: int, who: str) -> DeadLetter:
        """Tell the message to its account once more."""
        letter = await self.dead_letter(dead_letter_id)
        message = replay_codec.decode(letter.message_kind, letter.payload)
        ref = self._account(letter.actor)
        if AccountId(letter.actor) in self._engine.quarantined:
            raise Conflict(f"{letter.actor} is in quarantine; release it first, or drop the message")
        await self._asking.record(
            Act(who, "replay", letter.actor, f"dead letter {dead_letter_id}: {letter.message}")
        )
        await self._resolve(dead_letter_id, DeadLetterStatus.REPLAYED, who)
        ref.tell(message)
        return await self.dead_letter(dead_letter_id)

    async def drop(self, dead_letter_id: int, who: str) -> DeadLetter:
        """Close a dead letter without a replay; it stays readable."""
        letter = await self.dead_letter(dead_letter_id)
        await self._asking.record(
            Act(who, "drop", letter.actor, f"dead letter {dead_letter_id}: {letter.message}")
        )
        await self._resolve(dead_letter_id, DeadLetterStatus.DROPPED, who)
        return await self.dead_letter(dead_letter_id)

    async def _resolve(self, dead_letter_id: int, status: DeadLetterStatus, who: str) -> None:
        wall_ms = self._engine.clock.wall_ms()
        done = await self._asking.store(ResolveDeadLetter(dead_letter_id, status, wall_ms, who))
        if not done:
            letter = await self.dead_letter(dead_letter_id)
            raise Conflict(
                f"dead letter {dead_letter_id} was {letter.status.lower()} by {letter.resolved_by} already"
            )

    # -- causes, audit and alarms

    async def order(self, client_order_id: str) -> CausedOrder:
        """One order with what set it off."""
        id_ = clean(client_order_id)
        found = await self._read(lambda d: d.order(id_))
        if found is None:
            raise NotFound(f"there is no order {shown(client_order_id)}")
        return found

    async def caused(self, cause: str, limit: int) -> list[CausedOrder]:
        """Orders that a cause set off."""
        wanted = clean(cause)
        return await self._read(lambda d: d.caused(wanted, limit))

    async def history(self, account_id: str, limit: int) -> list[CausedOrder]:
        """An account's last orders, newest first."""
        return await self._read(lambda d: d.history(AccountId(account_id), limit))

    async def audits(self, target: str | None, limit: int) -> list[AuditEntry]:
        """What operators did, newest first; also what Postgres does not have yet."""
        wanted = None if target is None else clean(target)
        fresh = self._engine.deeds.not_in_audit(wanted)
        return with_fresh(await self._read(lambda d: d.audit(wanted, limit)), fresh, limit)

    async def acknowledge(self, alarm_id: int, who: str) -> AlarmEntry:
        """A person has seen an alarm."""
        before = next((a for a in self._engine.alarms.entries if a.alarm_id == alarm_id), None)
        if before is None:
            raise NotFound(f"there is no alarm {alarm_id}; 'bulkhead alarms' lists them")
        if not before.is_open:
            raise Conflict(f"alarm {alarm_id} was acknowledged by {before.acknowledged_by} already")
        await self._asking.record(Act(who, "ack", f"alarm {alarm_id}", clean(before.text), protects=True))
        return self._engine.alarms.acknowledge(alarm_id, who) or before

    # -- inside

    def _account(self, account_id: str) -> Ref:
        ref = self._engine.accounts.get(AccountId(account_id))
        if ref is None:
            raise NotFound(f"there is no account {shown(account_id)}; 'bulkhead accounts' lists them")
        return ref

    async def _read(self, call: Callable[[OperatorRecords], T]) -> T:
        return await STORE.ask(self._engine.reader.with_operator_records, call)

    async def _ask_supervisor(self, message: Any) -> bool:
        try:
            return bool(await self._asking.answer(self._engine.actors["supervisor"], message))
        except BulkheadError as error:
            if type(error) is not BulkheadError:
                raise
            raise BulkheadError(
                "the supervisor does not answer; it will do it as soon as its thread is free ('bulkhead stuck' says "
                "who holds it)"
            ) from None

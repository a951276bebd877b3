"""Asking actors without a thread: what an operator does is kept first, then told, then answered.

Whoever asks is answered when it is durable; and when Postgres does not answer, that it is accepted and not
durable yet.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypeVar

import pykka
import structlog

from actors.api import awaiting
from actors.api.awaiting import Reply
from actors.api.pools import DEEDS, ORDERS
from actors.api.views import Pending
from actors.assembly.engine import ASK_SECONDS, Engine
from actors.core.errors import BulkheadError, NotRecorded, StoreUnreachable
from actors.core.units import AccountId
from actors.persistence.queries import Query
from actors.runtime.actor import Ref
from actors.subaccount.pipeline import Accepted, Rejected
from actors.supervision.operator_log import Act, Deed
from actors.supervision.registry import account_of

A = TypeVar("A")

log = structlog.get_logger("asking")

RECORD_SECONDS = 2.0
"""How long the disk may take to keep what an operator does."""

PROTECT_SECONDS = 0.15
"""After this, whoever asked for protection is told that it is accepted, if Postgres has been silent for as long."""

PATIENCE_SECONDS = 2.0
"""The same for everything else that operators ask."""

LOOK_SECONDS = 0.05


class Asking:
    """See the module. All of it runs in the API's event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what operators do

    async def record(self, act: Act) -> Deed:
        """Keep what an operator does, before it is done.

        Raises:
            NotRecorded: it cannot be kept, so it is not done. What protects is done all the same, with an alarm.
        """
        deeds = self._engine.deeds
        if not act.protects and not deeds.has_room():
            raise NotRecorded(
                "too much that operators did waits for Postgres already; only what protects is taken"
            )
        deed, written = deeds.begin(act)
        try:
            await asyncio.wait_for(asyncio.wrap_future(written), RECORD_SECONDS)
        except (NotRecorded, TimeoutError) as error:
            late = f"the disk of {self._engine.config.data_dir} takes more than {RECORD_SECONDS:.0f} s"
            text = str(error) or late
            if not act.protects:
                raise NotRecorded(
                    f"{text}; so it is not done. What protects is: freeze, close-out, cancel"
                ) from None
            log.warning(
                "done without a record", who=act.who, action=act.action, target=act.target, error=text
            )
        return deed

    async def command(self, ref: Ref, message: Any, act: Act) -> Accepted | Rejected | Pending:
        """Keep, tell and answer what an operator asks of an account.

        Args:
            ref: the account's actor, or its guard.
            message: what it is told.
            act: what that is to the audit; nobody waits long for the answer of what protects.
        """
        with DEEDS.taken_for():
            deed = await self.record(act)
            reply = Reply(lambda: self._engine.deeds.settled(deed))
            patience = PROTECT_SECONDS if act.protects else PATIENCE_SECONDS
            return await self._told(ref, message, reply, patience, again=act.message is not None)

    async def cancel(self, ref: Ref, message: Any) -> Accepted | Rejected | Pending:
        """Cancel an order: at once, also while Postgres is away."""
        with DEEDS.taken_for():
            return await self._told(ref, message, Reply(), PROTECT_SECONDS, again=False)

    async def _told(
        self, ref: Ref, message: Any, reply: Reply, patience: float, *, again: bool
    ) -> Accepted | Rejected | Pending:
        began = time.monotonic()
        ref.cell.dispatcher.post(ref.cell, message, reply)
        while True:
            await asyncio.wait({reply.awaited}, timeout=LOOK_SECONDS)
            if reply.awaited.done():
                answer: Accepted | Rejected = reply.awaited.result()
                return answer
            waited = time.monotonic() - began
            if waited >= patience - LOOK_SECONDS / 2 and self._engine.store_silent_s() >= patience * 2 / 3:
                self._engine.cancel_at_once(AccountId(account_of(ref.name)))
                return Pending(_not_durable(account_of(ref.name), again=again))
            if waited > ASK_SECONDS:
                raise _late(ref)

    # -- orders and the rest

    async def order(self, ref: Ref, message: Any) -> Accepted | Rejected:
        """What an account decides about an order; answered when it is durable."""
        with ORDERS.taken_for():
            answer: Accepted | Rejected = await self.answer(ref, message)
            return answer

    async def answer(self, ref: Ref, message: Any, seconds: float = ASK_SECONDS) -> Any:
        """What any actor answers.

        Raises:
            BulkheadError: nothing in time.
            pykka.ActorDeadError, Refused: it takes no messages, or too many wait.
        """
        return await awaiting.ask(ref, message, seconds)

    async def store(self, query: Query[A]) -> A:
        """The writer's answer to a query.

        Raises:
            StoreUnreachable: no answer in time; if it was begun, it still ends.
        """
        writer = self._engine.actors["writer"]
        with DEEDS.taken_for():
            try:
                answer: A = await self.answer(writer, self._engine.question(query))
            except (BulkheadError, pykka.ActorDeadError) as error:
                if type(error) is BulkheadError or isinstance(error, pykka.ActorDeadError):
                    raise StoreUnreachable(
                        "the writer does not answer; is Postgres away? If it was begun, it is still done: look "
                        "before you try again"
                    ) from None
                raise
            return answer

    def later(self, work: Any) -> None:
        """Let something go on after its asker was answered."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _late(ref: Ref) -> BulkheadError:
    return BulkheadError(
        f"{ref.name} did not answer in {ASK_SECONDS:.0f} s; 'bulkhead inspect {ref.name}' shows why"
    )


def _not_durable(account_id: str, *, again: bool) -> str:
    after = "a restart of the engine tells it again" if again else "a restart of the engine forgets it"
    return (
        f"{account_id}: accepted, but Postgres does not answer, so it is not durable yet ({after}). Orders are cancelled "
        "at once; what needs new orders follows when Postgres is back"
    )

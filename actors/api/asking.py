"""Asking actors without a thread: what an operator does is recorded first, then told to the actor, then answered.

A command is answered when its decision is durable. While Postgres does not answer, the command is accepted all the
same, and the answer says that it is not durable yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pykka
import structlog

from actors.api import awaiting
from actors.api.answers import Outcome, Pending
from actors.api.awaiting import Reply
from actors.api.lookup import Lookup
from actors.api.pools import OPERATORS, ORDERS
from actors.assembly.engine import Engine
from actors.assembly.store_questions import ASK_SECONDS
from actors.core.errors import BulkheadError, NotRecorded, StoreUnreachable
from actors.core.units import AccountId
from actors.persistence.queries import Query
from actors.runtime.actor import Ref
from actors.subaccount.pipeline import Accepted, Rejected
from actors.supervision.operator_log import LoggedAction, OperatorAction
from actors.supervision.registry import account_of

A = TypeVar("A")

log = structlog.get_logger("asking")

RECORD_SECONDS = 2.0
"""How long the disk may take to record what an operator does."""

PROTECT_SECONDS = 0.15
"""After this time a command that protects is answered as accepted, if Postgres has been silent for as long."""

PATIENCE_SECONDS = 2.0
"""The same for all other commands of operators."""

LOOK_SECONDS = 0.05
"""How often it is checked whether Postgres is silent."""


class Asker:
    """Asks the actors of one engine. All of it runs in the API's event loop."""

    def __init__(self, engine: Engine, lookup: Lookup) -> None:
        self._engine, self._lookup = engine, lookup
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what operators do

    async def record(self, act: OperatorAction) -> LoggedAction:
        """Record what an operator does on this machine's disk, before it is done.

        Raises:
            NotRecorded: it cannot be recorded, so it must not be done. What protects is done nevertheless,
                with a line in the log.
        """
        operator_log = self._engine.operator_log
        if not act.protects and not operator_log.has_room():
            raise NotRecorded(
                "too much that operators did waits for Postgres already; only what protects is taken"
            )
        logged, written = operator_log.begin(act)
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
        return logged

    async def command(self, message: Any, act: OperatorAction) -> Outcome:
        """Record what an operator asks of an account, tell it to the account, and wait for its answer.

        Args:
            message: the command.
            act: what the audit says of it; its target is the account. One that protects is answered soon, durable
                or not.

        Raises:
            NotFound: there is no such account.
        """
        ref = self._lookup.account(act.target)
        with OPERATORS.taken_for():
            logged = await self.record(act)
            reply = Reply(lambda: self._engine.operator_log.settled(logged))
            patience = PROTECT_SECONDS if act.protects else PATIENCE_SECONDS
            return await self._durable_or_pending(
                ref, message, reply, patience, again=act.message is not None
            )

    async def cancel(self, ref: Ref, message: Any) -> Outcome:
        """Cancel an order: at once, also while Postgres is away."""
        with OPERATORS.taken_for():
            return await self._durable_or_pending(ref, message, Reply(), PROTECT_SECONDS, again=False)

    async def _durable_or_pending(
        self, ref: Ref, message: Any, reply: Reply, patience: float, *, again: bool
    ) -> Outcome:
        """Post a command, and wait for the answer or until it is clear that Postgres is silent.

        An account answers only after the writer's commit. So while Postgres is silent no answer can come, though the
        account has decided. Two conditions must hold before the answer says so: we have waited for ``patience`` seconds, and
        Postgres has owed an answer for most of them. A slow account with a healthy Postgres is waited for.
        """
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
                raise awaiting.no_answer(ref, ASK_SECONDS)

    # -- orders and the rest

    async def order(self, ref: Ref, message: Any) -> Accepted | Rejected:
        """What an account decides about an order; answered when it is durable."""
        with ORDERS.taken_for():
            answer: Accepted | Rejected = await self.ask(ref, message)
            return answer

    async def ask(self, ref: Ref, message: Any, seconds: float = ASK_SECONDS) -> Any:
        """What any actor answers.

        Raises:
            BulkheadError: no answer in so many seconds.
            pykka.ActorDeadError: it is stopped.
            Refused: too many messages wait.
        """
        return await awaiting.ask(ref, message, seconds)

    async def ask_supervisor(self, message: Any) -> bool:
        """What the supervisor answers: whether it did something.

        Raises:
            BulkheadError: no answer in time; says that it will still be done.
        """
        try:
            return bool(await self.ask(self._engine.actors["supervisor"], message))
        except BulkheadError as error:
            if type(error) is not BulkheadError:
                raise
            raise BulkheadError(
                "the supervisor does not answer; it will do it as soon as its thread is free ('bulkhead stuck' says "
                "who holds it)"
            ) from None

    async def ask_store(
        self, query: Query[A], seconds: float = ASK_SECONDS, look: str = "look before you try again"
    ) -> A:
        """The writer's answer to a query, which runs after all messages that it has received before.

        Args:
            query: one that the writer has not begun a second before ``ASK_SECONDS`` is void.
            seconds: how long to wait; longer for one that itself lasts.
            look: what to do when no answer came in time.

        Raises:
            StoreUnreachable: no answer in time; if it was begun, it still ends.
        """
        writer = self._engine.actors["writer"]
        with OPERATORS.taken_for():
            try:
                answer: A = await self.ask(writer, self._engine.question(query), seconds)
            except (BulkheadError, pykka.ActorDeadError) as error:
                if type(error) is BulkheadError or isinstance(error, pykka.ActorDeadError):
                    raise StoreUnreachable(
                        f"the writer does not answer; is Postgres away? If it was begun, it is still done: {look}"
                    ) from None
                raise
            return answer

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Let ``work`` go on after the request was answered."""
        # The loop keeps only a weak reference to a task; without this set one could be collected before its end.
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _not_durable(account_id: str, *, again: bool) -> str:
    after = "if the engine restarts before that, it is " + ("repeated" if again else "lost")
    return (
        f"{account_id}: accepted, but Postgres does not answer, so it is not durable yet ({after}). Orders are cancelled "
        "at once; what needs new orders follows when Postgres is back"
    )

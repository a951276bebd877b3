"""Quarantine: take an account out of service, list those that are, put one back; make one fail on purpose.

In quarantine an account's actor keeps its mailbox, its state and the message that failed, and serves nothing. A guard, a
second actor of the same account with an empty mailbox, cancels its orders and watches its liquidation.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from litestar import Controller, get, post

from actors.api.deadletters import DeadLetterService
from actors.api.errors import ERRORS, Conflict
from actors.api.noun import Context, Noun
from actors.api.parameters import HttpRequest, who
from actors.api.values import LongText
from actors.core import replay_codec
from actors.core.errors import BadInput
from actors.core.messages import FaultOnPurpose
from actors.core.names import told_text
from actors.core.records import QuarantineRecord
from actors.core.units import AccountId
from actors.persistence.operator_records import DeadLetter, DeadLetterStatus
from actors.persistence.queries import FindPoison
from actors.supervision.messages import Quarantine, Release
from actors.supervision.operator_log import QUARANTINE, OperatorAction


class Poison(StrEnum):
    """What becomes of the message that brought an account into quarantine."""

    DROP = "drop"
    REPLAY = "replay"


class Released(msgspec.Struct, frozen=True):
    """What a release did with the message that failed."""

    dead_letter_id: int | None
    poison: Poison


class FaultBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../fault: raise, after blocking the turn for ``hang_ms``."""

    reason: LongText = "asked for"
    hang_ms: Annotated[int, msgspec.Meta(ge=0, le=120_000)] = 0


class ReasonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../quarantine."""

    reason: LongText = "asked for by an operator"


class ReleaseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../release."""

    poison: Poison = Poison.DROP


class QuarantineService:
    """Takes accounts out of service and back. Runs in the API's event loop; ``who`` is the name of the token."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup, self._asker = context.engine, context.lookup, context.asker
        self._letters = DeadLetterService(context)

    async def quarantine(self, account_id: str, reason: str, who: str) -> bool:
        """Take one account out of service; its orders are cancelled at once, and a guard takes its place.

        The supervisor does it: ``by_operator`` in ``actors/supervision/quarantine.py``.
        """
        self._lookup.account(account_id)
        text = told_text(reason, "reason")
        if AccountId(account_id) in self._engine.quarantined:
            raise Conflict(f"{account_id} is in quarantine already; 'bulkhead inspect {account_id}' says why")
        await self._asker.record(OperatorAction(who, QUARANTINE, account_id, text, protects=True))
        done = await self._asker.ask_supervisor(Quarantine(account_id, text))
        # The guard cancels too, but only once it has loaded the state from Postgres.
        self._engine.cancel_at_once(AccountId(account_id), all_own=True)
        return done

    async def release(self, account_id: str, poison: Poison, who: str) -> Released:
        """Put an account back into service, and replay or drop the message that failed."""
        self._lookup.account(account_id)
        if AccountId(account_id) not in self._engine.quarantined:
            raise Conflict(f"{account_id} is not in quarantine")
        letter = await self._poison_of(AccountId(account_id))
        message = None
        if poison is Poison.REPLAY:
            if letter is None:
                raise BadInput(f"{account_id} has no message to replay; release it with poison drop")
            message = replay_codec.decode(letter.message_kind, letter.payload)
        await self._asker.record(OperatorAction(who, "release", account_id, poison))
        await self._asker.ask_supervisor(Release(account_id))
        if letter is None:
            return Released(dead_letter_id=None, poison=poison)
        status = DeadLetterStatus.REPLAYED if message is not None else DeadLetterStatus.DROPPED
        await self._letters.resolve(letter.dead_letter_id, status, who)
        if message is not None:
            # Into the account's own mailbox, not the guard's, which has its place until the release is done.
            self._lookup.actor(account_id).tell(message)
        return Released(dead_letter_id=letter.dead_letter_id, poison=poison)

    async def _poison_of(self, id_: AccountId) -> DeadLetter | None:
        """The message that brought an account into quarantine; None if an operator put it there."""
        # Through the writer: the record of a quarantine that began just now may not be committed yet.
        return await self._asker.ask_store(FindPoison(id_))

    async def fault(self, account_id: str, body: FaultBody, who: str) -> None:
        """Make an account fail on purpose, where the engine allows it."""
        if not self._engine.context.faults_allowed:
            raise BadInput("faults on purpose are off; start the engine with --faults-allowed to try them")
        ref = self._lookup.account(account_id)
        reason = told_text(body.reason, "reason")
        await self._asker.record(OperatorAction(who, "fault", account_id, reason))
        ref.tell(FaultOnPurpose(reason, body.hang_ms))

    async def quarantined(self) -> list[QuarantineRecord]:
        """The accounts that are out of service, and why."""
        return await self._lookup.read(lambda records: records.quarantined())


class QuarantineRoutes(Controller):
    """Accounts into quarantine and out of it."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("accounts",)

    @post("/quarantine", responses=ERRORS, status_code=200)
    async def quarantine(
        self, request: HttpRequest, quarantines: QuarantineService, account_id: str, data: ReasonBody
    ) -> dict[str, bool]:
        """Take an account out of service; a guard cancels its orders and watches its liquidation."""
        return {"quarantined": await quarantines.quarantine(account_id, data.reason, who(request))}

    @post("/release", responses=ERRORS, status_code=200)
    async def release(
        self, request: HttpRequest, quarantines: QuarantineService, account_id: str, data: ReleaseBody
    ) -> Released:
        """Put an account back into service, and replay or drop the message that failed."""
        return await quarantines.release(account_id, data.poison, who(request))

    @post("/fault", responses=ERRORS, status_code=200)
    async def fault(
        self, request: HttpRequest, quarantines: QuarantineService, account_id: str, data: FaultBody
    ) -> dict[str, bool]:
        """Make an account fail, if the engine was started with faults allowed."""
        await quarantines.fault(account_id, data, who(request))
        return {"sent": True}


class QuarantinedRoutes(Controller):
    """All accounts in quarantine."""

    path = "/v1/quarantine"
    tags = ("orders",)

    @get(responses=ERRORS)
    async def quarantined(self, quarantines: QuarantineService) -> list[QuarantineRecord]:
        """Accounts that are out of service, and why."""
        return await quarantines.quarantined()


NOUN = Noun({"quarantines": QuarantineService}, (QuarantineRoutes, QuarantinedRoutes))

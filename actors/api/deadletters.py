"""Dead letters: messages that no actor could handle. List them, replay or drop one."""

from __future__ import annotations

from litestar import Controller, Response, get, post
from msgspec.structs import replace

from actors.api.errors import ERRORS, Conflict, NotFound
from actors.api.noun import Context, Noun
from actors.api.parameters import BIGINT_MAX, CAPTURE_TYPE, HttpRequest, Limit, Offset, who
from actors.core import replay_codec
from actors.core.units import AccountId
from actors.persistence.operator_records import DeadLetter, DeadLetterStatus, clean, wanted_status
from actors.persistence.queries import ResolveDeadLetter
from actors.subaccount import capture
from actors.supervision.operator_log import OperatorAction


class DeadLetterService:
    """Reads stored dead letters and resolves them. Runs in the API's event loop; ``who`` is the token's name."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup, self._asker = context.engine, context.lookup, context.asker

    async def dead_letters(
        self, actor: str | None, status: str | None, limit: int, before: int
    ) -> list[DeadLetter]:
        """Stored dead letters, newest first."""
        wanted = wanted_status(status)
        name = None if actor is None else clean(actor)
        return await self._lookup.read(
            lambda records: records.dead_letters(name, status=wanted, limit=limit, before=before)
        )

    async def dead_letter(self, dead_letter_id: int) -> DeadLetter:
        """One dead letter.

        Raises:
            NotFound: there is none of that number.
        """
        found = None
        if 0 < dead_letter_id <= BIGINT_MAX:
            found = await self._lookup.read(lambda records: records.dead_letter(dead_letter_id))
        if found is None:
            raise NotFound(
                f"there is no dead letter {dead_letter_id}; 'bulkhead deadletters list' shows them"
            )
        return found

    async def export(self, dead_letter_id: int) -> bytes:
        """A dead letter as a capture: the state that it met, message and market inputs.

        Raises:
            NotFound: there is none of that number.
            Conflict: what its failure was made of is not known.
        """
        letter = await self.dead_letter(dead_letter_id)
        data = await self._lookup.read(lambda records: records.capture_of(dead_letter_id))
        if not data:
            raise Conflict(
                f"dead letter {dead_letter_id} of {letter.actor} cannot be exported: only a decision of an account that failed "
                "can be made again, and only one that this release or a later one recorded"
            )
        kept = capture.decode(data, f"dead letter {dead_letter_id}")
        return capture.encode(replace(kept, dead_letter=dead_letter_id))

    async def replay(self, dead_letter_id: int, who: str) -> DeadLetter:
        """Tell the message to its account once more."""
        letter = await self.dead_letter(dead_letter_id)
        message = replay_codec.decode(letter.message_kind, letter.payload)
        ref = self._lookup.account(letter.actor)
        if AccountId(letter.actor) in self._engine.quarantined:
            raise Conflict(f"{letter.actor} is in quarantine; release it first, or drop the message")
        await self._asker.record(
            OperatorAction(who, "replay", letter.actor, f"dead letter {dead_letter_id}: {letter.message}")
        )
        # First it is resolved, then told: of two operators who replay it at the same time one gets a Conflict, and
        # the message is told once.
        await self.resolve(dead_letter_id, DeadLetterStatus.REPLAYED, who)
        ref.tell(message)
        return await self.dead_letter(dead_letter_id)

    async def drop(self, dead_letter_id: int, who: str) -> DeadLetter:
        """Close a dead letter without a replay; it stays readable."""
        letter = await self.dead_letter(dead_letter_id)
        await self._asker.record(
            OperatorAction(who, "drop", letter.actor, f"dead letter {dead_letter_id}: {letter.message}")
        )
        await self.resolve(dead_letter_id, DeadLetterStatus.DROPPED, who)
        return await self.dead_letter(dead_letter_id)

    async def resolve(self, dead_letter_id: int, status: DeadLetterStatus, who: str) -> None:
        """Store what became of a dead letter.

        Raises:
            Conflict: it was resolved already.
        """
        wall_ms = self._engine.clock.wall_ms()
        done = await self._asker.ask_store(ResolveDeadLetter(dead_letter_id, status, wall_ms, who))
        if not done:
            letter = await self.dead_letter(dead_letter_id)
            raise Conflict(
                f"dead letter {dead_letter_id} was {letter.status.lower()} by {letter.resolved_by} already"
            )


class DeadLetterRoutes(Controller):
    """Messages that no actor could handle."""

    path = "/v1/deadletters"
    tags = ("dead letters",)

    @get(responses=ERRORS)
    async def dead_letters(
        self,
        letters: DeadLetterService,
        actor: str | None = None,
        status: str | None = None,
        limit: Limit = 50,
        before: Offset = 0,
    ) -> list[DeadLetter]:
        """Newest first; ``status`` OPEN, REPLAYED or DROPPED; ``before`` an id, to page on."""
        return await letters.dead_letters(actor, status, limit, before)

    @get("/{dead_letter_id:int}", responses=ERRORS)
    async def dead_letter(self, letters: DeadLetterService, dead_letter_id: int) -> DeadLetter:
        """One dead letter, with its traceback and the state that it met."""
        return await letters.dead_letter(dead_letter_id)

    @get("/{dead_letter_id:int}/export", responses=ERRORS, media_type=CAPTURE_TYPE)
    async def export(self, letters: DeadLetterService, dead_letter_id: int) -> Response[bytes]:
        """The failure with all that it was made of, as a file for ``bulkhead rerun``."""
        return Response(await letters.export(dead_letter_id), media_type=CAPTURE_TYPE)

    @post("/{dead_letter_id:int}/replay", responses=ERRORS, status_code=200)
    async def replay(
        self, request: HttpRequest, letters: DeadLetterService, dead_letter_id: int
    ) -> DeadLetter:
        """Tell the message to its account once more."""
        return await letters.replay(dead_letter_id, who(request))

    @post("/{dead_letter_id:int}/drop", responses=ERRORS, status_code=200)
    async def drop(self, request: HttpRequest, letters: DeadLetterService, dead_letter_id: int) -> DeadLetter:
        """Close a dead letter without a replay; it stays readable."""
        return await letters.drop(dead_letter_id, who(request))


NOUN = Noun({"letters": DeadLetterService}, (DeadLetterRoutes,))

"""Time travel: an account as it was, what changed between two points in time, and a capture of its last decisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import psycopg
from litestar import Controller, Response, get
from litestar.params import Parameter

from actors.api.account_views import account_view
from actors.api.answers import plain_json
from actors.api.errors import ERRORS
from actors.api.noun import Context, Noun
from actors.api.parameters import CAPTURE_TYPE, Limit
from actors.api.pools import INSPECT, STORE
from actors.assembly.past_views import DiffView, PastView, check_order, diff_view, past_view
from actors.core.errors import StoreBusy, StoreUnreachable
from actors.core.messages import Wake
from actors.core.order_ids import FIXED
from actors.core.units import AccountId, Nanos, Symbol
from actors.persistence.archive.folder import folder_of
from actors.persistence.journal import Entry
from actors.persistence.past import Past, Polite, Progress, rows, stand, when
from actors.runtime.cell import Status
from actors.runtime.failure_text import traceback_text
from actors.subaccount import capture
from actors.subaccount.capture import Capture, CapturedDecision, Handled
from actors.subaccount.market import Market
from actors.subaccount.recording import RECORDED_OF_ONE, Action, Recorded, decide_in, inputs_of, watched
from actors.subaccount.state import AccountState

V = TypeVar("V")

FOLD_SECONDS = 20.0
"""A fold beside a running engine ends after so long; its client waits for thirty seconds."""

CURE = "give the database itself with --dsn, or give a later point"
NO_MARKET = Market({}, {}, Nanos(0), 0, FIXED)

Last = Annotated[int, Parameter(ge=0, le=RECORDED_OF_ONE)]


def shown_past(found: Past) -> PastView:
    """A past state with what is shown of a live account, as far as that needs no price."""
    live = msgspec.to_builtins(account_view(found.state, Status.STOPPED, 0, NO_MARKET))
    return past_view(
        found, {name: value for name, value in live.items() if name not in {"actor", "restarts"}}
    )


def past_of(  # noqa: PLR0913 - what a person gives, and how it is done
    connection: psycopg.Connection[Any],
    account: str,
    at: str,
    now_ms: int,
    progress: Progress,
    folder: Path | None = None,
) -> PastView:
    """An account as it was; see ``persistence.past``. ``folder``: of archived files."""
    return shown_past(stand(connection, account, when(at, now_ms), progress, folder))


def diff_of(  # noqa: PLR0913 - what a person gives, and how it is done
    connection: psycopg.Connection[Any],
    account: str,
    before: str,
    after: str,
    limit: int,
    now_ms: int,
    progress: Progress,
    folder: Path | None = None,
) -> DiffView:
    """What changed of an account between two points; see ``persistence.past``. ``folder``: of archived files."""
    was = stand(connection, account, when(before, now_ms), progress, folder)
    is_ = stand(connection, account, when(after, now_ms), progress, folder)
    check_order(was.point, is_.point)
    between = rows(connection, account, was.point.sequence, is_.point.sequence, folder)
    return diff_view(was, is_, between, limit)


class TimeTravelService:
    """Reads the past of accounts, and captures their present. Runs in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup = context.engine, context.lookup
        config = context.engine.config
        self._archive = folder_of(config.archive_dir, Path(config.data_dir))

    async def at(self, account_id: str, at: str) -> PastView:
        """An account as it was."""
        return await self._ask(
            lambda c, now_ms, polite: past_of(c, account_id, at, now_ms, polite, self._archive)
        )

    async def diff(self, account_id: str, before: str, after: str, limit: int) -> DiffView:
        """What changed of an account."""
        return await self._ask(
            lambda c, now_ms, polite: diff_of(
                c, account_id, before, after, limit, now_ms, polite, self._archive
            )
        )

    async def _ask(self, question: Callable[[psycopg.Connection[Any], int, Progress], V]) -> V:
        now_ms = self._engine.clock.wall_ms()
        ask = self._engine.reader.ask

        def asked() -> V:
            return ask(lambda connection: question(connection, now_ms, Polite(FOLD_SECONDS, CURE)))

        return await STORE.within(FOLD_SECONDS + 5, asked)

    async def capture(self, account_id: str, last: int) -> bytes:
        """The last decisions of an account with all that they were made of, as a file.

        Raises:
            NotFound: there is no such account, or its state is not loaded.
        """
        state = self._lookup.state(account_id)
        recorded = self._engine.context.recorder.of(AccountId(account_id))
        recorded = recorded[-last:] if last else []
        found = {row.sequence: row for row in await self._rows(account_id, recorded)}
        look = await INSPECT.run(self._look, state)
        decisions = [_of_journal(capture.captured(one), one, found) for one in recorded]
        ref = self._lookup.account(account_id)
        trace = ref.cell.snapshot(0).trace
        made = Capture(
            account=account_id,
            made_ms=self._engine.clock.wall_ms(),
            program=self._engine.context.program,
            decisions=(*decisions, look),
            trace=tuple(
                Handled(
                    at_ms=one.at_ms,
                    kind=one.kind,
                    cause=one.cause,
                    content=one.content,
                    took_us=round(one.took_us),
                )
                for one in trace
            ),
        )
        return capture.encode(made)

    async def _rows(self, account_id: str, recorded: list[Recorded]) -> list[Entry]:
        decided = [one.before.sequence for one in recorded if one.facts]
        if not decided:
            return []
        ask, first, last = self._engine.reader.ask, min(decided), max(decided) + 1
        try:
            return await STORE.ask(ask, lambda connection: list(rows(connection, account_id, first, last)))
        except (StoreUnreachable, StoreBusy):
            return []  # what was decided is in memory; that it is durable cannot be said now

    def _look(self, state: AccountState) -> CapturedDecision:
        """What the account would decide now; nothing is done."""
        market = watched(self._lookup.market())
        symbol = state.symbols[0] if state.positions else Symbol("")
        message = Wake(symbol, "capture")
        try:
            decision = decide_in(market, state, message)
        except Exception as error:  # noqa: BLE001 - that it fails is what the capture is to show
            failed = Recorded(before=state, message=message, inputs=inputs_of(market))
            text = f"{type(error).__name__}: {error}"
            return capture.captured(failed, text, traceback_text(error), is_look=True)
        seen = Recorded(
            before=state,
            message=message,
            inputs=inputs_of(market),
            action=Action.DECIDE,
            facts=decision.facts,
            reply=decision.reply,
        )
        return capture.captured(seen, is_look=True)


def _of_journal(decision: CapturedDecision, recorded: Recorded, found: dict[int, Entry]) -> CapturedDecision:
    """A decision with the facts of its row, if it has one: of a decision that was lost another may have the number."""
    row = found.get(decision.sequence)
    is_it = (
        row is not None
        and recorded.facts
        and recorded.inputs is not None
        and (row.cause, row.wall_ms) == (decision.cause, recorded.inputs.wall_ms)
    )
    if row is None or not is_it:
        return decision
    return msgspec.structs.replace(
        decision, position=row.position, facts_version=row.version, facts=msgspec.Raw(row.facts)
    )


class TimeTravelRoutes(Controller):
    """An account's past and its last decisions."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("time travel",)

    @get("/at", responses=ERRORS)
    async def at(self, travel: TimeTravelService, account_id: str, point: str) -> Response[Any]:
        """The account as it was: ``point`` is a UTC time, ``-15m``, a position of the journal, ``#SEQUENCE`` or ``now``."""
        return plain_json(await travel.at(account_id, point))

    @get("/diff", responses=ERRORS)
    async def diff(
        self,
        travel: TimeTravelService,
        account_id: str,
        before: str,
        after: str = "now",
        limit: Limit = 1_000,
    ) -> Response[Any]:
        """What changed between two points, field by field, and the decisions between them; ``limit`` of these."""
        return plain_json(await travel.diff(account_id, before, after, limit))

    @get("/capture", responses=ERRORS, media_type=CAPTURE_TYPE)
    async def capture(
        self, travel: TimeTravelService, account_id: str, last: Last = RECORDED_OF_ONE
    ) -> Response[bytes]:
        """The account's last decisions with all that they were made of, as a file for ``bulkhead rerun``."""
        return Response(await travel.capture(account_id, last), media_type=CAPTURE_TYPE)


NOUN = Noun({"travel": TimeTravelService}, (TimeTravelRoutes,))

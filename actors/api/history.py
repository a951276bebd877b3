"""What happened: the history of one account or of all, their alerts, and an account's statement of a period."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from litestar import Controller, get
from litestar.params import Parameter

from actors.api.errors import ERRORS
from actors.api.noun import Context, Noun
from actors.api.parameters import Limit
from actors.core.units import AccountId, Symbol
from actors.persistence import alert_history, history
from actors.persistence.alert_history import AlertRecord
from actors.persistence.history import Page, Wanted
from actors.persistence.history_records import kinds_of
from actors.persistence.operator_records import clean
from actors.persistence.refused_commands import RefusedCommands
from actors.persistence.statement import Statement, statement

MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999."""

Milliseconds = Annotated[int, Parameter(ge=0, le=MS_MAX)]


class HistoryService:
    """Reads what happened from Postgres, on a read-only connection. Runs in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup = context.engine, context.lookup

    async def page(self, wanted: Wanted, limit: int, before: str | None) -> Page:
        """One page of a history."""
        if wanted.account_id is not None:
            self._lookup.account(wanted.account_id)
        refused = RefusedCommands(Path(self._engine.config.data_dir))
        return await self._lookup.read_tables(
            partial(history.page, wanted=wanted, limit=limit, before=before, refused=refused)
        )

    async def alerts(
        self, account_id: str | None, from_ms: int, limit: int, before: str | None
    ) -> list[AlertRecord]:
        """Alerts, newest first."""
        if account_id is not None:
            self._lookup.account(account_id)
        id_ = None if account_id is None else AccountId(account_id)
        return await self._lookup.read_tables(
            partial(alert_history.alerts, account_id=id_, from_ms=from_ms, limit=limit, before=before)
        )

    async def statement(self, account_id: str, from_ms: int, to_ms: int) -> Statement:
        """An account's statement of a period."""
        self._lookup.account(account_id)
        id_, asset = AccountId(account_id), self._engine.config.margin_asset
        return await self._lookup.read_tables(
            partial(statement, account_id=id_, from_ms=from_ms, to_ms=to_ms, asset=asset)
        )


class HistoryRoutes(Controller):
    """History and alerts of one account or of all."""

    path = "/v1"
    tags = ("history",)

    @get("/history", responses=ERRORS)
    async def history(  # noqa: PLR0913 - one per filter
        self,
        history: HistoryService,
        account_id: str | None = None,
        symbol: str | None = None,
        kind: list[str] | None = None,
        from_ms: Milliseconds = 0,
        to_ms: Milliseconds = MS_MAX,
        limit: Limit = 100,
        before: str | None = None,
    ) -> Page:
        """Orders, refusals, trades, closes, liquidations, funding and balance changes, newest first; ``next`` pages on."""
        wanted = Wanted(
            account_id=None if account_id is None else AccountId(account_id),
            symbol=None if symbol is None else Symbol(clean(symbol).upper()),
            kinds=kinds_of(kind or ()),
            from_ms=from_ms,
            to_ms=to_ms,
        )
        return await history.page(wanted, limit, before)

    @get("/alerts", responses=ERRORS)
    async def alerts(
        self,
        history: HistoryService,
        account_id: str | None = None,
        from_ms: Milliseconds = 0,
        limit: Limit = 100,
        before: str | None = None,
    ) -> list[AlertRecord]:
        """Alerts of accounts, newest first: positions, breaches, breakers, bad debt. ``before`` is an id, to page on."""
        return await history.alerts(account_id, from_ms, limit, before)

    @get("/accounts/{account_id:str}/statement", responses=ERRORS)
    async def statement(
        self, history: HistoryService, account_id: str, from_ms: Milliseconds, to_ms: Milliseconds
    ) -> Statement:
        """Opening balance, entries, trades, closing balance and open positions of a period; it adds up, or is refused."""
        return await history.statement(account_id, from_ms, to_ms)


NOUN = Noun({"history": HistoryService}, (HistoryRoutes,))

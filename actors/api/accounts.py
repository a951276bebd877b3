"""Accounts: create, list, look at one, deposit and withdraw, status, liquidation mode, positions, and how they did.

The structs of requests and answers are in ``account_views.py``; limits and breaker are nouns of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Controller, Response, get, post

from actors.api.account_views import (
    AccountBody,
    AccountView,
    AmountBody,
    ClosedPositionView,
    FeeBody,
    KeptAccount,
    ModeBody,
    PositionView,
    account_view,
    kept_account,
    new_account,
    position_views,
)
from actors.api.answers import OUTCOMES, Outcome, outcome_response
from actors.api.errors import ERRORS, STARTING, Starting
from actors.api.lookup import Lookup, account_state, no_state
from actors.api.noun import Context, Noun
from actors.api.parameters import HttpRequest, Limit, Offset, who
from actors.api.pools import INSPECT, REDIS
from actors.api.values import WhyBody, check_length, decimal_of
from actors.assembly.store_questions import ASK_SECONDS
from actors.core.enums import AccountStatus, ReconsiderReason
from actors.core.errors import BadInput, BulkheadError, RedisRefused, RedisUnreachable
from actors.core.messages import AdjustBalance, Reconsider, Reopen, SetMode, SetStatus, SettleFee
from actors.core.names import checked_id, checked_text, shown, told_text
from actors.core.units import AccountId, Symbol
from actors.persistence.operator_records import clean
from actors.runtime.actor import Ref
from actors.subaccount.market import Market
from actors.subaccount.report import RiskReport, report
from actors.subaccount.situation import Situation
from actors.supervision.operator_log import EVERYBODY, OperatorAction
from actors.supervision.registry import account_of

CREATE_SECONDS = 0.0015
"""How much longer an answer is waited for with each account of a request: five times what one takes on a machine that is busy
with other things. The most that one request may have are waited for less long than our client waits."""

REPORT_TRADES = 10_000
"""Closed positions that a report covers."""


class AccountService:
    """Looks at accounts and commands them.

    The three methods that are not coroutines walk over accounts and may run in any thread; the others run in the API's
    event loop. ``who`` is the name of the operator's token.
    """

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup, self._asker = context.engine, context.lookup, context.asker

    # -- looking

    def accounts(self, limit: int, offset: int) -> list[AccountView]:
        """Accounts in the order in which they were started."""
        market = self._lookup.market()
        refs = list(self._engine.accounts.values())[offset : offset + limit]
        return [view for ref in refs if (view := self._view(ref, market)) is not None]

    async def account(self, account_id: str) -> AccountView | KeptAccount:
        """One account; one that is not loaded yet as Redis has it.

        Raises:
            Starting: the engine has no accounts yet, and Redis not this one; says why.
            NotFound: there is no such account, or it has no state and Redis none of it.
        """
        if not self._engine.has_accounts:
            return await REDIS.run(self._kept, account_id, Starting(STARTING))
        view = await INSPECT.run(self._account, account_id)
        if view is not None:
            return view
        return await REDIS.run(self._kept, account_id, no_state(account_id))

    def _account(self, account_id: str) -> AccountView | None:
        return self._view(self._lookup.account(account_id), self._lookup.market())

    def _kept(self, account_id: str, why: BulkheadError) -> KeptAccount:
        link, id_ = self._engine.redis, AccountId(checked_id(account_id, "account_id"))
        if link.stats is None:
            raise why
        try:
            found = link.snapshot(id_)
        except (RedisUnreachable, RedisRefused) as error:
            raise type(why)(f"{why}; Redis has nothing to show meanwhile: {error}") from None
        if found is None:
            raise type(why)(f"{why}; Redis has no snapshot of {shown(account_id)} to show meanwhile")
        return kept_account(found, self._engine.clock.wall_ms())

    def positions(self, account_id: str | None, limit: int) -> list[PositionView]:
        """Open positions of one account or of all."""
        market = self._lookup.market()
        refs = [self._lookup.account(account_id)] if account_id else list(self._engine.accounts.values())
        found: list[PositionView] = []
        for ref in refs:
            state = account_state(ref)
            if state is not None:
                found += position_views(state, market, self._engine.redis.price)
            if len(found) >= limit:
                break
        return found[:limit]

    def _view(self, ref: Ref, market: Market) -> AccountView | None:
        own = self._engine.find(account_of(ref.name)) or ref
        # A guard's state is newer than that of the account whose place it took. Until the guard has loaded it, the
        # account's last one is shown. Status and restarts are always the account's own.
        state = account_state(ref) or account_state(own)
        if state is None:
            return None
        return account_view(state, own.cell.status, own.cell.restarts, market, self._engine.redis.price)

    # -- the past

    async def closed(
        self, account_id: str, limit: int, strategy: str | None = None
    ) -> list[ClosedPositionView]:
        """Closed positions, newest first."""
        return await closed_positions(self._lookup, account_id, limit, strategy)

    async def report(self, account_id: str) -> RiskReport:
        """How an account did, and what to worry about."""
        state = self._lookup.state(account_id)
        closed = (await self.closed(account_id, REPORT_TRADES))[::-1]
        found = await INSPECT.run(report, Situation(state, self._lookup.market()), closed)
        if found is None:
            raise BadInput(f"a position of {account_id} has no fresh price; a report needs one of each")
        return found

    # -- commands

    async def create(self, bodies: Sequence[AccountBody], who: str) -> int:
        """Create accounts, all or none."""
        check_length(bodies)
        creation = self._engine.creation([new_account(b) for b in bodies])
        names = ", ".join(f"{body.account_id} ({body.deposit})" for body in bodies[:20])
        await self._asker.record(OperatorAction(who, "create", EVERYBODY, f"{len(bodies)}: {names}"))
        first = bodies[0].account_id if bodies else ""
        look = f"of {len(bodies):,} accounts all are created then, or none; before you try again see whether there is {shown(first)}"
        return await self._asker.ask_store(creation, ASK_SECONDS + len(bodies) * CREATE_SECONDS, look)

    async def adjust(self, account_id: str, body: AmountBody, who: str) -> Outcome:
        """Deposit or withdraw."""
        self._lookup.account(account_id)  # named before a bad amount
        amount = decimal_of(body.amount, "amount")
        reason = checked_text(body.reason, "reason") or ("WITHDRAWAL" if amount < 0 else "DEPOSIT")
        act = OperatorAction(who, "balance", account_id, f"{amount} {body.reason}")
        return await self._asker.command(AdjustBalance(amount, reason), act)

    async def set_status(self, account_id: str, status: AccountStatus, who: str) -> Outcome:
        """Freeze or unfreeze."""
        freezes = status is AccountStatus.FROZEN
        action = "freeze" if freezes else "unfreeze"
        message = SetStatus(status)
        return await self._asker.command(
            message, OperatorAction(who, action, account_id, "", message, protects=freezes)
        )

    async def set_mode(self, account_id: str, body: ModeBody, who: str) -> Outcome:
        """Another liquidation mode."""
        message = SetMode(body.mode)
        return await self._asker.command(message, OperatorAction(who, "mode", account_id, body.mode, message))

    async def settle_fee(self, account_id: str, body: FeeBody, who: str) -> Outcome:
        """Book a pending fee at a rate or an amount that an operator knows."""
        rate = None if body.rate is None else decimal_of(body.rate, "rate")
        amount = None if body.amount is None else decimal_of(body.amount, "amount")
        detail = f"{body.symbol} {body.trade_id}: rate {body.rate}, amount {body.amount}"
        message = SettleFee(Symbol(body.symbol), body.trade_id, rate, amount)
        return await self._asker.command(message, OperatorAction(who, "fee", account_id, detail))

    async def reopen(self, account_id: str, reason: str, who: str) -> Outcome:
        """Let a LIQUIDATED account that has money trade again."""
        message = Reopen(told_text(reason, "reason"))
        return await self._asker.command(message, OperatorAction(who, "reopen", account_id, message.reason))

    async def retry(self, account_id: str, who: str) -> bool:
        """Have a STUCK account try its liquidation again."""
        ref = self._lookup.account(account_id)
        await self._asker.record(OperatorAction(who, "retry", account_id, protects=True))
        ref.tell(Reconsider(ReconsiderReason.OPERATOR))
        return True


async def closed_positions(
    lookup: Lookup, account_id: str, limit: int, strategy: str | None = None
) -> list[ClosedPositionView]:
    """Closed positions of an account, or of one of its strategies, newest first."""
    lookup.account(account_id)
    id_, tag = AccountId(account_id), None if strategy is None else clean(strategy)
    rows = await lookup.read(lambda records: records.closed_positions(id_, limit, tag))
    return [ClosedPositionView(**row, net=row["realized"] - row["fees"] + row["funding"]) for row in rows]


class AccountRoutes(Controller):
    """Accounts."""

    path = "/v1/accounts"
    tags = ("accounts",)

    @get(responses=ERRORS)
    async def accounts(
        self, accounts: AccountService, limit: Limit = 100, offset: Offset = 0
    ) -> list[AccountView]:
        """List accounts."""
        return await INSPECT.run(accounts.accounts, limit, offset)

    @post(responses=ERRORS)
    async def create(
        self, request: HttpRequest, accounts: AccountService, data: list[AccountBody]
    ) -> dict[str, int]:
        """Create accounts, all or none."""
        return {"created": await accounts.create(data, who(request))}

    @get("/{account_id:str}", responses=ERRORS, opt={"early": True})
    async def account(self, accounts: AccountService, account_id: str) -> AccountView | KeptAccount:
        """One account: balance, margin, positions, orders. While it is not loaded yet, its last snapshot in Redis."""
        return await accounts.account(account_id)

    @post("/{account_id:str}/balance", responses=OUTCOMES, status_code=200)
    async def balance(
        self, request: HttpRequest, accounts: AccountService, account_id: str, data: AmountBody
    ) -> Response[Outcome]:
        """Deposit, or withdraw with a negative amount."""
        return outcome_response(await accounts.adjust(account_id, data, who(request)))

    @post("/{account_id:str}/freeze", responses=OUTCOMES, status_code=200)
    async def freeze(
        self, request: HttpRequest, accounts: AccountService, account_id: str
    ) -> Response[Outcome]:
        """Take no new risk; liquidation stays on."""
        return outcome_response(await accounts.set_status(account_id, AccountStatus.FROZEN, who(request)))

    @post("/{account_id:str}/unfreeze", responses=OUTCOMES, status_code=200)
    async def unfreeze(
        self, request: HttpRequest, accounts: AccountService, account_id: str
    ) -> Response[Outcome]:
        """Take a freeze back."""
        return outcome_response(await accounts.set_status(account_id, AccountStatus.ACTIVE, who(request)))


class AccountRiskRoutes(Controller):
    """What decides how an account is liquidated, and how it did."""

    path = "/v1/accounts/{account_id:str}"
    tags = ("risk",)

    @post("/fees", responses=OUTCOMES, status_code=200)
    async def settle_fee(
        self, request: HttpRequest, accounts: AccountService, account_id: str, data: FeeBody
    ) -> Response[Outcome]:
        """Book a pending fee by hand, when the exchange will never report what is missing."""
        return outcome_response(await accounts.settle_fee(account_id, data, who(request)))

    @post("/mode", responses=OUTCOMES, status_code=200)
    async def mode(
        self, request: HttpRequest, accounts: AccountService, account_id: str, data: ModeBody
    ) -> Response[Outcome]:
        """Another liquidation mode. Acts at once."""
        return outcome_response(await accounts.set_mode(account_id, data, who(request)))

    @post("/reopen", responses=OUTCOMES, status_code=200)
    async def reopen(
        self, request: HttpRequest, accounts: AccountService, account_id: str, data: WhyBody
    ) -> Response[Outcome]:
        """Let a LIQUIDATED account that has money trade again; its breaker stays as it is."""
        return outcome_response(await accounts.reopen(account_id, data.reason, who(request)))

    @post("/retry", responses=ERRORS, status_code=200)
    async def retry(self, request: HttpRequest, accounts: AccountService, account_id: str) -> dict[str, bool]:
        """Have a STUCK account try its liquidation again."""
        return {"told": await accounts.retry(account_id, who(request))}

    @get("/closed", responses=ERRORS)
    async def closed(
        self, accounts: AccountService, account_id: str, limit: Limit = 100, strategy: str | None = None
    ) -> list[ClosedPositionView]:
        """Closed positions with their worst and best unrealized profit, newest first."""
        return await accounts.closed(account_id, limit, strategy)

    @get("/report", responses=ERRORS)
    async def report(self, accounts: AccountService, account_id: str) -> RiskReport:
        """How the account did: drawdown, Sharpe ratio, value at risk, strategies, alerts, recommendations."""
        return await accounts.report(account_id)


class PositionRoutes(Controller):
    """Open positions."""

    path = "/v1/positions"
    tags = ("orders",)

    @get(responses=ERRORS)
    async def positions(
        self, accounts: AccountService, account_id: str | None = None, limit: Limit = 100
    ) -> list[PositionView]:
        """Open positions of one account or of all."""
        return await INSPECT.run(accounts.positions, account_id, limit)


NOUN = Noun({"accounts": AccountService}, (AccountRoutes, AccountRiskRoutes, PositionRoutes))

"""Notices within seconds what the platform changes beside the engine, and has it become facts, or alarms.

Rules
1. Status, mode, maintenance rate, limits and deposits or withdrawals are told to the account, which decides
   (``PlatformKnown``); what it refuses is an alarm that says why.
2. What was compared was the account after one of its decisions, and it takes the message only while that is its last one:
   so nothing is booked twice, whatever is sent again, replayed or lost.
3. A position that changed there means that somebody trades an account of ours: an alarm, and no balance of it is booked.
4. An account that is not run here is an alarm, once for all of them.
5. A look that takes long is followed by a longer wait, so that Postgres is never busy with this.

I/O: asks Postgres, from a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
import psycopg
import pykka
import structlog

from actors.core.alarm_level import Critical
from actors.core.enums import AccountStatus, LiquidationMode
from actors.core.errors import NotDurable, StoreBusy, StoreUnreachable
from actors.core.messages import PlatformKnown
from actors.core.units import ONE, ZERO, AccountId, plain
from actors.limits.layers import differing
from actors.limits.model import RiskLimits
from actors.persistence import platform_changes
from actors.persistence.loading import BaseLimits
from actors.persistence.platform_changes import AccountChange, Changes
from actors.runtime.actor import Ref
from actors.subaccount.pipeline import Rejected
from actors.subaccount.rejections import RejectCode
from actors.subaccount.state import AccountState

log = structlog.get_logger("engine")

LOOK_SECONDS = 2.0
MORE_SECONDS = 0.2
"""The same when more differs than one look takes."""

SHARE = 25
"""After a look it waits so many times as long as that took, if that is longer."""

WAIT_MAX_SECONDS = 60.0
ANSWER_SECONDS = 5.0
STOP_SECONDS = 3.0
TOLD_MAX = 5
"""So many positions stand in one alarm."""

NOT_ADOPTED_KEY, POSITIONS_KEY, FAILED_KEY = "platform-not-adopted", "platform-positions", "platform-watch"


T = TypeVar("T")


class Tables(Protocol):
    """The part of ``persistence.reader`` that is used."""

    def ask(self, call: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run one question."""
        ...


class _Asked(NamedTuple):
    account_id: AccountId
    what: str
    future: pykka.Future[Any]


class PlatformStats(msgspec.Struct):
    """Counters of the watch; its thread alone writes them. ``looked_s`` is the monotonic time of the last look, 0 before."""

    looks: int = 0
    booked: int = 0
    failures: int = 0
    not_adopted: int = 0
    looked_s: float = 0.0

    @property
    def age_s(self) -> float:
        """Since the last look that was made to its end, in seconds."""
        return time.monotonic() - self.looked_s if self.looked_s else 0.0


class PlatformWatch:
    """See the module.

    Args:
        tables: where the platform's are read.
        accounts: those that are served now.
        defaults: the limits below all accounts.
        tell: an alarm that lasts, with its key.
        over: the end of one.
        stats: its counters.
    """

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        tables: Tables,
        accounts: Mapping[AccountId, Ref],
        defaults: RiskLimits,
        tell: Callable[[str, str], None],
        over: Callable[[str], None],
        stats: PlatformStats | None = None,
    ) -> None:
        self._tables, self._accounts = tables, accounts
        self._defaults, self._tell, self._over = defaults, tell, over
        self._told: dict[str, str] = {}
        self._rules: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="platform-watch", daemon=True)
        self.stats = stats or PlatformStats()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _work(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            began, least = time.monotonic(), LOOK_SECONDS
            try:
                if self.look():
                    least = MORE_SECONDS
            except (StoreUnreachable, StoreBusy) as away:
                log.warning("the platform's rows cannot be read", error=str(away))
            except Exception as error:
                # It must not end in silence: nobody else would notice what the platform does.
                log.exception("the platform's rows cannot be compared")
                self.stats.failures += 1
                text = f"what the platform changes is not noticed: {type(error).__name__}: {error}"
                self._alarm(FAILED_KEY, Critical(text))
            else:
                self._end(FAILED_KEY)
            wait = min(WAIT_MAX_SECONDS, max(least, SHARE * (time.monotonic() - began)))

    # -- one look

    def look(self) -> bool:
        """Compare once, tell accounts what concerns them, and wait for their answers; whether there is more than that."""
        found = self._tables.ask(platform_changes.look)
        self._not_adopted(found)
        self._positions(found)
        traded = {change.account_id for change in found.positions}
        asked = [a for a in (self._told_account(c, traded) for c in found.accounts) if a is not None]
        asked += self._rules_changed(found.rules)
        self._answers(asked)
        is_all = len(found.accounts) < platform_changes.AT_ONCE
        if is_all:
            self._calm({change.account_id for change in found.accounts}, asked)
        self.stats.looks += 1
        self.stats.looked_s = time.monotonic()
        return not is_all

    def _not_adopted(self, found: Changes) -> None:
        self.stats.not_adopted = found.not_adopted
        if not found.not_adopted:
            self._end(NOT_ADOPTED_KEY)
            return
        text = (
            f"{found.not_adopted} accounts of the platform are not run here ({_some(found.names, found.not_adopted)}): "
            "nobody guards them unless the platform does. 'bulkhead db adopt --dry-run' shows what would be taken over"
        )
        self._alarm(NOT_ADOPTED_KEY, text)

    def _positions(self, found: Changes) -> None:
        if not found.positions:
            self._end(POSITIONS_KEY)
            return
        told = [f"{p.account_id} {p.symbol}: {p.text}" for p in found.positions]
        text = (
            f"something else trades accounts that are run here: {_some(sorted(told)[:TOLD_MAX], len(told), '; ')}. "
            "The accounts go on with what they know; stop the other, compare with 'bulkhead reconcile', and put the rows back"
        )
        self._alarm(POSITIONS_KEY, Critical(text))

    def _told_account(self, change: AccountChange, traded: Iterable[AccountId]) -> _Asked | None:
        key = _key(change.account_id)
        if change.is_gone:
            self._alarm(key, Critical(f"{change.account_id}: its row in sub_accounts was deleted beside us"))
            return None
        balance = change.balance
        if balance is not None and change.account_id in traded:
            text = (
                f"{change.account_id}: the platform changed its balance by {plain(balance)}, and trades it; that is not "
                "booked before its positions are as we left them"
            )
            self._alarm(key, Critical(text))
            balance = None
        try:
            message = PlatformKnown(
                status=None if change.status is None else AccountStatus(change.status),
                mode=None if change.mode is None else LiquidationMode(change.mode),
                maintenance_rate=_rate(change),
                adjustment=balance,
                sequence=change.sequence,
            )
        except (ValueError, ArithmeticError) as error:
            text = (
                f"{change.account_id}: the platform wrote what cannot be, and it is not taken over: {error}"
            )
            self._alarm(key, Critical(text))
            return None
        what = [
            *([f"status {change.status}"] if change.status else []),
            *([f"mode {change.mode}"] if change.mode else []),
            *([f"maintenance rate {change.rate}"] if change.rate is not None else []),
            *([f"balance {balance:+f}"] if balance is not None else []),
        ]
        return self._ask(change.account_id, change.sequence, message, ", ".join(what)) if what else None

    def _rules_changed(self, rules: str) -> list[_Asked]:
        if rules == self._rules:
            return []
        base = BaseLimits(self._defaults)
        asked, is_done = [], True
        for account_id, rule in self._tables.ask(platform_changes.rules_of_all):
            state = self._state(account_id)
            if state is None:
                continue
            try:
                below = differing(base.of(rule))
            except ArithmeticError as error:
                text = f"{account_id}: the platform's rule for it cannot be read, and the last one stays: {error}"
                self._alarm(_key(account_id), Critical(text))
                continue
            if below != state.below:
                message = PlatformKnown(below=below, sequence=state.sequence)
                asked_one = self._ask(account_id, state.sequence, message, "limits below")
                asked += [] if asked_one is None else [asked_one]
                is_done = False
        # Until all of them know, the rules are compared again.
        self._rules = rules if is_done else None
        return asked

    def _state(self, account_id: AccountId) -> AccountState | None:
        ref = self._accounts.get(account_id)
        state = None if ref is None else ref.cell.actor.inspect_state()
        return state if isinstance(state, AccountState) else None

    def _ask(self, account_id: AccountId, sequence: int, message: PlatformKnown, what: str) -> _Asked | None:
        ref, state = self._accounts.get(account_id), self._state(account_id)
        if ref is None or state is None or state.sequence != sequence:
            return None  # out of service, or ahead of its tables: it is compared again
        try:
            return _Asked(account_id, what, ref.ask(message, block=False))
        except pykka.ActorDeadError:
            return None

    def _answers(self, asked: Iterable[_Asked]) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        for one in asked:
            try:
                answer = one.future.get(timeout=max(0.0, deadline - time.monotonic()))
            except (pykka.Timeout, pykka.ActorDeadError, NotDurable) as error:
                log.info(
                    "a change of the platform's is not answered", account=one.account_id, error=str(error)
                )
                continue
            except Exception as error:
                log.exception("a change of the platform's failed", account=one.account_id)
                self._alarm(
                    _key(one.account_id), Critical(f"{one.account_id}: {one.what} by the platform: {error}")
                )
                continue
            if not isinstance(answer, Rejected):
                self.stats.booked += 1
                log.info("taken over from the platform", account=one.account_id, what=one.what)
                continue
            reasons = [r for r in answer.rejections if r.code is not RejectCode.TOO_LATE]
            if reasons:
                text = (
                    f"{one.account_id}: the platform changed {one.what}, and the account does not take it: "
                    f"{reasons[0].text}. Undo that there, or cure the reason; it is tried again"
                )
                self._alarm(_key(one.account_id), Critical(text))

    def _calm(self, differing_ones: set[AccountId], asked: Iterable[_Asked]) -> None:
        """What no account differs in any more is over."""
        still = {_key(id_) for id_ in differing_ones} | {_key(one.account_id) for one in asked}
        for key in [k for k in self._told if k.startswith(_key(AccountId(""))) and k not in still]:
            self._end(key)

    # -- alarms, each told once for each text

    def _alarm(self, key: str, text: str) -> None:
        if self._told.get(key) != text:
            self._told[key] = text
            self._tell(text, key)

    def _end(self, key: str) -> None:
        if self._told.pop(key, None) is not None:
            self._over(key)


def _key(account_id: AccountId) -> str:
    return f"platform-account:{account_id}"


def _rate(change: AccountChange) -> Decimal | None:
    if change.rate is not None and not ZERO < change.rate < ONE:
        raise ValueError(f"a maintenance rate of {change.rate}, which must be between 0 and 1")
    return change.rate


def _some(names: list[str], count: int, between: str = ", ") -> str:
    return between.join(names) + (f" and {count - len(names)} more" if count > len(names) else "")

"""What operators do: first on the disk of this machine, then done, then in the audit in Postgres.

An operator must be able to act while Postgres is away, and what was done must not get lost. So each action is a
line in a file of the data folder before it is done; the writer takes it to the audit as soon as it can.

Rules
1. What sets something (a limit, an emergency stop, a freeze) and was not durable when the engine ended is
   sent again at the next start, in order. What adds something (a deposit) is not: its owner had the answer that it
   was not durable, and looks.
2. An emergency stop of all accounts stays on over a restart until it is called off.
3. A logged action leaves the file when it is in the audit and what it asked for is durable, or refused.
4. The file also keeps ends that the journal had: see ``journal_roots``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace

from actors.core.alarm_level import Critical
from actors.core.errors import NotRecorded
from actors.core.messages import Message
from actors.core.names import harmless
from actors.core.records import AuditEntry, RecordAudit
from actors.core.replay_codec import decode, encode
from actors.runtime.clock import Clock
from actors.runtime.local_file import LocalFile
from actors.supervision.journal_roots import KEPT, JournalRoot, kept

log = structlog.get_logger("deeds")

OPERATORS_FILE = "operators.jsonl"

OPEN_MAX = 10_000
"""OperatorLog that are not in the audit yet; with more, only what protects is done."""

QUARANTINE = "quarantine"
"""The action whose record follows it to the writer, so that it is durable once the audit has the logged action."""

DETAIL_MAX = 2_000

EVERYBODY = "accounts"
"""The target of what concerns all accounts."""


class OperatorAction(msgspec.Struct, frozen=True):
    """What an operator is about to do.

    ``message`` is what is sent again at the next start if it was not durable by then; it must be safe to repeat.
    What ``protects`` is done, and audited, even if it cannot be kept here.
    """

    who: str
    action: str
    target: str
    detail: str = ""
    message: Message | None = None
    protects: bool = False


class LoggedAction(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator did. ``kind`` and ``payload`` are the message that is sent again; empty if none is.

    ``at_ms`` is unique in a data folder. ``stops`` is what an emergency stop of all accounts said.
    """

    number: int
    at_ms: int
    who: str
    action: str
    target: str
    detail: str = ""
    kind: str = ""
    payload: str = ""
    stops: str | None = None
    in_audit: bool = False
    is_settled: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.in_audit and self.is_settled and self.stops is None

    def message(self) -> Message:
        """The message that it sent."""
        return decode(self.kind, self.payload)


def with_fresh(stored: Sequence[AuditEntry], fresh: Sequence[AuditEntry], limit: int) -> list[AuditEntry]:
    """The audit with what came to it only now, newest first."""
    known = {(e.at_ms, e.who, e.action, e.target) for e in stored}
    new = [e for e in fresh if (e.at_ms, e.who, e.action, e.target) not in known]
    return sorted([*stored, *new], key=lambda e: (e.at_ms, e.audit_id), reverse=True)[:limit]


def read_roots(folder: Path) -> list[JournalRoot]:
    """The ends that journals had, as the file of a data folder has them, oldest first.

    Raises:
        NotRecorded: the file is there and cannot be read.
    """
    return LocalFile(folder / OPERATORS_FILE, list).entries(JournalRoot)


class OperatorLog:
    """See the module. Callable from any thread.

    Args:
        clock: of the times.
        folder: the data folder.
        alarm: called with a text and a key when the file cannot be written.
        over: called with the key when it can be written again.
    """

    def __init__(
        self, clock: Clock, folder: Path, alarm: Callable[[str, str], None], over: Callable[[str], None]
    ) -> None:
        self._clock, self._alarm, self._over = clock, alarm, over
        self._lock = threading.Lock()
        self._open: dict[int, LoggedAction] = {}
        self._roots: list[JournalRoot] = []
        self._number = 0
        self._at_ms = 0
        self._file = LocalFile(folder / OPERATORS_FILE, self._lines, self._file_fault)
        self._to_audit: Callable[[RecordAudit], None] = lambda _record: None

    # -- life

    def start(self, to_audit: Callable[[RecordAudit], None]) -> list[LoggedAction]:
        """Read what an earlier run did not come to, hand it to the writer, and begin to write.

        Returns:
            What is to be sent again, in order.
        """
        self._to_audit = to_audit
        try:
            for logged in self._file.entries(LoggedAction):
                self._restore(logged)
            self._roots = self._file.entries(JournalRoot)
        except NotRecorded as error:
            self._alarm(Critical(f"what operators did last may not be in the audit: {error}"), OPERATORS_FILE)
        self._file.start()
        left = self.open()
        for logged in left:
            if not logged.in_audit:
                self._audit(logged, again=True)
        return [
            d
            for d in left
            if not (d.is_settled and d.kind) and (d.kind or (d.action == QUARANTINE and not d.in_audit))
        ]

    def stop(self) -> None:
        """Write what waits."""
        self._file.stop()

    def _restore(self, logged: LoggedAction) -> None:
        with self._lock:
            self._open[logged.number] = logged
            if logged.is_over:
                del self._open[logged.number]
            self._number, self._at_ms = max(self._number, logged.number), max(self._at_ms, logged.at_ms)

    # -- what is done

    def begin(self, act: OperatorAction) -> tuple[LoggedAction, Future[None]]:
        """Note a logged action before it is done; what protects goes on whatever becomes of the future.

        Returns:
            It, and when it is on the disk: with ``NotRecorded`` if it cannot be.
        """
        payload = "" if act.message is None else encode(act.message)
        with self._lock:
            self._number += 1
            self._at_ms = max(self._at_ms + 1, self._clock.wall_ms())
            logged = LoggedAction(
                number=self._number,
                at_ms=self._at_ms,
                who=act.who,
                action=act.action,
                target=act.target,
                detail=harmless(act.detail, DETAIL_MAX),
                kind=type(act.message).__name__ if payload else "",
                payload=payload,
                is_settled=not payload,
            )
            self._open[logged.number] = logged
        log.info("operator", who=act.who, action=act.action, target=act.target, detail=logged.detail)
        written = self._file.append(msgspec.json.encode(logged))

        def after(done: Future[None]) -> None:
            if done.exception() is None or act.protects:
                self._audit(logged, again=False)
            else:
                with self._lock:
                    del self._open[logged.number]  # it was not done

        written.add_done_callback(after)
        return logged, written

    def has_room(self) -> bool:
        """Whether what does not protect may still be begun."""
        return len(self._open) < OPEN_MAX

    def settled(self, logged: LoggedAction) -> None:
        """What a logged action asked for is durable, or was refused: it needs no second time."""
        self._change(logged.number, is_settled=True)

    def stopped(self, logged: LoggedAction, reason: str) -> None:
        """An emergency stop of all accounts is on: it stays, over restarts, until ``called_off``."""
        self._change(logged.number, stops=reason)

    def called_off(self) -> None:
        """No emergency stop of all accounts is on any more, and none is sent again."""
        for logged in self.open():
            if logged.stops is not None:
                self._change(logged.number, stops=None, is_settled=True)

    def stop_of_all(self) -> str | None:
        """What the emergency stop of all accounts that is on says; None if none is."""
        return next((d.stops for d in reversed(self.open()) if d.stops is not None), None)

    # -- the journal's ends

    def keep_root(self, root: JournalRoot) -> Future[None]:
        """Write down an end of a journal.

        Returns:
            When it is on the disk: with ``NotRecorded`` if it cannot be, of which an alarm has been raised then.
        """
        with self._lock:
            self._roots.append(root)
            if len(self._roots) > 2 * KEPT:
                self._roots = kept(self._roots)
        return self._file.append(msgspec.json.encode(root))

    # -- looking

    def open(self) -> list[LoggedAction]:
        """What is not over, oldest first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda d: d.number)

    def not_in_audit(self, target: str | None) -> list[AuditEntry]:
        """What the audit does not have yet; its number there is 0. To be read before the audit is."""
        return [
            AuditEntry(0, d.at_ms, d.who, d.action, d.target, d.detail)
            for d in self.open()
            if not d.in_audit and target in {None, d.target}
        ]

    # -- inside

    def _audit(self, logged: LoggedAction, *, again: bool) -> None:
        self._to_audit(
            RecordAudit(
                at_ms=logged.at_ms,
                who=logged.who,
                action=logged.action,
                target=logged.target,
                detail=logged.detail,
                again=again,
                stored=lambda: self._change(logged.number, in_audit=True),
            )
        )

    def _change(self, number: int, **changes: bool | str | None) -> None:
        with self._lock:
            logged = self._open.get(number)
            if logged is None:
                return
            logged = self._open[number] = replace(logged, **changes)
            if logged.is_over:
                del self._open[number]
        self._file.append(msgspec.json.encode(logged))

    def _lines(self) -> list[bytes]:
        with self._lock:
            roots = kept(self._roots)
        return [*map(msgspec.json.encode, roots), *map(msgspec.json.encode, self.open())]

    def _file_fault(self, fault: str) -> None:
        if fault:
            text = (
                f"{fault}: what protects is done all the same, everything else that operators ask is refused"
            )
            self._alarm(Critical(text), OPERATORS_FILE)
        else:
            self._over(OPERATORS_FILE)

"""What was stopped is what came back: the journal's ends on this machine's disk, and the fleet's state at start and stop.

A database cannot say that rows at its end are missing: a backup of yesterday is whole in itself. The data folder knows
which ends the journal had, so an engine does not go on with less unless an operator accepted that.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import psycopg
import structlog
from msgspec.structs import asdict, replace

from actors.core.errors import ForeignDatabase, NotRecorded
from actors.persistence import journal
from actors.persistence.journal import End, end_of
from actors.persistence.streams import StreamState, named_hash
from actors.persistence.verify import fleet_of
from actors.runtime.clock import Clock, SystemClock
from actors.subaccount.fleet_hash import fleet_hash_in_order
from actors.subaccount.state import AccountState
from actors.supervision.journal_roots import JournalRoot, binding
from actors.supervision.operator_log import OperatorAction, OperatorLog, read_roots

log = structlog.get_logger("engine")

WRITE_SECONDS = 10.0
"""An end of the journal that was not written down for so long is."""

STOP_SECONDS = 2.0
AT_ONCE = 500
PAUSE_SECONDS = 0.005
"""While an engine begins to trade its accounts are hashed in the background, a few at a time with pauses between."""


class FleetState(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts at one moment, and the clearings that ever decided. ``fleet_hash`` is empty if there was no time to make it; hashes are in hex.

    ``not_durable`` counts what the writer was sent and did not write before it ended.
    """

    accounts: int
    fleet_hash: str
    position: int
    root: str
    not_durable: int = 0

    def __str__(self) -> str:
        """As ``bulkhead run`` prints it."""
        made = self.fleet_hash or "not hashed"
        lost = f"; {self.not_durable} messages to the writer came too late" if self.not_durable else ""
        return f"{made} of {self.accounts} accounts, journal position {self.position}, root {self.root}{lost}"


def check(roots: Sequence[JournalRoot], fleet: str, end: End, root_at: Callable[[int], bytes | None]) -> None:
    """Compare what this machine wrote down with the journal that is there.

    Args:
        roots: what it wrote down, oldest first.
        fleet: the database's id.
        end: of the journal.
        root_at: the root of the commit that ends at a position, None if none does.

    Raises:
        ForeignDatabase: the journal ends before, or has another history; names both and the cure.
    """
    known = binding(roots, fleet)
    if not known:
        return
    last = max(known, key=lambda root: root.position)
    there = bytes.fromhex(last.journal_root) if last.position == 0 else root_at(last.position)
    if there is not None and there.hex() == last.journal_root:
        return
    root, position = end
    why = (
        f"there that position has the root {there.hex()}"
        if there
        else "there no commit ends at that position"
    )
    if position < last.position:
        why = "what came after is not in this database, as after a restore of an older backup"
    raise ForeignDatabase(
        f"the journal in the database ends at position {position} with the root {root.hex()}, and this data folder knows "
        f"that it had position {last.position} with the root {last.journal_root}: {why}. If that is so on purpose, "
        "'bulkhead db accept-restore --reason \"...\"' takes the database as it is; else give the database that belongs to "
        "this data folder"
    )


def compare(connection: psycopg.Connection[Any], roots: Sequence[JournalRoot]) -> None:
    """``check`` with what is in a database.

    Raises:
        ForeignDatabase: see ``check``.
    """

    def root_at(position: int) -> bytes | None:
        row = connection.execute(ROOT_AT, (journal.SHARD, position)).fetchone()
        return None if row is None else bytes(row[0])

    check(roots, fleet_of(connection), end_of(connection), root_at)


def accept(connection: psycopg.Connection[Any], folder: Path, who: str, reason: str) -> JournalRoot | None:
    """Write down that the journal ends where it ends now, and for the audit who said so; no engine may run.

    Returns:
        The end; None where nothing is to be accepted.

    Raises:
        NotRecorded: it cannot be written down, so nothing is accepted.
    """
    clock = SystemClock()
    try:
        compare(connection, read_roots(folder))
    except ForeignDatabase as refusal:
        detail = f"{reason}: {refusal}"
    else:
        return None
    root, position = end_of(connection)
    accepted = JournalRoot(
        journal_root=root.hex(),
        position=position,
        at_ms=clock.wall_ms(),
        fleet=fleet_of(connection),
        accepted=reason,
    )
    faults: list[str] = []
    operator_log = OperatorLog(clock, folder, lambda text, _key: faults.append(text), lambda _key: None)
    operator_log.start(lambda _record: None)  # the next engine has it in the audit
    try:
        if faults:
            raise NotRecorded(faults[0])
        operator_log.begin(OperatorAction(who, ACCEPT, "database", detail))[1].result(STOP_SECONDS)
        operator_log.keep_root(accepted).result(STOP_SECONDS)
    except TimeoutError:
        raise NotRecorded(f"the disk of {folder} does not answer") from None
    finally:
        operator_log.stop()
    return accepted


ACCEPT = "accept-restore"
"""The action in the audit."""

ROOT_AT: LiteralString = "SELECT root FROM bulkhead.journal_commit WHERE shard = %s AND position = %s"


class JournalEnds:
    """Writes the journal's ends down while an engine runs, and says what the fleet's state was.

    Args:
        operator_log: the file; started before ``start``.
        clock: of the times.
        fleet: the database's id.
        end: the last commit that is durable; callable from any thread.
        say: called with a line for whoever runs the engine.
    """

    def __init__(
        self,
        operator_log: OperatorLog,
        clock: Clock,
        fleet: str,
        end: Callable[[], End],
        say: Callable[[str], None],
    ) -> None:
        self._operator_log, self._clock, self._fleet, self._end, self._say = (
            operator_log,
            clock,
            fleet,
            end,
            say,
        )
        self._written: End | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="journal-ends", daemon=True)
        self._restored: tuple[list[StreamState], End] = ([], (journal.NO_HASH, 0))

    def start(self, states: Iterable[StreamState], end: End) -> None:
        """Begin, with the states that were restored and the end of the journal that they are from."""
        self._restored = list(states), end
        self._thread.start()

    def stop(self, states: Iterable[StreamState], not_durable: int, seconds: float) -> None:
        """Say what was stopped, and write the last end down; the writer has ended before.

        Args:
            states: of all accounts and clearings.
            not_durable: decisions in them that the writer could not write any more.
            seconds: how long that may take.
        """
        if self._thread.ident is None:
            return
        deadline = time.monotonic() + seconds
        self._stop.set()
        self._thread.join(STOP_SECONDS)
        self._write()
        found = self._hashed(list(states), self._end(), lambda: time.monotonic() < deadline)
        self._tell("stop", "at the stop", replace(found, not_durable=not_durable))

    # -- the thread

    def _work(self) -> None:
        self._write()
        try:
            self._say_what_came_back()
        except (Exception, SystemExit):
            # Not worth the roots: a state that cannot be hashed, or nobody who reads what is printed.
            log.exception("the fleet's state cannot be said")
        while not self._stop.wait(WRITE_SECONDS):
            self._write()

    def _say_what_came_back(self) -> None:
        states, end = self._restored
        self._restored = [], end
        found = self._hashed(states, end, self._goes_on)
        if not self._stop.is_set():
            self._tell("start", "restored", found)

    def _tell(self, at: str, when: str, found: FleetState) -> None:
        log.info("fleet state", at=at, **asdict(found))
        self._say(f"fleet state {when}: {found}")

    def _goes_on(self) -> bool:
        return not self._stop.wait(PAUSE_SECONDS)

    def _hashed(self, states: list[StreamState], end: End, goes_on: Callable[[], bool]) -> FleetState:
        # A clearing that never decided is in no journal.
        states = [state for state in states if state.sequence or isinstance(state, AccountState)]
        parts: list[list[tuple[str, str]]] = []
        for begin in range(0, len(states), AT_ONCE):
            if begin and not goes_on():
                break
            parts.append(sorted(map(named_hash, states[begin : begin + AT_ONCE])))
        whole = sum(map(len, parts)) == len(states)
        root, position = end
        return FleetState(
            accounts=sum(isinstance(state, AccountState) for state in states),
            # Merged, as a sort of all would keep every other thread from running for as long as it takes.
            fleet_hash=fleet_hash_in_order(heapq.merge(*parts)) if whole else "",
            position=position,
            root=root.hex(),
        )

    def _write(self) -> None:
        root, position = end = self._end()
        if end == self._written or not position:
            return
        noted = JournalRoot(
            journal_root=root.hex(), position=position, at_ms=self._clock.wall_ms(), fleet=self._fleet
        )
        try:
            self._operator_log.keep_root(noted).result(STOP_SECONDS)
        except (NotRecorded, TimeoutError) as error:
            log.warning("the journal's end is not written down", position=position, error=str(error))
        else:
            self._written = end

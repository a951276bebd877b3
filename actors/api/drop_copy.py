"""Drop copy: what happens to accounts, over a websocket, as soon as it is durable and from any place in the journal.

Rules
1. Only what is committed is sent, in the journal's order. Nothing is kept for a client: it says where it goes on, and what it
   may have had already is marked with ``possible_resend``.
2. Each connection reads from ``persistence.tail`` at its own pace. What it does not read waits in the socket's buffer, which is
   bounded, and the connection is cut when that does not move (``api.connections``); nobody else notices.
3. Who is far behind reads from Postgres in one thread for all, and at most half of the time: decoding old rows takes the
   interpreter from those who trade.
4. What was read has a mark (``core.journal_marks``), and who gives it again goes on in the same history or not at all.
5. While Postgres does not answer, connections stay, and heartbeats say up to where they have read.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import msgspec
import structlog
from litestar import Controller, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from actors.api.connections import SLOW_READER
from actors.api.drop_copy_stats import DropCopyStats
from actors.api.errors import refused
from actors.api.noun import Context, Noun
from actors.api.pools import DROP_COPIES, JOURNAL
from actors.core.errors import BadInput, BulkheadError, NotKept, Overloaded, StoreBusy, StoreUnreachable
from actors.core.events import ALL_PARTS, EventId, EventKind, event_id, events_of
from actors.core.journal_marks import KEPT, Mark, mark_of
from actors.core.names import shown
from actors.core.units import AccountId
from actors.persistence.tail import Decided, JournalTail

log = structlog.get_logger("drop copy")

HEARTBEAT_SECONDS = 5.0
"""No connection is silent for longer."""

GATHER_SECONDS = 0.01
"""Between two messages to one client that follows live; what is committed meanwhile comes together."""

RETRY_SECONDS = 1.0
"""Between two tries while Postgres does not answer."""

ROWS = 200
"""Of the journal, looked at in one step: some milliseconds of the event loop."""

EVENTS_MAX = 100
"""In one message."""

REMEMBERED = 4_096
"""Rows whose encoded events are kept, for connections that are at the same place."""

CLIENT_SPOKE, NOT_KEPT, FAULT = 4400, 4410, 4500
"""Codes that a connection is closed with, beside those of ``api.connections``: an HTTP status and 4000."""

NOW = "now"
PARAMETERS = ("account", "kinds", "after", "root")

_ENCODE = msgspec.json.Encoder().encode

Socket = WebSocket[Any, Any, Any]


class Line(NamedTuple):
    """An event as it is sent, but for its end: whether it may have been sent before is not the same for all."""

    id: EventId
    account: AccountId
    kind: EventKind
    begun: bytes


class Asked(NamedTuple):
    """What a client asked for; empty sets are all of them, and no place is the end as it is now.

    ``marks`` are those of what it has read already.
    """

    accounts: frozenset[AccountId]
    kinds: frozenset[EventKind]
    after: EventId | None
    marks: frozenset[Mark] = frozenset()

    def wants(self, line: Line) -> bool:
        """Whether an event is one of them. Nobody can say of what kinds a row is that cannot be read."""
        is_kind = not self.kinds or line.kind in self.kinds or line.kind is EventKind.UNREADABLE
        return is_kind and (not self.accounts or line.account in self.accounts)


def asked_of(parameters: Iterable[tuple[str, str]]) -> Asked:
    """What the query of a request asks for; accounts are not looked up here.

    Raises:
        BadInput: names the parameter, the value, and what would do.
    """
    accounts: set[AccountId] = set()
    kinds: set[EventKind] = set()
    after: EventId | None = None
    marks: set[Mark] = set()
    seen: set[str] = set()
    for name, value in parameters:
        if name not in PARAMETERS:
            raise BadInput(f"{shown(name)} is no parameter of a drop copy; there are {', '.join(PARAMETERS)}")
        if name == "account":
            accounts.add(AccountId(value))
        elif name == "kinds":
            kinds.update(kind_of(part) for part in value.split(","))
        elif name == "root":
            marks.add(mark_of(value))
        elif name in seen:
            raise BadInput("after: it is given twice; one place to go on from is needed")
        elif value != NOW:
            after = event_id(value)
        seen.add(name)
    if len(marks) > KEPT:
        raise BadInput(
            f"root: {len(marks)} are given, and {KEPT} are taken; the newest and some older ones will do"
        )
    return Asked(frozenset(accounts), frozenset(kinds), after, frozenset(marks))


def kind_of(text: str) -> EventKind:
    """The kind of events of a name.

    Raises:
        BadInput: there is none; lists them.
    """
    try:
        return EventKind(text.strip().upper())
    except ValueError:
        raise BadInput(f"kinds: {shown(text)} is none of {', '.join(EventKind)}") from None


class DropCopies:
    """All drop copies of an engine. Runs in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup = context.engine, context.lookup
        self._stats: DropCopyStats = context.drop_copies
        self._bell = _Bell()
        self._lines: dict[int, tuple[Line, ...]] = {}
        self._numbers = itertools.count()

    async def serve(self, socket: Socket) -> None:
        """Serve one connection to its end, or refuse it.

        Raises:
            WebSocketException: it is refused; with the status of an HTTP answer.
        """
        number = next(self._numbers)
        try:
            with DROP_COPIES.taken_for():
                asked = asked_of(socket.query_params.multi_items())
                for account in asked.accounts:
                    self._lookup.account(account)
                last = await JOURNAL.within(RETRY_SECONDS * 10, self._tail.end)
                if asked.marks:
                    await JOURNAL.ask(self._tail.check, list(asked.marks))
                after = await self._checked(asked.after or EventId(last, ALL_PARTS), last)
                await socket.accept()
                with self._stats.counted(number), self._bell.heard(self._tail) as told:
                    await self._until_over(socket, _Reader(number, asked, after, last, told))
        except BulkheadError as error:
            raise refused(error) from None
        except Exception as error:
            log.exception("a drop copy failed before it began")
            raise refused(error) from None

    @property
    def _tail(self) -> JournalTail:
        return self._engine.tail

    async def _checked(self, after: EventId, last: int) -> EventId:
        """The place where a client goes on, if it is one.

        Raises:
            BadInput: it is behind the end of the journal.
            NotKept: it is before the begin.
        """
        if after.position > last:
            raise BadInput(
                f"after: {shown_id(after)} is in the future: the journal ends at {last:,}. Is it of another database, or was "
                f"this one restored from a backup? Begin again, after 0 or after {last}"
            )
        row = row_before(after)
        if row < last:
            await self._read(row, 1)
        return after

    async def _until_over(self, socket: Socket, reader: _Reader) -> None:
        """Send until the client goes, says something, or cannot be served any more."""
        listening = asyncio.create_task(_end_of(socket))
        sending = asyncio.create_task(self._send(socket, reader))
        try:
            await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                code = listening.result()
                self._stats.cut_off += code == SLOW_READER
                log.info("a drop copy ended", code=code, position=reader.position)
                if code == CLIENT_SPOKE:
                    await socket.close(
                        code, "a drop copy takes no messages; ask by the parameters of its URL"
                    )
                return
            error = sending.exception()
            if isinstance(error, NotKept):
                await socket.close(NOT_KEPT, _short(str(error)))
            elif not isinstance(error, WebSocketDisconnect | OSError):
                log.error("a drop copy failed", error=repr(error), position=reader.position)
                await socket.close(FAULT, "a fault of ours; go on after the last event that was read")
        finally:
            for task in (listening, sending):
                task.cancel()
            await asyncio.gather(listening, sending, return_exceptions=True)

    async def _send(self, socket: Socket, reader: _Reader) -> None:
        begin = {"type": "begin", "position": reader.last, "after": shown_id(reader.after)}
        begin["root"] = await self._mark(reader.after.position)
        await _say(socket, reader, {**begin, "heartbeat_seconds": HEARTBEAT_SECONDS})
        async for rows in self._rows(socket, reader):
            lines = list(self._wanted(rows, reader))
            root = await self._mark(rows[-1].position) if lines else None
            for message in messages(lines, reader.last, root):
                await socket.send_data(message.data, mode="text")
                reader.said_at = time.monotonic()
                self._stats.events += message.events
            reader.position = rows[-1].position
            self._stats.positions[reader.number] = reader.position

    async def _rows(self, socket: Socket, reader: _Reader) -> AsyncIterator[Sequence[Decided]]:
        """The rows of the journal, as they come; in between heartbeats."""
        is_new = True
        while True:
            reader.told.clear()
            rows = self._tail.remembered(reader.position, ROWS)
            wait = GATHER_SECONDS
            if not rows and self._tail.may_have(reader.position):
                began = time.monotonic()
                with suppress(StoreUnreachable, StoreBusy, Overloaded):
                    rows = list(await self._read(reader.position, ROWS))
                wait = time.monotonic() - began if rows else RETRY_SECONDS
            if rows:
                yield rows
            is_caught_up = not rows and not self._tail.may_have(reader.position)
            if (is_new and is_caught_up) or reader.is_silent:
                # The first says to who wants what there is, and no more, that this was all.
                is_new = is_new and not is_caught_up
                await self._heartbeat(socket, reader)
            if is_caught_up:
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.told.wait(), reader.left_s)
            await asyncio.sleep(wait)

    async def _heartbeat(self, socket: Socket, reader: _Reader) -> None:
        beat = {"type": "heartbeat", "position": reader.position, "last": self._tail.position}
        known = self._tail.remembered_mark(reader.position)  # no question: it may keep the connection silent
        beat["root"] = known and str(known)
        await _say(socket, reader, {**beat, "wall_ms": self._engine.clock.wall_ms()})

    async def _mark(self, position: int) -> str | None:
        """The mark of what is read up to a position; None while nobody can say it."""
        found = self._tail.remembered_mark(position)
        if found is None:
            with suppress(StoreUnreachable, StoreBusy, Overloaded):
                found = await JOURNAL.ask(self._tail.mark, position)
        return found and str(found)

    async def _read(self, after: int, limit: int) -> Sequence[Decided]:
        return await JOURNAL.ask(self._tail.read, after, limit)

    def _wanted(self, rows: Sequence[Decided], reader: _Reader) -> Iterator[Line]:
        for row in rows:
            for line in self._lines_of(row):
                if line.id > reader.after and reader.asked.wants(line):
                    yield line

    def _lines_of(self, row: Decided) -> tuple[Line, ...]:
        known = self._lines.get(row.position)
        if known is None:
            if len(self._lines) >= REMEMBERED:
                self._lines.clear()
            known = self._lines[row.position] = lines_of(row)
        return known


class _Reader:
    """One connection: what it asked for, and how far it is.

    Args:
        number: of the connection.
        asked: what it wants.
        after: where it goes on.
        last: the last row when it began.
        told: set when there may be something new.
    """

    def __init__(self, number: int, asked: Asked, after: EventId, last: int, told: asyncio.Event) -> None:
        self.number, self.asked, self.after, self.last, self.told = number, asked, after, last, told
        self.position = row_before(after)
        self.said_at = time.monotonic()

    @property
    def left_s(self) -> float:
        """Seconds until the next heartbeat is due."""
        return max(0.0, self.said_at + HEARTBEAT_SECONDS - time.monotonic())

    @property
    def is_silent(self) -> bool:
        """Whether a heartbeat is due."""
        return self.left_s == 0.0


class _Bell:
    """Wakes all connections when something was committed, once for many commits."""

    def __init__(self) -> None:
        self._told: set[asyncio.Event] = set()
        self._is_due = False

    @contextmanager
    def heard(self, tail: JournalTail) -> Iterator[asyncio.Event]:
        """An event that is set from now on after each commit."""
        told, loop = asyncio.Event(), asyncio.get_running_loop()

        def ring() -> None:
            self._is_due = False
            for event in self._told:
                event.set()

        def ring_soon() -> None:
            # In the writer's thread, and for each connection: only the first of them costs anything.
            if not self._is_due:
                self._is_due = True
                loop.call_soon_threadsafe(ring)

        self._told.add(told)
        end = tail.listen(ring_soon)
        try:
            yield told
        finally:
            end()
            self._told.discard(told)


class Message(NamedTuple):
    """A message to a client, with how many events are in it."""

    data: bytes
    events: int


def lines_of(row: Decided) -> tuple[Line, ...]:
    """The events of a row, encoded."""
    return tuple(Line(e.id, e.account, e.kind, _ENCODE(e.flat())[:-1]) for e in events_of(row))


def messages(lines: Iterable[Line], last: int, root: str | None = None) -> Iterator[Message]:
    """Events as messages, with the mark of all of them. Those up to ``last`` were committed before the connection began."""
    rest, begun = iter(lines), b'{"type":"events","root":' + _ENCODE(root) + b',"events":['
    while some := list(itertools.islice(rest, EVENTS_MAX)):
        ends = (b',"possible_resend":true}', b',"possible_resend":false}')
        events = b",".join(line.begun + ends[line.id.position > last] for line in some)
        yield Message(begun + events + b"]}", len(some))


def row_before(after: EventId) -> int:
    """The position behind which rows are read to go on behind an event: its own row may have more of them."""
    return after.position if after.part == ALL_PARTS else max(0, after.position - 1)


def shown_id(id_: EventId) -> str:
    """A place as a client gives it."""
    return str(id_.position) if id_.part == ALL_PARTS else str(id_)


async def _say(socket: Socket, reader: _Reader, found: dict[str, Any]) -> None:
    await socket.send_data(_ENCODE(found), mode="text")
    reader.said_at = time.monotonic()


async def _end_of(socket: Socket) -> int:
    """Wait until the client goes, or says something; the code of that."""
    message = await socket.receive()
    return int(message.get("code", 0)) if message["type"] == "websocket.disconnect" else CLIENT_SPOKE


def _short(reason: str) -> str:
    """A reason as a close frame has room for it."""
    return reason.encode()[:120].decode(errors="ignore")


class DropCopyRoutes(Controller):
    """Events of accounts."""

    path = "/v1/drop-copy"
    tags = ("accounts",)

    @websocket()
    async def drop_copy(self, socket: Socket, drop_copies: DropCopies) -> None:
        """Events of one account, many or all, from a place in the journal on; see docs/drop-copy.md."""
        await drop_copies.serve(socket)


NOUN = Noun({"drop_copies": DropCopies}, (DropCopyRoutes,))

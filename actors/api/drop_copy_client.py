"""The client of a drop copy: reads events, and goes on by itself after the connection or the engine went away.

What was read last says where to go on; what comes twice, because a connection ended in the middle, is left out by its id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from actors.api.client import EngineError, address_of
from actors.core.errors import BadInput
from actors.core.events import EventId, event_id
from actors.core.journal_marks import Mark, kept, mark_of

CONNECT_SECONDS = 10.0
SILENT_BEATS = 3
"""After so many heartbeats that did not come the connection counts as lost."""

RETRY_FIRST, RETRY_MAX = 0.1, 2.0
"""Seconds between two tries, doubled each time."""

MESSAGE_MAX = 16 << 20

ASKED_MAX = 5_000
"""Bytes of accounts and kinds in the URL: a websocket's has room for some 8,000, and the journal's marks stand in it too."""

OLD_TOKEN_SECONDS = 10.0
"""For so long a refused token may be that of an engine that has just been started again, and will leave its new one."""

FINAL_CODES = frozenset({4400, 4410})
"""Closed with one of these, the same request would end in the same way again."""

UNAUTHORIZED, BUSY = 401, 503


class _Lost(Exception):  # noqa: N818 - inside this module only
    """The connection is gone; another may do."""


class DropCopyClient:
    """Reads one drop copy.

    Args:
        data_dir: the engine's data folder, where it leaves address and token at each start.
        accounts: whose events; none for all.
        kinds: of which kinds; none for all.
        after: where to go on: an id, a position, ``now``.
        note: called with a line when the connection is lost, and when it is there again.
        token: instead of the one of the data folder.
        url: instead of the one of the data folder.
        roots: marks that came with what was read before; the engine refuses to go on in another history.

    Raises:
        BadInput: ``after`` is no such place; one of ``roots`` is no mark; or more accounts than a request has room for.
    """

    def __init__(  # noqa: PLR0913 - what one may ask for
        self,
        data_dir: Path,
        accounts: Sequence[str] = (),
        kinds: Sequence[str] = (),
        after: str = "now",
        note: Callable[[str], None] = lambda _text: None,
        token: str = "",
        url: str = "",
        roots: Sequence[str] = (),
    ) -> None:
        self._data_dir, self._accounts, self._kinds = data_dir, tuple(accounts), tuple(kinds)
        self._note, self._token, self._url = note, token, url
        asked = [("account", account) for account in self._accounts]
        asked += [("kinds", ",".join(self._kinds))] if self._kinds else []
        if len(urlencode(asked)) > ASKED_MAX:
            raise BadInput(
                f"{len(accounts)} accounts do not fit into one request (of some {ASKED_MAX:,} bytes): name fewer, or none for "
                "those of all"
            )
        self._asked = asked
        self._last: EventId | None = None if after == "now" else event_id(after)
        self.after = after
        """Where the next connection goes on; written after an event was handed out, it is a place to begin again from."""
        self.marks: list[Mark] = sorted(map(mark_of, roots))
        """Of what was read; the newest goes with ``after``."""
        self.connections = 0
        self.resent = 0
        """How many events came again and were left out."""

    def events(self, *, follow: bool) -> Iterator[dict[str, Any]]:
        """Events in order, each once; without ``follow`` those that were there at the beginning.

        Raises:
            EngineError: the engine refuses, or is not there at the beginning.
            BadInput: no engine has left its address there.
        """
        until: int | None = None
        wait = RETRY_FIRST
        refused_since = 0.0
        while True:
            try:
                with self._connected() as socket:
                    self.connections += 1
                    for message in self._messages(socket):
                        self._marked(message)
                        if message["type"] == "begin":
                            self._begun(message)
                            until = message["position"] if until is None else until
                            wait, refused_since = RETRY_FIRST, 0.0
                        elif message["type"] == "events":
                            root = self.root
                            yield from self._new([{**event, "root": root} for event in message["events"]])
                        elif message["type"] == "heartbeat":
                            self._passed(message["position"])
                            if not follow and until is not None and message["position"] >= until:
                                return
            except (_Lost, BadInput) as lost:
                if not self.connections:
                    raise EngineError(str(lost)) from None
                if wait == RETRY_FIRST:
                    self._note(f"{lost}; trying on, to go on after {self.after}")
            except EngineError as error:
                # The engine's new token may not be there yet.
                refused_since = refused_since or time.monotonic()
                is_old = str(error).startswith(f"{UNAUTHORIZED}:") and self.connections
                if not is_old or time.monotonic() - refused_since > OLD_TOKEN_SECONDS:
                    raise
            time.sleep(wait)
            wait = min(2 * wait, RETRY_MAX)

    @property
    def root(self) -> str | None:
        """The newest mark, as it is written; None before there is one."""
        return str(self.marks[-1]) if self.marks else None

    def _marked(self, message: dict[str, Any]) -> None:
        # Before its events are handed out: it covers them.
        if message.get("root"):
            self.marks = kept(self.marks, mark_of(message["root"]))

    def _begun(self, message: dict[str, Any]) -> None:
        if self.connections > 1:
            self._note(f"connected again, after {message['after']}")
        if self._last is None:
            self._last, self.after = event_id(message["after"]), message["after"]

    def _new(self, found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for event in found:
            id_ = event_id(event["id"])
            if self._last is not None and id_ <= self._last:
                self.resent += 1
                continue
            self._last = id_
            yield event
            # Whoever is interrupted while it has the event in hand gets it again.
            self.after = event["id"]

    def _passed(self, position: int) -> None:
        """Nothing of what is asked for stands up to there, but for what was read."""
        place = event_id(str(position))
        if self._last is None or place > self._last:
            self._last, self.after = place, str(position)

    def _connected(self) -> ClientConnection:
        address = address_of(self._data_dir)
        marks = [("root", str(mark)) for mark in self.marks]
        url = (self._url or address.url).replace("http", "ws", 1)
        try:
            return connect(
                f"{url}/v1/drop-copy?{urlencode([*self._asked, *marks, ('after', self.after)])}",
                additional_headers={"Authorization": f"Bearer {self._token or address.token}"},
                proxy=None,
                compression=None,
                open_timeout=CONNECT_SECONDS,
                close_timeout=1,
                max_size=MESSAGE_MAX,
            )
        except InvalidStatus as error:
            status, text = error.response.status_code, _text_of(error.response.body)
            if status >= BUSY:
                raise _Lost(f"the engine cannot serve a drop copy yet ({status}: {text})") from None
            raise EngineError(f"{status}: {text}") from None
        except (OSError, InvalidHandshake, ConnectionClosed, EOFError) as error:
            raise _Lost(f"the engine at {address.url} does not answer ({type(error).__name__})") from None

    def _messages(self, socket: ClientConnection) -> Iterator[dict[str, Any]]:
        beat = CONNECT_SECONDS
        while True:
            try:
                message = msgspec.json.decode(socket.recv(timeout=SILENT_BEATS * beat))
            except TimeoutError:
                raise _Lost("the engine has said nothing for too long") from None
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 0
                why = f"{code}: {closed.rcvd.reason}" if closed.rcvd else "without a word"
                if code in FINAL_CODES:
                    raise EngineError(why) from None
                raise _Lost(f"the connection was closed, {why}") from None
            except OSError as error:
                raise _Lost(f"the connection was lost ({type(error).__name__})") from None
            beat = message.get("heartbeat_seconds", beat)
            yield message


def _text_of(body: bytes | bytearray) -> str:
    try:
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return body[:300].decode(errors="replace")

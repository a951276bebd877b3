"""The API of an engine that has only a journal: a real server and real sockets, for tests of drop copies."""

from __future__ import annotations

import hashlib
import itertools
import socket
import threading
import time
import warnings
from decimal import Decimal as D
from types import SimpleNamespace

import pytest
import uvicorn

from actors.api import drop_copy, server
from actors.api.auth import Tokens
from actors.api.connections import SOCKET_MESSAGE_MAX, BoundedProtocol, BoundedSocket, KnownHosts, Refusals
from actors.api.noun import Context
from actors.assembly.config import ApiToken, Role
from actors.core.errors import StoreUnreachable
from actors.core.facts import BalanceAdjusted
from actors.persistence import journal
from actors.persistence.journal import Entry
from actors.persistence.tail import Decided, JournalTail

OPERATOR, VIEWER = "operator-0123456789", "viewer-0123456789"


class Journal:
    """What a database would say, and who reads it; it can be away, and forget its oldest rows."""

    def __init__(self):
        self.entries, self.is_away, self.questions = [], False, 0
        self.ends, self.common = [], 10**9

    def root(self, position):
        """What the root of a commit is that ends there; behind ``common`` it is of another history."""
        history = b"one" if position <= self.common else b"two"
        return hashlib.blake2b(b"%s %d" % (history, position), digest_size=16).digest()

    def ask(self, call):
        self.questions += 1
        if self.is_away:
            raise StoreUnreachable("away, for the test")
        return call(self)

    def execute(self, statement, parameters):
        if statement == journal.READ:
            _shard, after, limit = parameters
            found = [entry for entry in self.entries if entry.position > after][:limit]
        elif statement == journal.COMMIT_OF:
            found = [(n, self.root(n)) for n in self.ends if n >= parameters[1]][:1]
        elif statement == journal.FIRST_KEPT:
            found = [(self.entries[0].position if self.entries else None,)]
        elif statement == journal.ROOTS_AT:
            found = [(n, self.root(n)) for n in parameters[1] if n in self.ends]
        else:
            assert statement == journal.LAST_COMMIT
            found = [(self.root(self.ends[-1]), self.ends[-1])] if self.ends else []
        return SimpleNamespace(fetchall=lambda: found, fetchone=lambda: found[0] if found else None)


class Served:
    """A server with accounts ``a-0`` to ``a-3``; ``commit`` is what the writer would do."""

    def __init__(self, kept=16):
        self.journal = Journal()
        self.tail = JournalTail(self.journal, 0, kept)
        engine = SimpleNamespace(
            clock=SimpleNamespace(monotonic_ns=time.monotonic_ns, wall_ms=lambda: 1_700_000_000_000),
            config=None, has_accounts=True, tail=self.tail, actors={}, accounts={f"a-{n}": object() for n in range(4)},
        )  # fmt: skip
        self.context = Context(engine)
        self.stats = self.context.drop_copies
        tokens = [ApiToken("op", Role.OPERATOR, OPERATOR), ApiToken("look", Role.VIEWER, VIEWER)]
        self.listener = socket.create_server(("127.0.0.1", 0))
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            # Of Litestar 3, as in documents.py; and all nouns would take a third of a second each time.
            warnings.simplefilter("ignore", DeprecationWarning)
            patch.setattr(server, "NOUNS", (drop_copy.NOUN,))
            app = server.application(self.context, Tokens(tokens))
        config = uvicorn.Config(
            KnownHosts(Refusals(app), []), log_level="critical", lifespan="off",
            http=BoundedProtocol, ws=BoundedSocket, ws_max_size=SOCKET_MESSAGE_MAX, ws_per_message_deflate=False,
            interface="asgi3", timeout_graceful_shutdown=2,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True
        )
        self.thread.start()
        until(lambda: self.server.started, "the server")
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._numbers = itertools.count(1)

    def commit(self, count=1, stream=None, facts=None, *, is_told=True):
        """A commit of so many rows, of the accounts in turn; in memory too unless ``is_told`` is false."""
        rows = []
        for _ in range(count):
            number = next(self._numbers)
            name = stream or f"a-{number % 4}"
            told = facts or (BalanceAdjusted(D(number), "DEPOSIT"),)
            version, data = journal.encoded(name, told)
            self.journal.entries.append(
                Entry(number, name, number, 1_700_000_000_000, "c", version, data, b"")
            )
            rows.append(Decided(number, name, number, 1_700_000_000_000, "c", told))
        self.journal.ends.append(rows[-1].position)
        if is_told:
            self.tail.committed(rows, self.journal.root(rows[-1].position))
        else:
            self.tail.more()

    def restored(self, position):
        """Another engine, on a backup of this one's journal that ends there."""
        other = Served()
        other.journal.common = position
        other._numbers = itertools.count(position + 1)
        other.journal.entries = [entry for entry in self.journal.entries if entry.position <= position]
        other.journal.ends = [end for end in self.journal.ends if end <= position]
        other.tail.more()
        return other

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.listener.close()


def until(condition, what, seconds=20):
    """Wait for a condition, bounded."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)

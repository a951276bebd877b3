"""The journal, read and verified independently of the program that wrote it; only ``fold`` is the engine's own.

The hashes are made here by the words of ``actors/persistence/journal.py``, not by its functions.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from decimal import Decimal as D

import msgspec

from actors.core import fact_codec
from actors.core.facts import FillApplied, OrderEnded, OrderIntended, PositionTakenOver
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState

NOTHING = bytes(16)


class Broken(AssertionError):
    """An invariant does not hold."""


def hashed(data):
    return hashlib.blake2b(data, digest_size=16).digest()


class Journal:
    """What the journal says; read on from where it was read before."""

    def __init__(self):
        self.position, self.root = 0, NOTHING
        self.heads = {}
        self.states = {}
        self.orders, self.ended = {}, {}
        self.trades = {}
        self.house = defaultdict(D)
        self._hashes = []

    def read(self, own):
        """Read what is new, and verify it.

        Raises:
            Broken: a row or a commit that cannot be; names it.
        """
        with own.transaction():
            own.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = own.execute(
                "SELECT position, stream, sequence, wall_ms, cause, version, facts, hash FROM bulkhead.journal "
                "WHERE shard = 0 AND position > %s ORDER BY position", (self.position,)
            ).fetchall()  # fmt: skip
            commits = own.execute(
                "SELECT position, rows, root FROM bulkhead.journal_commit WHERE shard = 0 AND position > %s "
                "ORDER BY position", (self.position,)
            ).fetchall()  # fmt: skip
            keys = set(own.execute("SELECT symbol, trade_id FROM bulkhead.trade_key").fetchall())
        for row in rows:
            self._row(*row)
        self._commits(commits)
        if keys != self.trades.keys():
            raise Broken(f"trade_key and the journal differ: {sorted(keys ^ self.trades.keys())[:4]}")
        return self

    def _row(self, position, stream, sequence, wall_ms, cause, version, facts, hash_):
        if position != self.position + 1:
            raise Broken(f"row {position} follows {self.position} in the journal")
        last, previous = self.heads.get(stream, (None, NOTHING))
        if last is not None and sequence != last + 1:
            raise Broken(f"{stream}: decision {sequence} follows {last} in the journal")
        covered = msgspec.msgpack.encode((previous, stream, sequence, wall_ms, cause, version, facts))
        if hashed(covered) != hash_:
            raise Broken(f"row {position} ({stream}, {sequence}) does not have the hash of what is in it")
        self.position, self.heads[stream] = position, (sequence, hash_)
        self._hashes.append(hash_)
        decoded = fact_codec.decode(version, facts)
        for fact in decoded:
            self._fact(stream, fact)
        state = self.states.get(stream) or AccountState(account_id=stream)
        self.states[stream] = msgspec.structs.replace(folded(state, decoded), sequence=sequence)

    def _fact(self, stream, fact):
        match fact:
            case OrderIntended():
                if self.orders.setdefault(fact.client_order_id, stream) != stream:
                    raise Broken(f"{fact.client_order_id} is an order of two accounts")
            case OrderEnded():
                self.ended[fact.client_order_id] = str(fact.status)
            case FillApplied():
                key = (fact.trade.symbol, fact.trade.trade_id)
                if key in self.trades:
                    raise Broken(f"the trade {key} is booked twice")
                self.trades[key] = (stream, fact)
            case PositionTakenOver():
                self.house[fact.symbol] += fact.quantity

    def _commits(self, commits):
        begin = self.position - len(self._hashes)
        for position, count, root in commits:
            hashes, self._hashes = self._hashes[:count], self._hashes[count:]
            begin += len(hashes)
            self.root = hashed(self.root + b"".join(hashes))
            if (begin, len(hashes)) != (position, count) or self.root != root:
                raise Broken(f"the commit that ends at {position} with {count} rows does not have their root")
        if self._hashes:
            raise Broken(f"{len(self._hashes)} rows at the end of the journal belong to no commit")

    # -- what follows from it

    def working(self):
        """Client order ids of orders without an end."""
        return {o.client_order_id for state in self.states.values() for o in state.orders}

    def positions(self):
        """Signed quantities by symbol, of all accounts and of the house."""
        total = defaultdict(D, self.house)
        for state in self.states.values():
            for position in state.positions:
                total[position.symbol] += position.quantity
        return {s: q for s, q in total.items() if q}

"""The journal, read and verified independently of the program that wrote it; only ``fold`` is the engine's own.

The hashes are made here by the words of ``actors/persistence/journal.py``, not by its functions.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from decimal import Decimal as D

import msgspec

from actors.clearing import fold as clearing_fold
from actors.clearing.state import ClearingState
from actors.core import clearing_fact_codec, fact_codec
from actors.core.clearing_facts import BlockEnded, BlockFormed, RoundAllocated
from actors.core.facts import FillApplied, OrderEnded, OrderIntended, PositionTakenOver
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState

NOTHING = bytes(16)


class Broken(AssertionError):
    """An invariant does not hold."""


def hashed(data):
    return hashlib.blake2b(data, digest_size=16).digest()


def is_part(fact):
    """Whether a fill is a part of a block's round, and not a trade of its own."""
    return fact.trade.quote_quantity is not None


class Journal:
    """What the journal says; read on from where it was read before."""

    def __init__(self):
        self.position, self.root = 0, NOTHING
        self.heads = {}
        self.states = {}
        self.orders, self.ended = {}, {}
        # Block orders are orders at the exchange too: members by their ids, and their ends.
        self.clearings, self.blocks, self.blocks_ended = {}, {}, {}
        # Trades of the exchange, each used once: by which of its orders, the trade, and the fee that was booked.
        self.trades = {}
        # What accounts booked: own trades, and parts of rounds, by symbol, trade id and their own order.
        self.fills, self.parts = {}, {}
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
            keys = set(own.execute("SELECT symbol, trade_id, member FROM bulkhead.trade_key").fetchall())
        for row in rows:
            self._row(*row)
        self._commits(commits)
        used = {(*key, "") for key in self.trades} | {key for key, (_, f) in self.fills.items() if is_part(f)}
        if keys != used:
            raise Broken(f"trade_key and the journal differ: {sorted(keys ^ used)[:4]}")
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
        if stream.startswith("clearing:"):
            self._cleared(stream, sequence, clearing_fact_codec.decode(version, facts))
            return
        decoded = fact_codec.decode(version, facts)
        for fact in decoded:
            self._fact(stream, fact)
        state = self.states.get(stream) or AccountState(account_id=stream)
        self.states[stream] = msgspec.structs.replace(folded(state, decoded), sequence=sequence)

    def _cleared(self, stream, sequence, decoded):
        for fact in decoded:
            match fact:
                case BlockFormed():
                    id_ = fact.order.client_order_id
                    if id_ in self.blocks:
                        raise Broken(f"{id_} is the id of two blocks")
                    for member in fact.members:
                        if self.orders.get(member.client_order_id) != member.account_id:
                            raise Broken(f"{member.client_order_id} is in {id_}, and no durable order")
                    self.blocks[id_] = (fact.order.sequence, fact.members)
                case RoundAllocated():
                    self._round(stream, fact)
                case BlockEnded():
                    self.blocks_ended[self._block(stream, fact.block)] = str(fact.status)
        state = self.clearings.get(stream) or ClearingState(symbol=stream.partition(":")[2])
        state = clearing_fold.folded(state, decoded)
        self.clearings[stream] = msgspec.structs.replace(state, sequence=sequence)

    def _block(self, stream, number):
        state = self.clearings[stream]
        return next(b.client_order_id for b in state.blocks if b.number == number)

    def _round(self, stream, fact):
        block = self._block(stream, fact.block)
        for trade in fact.trades:
            self._use((trade.symbol, trade.trade_id), (block, trade, trade.fee))
        for of, total in (
            ("quantity", sum(t.quantity for t in fact.trades)),
            ("value", sum(t.quantity * t.price for t in fact.trades)),
            ("fee", sum(t.fee or 0 for t in fact.trades)),
        ):
            if sum(getattr(part, of) for part in fact.allocations) != total:
                raise Broken(f"the parts of round {fact.round_id} of {block} are not its {of}")
        for part in fact.allocations:
            self.parts[fact.trades[0].symbol, fact.round_id, part.client_order_id] = part

    def _use(self, key, used):
        if key in self.trades:
            raise Broken(f"the trade {key} is used twice")
        self.trades[key] = used

    def _fill(self, stream, fact):
        trade = fact.trade
        key = (trade.symbol, trade.trade_id, fact.client_order_id)
        if key in self.fills:
            raise Broken(f"the trade {key} is booked twice")
        self.fills[key] = (stream, fact)
        if not is_part(fact):
            self._use(key[:2], (fact.client_order_id, trade, fact.fee))
        elif key not in self.parts:
            raise Broken(f"{key} is booked as a part of a round that did not give it")
        elif (trade.quantity, trade.value) != (self.parts[key].quantity, self.parts[key].value):
            raise Broken(f"{key} is booked as {trade}, and was given {self.parts[key]}")

    def _fact(self, stream, fact):
        match fact:
            case OrderIntended():
                if self.orders.setdefault(fact.client_order_id, stream) != stream:
                    raise Broken(f"{fact.client_order_id} is an order of two accounts")
            case OrderEnded():
                self.ended[fact.client_order_id] = str(fact.status)
            case FillApplied():
                self._fill(stream, fact)
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

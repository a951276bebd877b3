"""What the engine publishes to Redis, and what it reads there: wired only if the setting ``redis`` names one."""

from __future__ import annotations

from actors.assembly.build import Assembly
from actors.assembly.config import EngineConfig
from actors.assembly.fleet import states_of
from actors.core.errors import RedisUnreachable
from actors.core.units import AccountId, Nanos, Symbol
from actors.persistence.redis.event_stream import EventStream
from actors.persistence.redis.prices import MAX_AGE_MS, StoredPrice
from actors.persistence.redis.publisher import Publisher, RedisStats, Sources
from actors.persistence.redis.reading import SnapshotReader
from actors.persistence.redis.snapshots import Snapshot
from actors.persistence.tail import JournalTail
from actors.runtime.clock import Clock
from actors.subaccount.market import Market
from actors.subaccount.state import AccountState
from actors.supervision.alarms import Alarms


class RedisLink:
    """See the module; without a Redis all of it does nothing, and nobody need ask.

    Args:
        publisher: None if there is no Redis.
        reader: as above.
        clock: of ages.
    """

    def __init__(self, publisher: Publisher | None, reader: SnapshotReader | None, clock: Clock) -> None:
        self._publisher, self._reader, self._clock = publisher, reader, clock

    @staticmethod
    def of(config: EngineConfig, clock: Clock, alarms: Alarms) -> RedisLink:
        """As the settings say."""
        if not config.redis:
            return RedisLink(None, None, clock)
        stream = EventStream(config.redis_stream, config.redis_stream_length, config.redis_stream_depth)
        publisher = Publisher(config.redis, stream, clock, alarms.tell, alarms.over)
        return RedisLink(publisher, SnapshotReader(config.redis), clock)

    def start(self) -> None:
        """Begin to connect."""
        if self._publisher is not None:
            self._publisher.start()

    def attach(self, assembly: Assembly, tail: JournalTail, fleet: str) -> None:
        """The accounts are there: begin to publish."""
        if self._publisher is None:
            return
        accounts, context = assembly.accounts, assembly.context

        def current(id_: AccountId) -> AccountState | None:
            ref = accounts.get(id_)
            state = None if ref is None else ref.cell.actor.inspect_state()
            return state if isinstance(state, AccountState) else None

        def market() -> Market:
            clock, book = self._clock, context.book
            return Market(
                book.ticks, context.instruments, Nanos(clock.monotonic_ns()), clock.wall_ms(), context.origin
            )

        self._publisher.attach(
            Sources(
                tail=tail, states=lambda: states_of(accounts), current=current, market=market, fleet=fleet
            )
        )

    def stop(self, seconds: float) -> None:
        """Publish what there is, and end."""
        if self._publisher is not None:
            self._publisher.stop(seconds)

    @property
    def stats(self) -> RedisStats | None:
        """How it is doing; None if there is no Redis."""
        return None if self._publisher is None else self._publisher.stats

    def snapshot(self, account_id: AccountId) -> Snapshot | None:
        """The risk snapshot that Redis has of an account; None if it has none.

        Raises:
            RedisUnreachable, RedisRefused: there is no Redis, it does not answer, or not with a snapshot.
        """
        if self._reader is None:
            raise RedisUnreachable("there is no Redis; the setting redis would name one")
        return self._reader.snapshot(account_id)

    def price(self, symbol: Symbol) -> StoredPrice | None:
        """A young price that somebody else wrote, of a symbol that the engine has no fresh one of."""
        found = None if self._publisher is None else self._publisher.cached.get(symbol)
        return found if found is not None and self._clock.wall_ms() - found.ts < MAX_AGE_MS else None

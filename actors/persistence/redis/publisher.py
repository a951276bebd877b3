"""Publishes to Redis what platforms read: snapshots, prices and events, from a thread of its own.

It only ever reads what the engine has anyway (the tail of the journal, prices, states), so no actor waits for it, and
while Redis is away it does nothing but try again. What is missing then is made up from the journal.

I/O: one connection to a Redis, used by this thread alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

import msgspec
import redis
import structlog

from actors.core.alarm_level import Critical, Info
from actors.core.errors import BulkheadError, RedisRefused, RedisUnreachable
from actors.core.events import ALL_PARTS, EventId
from actors.core.messages import Tick
from actors.core.units import NANOS_PER_MS, AccountId, Symbol
from actors.persistence.redis import prices, snapshots
from actors.persistence.redis.address import redacted
from actors.persistence.redis.connection import connect, explained, meaning
from actors.persistence.redis.entries import Entry, Recent, entries_of, without_states
from actors.persistence.redis.event_stream import AT_ONCE, EventStream, Moved
from actors.persistence.redis.prices import Published, StoredPrice
from actors.persistence.redis.schedule import Share, SnapshotSchedule
from actors.persistence.redis.states import DurableStates
from actors.persistence.tail import Decided, JournalTail
from actors.runtime.clock import Clock
from actors.subaccount.market import Market
from actors.subaccount.state import AccountState

log = structlog.get_logger("redis")

STEP_S = 0.1
"""It looks this often, and after each commit."""

GATHER_S = 0.005
"""After a commit it waits for others, so that one pipeline has the entries of some."""

EVENTS_S = 0.25
"""Events are added for so long at most before snapshots and prices have their turn."""

LOOK_S = 2.0
"""How often it is asked whether the stream is still as it was left, while nothing is added."""

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 5.0
ROWS_AT_ONCE = 256
AHEAD_MAX = 2_000
"""Entries that may wait to be sent before no more are made: the rows stay in the journal."""

BEHIND_MAX = 5_000
"""Rows that may wait before no snapshots are written: they would say what was, with the time of now."""

SNAPSHOTS_AT_ONCE = 50
MISSING_EVERY_S = 1.0
AWAY_KEY = "redis is away"

PARTS = ("events", "snapshots", "prices")


class Sources(msgspec.Struct, kw_only=True):
    """What there is to publish; it comes when the accounts are there.

    ``states`` are all accounts' as they were loaded, and ``current`` the actor's own. ``market`` gives prices and rules.
    ``fleet`` is the database's id.
    """

    tail: JournalTail
    states: Callable[[], Iterable[AccountState]]
    current: Callable[[AccountId], AccountState | None]
    market: Callable[[], Market]
    fleet: str


class RedisStats(msgspec.Struct, kw_only=True):
    """How it is doing; counters since the start, written by its thread alone.

    ``lag`` is how many decisions of the journal are not in the stream yet, ``last_id`` the stream's last event, ``round_s`` how
    long it takes to look at the snapshots of all accounts once. ``error`` is why it is not connected, ``faults`` what each part
    cannot do although it is.
    """

    address: str
    connected: bool = False
    error: str = ""
    faults: dict[str, str] = {}
    lag: int = 0
    last_id: str = ""
    events: int = 0
    snapshots: int = 0
    prices: int = 0
    errors: int = 0
    connects: int = 0
    round_s: float = 0.0


class Part:
    """One of the things that are published: what fails keeps no other one back."""

    def __init__(self) -> None:
        self.retry_s = RETRY_FIRST_S
        self.not_before_s = 0.0
        self.fault = ""


class Publisher:
    """See the module.

    Args:
        url: of the Redis.
        stream: the event stream in it.
        clock: of wall times.
        alarm: called with a text and a key.
        over: called with the key when that has ended.
    """

    def __init__(
        self,
        url: str,
        stream: EventStream,
        clock: Clock,
        alarm: Callable[[str, str], None],
        over: Callable[[str], None],
    ) -> None:
        self._client = connect(url)
        self._stream, self._clock = stream, clock
        self._alarm, self._over = alarm, over
        self._where = redacted(url)
        self.stats = RedisStats(address=self._where)
        self.cached: Mapping[Symbol, StoredPrice] = {}
        """Young prices of others, for symbols of which the engine has none; replaced as a whole."""
        self._sources: Sources | None = None
        self._is_up = False
        self._retry_s, self._next_try_s = RETRY_FIRST_S, 0.0
        self._parts = {name: Part() for name in PARTS}
        self._stopping, self._stop_by_s = threading.Event(), 0.0
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run_until_stopped, name="redis", daemon=True)
        # Of the sources, once they are there.
        self._is_prepared = False
        self._states: DurableStates
        self._recent: Recent
        self._sent = EventId(0, ALL_PARTS)
        self._knows_stream = False
        self._looked_s = 0.0
        self._schedule, self._share = SnapshotSchedule(), Share()
        self._published = Published()
        self._asked_s = 0.0
        self._end_listening: Callable[[], None] = lambda: None

    # -- for other threads

    def start(self) -> None:
        """Begin to connect; there is nothing to publish before ``attach``."""
        self._thread.start()

    def attach(self, sources: Sources) -> None:
        """Begin to publish."""
        self._sources = sources
        self._end_listening = sources.tail.listen(self._wake.set)
        self._wake.set()

    def stop(self, seconds: float) -> bool:
        """Publish what there is, and end; the writer has ended before.

        Returns:
            Whether it ended in that time.
        """
        self._end_listening()
        self._stop_by_s = time.monotonic() + seconds
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    # -- the thread

    def _run_until_stopped(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.stats.connected, self.stats.error = False, f"its thread ended: {error!r}"
            self._alarm(
                Critical(
                    f"nothing is published to Redis any more ({error!r}); the engine goes on; restart it when that fits"
                ),
                AWAY_KEY,
            )
            raise

    def _work(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.is_set()
            self.turn(is_last=is_last)
            if not is_last:
                self._wake.wait(self._pause_s())
                self._wake.clear()
            if not self._stopping.is_set():
                time.sleep(GATHER_S)
        self._client.close()

    def turn(self, *, is_last: bool = False) -> None:
        """Publish what there is, once; whatever fails is said, and tried again by a later turn. The thread's alone.

        Args:
            is_last: nothing is published after this.
        """
        try:
            sources = self._sources  # once: it may come at any moment
            if sources is not None and not self._is_prepared:
                self._prepare(sources)
                self._is_prepared = True
            self._step(sources, is_last=is_last)
        except (RedisUnreachable, RedisRefused) as away:
            self._went_away(str(away))
        except Exception as error:
            # This thread must outlive whatever it meets; it begins anew.
            log.exception("publishing to Redis failed")
            self._went_away(f"{type(error).__name__}: {error}")

    def _prepare(self, sources: Sources) -> None:
        # First the position, then the states: what is durable in between is known twice, and not never.
        end = sources.tail.position
        self._states = DurableStates(sources.current)
        self._states.begin(sources.states())
        self._recent = Recent(end, AHEAD_MAX * 5)

    def _step(self, sources: Sources | None, *, is_last: bool) -> None:
        now_s = time.monotonic()
        if not self._is_up:
            if is_last or now_s < self._next_try_s:
                return
            with explained("connecting"):
                self._client.ping()
            self._came_up(now_s)
        if sources is None:
            return
        self._run("events", lambda: self._publish_events(sources, is_last=is_last))
        self._run("snapshots", lambda: self._publish_snapshots(sources, is_last=is_last))
        self._run("prices", lambda: self._publish_prices(sources))

    def _run(self, name: str, publish: Callable[[], None]) -> None:
        """One part; an answer that is an error holds back this part alone."""
        part, now_s = self._parts[name], time.monotonic()
        if now_s < part.not_before_s:
            return
        try:
            publish()
        except RedisUnreachable:
            raise
        except BulkheadError as refused:
            # Postgres, too: what memory has not, it has.
            self.stats.errors += 1
            part.not_before_s, part.retry_s = (
                now_s + part.retry_s,
                min(part.retry_s * 2, RETRY_MAX_S),
            )
            if name == "events":
                self._knows_stream = False
            if part.fault != str(refused):
                part.fault = str(refused)
                log.warning("Redis refuses", part=name, error=part.fault)
                self._alarm(
                    f"Redis at {self._where}: {name} are not published ({refused}); it is tried on and on, and what is "
                    "missing is made up for",
                    f"redis {name}",
                )
        else:
            part.retry_s = RETRY_FIRST_S
            if part.fault:
                part.fault = ""
                self._over(f"redis {name}")
        self.stats.faults = {n: p.fault for n, p in self._parts.items() if p.fault}

    def _came_up(self, now_s: float) -> None:
        self._is_up, self._retry_s = True, RETRY_FIRST_S
        self.stats.connected, self.stats.error = True, ""
        self.stats.connects += 1
        log.info("Redis answers", address=self._where)
        self._over(AWAY_KEY)
        self._begin_again(now_s)

    def _begin_again(self, now_s: float) -> None:
        """Redis may have lost anything: it is told again what it should have, and asked where the stream stands."""
        self._knows_stream = False
        self._schedule.again(now_s)
        self._published.forget()
        for part in self._parts.values():
            part.not_before_s = 0.0

    def _went_away(self, why: str) -> None:
        self.stats.errors += 1
        self._client.connection_pool.disconnect()
        self._next_try_s = time.monotonic() + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_MAX_S)
        is_news = self._is_up or not self.stats.error
        self._is_up, self.stats.connected, self.stats.error = False, False, why
        if is_news:
            log.warning("Redis is away", address=self._where, error=why)
            self._alarm(
                f"Redis at {self._where} is away ({why}): the engine goes on without it, platforms read old snapshots or none; "
                "it is tried on and on, and what is missing is made up for",
                AWAY_KEY,
            )
        if self._sources is not None:
            self.stats.lag = max(0, self._sources.tail.position - self._sent.position)

    def _pause_s(self) -> float:
        if not self._is_up:
            return max(0.01, min(STEP_S, self._next_try_s - time.monotonic()))
        return min(STEP_S, max(0.01, self._schedule.next_s(time.monotonic()), self._share.wait_s))

    def _has_time(self, *, is_last: bool) -> bool:
        return not is_last or time.monotonic() < self._stop_by_s - 0.2

    # -- events

    def _publish_events(self, sources: Sources, *, is_last: bool) -> None:
        tail, until_s = sources.tail, time.monotonic() + EVENTS_S
        if not self._knows_stream:
            self._ask_stream(sources)
        while self._has_time(is_last=is_last) and (is_last or time.monotonic() < until_s):
            self._make(sources)
            batch = self._next(sources)
            if not batch:
                if self._recent.end >= tail.position:
                    break
                continue
            try:
                self._stream.append(self._client, batch, tail.mark(batch[-1].id.position))
            except Moved:
                self._begin_again(time.monotonic())
                return
            self._sent, self._looked_s = batch[-1].id, time.monotonic()
            self.stats.events += len(batch)
            self.stats.last_id = str(self._sent)
        self.stats.lag = 0 if self._caught_up(sources) else max(1, tail.position - self._sent.position)
        if time.monotonic() - self._looked_s > LOOK_S:
            self._look(sources)

    def _caught_up(self, sources: Sources) -> bool:
        is_made = self._recent.end >= sources.tail.position
        return is_made and self._sent >= self._recent.whole_from and not self._recent.after(self._sent, 1)

    def _ask_stream(self, sources: Sources) -> None:
        end = sources.tail.end()
        self._sent, is_there, replaced = self._stream.begin(self._client, sources.fleet, end, sources.tail)
        self._knows_stream, self._looked_s = True, time.monotonic()
        self.stats.last_id = str(self._sent) if is_there else ""
        if replaced:
            self._alarm(
                f"Redis at {self._where}: stream {replaced} has events that the journal has not, as after a restore of a backup. "
                f"It ends with an entry that says so, and {self._stream.key} goes on behind position {self._sent.position:,}: "
                "have its readers go over to that one",
                "redis stream replaced",
            )
        if not is_there and self._sent.position:
            begins = self._sent.position + 1
            self._alarm(
                Info(
                    f"Redis at {self._where}: stream {self._stream.key} is empty and begins with position {begins:,} of the "
                    f"journal, which ends with {end:,} (redis_stream_depth); what is before is in the journal only"
                ),
                "redis stream begins",
            )

    def _look(self, sources: Sources) -> None:
        """Whether the stream is as it was left, with nothing to add: it may have been emptied."""
        self._looked_s = time.monotonic()
        last = self._stream.last(self._client)
        if (None if last is None else str(last)) != (self.stats.last_id or None):
            self._begin_again(self._looked_s)
            self._ask_stream(sources)

    def _make(self, sources: Sources) -> None:
        """Entries of the next rows, unless many wait already; the accounts' states follow."""
        waiting = self._recent.after(max(self._sent, self._recent.whole_from), AHEAD_MAX)
        if len(waiting) < AHEAD_MAX:
            self._follow(sources.tail.read(self._recent.end, ROWS_AT_ONCE))

    def _follow(self, rows: Sequence[Decided]) -> None:
        now_s = time.monotonic()
        for row in rows:
            self._recent.add(row.position, list(entries_of(row, self._states.follow(row))))
            self._schedule_of(row, now_s)

    def _schedule_of(self, row: Decided, now_s: float) -> None:
        id_ = AccountId(row.stream)
        if id_ in self._states.known:
            self._schedule.changed(id_, now_s)

    def _next(self, sources: Sources) -> Sequence[Entry]:
        """The next entries to be added; none if all are. Those that memory has no more are made of the journal."""
        while self._sent < self._recent.whole_from:
            begin = self._recent.begin
            rows = [
                r for r in sources.tail.read(self._first_missing() - 1, ROWS_AT_ONCE) if r.position <= begin
            ]
            found = [entry for row in rows for entry in without_states(row) if entry.id > self._sent]
            if found:
                for row in rows:
                    # A snapshot may not have been written before an earlier run ended.
                    self._schedule_of(row, time.monotonic())
                return found[:AT_ONCE]
            self._sent = EventId(rows[-1].position if rows else begin, ALL_PARTS)
        return self._recent.after(self._sent, AT_ONCE)

    def _first_missing(self) -> int:
        """The position of the first row of which an event may be missing."""
        return self._sent.position + 1 if self._sent.part == ALL_PARTS else self._sent.position

    # -- snapshots

    def _publish_snapshots(self, sources: Sources, *, is_last: bool) -> None:
        tail = sources.tail
        if self._parts["events"].fault:
            # The stream takes nothing now; the states go on, and entries that memory has no more are made anew later.
            self._follow(tail.read(self._recent.end, ROWS_AT_ONCE * 8))
            self.stats.lag = max(0, tail.position - self._sent.position)
        if tail.position - self._recent.end > BEHIND_MAX:
            return
        schedule, known = self._schedule, self._states.known
        while self._has_time(is_last=is_last) and (is_last or self._share.is_open(time.monotonic())):
            began_s = time.thread_time()
            market, now_s = sources.market(), time.monotonic()
            due = schedule.due(known, market.ticks, now_s, SNAPSHOTS_AT_ONCE, is_last=is_last)
            try:
                written = self._write_snapshots([known[id_] for id_ in due if id_ in known], market)
            except BaseException:
                for id_ in due:
                    schedule.changed(id_, now_s)
                raise
            for state in written:
                schedule.wrote(state, market.ticks, now_s)
            self._share.spend(time.thread_time() - began_s)
            self.stats.snapshots += len(written)
            self.stats.round_s = schedule.round_s
            if not due and schedule.rests:
                break

    def _write_snapshots(self, states: Sequence[AccountState], market: Market) -> list[AccountState]:
        others = self.cached.get
        found = [
            (s, made)
            for s in states
            if (made := snapshots.snapshot_of(s, prices.to_look_at(s, market, others))) is not None
        ]
        self._set(
            [(snapshots.key_of(s.account_id), snapshots.encode(made)) for s, made in found],
            snapshots.TTL_S,
        )
        return [s for s, _ in found]

    # -- prices

    def _publish_prices(self, sources: Sources) -> None:
        market, now_s = sources.market(), time.monotonic()
        due: list[Tick] = [
            tick
            for tick in self._published.due(market.ticks, now_s)
            if market.now_ns - tick.received_ns + tick.delay_ns < prices.MAX_AGE_MS * NANOS_PER_MS
        ]
        self._set(
            [(prices.key_of(t.symbol), prices.encode(t, market.now_ns, market.wall_ms)) for t in due],
            prices.TTL_S,
        )
        for tick in due:
            self._published.wrote(tick)
        self.stats.prices += len(due)
        if now_s - self._asked_s >= MISSING_EVERY_S:
            self._asked_s = now_s
            self._ask_missing(market)

    def _ask_missing(self, market: Market) -> None:
        """What others know of symbols that the engine has no fresh price of."""
        limit_ns = prices.MAX_AGE_MS * NANOS_PER_MS
        missing = [
            symbol
            for symbol in list(market.instruments)
            if (tick := market.ticks.get(symbol)) is None
            or market.now_ns - tick.received_ns + tick.delay_ns >= limit_ns
        ]
        found: dict[Symbol, StoredPrice] = {}
        if missing:
            with explained("prices"):
                keys = [prices.key_of(symbol) for symbol in missing]
                texts = cast("list[bytes | None]", self._client.mget(keys))
            for symbol, text in zip(missing, texts, strict=True):
                price = prices.decode(text, market.wall_ms)
                if price is not None:
                    found[symbol] = price
        self.cached = found

    def _set(self, pairs: Sequence[tuple[str, bytes]], ttl_s: int) -> None:
        if not pairs:
            return
        with explained("SET"):
            pipeline = self._client.pipeline(transaction=False)
            for key, value in pairs:
                pipeline.set(key, value, ex=ttl_s)
            answers = pipeline.execute(raise_on_error=False)
        for (key, _), answer in zip(pairs, answers, strict=True):
            if isinstance(answer, redis.RedisError):
                raise RedisRefused(f"{key}: {meaning(answer)}")

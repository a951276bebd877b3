"""``bulkhead db adopt``: the platform's accounts are taken over, or given back, while no engine runs.

What is read, compared with the exchange and written is one transaction in which nobody else can write to the platform's
tables. The exchange is asked inside it, through the venue that the engine would trade at.

I/O: runs SQL, and asks the exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from msgspec.structs import replace

from actors.assembly.config import EngineConfig
from actors.core.constants import CLIENT_ORDER_ID_PREFIX
from actors.core.errors import BadInput, BulkheadError, RedisRefused, RedisUnreachable
from actors.core.instruments import Instrument
from actors.core.names import shown
from actors.core.records import RecordAudit
from actors.core.units import NANOS_PER_MS, ZERO, Nanos, Symbol
from actors.limits.model import RiskLimits
from actors.persistence import open_books, schema
from actors.persistence.adoption import adopting
from actors.persistence.adoption.adopting import Adopted, Found
from actors.persistence.adoption.figures import symbol_of
from actors.persistence.adoption.plan import NOWHERE, Plan, plan
from actors.persistence.connection import lift_limits
from actors.persistence.operator_records import OperatorRecords
from actors.persistence.projection.store import Projection
from actors.persistence.redis.address import redacted
from actors.persistence.redis.connection import connect, explained
from actors.persistence.store import Append, Store
from actors.venues.port import FleetExposure, OpenOrder
from actors.venues.registry import open_venue

Connection = psycopg.Connection[Any]

PROJECTED_AT_ONCE = 1_000
DETAIL_NAMES = 10
NAMED = 3
"""So many orders stand in one sign."""

HEARTBEAT = "pms:babysitter:heartbeat"
"""Of the platform's bot, in Redis; it is gone 15 seconds after the last one."""


NOT_SAID = (
    "is the platform stopped, with its bots? Two that work one account lose money. Stop it, and say so with "
    "--i-stopped-the-platform; --dry-run shows what would be done"
)


class Refused(BulkheadError):  # noqa: N818 - names read as in ``core.errors``
    """Nothing was done; ``plan`` says why."""

    def __init__(self, text: str, made: Plan) -> None:
        super().__init__(text)
        self.plan = made


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator asks for: ``wanted`` accounts, empty for all. ``partial`` leaves out what is refused."""

    config: EngineConfig
    wanted: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    is_stopped: bool = False
    partial: bool = False
    who: str = ""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What an adoption would do, and the signs that something else works there."""

    plan: Plan
    at_work: tuple[str, ...]


def defaults_of(config: EngineConfig) -> RiskLimits:
    """The limits below all accounts, as the engine has them."""
    return replace(config.risk.limits, price_max_age_ns=Nanos(config.price_max_age_ms * NANOS_PER_MS))


def look(connection: Connection, request: Request, wall_ms: int, progress: Callable[[str], None]) -> Look:
    """A dry run. Nothing is changed, neither there nor at the exchange.

    Raises:
        BadInput: what is asked for cannot be, or the database is no platform's.
        ExchangeUnreachable, VenueRefused, MasterUnfit: the exchange does not say what is needed.
    """
    is_ours = check_platform(connection)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        lift_limits(connection)
        return _look(connection, request, wall_ms, progress, is_ours=is_ours)


def adopt(store: Store, request: Request, wall_ms: int, progress: Callable[[str], None]) -> Plan:
    """Take accounts over, as facts in the journal.

    Raises:
        Refused: something works there, or an account cannot be taken over and ``partial`` is not asked for.
        BadInput, Fenced, StoreBusy, StoreUnreachable, ExchangeUnreachable, VenueRefused, MasterUnfit: nothing is done.
    """
    if not request.is_stopped:
        raise BadInput(NOT_SAID)

    def run(connection: Connection, append: Append) -> Plan:
        adopting.lock(connection)
        found = _look(connection, request, wall_ms, progress, is_ours=True)
        if found.at_work:
            raise Refused(f"something works these accounts: {'; '.join(found.at_work)}", found.plan)
        made = found.plan
        if made.refusals and not request.partial:
            raise Refused(
                f"{len(made.refused)} accounts cannot be taken over, so none was; --partial takes the others",
                made,
            )
        if made.adoptions:
            rows = adopting.rows_of(connection, made.adoptions, wall_ms)
            append(rows)
            adopting.write(connection, made.adoptions, rows)
            ids = [adoption.account_id for adoption in made.adoptions]
            _audit(connection, request.who, "adopt", ids, wall_ms)
        return made

    return store.at_rest(run)


def undo(store: Store, request: Request, wall_ms: int) -> list[Adopted]:
    """Give accounts back that decided nothing since they were taken over; all that are asked for, or none.

    Without names those that can be given back are. The answer has those that cannot, too.

    Raises:
        BadInput: one that is asked for cannot be given back; says which and why.
        Fenced, StoreBusy, StoreUnreachable: nothing is done.
    """

    def run(connection: Connection, append: Append) -> list[Adopted]:
        found = adopting.adopted(connection, request.wanted)
        refused = adopting.refusals(found)
        if refused and request.wanted:
            raise BadInput("; ".join(f"{r.account_id}: {r.why}" for r in refused) + ". Nothing was undone")
        able = [one for one in found if not one.why_not]
        if able:
            ids = [one.account_id for one in able]
            append(adopting.undoing(able, wall_ms))
            adopting.erase(connection, ids)
            _audit(connection, request.who, "undo-adopt", ids, wall_ms)
        return found

    return store.at_rest(run)


def project(dsn: str) -> None:
    """Bring the tables up to date, as the engine's projector would at its next start."""
    projection = Projection(dsn)
    try:
        projection.begin()
        while found := projection.read(PROJECTED_AT_ONCE):
            projection.project(found)
    finally:
        projection.close()


def _look(
    connection: Connection,
    request: Request,
    wall_ms: int,
    progress: Callable[[str], None],
    *,
    is_ours: bool,
) -> Look:
    found = adopting.find(connection, request.wanted, is_ours=is_ours)
    books = open_books.books_now(connection) if is_ours else NOWHERE
    held = {*_symbols(found), *books.virtual, *books.house, *books.in_flight}
    with _exchange(request.config, held, progress) as (instruments, master, resting):
        made = plan(
            found.accounts,
            found.positions,
            books=books,
            master=master,
            instruments=instruments,
            below=adopting.below_of(defaults_of(request.config)),
            wall_ms=wall_ms,
            left=found.left,
            pending=found.pending,
            resting={order.exchange_order_id for order in resting},
        )
    signs = [
        *adopting.at_work(connection, found, request.beside),
        *_resting(resting, is_ours=is_ours),
        *_babysitter(request.config.redis),
    ]
    return Look(plan=made, at_work=tuple(signs))


def _resting(orders: Sequence[OpenOrder], *, is_ours: bool) -> list[str]:
    """What rests at the exchange and is not of an engine on this database: what it trades would be nobody's."""
    ours = f"{CLIENT_ORDER_ID_PREFIX}-"
    others = [o for o in orders if not (is_ours and o.client_order_id.startswith(ours))]
    if not others:
        return []
    named = ", ".join(
        f"{o.symbol} {o.exchange_order_id} ({o.what}, client id {shown(o.client_order_id)})"
        for o in others[:NAMED]
    )
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return [
        f"{len(others)} orders rest at the exchange, and what they trade would be nobody's: {named}{more}; cancel them there"
    ]


def _babysitter(url: str) -> list[str]:
    """Whether the platform's bot said in Redis in the last seconds that it is alive; nothing without a Redis."""
    if not url:
        return []
    client = connect(url)
    try:
        with explained(f"key {HEARTBEAT}"):
            lives = client.exists(HEARTBEAT)
    except (RedisUnreachable, RedisRefused) as error:
        unknown = "whether the platform's babysitter runs is not known, as Redis at"
        return [f"{unknown} {redacted(url)} does not say ({error}); start it, or leave out the setting redis"]
    finally:
        client.close()
    return [f"the platform's babysitter is alive: {HEARTBEAT} is in Redis; stop it"] if lives else []


def _symbols(found: Found) -> set[Symbol]:
    symbols = set()
    for position in found.positions:
        try:
            symbols.add(symbol_of(position.symbol))
        except ValueError:
            continue  # the plan refuses it by name
    return symbols


@contextmanager
def _exchange(
    config: EngineConfig, held: Collection[Symbol], progress: Callable[[str], None]
) -> Iterator[tuple[Mapping[Symbol, Instrument], Mapping[Symbol, Any], Sequence[OpenOrder]]]:
    """The exchange's rules, the master's positions and what rests there; no setting of the master is changed."""
    looking = msgspec.structs.replace(config, leverage={}, set_master=False)
    nothing = FleetExposure({}, {}, ZERO)
    venue = open_venue(config.venue, looking, progress, lambda: nothing)
    try:
        venue.begin(lambda: held, progress)
        # The orders first: what one of them trades meanwhile is in the positions.
        resting = venue.open_orders()
        yield venue.instruments, venue.positions(), resting
    finally:
        venue.stop()


def check_ours(connection: Connection) -> None:
    """Refuse a database in which nothing can have been adopted.

    Raises:
        BadInput: it has no schema of ours.
    """
    if not check_platform(connection):
        raise BadInput("the database has no schema bulkhead: nothing of it was adopted")


def check_platform(connection: Connection) -> bool:
    """Whether a database that has the platform's tables has our schema, too.

    Raises:
        BadInput: it is empty, or ours of an older version; says what helps.
    """
    found = schema.check(connection)
    if found is schema.Found.EMPTY:
        raise BadInput("the database is EMPTY: there is nothing to adopt; is this the platform's DSN?")
    if found is schema.Found.OLDER:
        raise BadInput("schema bulkhead is of an older version; 'bulkhead db init' upgrades it")
    return found is schema.Found.READY


def _audit(connection: Connection, who: str, action: str, ids: Collection[str], wall_ms: int) -> None:
    names = ", ".join(list(ids)[:DETAIL_NAMES]) + (" ..." if len(ids) > DETAIL_NAMES else "")
    record = RecordAudit(
        at_ms=wall_ms,
        who=who,
        action=action,
        target="platform",
        detail=f"{len(ids)} accounts: {names}",
        again=False,
        stored=lambda: None,
    )
    OperatorRecords(connection).record_audit(record)

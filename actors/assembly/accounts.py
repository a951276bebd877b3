"""Accounts come to the engine: restored from the database at the start, or created while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.assembly.build import Assembly
from actors.assembly.store_questions import StoreQuestions
from actors.core.errors import BadInput
from actors.core.names import ID_RULE, is_id, shown
from actors.core.records import NewAccount, QuarantineRecord
from actors.core.units import AccountId
from actors.persistence.store import Store
from actors.supervision.dead_letters import report_of
from actors.supervision.messages import Quarantine, StillQuarantined
from actors.supervision.registry import is_guard


def restore(assembly: Assembly, questions: StoreQuestions, on_progress: Callable[[str], None]) -> None:
    """Start an actor for every account in the database.

    An account that an earlier run left in quarantine stays there. One whose id cannot be one goes there: it could
    trade, and no command could name it, so a guard looks after what it holds. One whose rows cannot be read goes
    there alone, and the others start.

    Raises:
        StoreUnreachable: Postgres does not answer.
    """
    states = questions.ask(lambda store: store.load(None))
    if states:
        on_progress(f"restoring {len(states):,} accounts")
    # Those with positions first: they are the ones that can lose money.
    states.sort(key=lambda s: (not s.positions, not s.orders, s.account_id))
    records, unreadable = questions.ask(
        lambda store: (
            store.with_operator_records(lambda records: records.quarantined()),
            dict(store.unreadable),
        )
    )
    quarantined = {record.account_id: record for record in records}
    supervisor = assembly.actors["supervisor"]
    for state in states:
        record = quarantined.get(state.account_id)
        if record is None:
            assembly.start_account(state.account_id, state)
        else:
            _start_quarantined(assembly, record)
    for id_ in [s.account_id for s in states if not is_id(s.account_id)]:
        if id_ not in assembly.quarantined:
            why = f"{shown(id_)} cannot be an id, which must be {ID_RULE}; rename it in the database"
            supervisor.tell(Quarantine(id_, why))
    for id_, why in unreadable.items():
        assembly.start_account(id_, held=True)
        supervisor.tell(Quarantine(id_, f"its rows cannot be read: {why}"))


def _start_quarantined(assembly: Assembly, record: QuarantineRecord) -> None:
    ref = assembly.start_account(record.account_id, held=True)
    ref.cell.crashes = [report_of(record)]
    assembly.actors["supervisor"].tell(StillQuarantined(record.account_id, record.reason))


def creation(assembly: Assembly, accounts: Sequence[NewAccount], wall_ms: int) -> Callable[[Store], int]:
    """What the writer does to create accounts and to start their actors, whether or not its asker still waits.

    Args:
        assembly: where the actors start.
        accounts: what to create.
        wall_ms: Unix milliseconds of the creation; by it a second try finds what the first one committed.

    Raises:
        BadInput: an id that cannot be one, or that the engine uses itself; or twice in the list.
    """
    ids = [a.account_id for a in accounts]
    reserved = [i for i in ids if is_guard(i) or i in assembly.actors]
    if reserved:
        raise BadInput(f"{reserved[0]!r} is a name that the engine uses itself; choose another id")
    if len(set(ids)) != len(ids):
        raise BadInput("an account id comes twice in the list")
    is_tried = False

    def create(store: Store) -> int:
        nonlocal is_tried
        # The connection may have been lost after the commit, and this is the second try.
        if not (is_tried and store.has_created(ids, wall_ms)):
            is_tried = True
            store.create_accounts(accounts, wall_ms)
        assembly.start_accounts(
            [state for state in store.load(ids) if AccountId(state.account_id) not in assembly.accounts]
        )
        return len(ids)

    return create

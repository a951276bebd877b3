"""Accounts come to the engine: restored from the database at the start, or created while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.assembly.build import Assembly
from actors.assembly.store_questions import StoreQuestions
from actors.core.errors import BadInput
from actors.core.names import ID_RULE, is_id, shown
from actors.core.records import NewAccount, QuarantineRecord
from actors.persistence.queries import CreateAccounts, LoadAll, OutOfService
from actors.subaccount.state import AccountState
from actors.supervision.dead_letters import report_of
from actors.supervision.messages import Quarantine, StillQuarantined
from actors.supervision.registry import is_guard


def restore(
    assembly: Assembly, questions: StoreQuestions, on_progress: Callable[[str], None]
) -> list[AccountState]:
    """Start an actor for every account in the database.

    An account that an earlier run left in quarantine stays there. One whose id cannot be one goes there: it could
    trade, and no command could name it, so a guard looks after what it holds. One whose rows cannot be read goes
    there alone, and the others start.

    Returns:
        The states as they were loaded.

    Raises:
        StoreUnreachable: Postgres does not answer.
    """
    states = questions.ask(LoadAll())
    if states:
        on_progress(f"restoring {len(states):,} accounts")
    states.sort(key=_urgency)
    records, unreadable = questions.ask(OutOfService())
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
    return states


def _urgency(state: AccountState) -> tuple[bool, bool, bool, str]:
    """What is being liquidated or closed comes first, then what can lose money, then what has orders."""
    is_calm = state.phase.is_calm and state.risk.close_out is None
    return is_calm, not state.positions, not state.orders, state.account_id


def _start_quarantined(assembly: Assembly, record: QuarantineRecord) -> None:
    ref = assembly.start_account(record.account_id, held=True)
    ref.cell.crashes = [report_of(record)]
    assembly.actors["supervisor"].tell(StillQuarantined(record.account_id, record.reason))


def creation(assembly: Assembly, accounts: Sequence[NewAccount], wall_ms: int) -> CreateAccounts:
    """What the writer is asked to create accounts and to start their actors.

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

    def start(states: Sequence[AccountState]) -> None:
        assembly.start_accounts([state for state in states if state.account_id not in assembly.accounts])

    return CreateAccounts(tuple(accounts), wall_ms, start)

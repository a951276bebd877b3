"""Questions to the store: what each answers, and what a second try makes of a first that lost its connection."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.errors import BadInput
from actors.core.records import NewAccount, RecordDeadLetter, RecordQuarantine
from actors.core.units import AccountId
from actors.persistence.operator_records import DeadLetterStatus
from actors.persistence.queries import (
    CreateAccounts,
    FindPoison,
    FindRecovery,
    LoadAll,
    OutOfService,
    ResolveDeadLetter,
)
from tests.persistence.authors import NOW, create

ONE = AccountId("acct-1")


def creation(started):
    new = tuple(NewAccount(account_id=AccountId(f"new-{n}"), name="x", deposit=D(n + 1)) for n in range(2))
    return CreateAccounts(new, NOW, started.extend)


def test_accounts_are_created_and_started_and_nothing_is_done_for_an_id_that_exists(store):
    started = []
    assert creation(started).run(store) == 2
    assert [(s.account_id, s.balance) for s in started] == [("new-0", D(1)), ("new-1", D(2))]
    started.clear()
    with pytest.raises(BadInput, match="exists"):
        creation(started).run(store)
    assert started == []


@pytest.mark.parametrize("landed", [True, False])
def test_a_second_try_starts_what_the_first_created_or_creates_it(store, landed):
    started = []
    question = creation(started)
    if landed:
        store.create_accounts(question.accounts, NOW)
    assert question.run_again(store) == 2
    assert [s.account_id for s in started] == ["new-0", "new-1"]
    assert len(LoadAll().run(store)) == 2


def test_what_is_read_at_a_start_is_what_the_store_says(store):
    states = create(store, 2)
    store.unreadable[AccountId("acct-9")] = "why"
    store.with_operator_records(
        lambda d: d.record_quarantine(RecordQuarantine(account_id=ONE, reason="r", wall_ms=1))
    )
    assert LoadAll().run(store) == states
    records, unreadable = OutOfService().run(store)
    assert ([r.account_id for r in records], unreadable) == ([ONE], {"acct-9": "why"})
    assert FindRecovery().run_again(store) == store.recovery()


def letter(error):
    return RecordDeadLetter(
        actor=ONE, message_kind="Wake", message="Wake()", error=error, traceback="", state="", wall_ms=NOW
    )


@pytest.mark.parametrize(("error", "found"), [("E", True), ("other", False), ("", False)])
def test_the_poison_of_an_account_is_the_open_letter_of_what_brought_it_into_quarantine(store, error, found):
    create(store)
    store.with_operator_records(lambda d: d.record_dead_letter(letter("E")))
    assert FindPoison(ONE).run(store) is None
    why = RecordQuarantine(account_id=ONE, reason="r", wall_ms=1, error=error)
    store.with_operator_records(lambda d: d.record_quarantine(why))
    poison = FindPoison(ONE).run(store)
    assert (poison is not None and poison.error == "E") is found


def test_of_two_operators_who_close_a_letter_one_is_late(store):
    store.with_operator_records(lambda d: d.record_dead_letter(letter("E")))
    [kept] = store.with_operator_records(lambda d: d.dead_letters())
    answers = [
        ResolveDeadLetter(kept.dead_letter_id, DeadLetterStatus.DROPPED, NOW, who).run(store)
        for who in ("ann", "bob")
    ]
    assert answers == [True, False]

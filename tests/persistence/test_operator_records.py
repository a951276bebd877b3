"""Dead letters, quarantine, audit and causes on a real Postgres."""

from __future__ import annotations

import psycopg
import pytest
from msgspec.structs import replace

from actors.core.errors import BadInput, StoreUnreachable
from actors.core.messages import PlaceOrder
from actors.core.order_ids import parsed
from actors.core.records import RecordAudit, RecordDeadLetter, RecordQuarantine
from actors.core.units import AccountId
from actors.persistence import schema
from actors.persistence.operator_records import DeadLetterStatus, wanted_status
from tests.factories import BUY, ETH, D
from tests.persistence.authors import NOW, Author, create, project, rows
from tests.persistence.test_lost_connections import kill_connection

LETTER = RecordDeadLetter(
    actor="acct-1", message_kind="Fill", message="Fill(\0)", error="E", traceback="T", state="S \ud800",
    wall_ms=NOW, payload="{}", cause="tick:1",
)  # fmt: skip


def test_dead_letters_are_kept_whatever_is_in_them(store):
    store.with_operator_records(lambda d: d.record_dead_letter(LETTER))
    [kept] = store.with_operator_records(lambda d: d.dead_letters("acct-1"))
    assert (kept.message, kept.error, kept.state, kept.cause) == ("Fill()", "E", "S ?", "tick:1")
    assert kept.status is DeadLetterStatus.OPEN
    assert store.with_operator_records(lambda d: d.dead_letter(kept.dead_letter_id)) == kept
    assert store.with_operator_records(lambda d: d.dead_letter(10**9)) is None


def test_they_are_listed_newest_first_by_actor_status_and_page(store):
    def fill(desk):
        for n in range(5):
            desk.record_dead_letter(replace(LETTER, actor=f"a{n % 2}", message=str(n)))

    store.with_operator_records(fill)
    listed = store.with_operator_records(lambda d: d.dead_letters())
    assert [x.message for x in listed] == ["4", "3", "2", "1", "0"]
    assert [x.message for x in store.with_operator_records(lambda d: d.dead_letters("a1"))] == ["3", "1"]
    page = store.with_operator_records(lambda d: d.dead_letters(limit=2, before=listed[1].dead_letter_id))
    assert [x.message for x in page] == ["2", "1"]
    store.with_operator_records(
        lambda d: d.resolve(listed[0].dead_letter_id, DeadLetterStatus.DROPPED, NOW, "ann")
    )
    still = store.with_operator_records(lambda d: d.dead_letters(status=DeadLetterStatus.OPEN))
    assert [x.message for x in still] == ["3", "2", "1", "0"]


def test_of_two_operators_one_is_told_that_he_was_late(store):
    store.with_operator_records(lambda d: d.record_dead_letter(LETTER))
    [kept] = store.with_operator_records(lambda d: d.dead_letters())

    def resolve(who, status):
        return store.with_operator_records(lambda d: d.resolve(kept.dead_letter_id, status, NOW + 1, who))

    assert resolve("ann", DeadLetterStatus.REPLAYED)
    assert not resolve("bob", DeadLetterStatus.DROPPED)
    after = store.with_operator_records(lambda d: d.dead_letter(kept.dead_letter_id))
    assert (after.status, after.resolved_by, after.resolved_ms) == ("REPLAYED", "ann", NOW + 1)


def test_quarantine_outlives_the_engine_until_it_is_lifted(store):
    create(store)
    record = RecordQuarantine(account_id=AccountId("acct-1"), reason="first", wall_ms=NOW, error="E")
    store.with_operator_records(lambda d: d.record_quarantine(record))
    store.with_operator_records(lambda d: d.record_quarantine(replace(record, reason="second")))
    [kept] = store.with_operator_records(lambda d: d.quarantined())
    assert (kept.account_id, kept.reason, kept.error, kept.since_ms) == ("acct-1", "second", "E", NOW)
    store.with_operator_records(lambda d: d.lift_quarantine(AccountId("acct-1")))
    assert store.with_operator_records(lambda d: d.quarantined()) == []


def audit_record(who, action, target, detail, at_ms, *, again=False):
    return RecordAudit(
        at_ms=at_ms, who=who, action=action, target=target, detail=detail, again=again, stored=lambda: None
    )


def test_what_operators_do_is_kept(store):
    store.with_operator_records(lambda d: d.record_audit(audit_record("ann", "freeze", "acct-1", "", NOW)))
    store.with_operator_records(
        lambda d: d.record_audit(audit_record("bob", "release", "acct-2", "drop", NOW + 1))
    )
    # An earlier life may have stored it before it could say so.
    store.with_operator_records(
        lambda d: d.record_audit(audit_record("bob", "release", "acct-2", "drop", NOW + 1, again=True))
    )
    assert [e.who for e in store.with_operator_records(lambda d: d.audit())] == ["bob", "ann"]
    [entry] = store.with_operator_records(lambda d: d.audit("acct-1"))
    assert (entry.who, entry.action, entry.at_ms) == ("ann", "freeze", NOW)


def test_from_a_cause_to_its_orders_and_back(store, dsn):
    author = Author(create(store)[0])
    author.decide(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"), leverage=D(20), cause="tick:ETHUSDT:7"))
    author.trade(BUY, "0.1")
    store.commit(author.batch)
    project(dsn)
    project(dsn)
    [order] = store.with_operator_records(lambda d: d.caused("tick:ETHUSDT:7"))
    assert (order.account_id, order.quantity, order.status) == ("acct-1", "0.1", "INTENDED")
    assert store.with_operator_records(lambda d: d.order(order.client_order_id)) == order
    filled = store.with_operator_records(lambda d: d.caused(""))[0]
    assert filled.trade_ids
    assert store.with_operator_records(lambda d: d.order("bh-none-1")) is None


def test_a_lost_connection_is_named_and_the_next_call_works(store, dsn):
    kill_connection(store, dsn)
    with pytest.raises(StoreUnreachable):
        store.with_operator_records(lambda d: d.audit())
    assert store.with_operator_records(lambda d: d.audit()) == []


def test_an_unknown_status_is_named_with_those_that_there_are():
    assert wanted_status(None) is None
    assert wanted_status("open") is DeadLetterStatus.OPEN
    with pytest.raises(BadInput, match="'lost' is none of OPEN, REPLAYED, DROPPED"):
        wanted_status("lost")


def test_an_older_schema_is_upgraded_and_a_newer_one_refused(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(schema._script("platform.sql"))
        connection.execute(schema._script("bulkhead.sql"))
        connection.execute(
            "INSERT INTO bulkhead.dead_letter (actor, message_kind, message, error, traceback, state, at_ms) "
            "VALUES ('a', 'k', 'm', 'e', 't', 's', 1)"
        )
        assert schema.check(connection) is schema.Found.OLDER
        assert schema.init(connection) is schema.Found.OLDER
        assert schema.check(connection) is schema.Found.READY
    assert rows(dsn, "SELECT status, payload FROM bulkhead.dead_letter") == [("OPEN", "")]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO bulkhead.migration (version) VALUES (99)")
        with pytest.raises(schema.ForeignDatabase, match="version 99"):
            schema.check(connection)


def test_nan_is_no_balance(store, dsn):
    create(store)
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE bulkhead.account SET balance = 'NaN', deposits = 'NaN'")


def test_a_history_has_an_account_s_orders_newest_first_and_no_other_s(store, dsn):
    one, other = (Author(state) for state in create(store, 2))
    for author in (one, other, *[one] * 39):
        author.trade(BUY, "0.1")
        store.commit(author.batch)
        author.batch.clear()
    project(dsn)
    found = store.with_operator_records(lambda d: d.history(AccountId("acct-1"), 100))
    # Numbers to the base of 32: "a" is ten, "10" is thirty-two.
    assert [parsed(o.client_order_id).sequence for o in found] == list(range(40, 0, -1))
    assert {(o.account_id, o.status, o.filled) for o in found} == {("acct-1", "FILLED", "0.1")}
    assert store.with_operator_records(lambda d: d.history(AccountId("acct-1"), 1)) == found[:1]
    assert store.with_operator_records(lambda d: d.history(AccountId("nobody"))) == []

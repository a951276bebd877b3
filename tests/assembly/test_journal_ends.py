"""An engine does not go on with less than this machine knows, unless an operator accepts it; what was stopped is said."""

from __future__ import annotations

import time
from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.assembly import journal_ends
from actors.assembly.journal_ends import ACCEPT, JournalEnds, accept, check, compare, end_of
from actors.clearing.state import ClearingState
from actors.clearing.state_codec import state_hash as clearing_hash
from actors.core.errors import ForeignDatabase, NotRecorded
from actors.core.messages import AdjustBalance
from actors.core.units import AccountId
from actors.persistence.connection import connect
from actors.persistence.store import Store
from actors.persistence.verify import fleet_of
from actors.runtime.clock import VirtualClock
from actors.subaccount.fleet_hash import fleet_hash, fleet_hash_of
from actors.subaccount.state_codec import state_hash as account_hash
from actors.supervision.journal_roots import JournalRoot
from actors.supervision.operator_log import OPERATORS_FILE, OperatorLog, read_roots
from tests.factories import BTC, ETH, account
from tests.persistence.authors import Author, create

FLEET = "f00000"
COMMITS = {2: b"two", 5: b"five"}
END = (b"five", 5)
WAIT = 5


def root(position, value, fleet=FLEET, accepted=""):
    return JournalRoot(journal_root=value.hex(), position=position, at_ms=1, fleet=fleet, accepted=accepted)


@pytest.mark.parametrize(
    "known",
    [
        [],
        [root(2, b"two")],
        [root(2, b"two"), root(5, b"five")],
        [root(9, b"nine", fleet="f00001")],
        [root(9, b"nine"), root(5, b"five", accepted="restored")],
        [root(9, b"nine"), root(0, bytes(16), accepted="begun again")],
    ],
)
def test_a_journal_that_has_what_is_known_of_it_is_taken(known):
    check(known, FLEET, END, COMMITS.get)


@pytest.mark.parametrize(
    ("known", "texts"),
    [
        ([root(9, b"nine")], ["it had position 9", b"nine".hex(), "restore of an older backup"]),
        (
            [root(5, b"six")],
            ["it had position 5", b"six".hex(), f"there that position has the root {b'five'.hex()}"],
        ),
        ([root(4, b"four")], ["it had position 4", "there no commit ends at that position"]),
        ([root(5, b"five", accepted="restored"), root(9, b"nine")], ["it had position 9"]),
    ],
)
def test_one_that_has_not_is_refused_and_both_are_named_with_the_cure(known, texts):
    with pytest.raises(ForeignDatabase) as refusal:
        check(known, FLEET, END, COMMITS.get)
    for text in [*texts, "ends at position 5", b"five".hex(), "bulkhead db accept-restore --reason"]:
        assert text in str(refusal.value)


@pytest.fixture
def store(dsn):
    opened = Store.open(dsn)
    opened.acquire("me", 30)
    yield opened
    opened.close()


@pytest.fixture
def grown(store, dsn):
    """A journal, and the root of an end behind it that only this machine knows."""
    author = Author(create(store)[0])
    author.decide(AdjustBalance(D(1), "DEPOSIT"))
    assert not any(store.commit(author.batch))
    with connect(dsn, read_only=True) as connection:
        yield connection, root(99, b"later", fleet_of(connection))


def test_the_store_knows_the_journal_s_end_from_its_start_on(store, grown):
    connection, _ = grown
    assert end_of(connection) == store.root
    assert store.root[1] == 2
    store.root = (b"", 0)
    store.acquire("me", 30)
    assert end_of(connection) == store.root


def test_what_an_operator_accepts_is_taken_from_then_on_and_reaches_the_audit_with_the_next_engine(
    grown, tmp_path
):
    connection, later = grown
    (tmp_path / OPERATORS_FILE).write_bytes(msgspec.json.encode(later) + b"\n")
    with pytest.raises(ForeignDatabase):
        compare(connection, read_roots(tmp_path))
    accepted = accept(connection, tmp_path, "ann", "the disk failed")
    value, position = end_of(connection)
    assert (accepted.journal_root, accepted.position, accepted.accepted) == (
        value.hex(),
        position,
        "the disk failed",
    )
    compare(connection, read_roots(tmp_path))
    assert accept(connection, tmp_path, "ann", "again") is None
    audit = []
    operator_log = OperatorLog(VirtualClock(1), tmp_path, lambda *_: None, lambda _key: None)
    assert operator_log.start(audit.append) == [], "nothing is sent again"
    operator_log.stop()
    [record] = audit
    assert (record.who, record.action, record.again) == ("ann", ACCEPT, True)
    assert "the disk failed" in record.detail
    assert "it had position 99" in record.detail


def test_nothing_is_accepted_that_cannot_be_written_down(grown, tmp_path):
    connection, _ = grown
    (tmp_path / OPERATORS_FILE).mkdir()
    with pytest.raises(NotRecorded, match="cannot be read"):
        accept(connection, tmp_path, "ann", "the disk failed")


class Running:
    """Ends of a journal that grows, of an engine with some accounts."""

    def __init__(self, folder):
        self.said, self.alarms, self.end = [], [], (b"one", 1)
        clock = VirtualClock(1_000)
        self.operator_log = OperatorLog(
            clock, folder, lambda text, _key: self.alarms.append(text), self.alarms.append
        )
        self.operator_log.start(lambda _record: None)
        self.ends = JournalEnds(self.operator_log, clock, FLEET, lambda: self.end, self.said.append)

    def stop(self, states, seconds=WAIT):
        self.ends.stop(states, 0, seconds)
        self.operator_log.stop()


def until(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


STATES = [replace(account(), account_id=AccountId(f"a-{n}"), balance=D(n + 1)) for n in range(1_200)]


def test_ends_are_written_down_while_the_engine_runs_and_when_it_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_ends, "WRITE_SECONDS", 0.01)
    running = Running(tmp_path)
    running.ends.start([], (b"one", 1))
    until(lambda: _positions(tmp_path) == [1])
    running.end = (b"four", 4)
    until(lambda: _positions(tmp_path) == [1, 4])
    monkeypatch.setattr(journal_ends, "WRITE_SECONDS", 60)
    running.end = (b"six", 6)
    running.stop([])
    assert _positions(tmp_path) == [1, 4, 6]
    assert {r.fleet for r in read_roots(tmp_path)} == {FLEET}
    assert read_roots(tmp_path)[-1].journal_root == b"six".hex()


def _positions(folder):
    return [r.position for r in read_roots(folder)]


def test_clearings_that_ever_decided_are_in_the_hash_and_are_no_accounts(tmp_path):
    decided, blank = ClearingState(symbol=ETH, sequence=3, next_block=2), ClearingState(symbol=BTC)
    running = Running(tmp_path)
    running.ends.start([STATES[0], decided, blank], (b"one", 1))
    until(lambda: running.said)
    pairs = [("a-0", account_hash(STATES[0])), ("clearing:ETHUSDT", clearing_hash(decided))]
    assert f"{fleet_hash_of(pairs)} of 1 accounts" in running.said[0]
    running.end = (b"four", 4)
    running.stop([decided, STATES[0]])
    assert f"{fleet_hash_of(pairs)} of 1 accounts" in running.said[1]


def test_what_comes_back_and_what_is_stopped_is_said_with_the_same_hash(tmp_path):
    running = Running(tmp_path)
    running.ends.start(STATES, (b"one", 1))
    until(lambda: running.said)
    running.stop(STATES[::-1])
    expected = f"{fleet_hash(STATES)} of 1200 accounts, journal position 1, root {b'one'.hex()}"
    assert running.said == [f"fleet state restored: {expected}", f"fleet state at the stop: {expected}"]


def test_a_stop_without_time_says_that_nothing_was_hashed(tmp_path):
    running = Running(tmp_path)
    running.ends.start([], running.end)
    until(lambda: running.said)
    running.ends.stop(STATES, 3, 0)
    running.operator_log.stop()
    assert running.said[-1] == (
        f"fleet state at the stop: not hashed of 1200 accounts, journal position 1, root {b'one'.hex()}; "
        "3 messages to the writer came too late"
    )
    assert _positions(tmp_path) == [1]


def test_a_file_that_cannot_be_written_is_an_alarm_and_the_end_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_ends, "WRITE_SECONDS", 0.01)
    running = Running(tmp_path)
    (tmp_path / OPERATORS_FILE).mkdir()
    running.ends.start([], running.end)
    until(lambda: running.alarms)
    assert "cannot be written" in running.alarms[0]
    (tmp_path / OPERATORS_FILE).rmdir()
    until(lambda: _positions(tmp_path) == [1])
    running.stop([])
    assert len(running.alarms) == 2, "one alarm, and its end"


def test_ends_are_written_down_though_the_state_cannot_be_said(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_ends, "WRITE_SECONDS", 0.01)

    def fails(_state):
        raise TypeError("no hash of that")

    monkeypatch.setattr(journal_ends, "named_hash", fails)
    running = Running(tmp_path)
    running.ends.start(STATES, running.end)
    running.end = (b"four", 4)
    until(lambda: _positions(tmp_path)[-1:] == [4])
    assert running.said == []
    running.stop([])
    assert running.said == [
        f"fleet state at the stop: {fleet_hash([])} of 0 accounts, journal position 4, root {b'four'.hex()}"
    ]

"""All accounts are folded by several processes: the same states, whoever folds them, and whatever becomes of a worker."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from functools import partial

import msgspec
import psycopg
import pytest

from actors.persistence import fleet_loading, loading
from actors.persistence.fleet_loading import Answer, all_states, serve
from actors.persistence.loading import states_of
from actors.subaccount import state_codec
from actors.subaccount.state_codec import state_hash
from tests.factories import BUY, SELL
from tests.persistence.authors import Author, create

ACCOUNTS = 6
START = fleet_loading._started


@pytest.fixture
def fleet(store, monkeypatch):
    """Chunks of two accounts, which hold something and have an order; all but the last are as they should be."""
    monkeypatch.setattr(fleet_loading, "CHUNK", 2)
    authors = [Author(state) for state in create(store, ACCOUNTS)]
    for author in authors:
        author.trade(BUY, "0.3")
        author.trade(SELL, "0.1")
        assert not any(store.commit(author.batch))
    return {author.state.account_id: author.state for author in authors}


def read(dsn, workers):
    """States by account, and who cannot be read."""
    unreadable = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        ids = [f"acct-{n}" for n in range(1, ACCOUNTS + 1)]
        found = all_states(
            connection, dsn, ids, lambda id_, error: unreadable.update({id_: str(error)}), workers
        )
        assert found == states_of(connection, list(found))
    return found, unreadable


class Folded:
    """What workers handed back."""

    def __init__(self, monkeypatch):
        self.accounts = []
        real = fleet_loading._read_back

        def noted(folded, states):
            self.accounts += [row[0] for row in folded]
            return real(folded, states)

        monkeypatch.setattr(fleet_loading, "_read_back", noted)


@pytest.fixture
def folded_there(monkeypatch):
    return Folded(monkeypatch)


@pytest.fixture
def idle(monkeypatch):
    """This process folds nothing while a worker is at work."""
    real = fleet_loading._next
    main = fleet_loading.threading.current_thread()

    def only_workers(chunks):
        at_work = any(t.name == "fold-worker" for t in fleet_loading.threading.enumerate())
        return None if at_work and fleet_loading.threading.current_thread() is main else real(chunks)

    monkeypatch.setattr(fleet_loading, "_next", only_workers)


def test_states_are_the_same_whoever_folds_them(fleet, dsn, folded_there):
    expected = {id_: state_hash(state) for id_, state in fleet.items()}
    for workers in (0, 1, 2):
        found, unreadable = read(dsn, workers)
        assert unreadable == {}
        assert {id_: state_hash(kept.state) for id_, kept in found.items()} == expected
        assert workers or not folded_there.accounts


def test_a_worker_leaves_what_it_cannot_read_to_this_process_which_names_it(fleet, dsn, folded_there, idle):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM bulkhead.journal WHERE stream = 'acct-2' AND sequence = 3")
    found, unreadable = read(dsn, 1)
    assert sorted(folded_there.accounts) == sorted(fleet.keys() - {"acct-2"})
    assert found.keys() == fleet.keys() - {"acct-2"}
    assert "decision 4 in the journal does not follow 2" in unreadable["acct-2"]


FAILING = {
    "ends at once": "pass",
    "ends after the first question": "import sys; sys.stdin.buffer.read(8)",
    "answers too little": "import sys; sys.stdout.buffer.write(bytes([9, 0, 0, 0, 0, 0, 0, 0, 1]))",
    "answers nonsense": "import sys; sys.stdout.buffer.write(bytes([1, 0, 0, 0, 0, 0, 0, 0, 255]))",
    "says nothing": "import time; time.sleep(600)",
}


def test_what_a_failed_worker_had_is_folded_here(fleet, dsn, monkeypatch, idle):
    monkeypatch.setattr(fleet_loading, "PATIENCE_SECONDS", 0.3)
    for name, program in FAILING.items():
        command = [sys.executable, "-S", "-c", program]
        started = partial(subprocess.Popen, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        monkeypatch.setattr(fleet_loading, "_started", started)
        found, unreadable = read(dsn, 2)
        assert (found.keys(), unreadable) == (fleet.keys(), {}), name


def test_a_worker_that_is_killed_costs_nothing_but_time(fleet, dsn, monkeypatch, folded_there, idle):
    """With kill -9, after its first answer."""
    processes = []

    def started():
        processes.append(START())
        return processes[-1]

    def killed(chunk, data):
        processes[0].kill()
        processes[0].wait()
        return answer_to(chunk, data)

    answer_to = fleet_loading._answer_to
    monkeypatch.setattr(fleet_loading, "_started", started)
    monkeypatch.setattr(fleet_loading, "_answer_to", killed)
    found, _ = read(dsn, 1)
    assert found.keys() == fleet.keys()
    assert len(folded_there.accounts) == 2


def test_without_a_process_to_be_had_this_one_folds_all(fleet, dsn, monkeypatch):
    def none(*_args, **_kwargs):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(fleet_loading.subprocess, "Popen", none)
    assert read(dsn, 2)[0].keys() == fleet.keys()


def test_a_worker_runs_this_code_wherever_the_engine_was_started(
    fleet, dsn, monkeypatch, tmp_path, folded_there, idle
):
    """Another release lies there."""
    folder = tmp_path / "actors" / "persistence"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "persistence/__init__.py", "persistence/fleet_loading.py"):
        (tmp_path / "actors" / name).write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    read(dsn, 1)
    assert sorted(folded_there.accounts) == sorted(fleet)


def test_ctrl_c_reaches_the_engine_only():
    process = START()
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    process.stdin.close()
    assert process.wait(30) == 0


def test_no_worker_outlives_the_loading(fleet, dsn, monkeypatch, idle):
    processes = []

    def started():
        processes.append(START())
        return processes[-1]

    monkeypatch.setattr(fleet_loading, "_started", started)
    read(dsn, 2)
    assert [process.returncode for process in processes] == [0, 0]
    monkeypatch.setattr(fleet_loading, "_read_back", lambda *_: 1 / 0)
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(ZeroDivisionError):
        all_states(connection, dsn, list(fleet), lambda *_: None, 2)
    assert [process.returncode for process in processes[2:]] == [0, 0]


def test_a_state_of_another_account_or_decision_is_not_taken(fleet):
    mixed = [
        ("acct-1", fleet["acct-1"].sequence, b"", state_codec.encode(fleet["acct-1"])),
        ("acct-2", fleet["acct-1"].sequence, b"", state_codec.encode(fleet["acct-1"])),
        ("acct-3", fleet["acct-3"].sequence + 1, b"", state_codec.encode(fleet["acct-3"])),
        ("acct-4", fleet["acct-4"].sequence, b"", b"{}"),
    ]
    states = {}
    fleet_loading._read_back(mixed, states)
    assert [*states] == ["acct-1"]


def test_an_answer_to_another_question_is_none():
    answer = msgspec.msgpack.encode(Answer([("acct-2", 1, b"", b"")]))
    assert fleet_loading._answer_to(["acct-1", "acct-2"], answer).folded
    with pytest.raises(OSError, match="what it was not asked"):
        fleet_loading._answer_to(["acct-1"], answer)


# -- the worker itself


def asked(*frames):
    pipe = io.BytesIO()
    for frame in frames:
        fleet_loading._write(pipe, frame)
    pipe.seek(0)
    return pipe


def answers(source):
    sink = io.BytesIO()
    serve(source, sink)
    sink.seek(0)
    found = []
    while len(sink.getvalue()) > sink.tell():
        found.append(msgspec.msgpack.decode(fleet_loading._read(sink), type=Answer))
    return found


def chunk(*ids):
    return msgspec.msgpack.encode(ids)


def test_a_worker_answers_chunk_by_chunk_until_there_are_no_more(fleet, dsn):
    first, second = answers(asked(dsn.encode(), chunk("acct-1", "acct-2"), chunk("acct-3", "nobody")))
    assert [row[0] for row in first.folded] == ["acct-1", "acct-2"]
    assert [row[0] for row in second.folded] == ["acct-3"]
    assert answers(asked(dsn.encode())) == answers(asked()) == []


def test_a_worker_says_why_it_cannot_help_without_the_password():
    [answer] = answers(asked(b"postgresql://me:s3cret@127.0.0.1:1/none", chunk("acct-1")))
    assert "Postgres cannot be reached" in answer.error
    assert "s3cret" not in answer.error


def test_a_worker_cannot_write(fleet, dsn, monkeypatch):
    def writes(connection, *_):
        connection.execute("DELETE FROM bulkhead.journal")

    monkeypatch.setattr(loading, "add_usual", writes)
    [answer] = answers(asked(dsn.encode(), chunk("acct-1")))
    assert "read-only transaction" in answer.error


@pytest.mark.parametrize(
    ("processors", "accounts", "workers"),
    [(1, 10**6, 0), (2, 9_999, 0), (2, 10_000, 1), (2, 10**6, 1), (4, 20_000, 2), (64, 10**6, 3)],
)
def test_as_many_workers_as_accounts_and_processors_are_worth(monkeypatch, processors, accounts, workers):
    monkeypatch.setattr(fleet_loading.os, "sched_getaffinity", lambda _: range(processors))
    assert fleet_loading._worth(accounts) == workers


def test_the_store_loads_with_workers(fleet, store, monkeypatch, folded_there, idle):
    monkeypatch.setattr(fleet_loading, "_worth", lambda _: 1)
    assert {state.account_id: state_hash(state) for state in store.load(None)} == {
        id_: state_hash(state) for id_, state in fleet.items()
    }
    assert len(folded_there.accounts) == ACCOUNTS

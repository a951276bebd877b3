"""The client of a drop copy goes on by itself, and what comes twice is handed out once."""

from __future__ import annotations

import random
import threading

import msgspec
import pytest

from actors.api import drop_copy, drop_copy_client
from actors.api.address import API_FILE, Address
from actors.api.client import EngineError
from actors.api.drop_copy_client import DropCopyClient
from actors.core.errors import BadInput
from tests.api.served import OPERATOR, VIEWER, Served, until
from tests.cutter import Cutter


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(drop_copy_client, "RETRY_FIRST", 0.01)
    monkeypatch.setattr(drop_copy_client, "RETRY_MAX", 0.05)
    monkeypatch.setattr(drop_copy, "RETRY_SECONDS", 0.05)


@pytest.fixture
def served():
    made = Served()
    yield made
    made.stop()


def address(folder, url, token=VIEWER):
    (folder / API_FILE).write_bytes(msgspec.json.encode(Address(url, token, 1)))
    return folder


@pytest.fixture
def folder(served, tmp_path):
    return address(tmp_path, served.url)


@pytest.fixture
def cutter(served):
    made = Cutter(served.port)
    yield made
    made.stop()


def ids(found):
    return [event["id"] for event in found]


def all_ids(count):
    return [f"{n}-0" for n in range(1, count + 1)]


def reading(client, found):
    """Read in a thread; what ends it is in what it returns."""
    ended = []

    def read():
        try:
            for event in client.events(follow=True):
                found.append(event)
        except Exception as error:  # noqa: BLE001 - it is for the test to say
            ended.append(error)

    threading.Thread(target=read, daemon=True).start()
    return ended


def test_what_there_is_and_no_more(served, folder):
    served.commit(40)
    client = DropCopyClient(folder, after="0")
    assert ids(client.events(follow=False)) == all_ids(40)
    assert client.after == "40"
    served.commit(2)
    assert ids(client.events(follow=False)) == ["41-0", "42-0"]
    assert ids(DropCopyClient(folder, ["a-1"], ["balance", "fill"], "30").events(follow=False)) == [
        "33-0", "37-0", "41-0"
    ]  # fmt: skip
    assert list(DropCopyClient(folder).events(follow=False)) == []


def test_a_connection_that_is_cut_again_and_again_loses_nothing_and_gives_nothing_twice(
    served, cutter, tmp_path
):
    found, notes, rng = [], [], random.Random(7)
    client = DropCopyClient(address(tmp_path, cutter.url), after="0", note=notes.append)
    ended = reading(client, found)
    # One that does not get to the engine at all at the beginning gives up.
    until(lambda: client.connections, "the first connection")
    for _ in range(40):
        served.commit(rng.randint(1, 30))
        if rng.random() < 0.5:
            count = len(found)
            until(lambda count=count: len(found) > count or len(found) == served.tail.position, "some events")
        connections = client.connections
        cutter.cut()
        until(lambda n=connections: client.connections > n or ended, "the next connection")
        assert ended == []
    until(lambda: len(found) >= served.tail.position, "all events")
    assert ids(found) == all_ids(served.tail.position)
    assert client.connections >= 40
    assert any("trying on, to go on after" in note for note in notes)
    assert any("connected again, after" in note for note in notes)


def test_what_comes_again_is_left_out(served, folder):
    served.commit(5)
    client = DropCopyClient(folder, after="0")
    events = client.events(follow=True)
    assert ids(next(events) for _ in range(3)) == ["1-0", "2-0", "3-0"]
    assert client.after == "2-0", "the third is still in hand"
    again = client._new([{"id": "3-0"}, {"id": "2-9"}, {"id": "4-0"}])
    assert ids(again) == ["4-0"]
    assert client.resent == 2
    events.close()


def test_an_engine_that_comes_back_elsewhere_with_another_token_is_found(served, tmp_path):
    folder, found = address(tmp_path, served.url), []
    first = Served()
    address(folder, first.url)
    first.commit(3)
    served.commit(3)
    client = DropCopyClient(folder, after="0")
    ended = reading(client, found)
    until(lambda: len(found) == 3, "the first three")
    first.stop()
    served.commit(3)
    address(folder, served.url, "the-old-engine-s-token")
    address(folder, served.url, OPERATOR)
    until(lambda: len(found) == 6, "the next three")
    assert ids(found) == all_ids(6)
    assert ended == []


def test_a_restored_database_ends_it_with_the_place_to_begin_again_at(served, tmp_path):
    folder, found = address(tmp_path, served.url), []
    client = DropCopyClient(folder, after="0")
    ended = reading(client, found)
    for n in range(1, 10):
        served.commit(1)
        until(lambda n=n: len(found) == n, "the next")
    assert found[-1]["root"] == client.root == f"9:{served.journal.root(9).hex()}"
    assert [mark.position for mark in client.marks] == list(range(10)), "and position 0, of the begin"
    after = served.restored(6)
    after.commit(30)
    address(tmp_path, after.url)
    served.stop()
    until(lambda: ended, "that it is noticed")
    assert "409: root: no commit of this journal ends at position 9" in str(ended[0])
    last = f"6:{served.journal.root(6).hex()}"
    assert f"with after=6 and root={last}" in str(ended[0])
    again = DropCopyClient(folder, after="6", roots=[last])
    assert ids(again.events(follow=False)) == [f"{n}-0" for n in range(7, 37)]
    with pytest.raises(BadInput, match="root: 'x' is no place of the journal"):
        DropCopyClient(folder, roots=["x"])
    after.stop()


def test_more_accounts_than_a_request_has_room_for_are_refused_before_it(folder):
    with pytest.raises(BadInput, match=r"900 accounts do not fit into one request .* none for those of all"):
        DropCopyClient(folder, [f"acct-{n}" for n in range(900)])


def test_a_refusal_is_final(served, folder, tmp_path, monkeypatch):
    with pytest.raises(EngineError, match="404: there is no account 'nobody'"):
        next(DropCopyClient(folder, ["nobody"]).events(follow=True))
    with pytest.raises(EngineError, match="400: after: 9 is in the future"):
        next(DropCopyClient(folder, after="9").events(follow=True))
    with pytest.raises(EngineError, match="401: wrong or missing token"):
        next(DropCopyClient(folder, token="wrong").events(follow=True))
    with pytest.raises(BadInput, match="'x' is no place"):
        DropCopyClient(folder, after="x")
    with pytest.raises(EngineError, match="no engine runs on"):
        next(DropCopyClient(tmp_path / "none").events(follow=True))
    with pytest.raises(EngineError, match="does not answer"):
        next(DropCopyClient(address(tmp_path, "http://127.0.0.1:1")).events(follow=True))


def test_what_is_not_kept_any_more_ends_it_with_the_reason(served, folder):
    served.commit(20)
    found = []
    ended = reading(DropCopyClient(folder, after="0"), found)
    until(lambda: len(found) == 20, "all")
    served.commit(1, is_told=False)
    served.journal.entries[:] = [served.journal.entries[-1]._replace(position=30)]
    served.tail.more()
    until(lambda: ended, "the end")
    assert "the oldest that is kept is 30" in str(ended[0])


def test_a_token_that_stays_wrong_ends_it_after_a_while(served, folder, monkeypatch):
    monkeypatch.setattr(drop_copy_client, "OLD_TOKEN_SECONDS", 0.2)
    served.commit(1)
    found = []
    client = DropCopyClient(folder, after="0")
    ended = reading(client, found)
    until(lambda: found, "the first")
    address(folder, served.url, "the-old-engine-s-token")
    for connection in list(served.server.server_state.connections):
        served.server.servers[0].get_loop().call_soon_threadsafe(connection.transport.abort)
    until(lambda: ended, "the end")
    assert "401" in str(ended[0])


def test_an_engine_that_says_nothing_counts_as_lost(tmp_path, served, monkeypatch):
    """A server that shakes hands and hangs: the client does not wait for ever."""
    monkeypatch.setattr(drop_copy, "HEARTBEAT_SECONDS", 0.1)
    served.commit(1)
    notes, found = [], []
    reading(DropCopyClient(address(tmp_path, served.url), after="0", note=notes.append), found)
    until(lambda: found, "the first")
    monkeypatch.setattr(drop_copy._Reader, "is_silent", property(lambda _reader: False))
    monkeypatch.setattr(drop_copy._Reader, "left_s", property(lambda _reader: 60.0))
    until(lambda: any("has said nothing for too long" in note for note in notes), "the note")

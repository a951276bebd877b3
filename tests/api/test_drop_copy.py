"""Drop copies over real websockets: nothing lost, nothing twice but what is marked, and a slow reader slows nobody.

Covers: actors/api/drop_copy.py, actors/api/drop_copy_stats.py, actors/api/connections.py
"""

from __future__ import annotations

import contextlib
import json
import socket as sockets
import threading
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from actors.api import connections, drop_copy, pools
from actors.api.drop_copy import Line, asked_of, kind_of, messages
from actors.core.clearing_facts import BlocksForgotten
from actors.core.errors import BadInput
from actors.core.events import EventId, EventKind
from actors.core.facts import BalanceAdjusted, CloseOutEnded, DayEnded
from tests.api.served import OPERATOR, VIEWER, Served, until
from tests.factories import D

UPGRADE = {
    "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drop_copy, "RETRY_SECONDS", 0.05)
        patch.setattr(connections, "SOCKET_SECONDS", 0.5)
        patch.setattr(connections, "CLOSE_SECONDS", 1.0)
        yield


@pytest.fixture
def served():
    made = Served()
    yield made
    made.stop()
    assert made.stats.connections == 0
    assert made.stats.positions == {}
    assert made.tail._listeners == {}
    assert pools.DROP_COPIES.taken == 0


@pytest.fixture(scope="module")
def five():
    """One with five rows, for all tests that are refused."""
    made = Served()
    made.commit(5)
    yield made
    made.stop()


def opened(served, query="", token=VIEWER, **more):
    return connect(
        f"ws://127.0.0.1:{served.port}/v1/drop-copy?{query}", additional_headers={"Authorization": f"Bearer {token}"},
        proxy=None, compression=None, close_timeout=1, **more,
    )  # fmt: skip


def said(socket, kind, seconds=10):
    """The next message of a kind; those before it are read over."""
    deadline = time.monotonic() + seconds
    while (message := json.loads(socket.recv(timeout=seconds)))["type"] != kind:
        assert time.monotonic() < deadline, f"no {kind} came"
    return message


def events(socket, count):
    """So many events."""
    found = []
    while len(found) < count:
        found += said(socket, "events")["events"]
    assert len(found) == count, found
    return found


def ids(found):
    return [event["id"] for event in found]


def refusal(served, query="", token=VIEWER):
    with pytest.raises(InvalidStatus) as caught, opened(served, query, token):
        pass
    answer = caught.value.response
    return answer.status_code, json.loads(answer.body)["error"]["message"]


# -- what is sent


def test_it_goes_on_behind_an_event_and_marks_what_may_have_been_sent_before(served):
    served.commit(3, facts=(BalanceAdjusted(D(1), "DEPOSIT"), CloseOutEnded()))
    with opened(served, "after=2-0") as socket:
        begin = said(socket, "begin")
        assert (begin["position"], begin["after"], begin["heartbeat_seconds"]) == (3, "2-0", 5.0)
        before = events(socket, 3)
        assert ids(before) == ["2-1", "3-0", "3-1"]
        assert all(event["possible_resend"] is True for event in before)
        served.commit(1)
        [after] = events(socket, 1)
    assert after == {
        "id": "4-0", "position": 4, "account": "a-0", "wall_ms": 1_700_000_000_000, "cause": "c", "kind": "BALANCE",
        "action": "ADJUSTED", "amount": "4", "reason": "DEPOSIT", "possible_resend": False,
    }  # fmt: skip


def test_from_a_position_from_the_begin_and_from_now(served):
    served.commit(40)  # more than is in memory
    with opened(served, "after=0") as socket:
        assert ids(events(socket, 40)) == [f"{n}-0" for n in range(1, 41)]
    with opened(served, "after=38") as socket:
        assert ids(events(socket, 2)) == ["39-0", "40-0"]
    for query in ("after=now", "", "after=40", "after=40-0", "after=40-77"):
        with opened(served, query) as socket:
            assert said(socket, "heartbeat")["position"] == 40


def test_only_the_accounts_and_kinds_that_are_asked_for(served):
    served.commit(8)
    served.commit(1, "a-1", (CloseOutEnded(), DayEnded()))
    served.commit(1, "clearing:ETHUSDT", (BlocksForgotten((1,)),))
    with opened(served, "after=0&account=a-1&account=a-3&kinds=balance") as socket:
        found = events(socket, 4)
        assert {(e["account"], e["kind"]) for e in found} == {("a-1", "BALANCE"), ("a-3", "BALANCE")}
        assert said(socket, "heartbeat")["position"] == 10, "what is of others is passed too"
    with opened(served, "after=0&kinds=CLOSE_OUT&kinds=STATUS,LIMITS") as socket:
        assert ids(events(socket, 2)) == ["9-0", "9-1"]


def test_a_heartbeat_says_up_to_where_all_was_sent(served, monkeypatch):
    monkeypatch.setattr(drop_copy, "HEARTBEAT_SECONDS", 0.2)
    served.commit(2)
    with opened(served, "after=0&account=a-3") as socket:
        first = said(socket, "heartbeat")
        root = f"2:{served.journal.root(2).hex()}"
        assert first == {
            "type": "heartbeat", "position": 2, "last": 2, "wall_ms": 1_700_000_000_000, "root": root
        }  # fmt: skip
        served.commit(2)
        assert ids(events(socket, 1)) == ["3-0"]
        until(lambda: said(socket, "heartbeat")["position"] == 4, "the next heartbeat")


def test_a_row_that_cannot_be_read_is_told_whatever_kinds_are_asked_for(served):
    served.commit(20)
    served.journal.entries[2] = served.journal.entries[2]._replace(version=99)
    with opened(served, "after=0&account=a-3&kinds=fill") as socket:
        [event] = events(socket, 1)
    assert (event["id"], event["kind"]) == ("3-0", "UNREADABLE")
    assert "of version 99" in event["fault"]


def test_many_connections_each_get_everything_while_it_is_committed(served):
    got = [[] for _ in range(5)]

    def read(found):
        with opened(served, "after=0") as socket:
            while len(found) < 400:
                found.extend(said(socket, "events")["events"])

    readers = [threading.Thread(target=read, args=(found,)) for found in got]
    for reader in readers:
        reader.start()
    for _ in range(100):
        served.commit(4)
    for reader in readers:
        reader.join(20)
    assert all(ids(found) == [f"{n}-0" for n in range(1, 401)] for found in got)


# -- a database that is away, rows that are gone


def test_while_the_database_is_away_a_connection_stays_and_says_where_it_is(served, monkeypatch):
    monkeypatch.setattr(drop_copy, "HEARTBEAT_SECONDS", 0.1)
    served.commit(2)
    with opened(served, "after=now") as socket:
        assert said(socket, "heartbeat")["position"] == 2
        served.journal.is_away = True
        served.commit(1, is_told=False)
        asked = served.journal.questions
        until(lambda: served.journal.questions > asked + 2, "some tries")
        assert said(socket, "heartbeat")["position"] == 2
        assert served.journal.questions < asked + 200, "and they are no storm"
        served.journal.is_away = False
        assert ids(events(socket, 1)) == ["3-0"]


def test_who_needs_the_database_to_begin_is_told_to_come_again(served):
    served.commit(40)
    served.journal.is_away = True
    assert refusal(served, "after=3") == (503, "away, for the test")
    with opened(served, "after=39") as socket:
        assert ids(events(socket, 1)) == ["40-0"]


def test_rows_that_are_not_kept_are_refused_at_the_begin_and_on_the_way(served, monkeypatch):
    served.commit(40)
    del served.journal.entries[:10]
    status, text = refusal(served, "after=5")
    assert status == 400
    assert "the oldest that is kept is 11; begin after 10" in text
    with opened(served, "after=10") as socket:
        assert ids(events(socket, 30))[0] == "11-0"
        del served.journal.entries[:]
        served.commit(1, is_told=False)
        served.journal.entries[0] = served.journal.entries[0]._replace(position=43)
        with pytest.raises(ConnectionClosed) as closed:
            said(socket, "events")
    assert closed.value.rcvd.code == drop_copy.NOT_KEPT
    assert "the oldest that is kept is 43" in closed.value.rcvd.reason


def test_a_fault_of_ours_ends_one_connection_and_says_so(served, monkeypatch):
    served.commit(1)
    with monkeypatch.context() as patch, opened(served, "after=0&account=a-1") as socket:
        said(socket, "heartbeat")
        patch.setattr(drop_copy, "messages", lambda *_: 1 / 0)
        served.commit(1, "a-1")
        with pytest.raises(ConnectionClosed) as closed:
            said(socket, "events")
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        drop_copy.FAULT, "a fault of ours; go on after the last event that was read"
    )  # fmt: skip
    with opened(served, "after=1") as socket:
        assert ids(events(socket, 1)) == ["2-0"]


def test_a_fault_of_ours_before_the_begin_is_no_silence(served, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(drop_copy, "asked_of", lambda _: 1 / 0)
        assert refusal(served) == (500, "division by zero")
        # In front of the handler, where only Litestar sees it.
        patch.delattr(served.context.engine, "has_accounts")
        assert refusal(served) == (500, "a fault of ours")
    with opened(served):
        pass


def test_what_people_see_of_them(served):
    served.commit(3)
    with opened(served, "after=now") as socket:
        said(socket, "heartbeat")
        served.commit(10)
        assert len(events(socket, 10)) == 10
        until(lambda: list(served.stats.positions.values()) == [13], "the place")
        assert served.stats.view(15) == {
            "connections": 1, "events": 10, "cut_off": 0, "behind": 2, "journal_position": 15
        }  # fmt: skip


# -- refusals


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("account=a-1&account=nobody", 404, "there is no account 'nobody'; 'bulkhead accounts' lists them"),
        ("account=", 404, "there is no account ''"),
        ("after=6", 400, "after: 6 is in the future: the journal ends at 5"),
        ("after=6-0", 400, "Begin again, after 0 or after 5"),
        ("after=-1", 400, "'-1' is no place in the journal"),
        ("after=%1b[2J", 400, "is no place in the journal"),
        ("after=1&after=2", 400, "after: it is given twice"),
        ("after=", 400, "'' is no place in the journal"),
        ("kinds=fill,fils", 400, "'fils' is none of ORDER, ORDER_ACKNOWLEDGED, FILL"),
        ("kinds=", 400, "'' is none of ORDER"),
        ("acount=a-1", 400, "'acount' is no parameter of a drop copy; there are account, kinds, after, root"),
        ("root=", 400, "root: '' is no place of the journal with its root"),
        ("root=5:ABC", 400, "root: '5:ABC' is no place of the journal with its root; give what came as 'root'"),
        (f"root=-5:{'0' * 32}", 400, "is no place of the journal with its root"),
        (f"root=5:{'0' * 32}", 409, "no commit of this journal ends at position 5 with the root 00"),
        (f"root=77:{'0' * 32}&after=3", 409, "begin again, with after=0"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_with_the_value_and_the_cure(five, query, status, text):
    found = refusal(five, query)
    assert found[0] == status
    assert text in found[1]
    assert "\x1b" not in found[1]


def test_a_token_of_any_role_may_read_and_none_may_not(served):
    for token in (VIEWER, OPERATOR):
        with opened(served, "", token) as socket:
            said(socket, "begin")
    assert refusal(served, "", "wrong-0123456789") == (
        401, "wrong or missing token; it is in api.json of the data folder"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "host", "status", "text"),
    [
        ("/v1/drop-copy", "evil.example", 421, "is no name of this API"),
        ("/v1/health", "127.0.0.1", 404, "there is no websocket of that path; there is /v1/drop-copy"),
        ("/nowhere", "127.0.0.1", 404, "there is no websocket of that path"),
    ],
)
def test_a_websocket_elsewhere_is_refused_in_words(five, path, host, status, text):
    headers = {**UPGRADE, "host": host, "authorization": f"Bearer {VIEWER}"}
    answer = httpx.get(five.url + path, headers=headers)
    assert answer.status_code == status
    assert text in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("account=" + "x" * 9_000, {}),
        ("", {"x-long": "y" * 9_000}),
        ("", {f"x-{n}": "" for n in range(200)}),
        ("", {"content-length": "5"}),
    ],
)
def test_a_head_that_is_no_websockets_is_answered_and_holds_no_connection(five, query, headers):
    """Nobody who has no token may keep a connection: those that are open are bounded, and operators need one."""
    head = {**UPGRADE, "host": "127.0.0.1", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with sockets.create_connection(("127.0.0.1", five.port), timeout=10) as raw:
        raw.sendall(f"GET /v1/drop-copy?{query} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert "its URL and each of its headers may have 8,000 bytes" in json.loads(body)["error"]["message"]


def test_no_more_connections_than_there_is_room_for(served, monkeypatch):
    monkeypatch.setattr(pools.DROP_COPIES, "most", 2)
    with opened(served), opened(served):
        status, text = refusal(served)
        assert status == 503
        assert "2 drop copies wait already, at most 2 may; try again in 1 s" in text
        assert served.stats.connections == 2
    until(lambda: served.stats.connections == 0, "the end of both")
    with opened(served):
        pass


def test_a_client_that_speaks_is_cut_off(served):
    with opened(served) as socket:
        socket.send("hello?")
        with pytest.raises(ConnectionClosed) as closed:
            said(socket, "events")
    assert closed.value.rcvd.code == drop_copy.CLIENT_SPOKE
    assert "takes no messages" in closed.value.rcvd.reason


def test_a_message_without_end_from_a_client_is_cut_off(served):
    with opened(served) as socket:
        with contextlib.suppress(ConnectionClosed, OSError):
            socket.send("x" * (1 << 20))
        with pytest.raises(ConnectionClosed):
            said(socket, "events")
    until(lambda: served.stats.connections == 0, "the end")


def test_a_stop_of_the_server_is_said(served):
    with opened(served) as socket:
        said(socket, "begin")
        served.server.should_exit = True
        with pytest.raises(ConnectionClosed) as closed:
            said(socket, "events")
    assert closed.value.rcvd.code == 1012


# -- a reader that does not read


def deaf(served, query="after=0"):
    """A socket that has shaken hands and then reads nothing."""
    sock = sockets.socket()
    sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
    sock.connect(("127.0.0.1", served.port))
    head = [f"GET /v1/drop-copy?{query} HTTP/1.1", "host: localhost", f"authorization: Bearer {VIEWER}"]
    head += [f"{name}: {value}" for name, value in UPGRADE.items()]
    sock.sendall("\r\n".join([*head, "", ""]).encode())
    assert sock.recv(12) == b"HTTP/1.1 101"
    return sock


def test_a_slow_reader_is_cut_off_and_slows_nobody(served):
    long = (BalanceAdjusted(D(1), "x" * 2_000),)
    slow = deaf(served)
    with opened(served, "after=0") as quick:
        for _ in range(150):
            served.commit(10, facts=long)
        assert len(events(quick, 1_500)) == 1_500
        assert served.stats.behind(served.tail.position) > 0
        until(lambda: served.stats.cut_off == 1, "the cut")
        served.commit(1)
        assert len(events(quick, 1)) == 1
    until(lambda: served.stats.connections == 0, "the end of both")
    with contextlib.suppress(OSError):
        slow.settimeout(10)
        while slow.recv(65_536):
            pass
    slow.close()


def test_a_slow_reader_that_reads_on_learns_why_it_was_closed(served):
    served.commit(4_000, facts=(BalanceAdjusted(D(1), "x" * 2_000),))
    slow = deaf(served)
    until(lambda: served.stats.cut_off == 1, "the cut")
    slow.settimeout(10)
    read = b""
    with contextlib.suppress(OSError):
        while more := slow.recv(65_536):
            read += more
            if b"slow reader: nothing was read for 0.5 s" in read[-4_096:]:
                break
    slow.close()
    assert b"slow reader: nothing was read for 0.5 s" in read[-4_096:]


def test_a_client_that_pings_and_reads_nothing_is_cut_off(served):
    served.commit(4_000, facts=(BalanceAdjusted(D(1), "x" * 2_000),))
    slow = deaf(served)
    with contextlib.suppress(OSError):
        for _ in range(20_000):
            slow.sendall(b"\x89\x80\0\0\0\0")
    until(lambda: served.stats.connections == 0, "the cut")
    slow.close()


# -- another history


def test_who_read_another_history_is_refused_and_told_the_last_common_place(served):
    for _ in range(6):
        served.commit(2)
    with opened(served, "after=5-0") as socket:
        assert said(socket, "begin")["root"] == f"6:{served.journal.root(6).hex()}", (
            "of the commit with position 5"
        )
        marks = [said(socket, "events")["root"]]
    assert marks == [f"12:{served.journal.root(12).hex()}"], "it covers all that was read"
    older = f"4:{served.journal.root(4).hex()}"
    after = served.restored(6)
    try:
        # Beyond what was read before, so the position alone says nothing.
        after.commit(10)
        status, text = refusal(after, f"after=12-0&root={marks[0]}&root={older}")
        assert (status, f"begin there again, with after=4 and root={older}" in text) == (409, True), text
        assert "OtherHistory" in str(code_of(after, f"after=12-0&root={marks[0]}"))
        with opened(after, f"after=4&root={older}") as socket:
            assert ids(events(socket, 12)) == [f"{n}-0" for n in range(5, 17)]
        # Where there is nothing before, there is nothing to differ.
        with opened(after, f"after=0&root=0:{'0' * 32}") as socket:
            assert said(socket, "begin")["position"] == 16
    finally:
        after.stop()


def test_of_what_is_not_kept_any_more_nothing_can_be_said_and_rows_behind_it_are_refused_as_such(served):
    for _ in range(20):
        served.commit(1)
    gone = f"9:{'a' * 32}"
    assert refusal(served, f"after=9&root={gone}")[0] == 409
    served.journal.entries = [entry for entry in served.journal.entries if entry.position > 15]
    served.journal.ends = [end for end in served.journal.ends if end >= 15]
    served.tail._slots[:] = [None] * 16
    status, text = refusal(served, f"after=9&root={gone}")
    assert (status, "the oldest that is kept is 16" in text) == (400, True)
    # The last commit of what was taken away is there: who has read up to it goes on.
    assert refusal(served, f"after=15&root=15:{'a' * 32}")[0] == 409
    with opened(served, f"after=15&root=15:{served.journal.root(15).hex()}") as socket:
        assert ids(events(socket, 5)) == [f"{n}-0" for n in range(16, 21)]


def code_of(served, query):
    with pytest.raises(InvalidStatus) as caught, opened(served, query):
        pass
    return json.loads(caught.value.response.body)["error"]["code"]


# -- its parts


def line(position):
    return Line(EventId(position, 0), "a", EventKind.FILL, b'{"id":"%d-0"' % position)


def test_a_message_has_not_too_many_events_and_marks_each_by_its_position():
    found = list(messages([line(n) for n in range(1, 252)], 100))
    assert [message.events for message in found] == [100, 100, 51]
    parts = [event for message in found for event in json.loads(message.data)["events"]]
    assert [event["possible_resend"] for event in parts] == [True] * 100 + [False] * 151
    assert list(messages([], 5)) == []


def test_what_is_asked_for():
    assert asked_of([]) == (frozenset(), frozenset(), None, frozenset())
    marks = [("root", f"{n}:{n:032x}") for n in (7, 3)]
    assert {str(mark) for mark in asked_of(marks).marks} == {text for _, text in marks}
    with pytest.raises(BadInput, match="33 are given, and 32 are taken"):
        asked_of([("root", f"{n}:{n:032x}") for n in range(33)])
    asked = asked_of([("account", "a"), ("account", "b"), ("kinds", "fill, fee"), ("after", "7")])
    assert (asked.accounts, asked.kinds) == ({"a", "b"}, {EventKind.FILL, EventKind.FEE})
    assert kind_of("order_ended") is EventKind.ORDER_ENDED
    with pytest.raises(BadInput):
        asked_of([("account", "a"), ("after", "now"), ("after", "now")])

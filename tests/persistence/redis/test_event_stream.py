"""Where the event stream goes on, whatever is in Redis already: asked directly, with a real Redis and a journal in memory."""

from __future__ import annotations

import hashlib

import pytest
import redis

from actors.core.errors import RedisRefused
from actors.core.events import ALL_PARTS, EventId
from actors.core.journal_marks import Mark
from actors.persistence.redis.connection import connect
from actors.persistence.redis.entries import without_states
from actors.persistence.redis.event_stream import REPLACED, Begin, EventStream, Moved
from tests.persistence.audit.made import decided
from tests.persistence.redis.world import STREAM

FLEET, ROOT, NOW = f"{STREAM}:fleet", f"{STREAM}:root", f"{STREAM}:now"


class Books:
    """A journal of so many rows, two events each; from ``other`` on it has others than one without it."""

    def __init__(self, count, other=None, oldest=1):
        self.oldest = oldest
        self.rows = [
            decided(n, amounts=(1, 2) if other is None or n < other else (7, 8)) for n in range(1, count + 1)
        ]

    def first(self):
        return self.oldest

    def read(self, after, limit):
        return self.rows[after : after + limit]

    def mark(self, position):
        text = repr([row.facts for row in self.rows[:position]]).encode()
        return Mark(position, hashlib.blake2b(text, digest_size=16).hexdigest() if position else "0" * 32)

    def common(self, marks):
        has = [m for m in marks if m.position <= len(self.rows) and m == self.mark(m.position)]
        return max(has, default=None)


@pytest.fixture
def client(fresh):
    made = connect(fresh.url)
    yield made
    made.close()


def began(client, journal, *, end=None, depth=1_000, fleet="f"):
    """A stream that asked where to go on; and what it was told."""
    stream = EventStream(STREAM, 1_000, depth)
    return stream, stream.begin(client, fleet, len(journal.rows) if end is None else end, journal)


def filled(client, journal, end=None):
    """A stream with all entries of a journal."""
    stream, found = began(client, journal)
    rows = journal.rows[found.last.position : end]
    stream.append(client, entries(rows), journal.mark(rows[-1].position))
    return stream


def entries(rows):
    return [entry for row in rows for entry in without_states(row)]


def ids(client, key=STREAM):
    return [id_.decode() for id_, _ in client.xrange(key)]


def test_an_empty_stream_begins_so_many_positions_before_the_end(client):
    journal = Books(5)
    for depth, position in ((1_000, 0), (5, 0), (2, 3), (0, 5)):
        stream, found = began(client, journal, depth=depth)
        assert found == Begin(EventId(position, ALL_PARTS), is_there=False)
        assert (client.get(FLEET), client.get(ROOT)) == (b"f", str(journal.mark(5)).encode())
        assert stream.last(client) is None
    stream.append(client, entries(journal.rows[4:]), journal.mark(5))
    assert ids(client) == ["5-0", "5-1"]


def test_an_empty_stream_begins_with_the_oldest_row_that_is_kept(client):
    for depth, position in ((1_000, 3), (2, 3), (1, 4)):
        _, found = began(client, Books(5, oldest=4), depth=depth)
        assert found == Begin(EventId(position, ALL_PARTS), is_there=False)


def test_a_stream_goes_on_behind_its_last_entry(client):
    journal = Books(5)
    filled(client, journal, 3)
    stream, found = began(client, journal)
    assert found == Begin(EventId(3, 1), is_there=True)
    stream.append(client, entries(journal.rows[3:]), None)
    assert client.get(ROOT) == str(journal.mark(3)).encode(), "no root was given"
    stream, found = began(client, journal)
    assert found.last == EventId(5, 1)
    stream.append(client, [], journal.mark(5))
    assert client.get(ROOT) == str(journal.mark(5)).encode()


def test_a_stream_that_is_removed_or_written_to_by_another_is_not_gone_on_with(client):
    journal = Books(5)
    filled(client, journal, 2)
    stream, _ = began(client, journal)
    client.delete(STREAM)
    with pytest.raises(Moved):
        stream.append(client, entries(journal.rows[2:]), None)
    assert not client.exists(STREAM), "it would have a gap"
    stream, _ = began(client, journal)
    client.xadd(STREAM, {"a": "b"}, id="3-0")
    with pytest.raises(Moved):
        stream.append(client, entries(journal.rows[:3]), None)


def test_an_answer_that_is_another_error_is_said(client):
    stream, _ = began(client, Books(5))
    client.set(STREAM, "mine")
    with pytest.raises(RedisRefused, match=f"stream {STREAM}: WRONGTYPE .*remove it"):
        stream.append(client, entries(Books(5).rows), None)
    with pytest.raises(RedisRefused, match="WRONGTYPE"):
        stream.last(client)


def test_another_fleets_stream_stays_another_fleets(client):
    journal = Books(5)
    filled(client, journal)
    with pytest.raises(RedisRefused, match="has the events of fleet 'f', and ours is g"):
        began(client, journal, fleet="g")
    assert client.get(FLEET) == b"f"
    client.delete(STREAM)
    began(client, journal, fleet="g")
    assert client.get(FLEET) == b"g", "one that is gone is nobody's"


def test_a_stream_of_nobody_becomes_ours(client):
    """A release before fleets wrote it: what is in it is not compared."""
    other = Books(5, other=4)
    filled(client, other)
    client.delete(FLEET, ROOT)
    journal = Books(5)
    _, found = began(client, journal)
    assert found == Begin(EventId(5, 1), is_there=True)
    assert (client.get(FLEET), client.get(ROOT)) == (b"f", str(journal.mark(5)).encode())


@pytest.mark.parametrize("has_root", [True, False])
def test_a_stream_that_ends_behind_the_journal_is_refused_and_at_its_very_end_is_not(client, has_root):
    journal = Books(5)
    filled(client, journal)
    if not has_root:
        client.delete(ROOT)
    assert began(client, journal, end=5)[1] == Begin(EventId(5, 1), is_there=True)
    assert client.get(ROOT) == str(journal.mark(5)).encode()
    if not has_root:
        client.delete(ROOT)
    with pytest.raises(RedisRefused, match="ends with 5-1, and our journal with position 4"):
        began(client, journal, end=4)


def test_a_root_that_is_none_is_as_no_root(client):
    journal = Books(5)
    filled(client, journal)
    client.set(ROOT, "nonsense")
    assert began(client, journal)[1] == Begin(EventId(5, 1), is_there=True)
    assert client.get(ROOT) == str(journal.mark(5)).encode()


@pytest.mark.parametrize("other", range(1, 6))
@pytest.mark.parametrize("has_root", [True, False])
def test_another_history_ends_the_stream_and_the_next_begins_behind_what_is_common(client, other, has_root):
    lost = Books(5)
    filled(client, lost)
    if not has_root:
        client.delete(ROOT)
    journal = Books(9, other=other)
    stream, found = began(client, journal)
    begins = EventId(other - 1, ALL_PARTS)
    assert (stream.key, found) == (f"{STREAM}:2", Begin(begins, is_there=True, replaced=STREAM))
    assert client.get(NOW) == f"{STREAM}:2".encode()
    (id_, ended), (begin_id, begun) = client.xrange(STREAM)[-1], client.xrange(f"{STREAM}:2")[0]
    assert (id_, ended[b"kind"], ended[b"next"], ended[b"after"]) == (
        b"5-2",
        REPLACED.encode(),
        f"{STREAM}:2".encode(),
        str(other - 1).encode(),
    )
    assert (begin_id.decode(), begun[b"before"]) == (str(begins), STREAM.encode())
    assert begun[b"root"] == ended[b"root"] == client.get(ROOT) == str(journal.mark(other - 1)).encode()
    stream.append(client, entries(journal.rows[other - 1 :]), journal.mark(9))
    assert ids(client, f"{STREAM}:2")[1:] == [f"{n}-{part}" for n in range(other, 10) for part in (0, 1)]
    # The next start goes on there.
    again, found = began(client, journal)
    assert (again.key, found) == (f"{STREAM}:2", Begin(EventId(9, 1), is_there=True))


def test_the_next_stream_begins_no_deeper_than_is_set(client):
    filled(client, Books(5))
    journal = Books(9, other=2)
    _, found = began(client, journal, depth=3)
    assert found.last == EventId(6, ALL_PARTS)
    [(_, begun)] = client.xrange(f"{STREAM}:2")
    assert (begun[b"after"], begun[b"root"]) == (b"1", str(journal.mark(6)).encode())


def test_a_journal_that_is_shorter_and_of_another_history_replaces_the_stream_too(client):
    filled(client, Books(9))
    _, found = began(client, Books(5, other=4))
    assert (found.last, found.replaced) == (EventId(3, ALL_PARTS), STREAM)


def test_a_stream_of_nothing_but_its_begin_is_judged_by_the_root_there(client):
    filled(client, Books(5))
    journal = Books(9, other=3)
    began(client, journal)
    client.delete(ROOT)
    _, found = began(client, journal)
    assert found == Begin(EventId(2, ALL_PARTS), is_there=True)
    client.delete(ROOT)
    _, found = began(client, Books(9, other=2))
    assert (found.last, found.replaced) == (EventId(0, ALL_PARTS), f"{STREAM}:2")
    # A begin without a root, as of a journal that had none there, is taken as it is.
    client.delete(ROOT, f"{STREAM}:3")
    client.xadd(f"{STREAM}:3", {"kind": REPLACED, "root": "", "after": "0"}, id=str(EventId(1, ALL_PARTS)))
    assert began(client, journal)[1] == Begin(EventId(1, ALL_PARTS), is_there=True)


def test_a_stream_whose_entries_are_all_gone_is_replaced_too(client):
    filled(client, Books(5))
    client.xtrim(STREAM, maxlen=0, approximate=False)
    _, found = began(client, Books(9, other=3))
    assert (found.last, found.replaced) == (EventId(0, ALL_PARTS), STREAM)
    assert [fields[b"next"] for _, fields in client.xrange(STREAM)] == [f"{STREAM}:2".encode()]


def test_an_engine_that_died_between_goes_on_in_the_stream_that_it_named(client):
    lost, journal = Books(5), Books(9, other=3)
    filled(client, lost)
    began(client, journal)
    before = client.xrange(STREAM), client.xrange(f"{STREAM}:2")
    # As if it had not come to the last of it, or not to the last two.
    for undone in ((NOW,), (NOW, f"{STREAM}:2")):
        client.delete(*undone)
        client.set(ROOT, str(lost.mark(5)))
        stream, found = began(client, journal)
        assert (stream.key, found.last, found.replaced) == (f"{STREAM}:2", EventId(2, ALL_PARTS), STREAM)
        assert client.xrange(STREAM) == before[0], "its end is said once"
        assert ids(client, f"{STREAM}:2") == [i.decode() for i, _ in before[1]]
        assert not client.exists(f"{STREAM}:3")


def test_a_stream_of_that_number_that_is_there_already_is_left_alone(client):
    filled(client, Books(5))
    client.xadd(f"{STREAM}:2", {"a": "b"}, id="1-1")
    stream, _ = began(client, Books(9, other=3))
    assert stream.key == f"{STREAM}:3"
    assert ids(client, f"{STREAM}:2") == ["1-1"]


def test_an_entry_that_is_not_of_ours_is_no_proof(client):
    """Somebody added one by hand behind ours: the journal neither says so nor the reverse."""
    journal = Books(5)
    filled(client, journal, 3)
    client.delete(ROOT)
    client.xadd(STREAM, {"a": "b"}, id="3-7")
    assert began(client, journal)[1] == Begin(EventId(3, 7), is_there=True)
    client.delete(ROOT)
    client.xadd(STREAM, {"event": '{"id": "4-9"}'}, id="4-9")
    assert began(client, journal)[1].replaced == STREAM, "an event that the journal has not"


def test_an_error_of_redis_is_one_of_ours(client):
    client.lpush(FLEET, "x")
    with pytest.raises(RedisRefused, match=f"key {FLEET}: WRONGTYPE"):
        began(client, Books(5))
    with pytest.raises(redis.ResponseError):
        client.get(FLEET)

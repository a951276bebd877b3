"""What accounts refused by their own checks stands in the history where it belongs in time, once, whatever the pages."""

from __future__ import annotations

import gzip
import itertools
from decimal import Decimal as D

import msgspec
import psycopg
import pytest

from actors.core.errors import NotRecorded
from actors.core.messages import PlaceOrder
from actors.core.utc import day_of
from actors.persistence import history, refused_commands
from actors.persistence.audit.files import FOLDER
from actors.persistence.audit.line import NO_HASH, Content, Kind, Line, written
from actors.persistence.connection import connect
from actors.persistence.history import Wanted, page
from actors.persistence.history_records import HistoryKind
from actors.persistence.refused_commands import RefusedCommands, record_of
from actors.subaccount.rejections import RejectCode, reject
from tests.factories import BTC, BUY, ETH
from tests.persistence.authors import NOW, Author, create, project

DAY = 86_400_000
POOR = reject(RejectCode.INSUFFICIENT_MARGIN, "needs 100.00 margin, available 7.00", 100, 7)
WIDE = reject(RejectCode.PRICE_DEVIATION_EXCEEDED, "the price is 9 % from the market", 9, 5)


def refusal(at_ms, account="acct-1", rejections=(WIDE,), symbol=ETH):
    order = PlaceOrder(symbol=symbol, side=BUY, quantity=D("0.2"), leverage=D(20))
    data = {
        "command": "PlaceOrder",
        "order": msgspec.to_builtins(order),
        "rejections": msgspec.to_builtins(rejections),
    }
    return Content(wall_ms=at_ms, kind=Kind.REJECTION, account=account, cause="api:me:1", data=data)


def write(folder, *contents):
    """An audit with these lines, a file for each day; none is written again once a later day has begun."""
    (folder / FOLDER).mkdir(exist_ok=True)
    prev, day = NO_HASH, ""
    for n, content in enumerate(contents, 1):
        raw, prev = written(content, n, prev)
        day = max(day, day_of(content.wall_ms))
        with (folder / FOLDER / f"{day}.jsonl").open("ab") as file:
            file.write(raw)


@pytest.fixture
def world(store, dsn, tmp_path):
    """An account with a decision each minute, and a refusal between each two; and another day's."""
    author = Author(create(store, 2)[0])
    for _ in range(4):
        author.trade(BUY, "0.1")
    assert not any(store.commit(author.batch))
    project(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.journal SET wall_ms = %s + position * 60000", (NOW,))
        [(last,)] = connection.execute("SELECT max(position) FROM bulkhead.journal").fetchall()
    between = [refusal(NOW + n * 60_000 + 30_000) for n in range(last + 1)]
    write(
        tmp_path,
        refusal(NOW - 2 * DAY),
        *between,
        refusal(NOW + last * 60_000 + 40_000, rejections=(POOR, WIDE)),
        refusal(NOW + last * 60_000 + 41_000, account="acct-2", symbol=BTC),
        Content(wall_ms=NOW + DAY, kind=Kind.OPERATOR, account="acct-1"),
    )
    with connect(dsn, read_only=True) as connection:
        yield connection, RefusedCommands(tmp_path), len(between)


def ids(records):
    return [r.id for r in records]


@pytest.mark.parametrize("account", [None, "acct-1"])
def test_they_stand_between_what_was_decided_on_any_pages(world, account, monkeypatch):
    connection, refused, count = world
    wanted = Wanted(account_id=account, from_ms=NOW)
    whole = page(connection, wanted, 1_000, None, refused)
    assert whole.next is None
    assert sum(r.id.startswith("audit-") for r in whole.records) == count + (2 if account is None else 1)
    assert [r.at_ms for r in whole.records] == sorted((r.at_ms for r in whole.records), reverse=True)
    alone = page(connection, wanted, 1_000).records
    assert ids(r for r in whole.records if not r.id.startswith("audit")) == ids(alone)
    for limit, at_once, looked_at in ((1, 2_000, 10**5), (3, 2, 10**5), (5, 2, 3), (1, 1, 1)):
        monkeypatch.setattr(history, "AT_ONCE", at_once)
        monkeypatch.setattr(history, "LOOKED_AT_MAX", looked_at)
        found, before = [], None
        for _ in range(1_000):
            one = page(connection, wanted, limit, before, refused)
            assert len(one.records) <= limit
            found += one.records
            if (before := one.next) is None:
                break
        assert ids(found) == ids(whole.records)


def test_what_a_refused_order_was_and_why(world):
    connection, refused, count = world
    poor = Wanted(kinds=frozenset({HistoryKind.INSUFFICIENT_BALANCE}))
    [record] = page(connection, poor, 10, None, refused).records
    assert (record.symbol, record.side, record.quantity, record.order_type, record.status) == (
        ETH, "BUY", D("0.2"), "MARKET", "REFUSED",
    )  # fmt: skip
    assert record.end == (
        "INSUFFICIENT_MARGIN needs 100.00 margin, available 7.00; "
        "PRICE_DEVIATION_EXCEEDED the price is 9 % from the market"
    )
    everything = Wanted(kinds=frozenset({HistoryKind.REFUSED}))
    assert len(page(connection, everything, 1_000, None, refused).records) == count + 3
    assert page(connection, Wanted(symbol=BTC), 10, None, refused).records[0].account_id == "acct-2"
    assert not [
        r
        for r in page(connection, Wanted(kinds=frozenset({HistoryKind.FILL})), 99, None, refused).records
        if "audit" in r.id
    ]
    early = Wanted(account_id="acct-1", from_ms=NOW - 3 * DAY, to_ms=NOW)
    assert [r.at_ms for r in page(connection, early, 10, None, refused).records] == [NOW - 2 * DAY]


@pytest.mark.parametrize("is_compressed", [False, True])
def test_none_is_lost_behind_many_of_others_nor_on_a_later_page(tmp_path, monkeypatch, is_compressed):
    """A page has so many records at most; what is not on it, as it is another account's or was on an earlier one, counts not."""
    monkeypatch.setattr(refused_commands, "LIMIT_MAX", 4)
    write(tmp_path, *(refusal(NOW + n, account="acct-1" if n % 10 == 0 else "acct-2") for n in range(40)))
    if is_compressed:
        [path] = (tmp_path / FOLDER).iterdir()
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    refused = RefusedCommands(tmp_path)
    assert [r.line for r in refused(Wanted(account_id="acct-1"), None)] == [31, 21, 11, 1]
    assert [r.line for r in refused(Wanted(account_id="acct-1"), 21)] == [11, 1]
    assert [r.line for r in refused(Wanted(to_ms=NOW + 3), None)] == [3, 2, 1]
    found, before = [], None
    while page_ := list(itertools.islice(refused(Wanted(), before), 4)):
        found += [r.line for r in page_]
        before = found[-1]
    assert found == list(range(40, 0, -1))


@pytest.mark.parametrize("account", [None, "acct-1"])
def test_of_one_time_what_was_refused_stands_first_on_any_pages(world, account, tmp_path):
    connection, _, _ = world
    folder = tmp_path / "alike"
    folder.mkdir()
    write(folder, refusal(NOW + 3 * 60_000), refusal(NOW + 5 * 60_000))
    refused = RefusedCommands(folder)
    wanted = Wanted(account_id=account)
    whole = page(connection, wanted, 1_000, None, refused).records
    for at_ms in (NOW + 3 * 60_000, NOW + 5 * 60_000):
        first, *others = [r.id for r in whole if r.at_ms == at_ms]
        assert first.startswith("audit-")
        assert others
    found, before = [], None
    for _ in whole:
        one = page(connection, wanted, 1, before, refused)
        found += one.records
        before = one.next
    assert (ids(found), before) == (ids(whole), None)


def test_a_line_that_came_late_is_found_in_the_next_two_files(tmp_path):
    (tmp_path / FOLDER).mkdir()
    for late in (0, 2, 300, 301):
        raw, _ = written(refusal(NOW), late + 1, NO_HASH)
        (tmp_path / FOLDER / f"{day_of(NOW + late * DAY)}.jsonl").write_bytes(raw)
    refused = RefusedCommands(tmp_path)
    assert [r.line for r in refused(Wanted(from_ms=NOW, to_ms=NOW + 1), None)] == [301, 3, 1]
    assert [r.line for r in refused(Wanted(from_ms=NOW + 1, to_ms=NOW + 2), None)] == []
    assert [r.line for r in refused(Wanted(from_ms=NOW - 1, to_ms=NOW), None)] == []


def test_a_number_that_no_line_of_an_audit_has_is_on_no_later_page(tmp_path):
    (tmp_path / FOLDER).mkdir()
    lines = [written(refusal(NOW), n, NO_HASH)[0] for n in (10**17, 10**18)]
    (tmp_path / FOLDER / f"{day_of(NOW)}.jsonl").write_bytes(b"".join(lines))
    refused = RefusedCommands(tmp_path)
    assert [r.line for r in refused(Wanted(), None)] == [10**18, 10**17]
    assert [r.line for r in refused(Wanted(), 10**18)] == [10**17]
    assert [r.line for r in refused(Wanted(), 10**17 + 1)] == [10**17]
    assert [r.line for r in refused(Wanted(), 10**17)] == []


def test_a_line_that_was_changed_or_of_another_release_is_left_out(world, tmp_path):
    connection, refused, _ = world
    whole = page(connection, Wanted(from_ms=NOW), 1_000, None, refused).records
    [path] = [p for p in (tmp_path / FOLDER).iterdir() if b"INSUFFICIENT_MARGIN" in p.read_bytes()]
    path.write_bytes(path.read_bytes().replace(b"available 7.00", b"available 9.00"))
    assert len(page(connection, Wanted(from_ms=NOW), 1_000, None, refused).records) == len(whole) - 1
    for data in (
        {},
        {"rejections": 5, "order": {}},
        {"rejections": [{}], "order": {}},
        {"rejections": [], "order": 5},
    ):
        assert (
            record_of(Line(n=1, prev="", time="2026-01-01T00:00:00.000Z", kind="REJECTION", data=data))
            is None
        )
    assert (
        record_of(Line(n=1, prev="", time="now", kind="REJECTION", data={"rejections": [], "order": {}}))
        is None
    )


def test_a_file_that_cannot_be_read_is_said_and_none_is_none(tmp_path):
    assert list(RefusedCommands(tmp_path / "nothing")(Wanted(), None)) == []
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "2026-01-01.jsonl.gz").write_bytes(b"no gzip at all")
    with pytest.raises(
        NotRecorded, match=r"the audit in .* cannot be read: 2026-01-01.jsonl.gz cannot be read: Not a gz"
    ):
        list(RefusedCommands(tmp_path)(Wanted(), None))
    (tmp_path / FOLDER / "2026-01-01.jsonl.gz").unlink()
    (tmp_path / FOLDER / "2026-01-01.jsonl").mkdir()
    with pytest.raises(NotRecorded, match=r"2026-01-01.jsonl cannot be read: Is a directory"):
        list(RefusedCommands(tmp_path)(Wanted(), None))


def test_while_the_clock_was_ahead_and_after_it_none_is_lost(tmp_path):
    """All of these stand in the file of a day of the next year."""
    ahead = refusal(NOW + 365 * DAY)
    write(tmp_path, refusal(NOW - DAY), ahead, *(refusal(NOW + n) for n in range(3)))
    assert len(list((tmp_path / FOLDER).iterdir())) == 2
    wanted = Wanted(from_ms=NOW, to_ms=NOW + DAY)
    found = [one.record.at_ms for one in RefusedCommands(tmp_path)(wanted, None)]
    assert found == [NOW + 2, NOW + 1, NOW]

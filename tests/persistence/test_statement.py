"""Statements: opening + entries = closing for any cut in time, across restarts; what does not add up is refused by name."""

from __future__ import annotations

import contextlib
import itertools
from decimal import Decimal as D

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.assembly import adoption
from actors.core.errors import BadInput, BooksWrong, StoreBusy
from actors.core.messages import AdjustBalance
from actors.persistence import statement as module
from actors.persistence.connection import connect
from actors.persistence.history import Wanted, page
from actors.persistence.history_records import HistoryKind
from actors.persistence.projection.store import Projection
from actors.persistence.statement import statement
from actors.persistence.store import Store
from actors.subaccount.income import OPENING, Income
from tests.factories import BUY, ETH, INSTRUMENTS, SELL
from tests.persistence.adoption import platform
from tests.persistence.adoption.test_adopting import a_store, adopt, undo
from tests.persistence.authors import NOW, Author, create, project
from tests.persistence.projection.lives import commit, live, project_all

FOREVER = 2**53


@pytest.fixture(scope="module")
def lives(postgres):
    """Accounts that lived through random days, half of them before and half after a restart of store and projector."""
    name = "statements"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    dsn = postgres.replace("/postgres?", f"/{name}?")
    with pytest.MonkeyPatch.context() as patch:
        store = Store.open(dsn)
        store.acquire("me", 30)
        decisions = live(store, range(130, 140), patch, events=90)
        half = len(decisions) // 2
        commit(store, decisions[:half])
        project_all(dsn, 41)
        store.close()
        store = Store.open(dsn)
        store.acquire("me", 30)
        commit(store, decisions[half:])
        project_all(dsn)
        store.close()
    times = {}
    for decision in decisions:
        times.setdefault(decision.stream, []).append(decision)
    with connect(dsn, read_only=True) as connection:
        yield connection, times
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def balance_before(decisions, at_ms):
    """What the account had when its decisions before a time were made; the clock of these days is never set back."""
    had = [d.state.balance for d in decisions if d.wall_ms < at_ms]
    return had[-1] if had else None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rows_add_up_to_the_difference_of_balances_for_any_cut_in_time(lives, data):
    connection, times = lives
    account = data.draw(st.sampled_from(sorted(times)))
    decisions = times[account]
    moments = sorted({d.wall_ms for d in decisions})
    some = st.sampled_from(moments) | st.integers(moments[0] - 5, moments[-1] + 5)
    cuts = sorted(set(data.draw(st.lists(some, min_size=2, max_size=4)))) or [0]
    cuts = [0, *(c for c in cuts if c > 0), FOREVER]
    closing, entries, trades = D(0), [], []
    for begin, end in itertools.pairwise(cuts):
        found = statement(connection, account, begin, end)
        assert found.opening == closing
        assert found.opening + sum((e.amount for e in found.entries), D(0)) == found.closing
        assert sum((s.amount for s in found.sums), D(0)) == found.closing - found.opening
        assert sum((s.count for s in found.sums), 0) == len(found.entries)
        known = balance_before(decisions, end)
        if known is not None and all(a.wall_ms <= b.wall_ms for a, b in itertools.pairwise(decisions)):
            assert found.closing == known
        for income, told in ((Income.FUNDING_FEE, found.funding), (Income.COMMISSION, found.fees)):
            of_it = [e.amount for e in found.entries if e.income_type == income]
            assert (sum(s.count for s in told), sum((s.amount for s in told), D(0))) == (
                len(of_it),
                sum(of_it, D(0)),
            )
        realized = sum((t.realized for t in found.trades), D(0))
        taken = sum(
            (
                e.amount
                for e in found.entries
                if e.info == "TAKEN_OVER" and e.income_type == Income.REALIZED_PNL
            ),
            D(0),
        )
        assert realized + taken == sum(
            (e.amount for e in found.entries if e.income_type == Income.REALIZED_PNL), D(0)
        )
        closing, entries, trades = found.closing, [*entries, *found.entries], [*trades, *found.trades]
    assert closing == decisions[-1].state.balance
    whole = statement(connection, account, 0, FOREVER)
    assert (list(whole.entries), list(whole.trades)) == (entries, trades)


def test_positions_at_the_end_are_those_that_were_held_then(lives):
    connection, times = lives
    seen = 0
    for account, decisions in times.items():
        for decision in decisions[:: max(1, len(decisions) // 6)]:
            end = decision.wall_ms + 1
            last = [d for d in decisions if d.wall_ms < end][-1]
            found = statement(connection, account, 0, end)
            held = {p.symbol: (p.quantity, p.entry_price) for p in last.state.positions}
            assert {p.symbol: (p.quantity, p.entry_price) for p in found.positions} == held
            assert found.fees_pending == len(last.state.pending_fees)
            seen += len(held)
    assert seen > 5


@pytest.fixture
def traded(store, dsn):
    """One account with a deposit, two trades and a withdrawal, a second later each."""
    author = Author(create(store, 1)[0])
    author.trade(BUY, "0.1")
    author.trade(SELL, "0.1", price="2100")
    author.decide(AdjustBalance(D(-9), "WITHDRAWAL"))
    assert not any(store.commit(author.batch))
    project(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.journal SET wall_ms = %s + sequence * 1000", (NOW,))
        connection.execute(
            "UPDATE bulkhead.ledger l SET wall_ms = j.wall_ms FROM bulkhead.journal j WHERE j.position = l.position"
        )
        yield connection


def test_what_a_statement_says(traded):
    found = statement(traded, "acct-1", NOW, NOW + 3_600_000, "USDT")
    assert (found.opening, found.closing, found.asset) == (0, D("1000.8"), "USDT")
    assert [(s.name, s.count, s.amount) for s in found.sums] == [
        ("COMMISSION", 2, D("-0.2")),
        ("REALIZED_PNL", 1, D(10)),
        ("TRANSFER", 2, D(991)),
    ]
    assert [(f.name, f.amount) for f in found.fees] == [("USDT", D("-0.2"))]
    assert [(t.side, t.quantity, t.price, t.realized, t.fee) for t in found.trades] == [
        ("BUY", D("0.1"), D(2000), D(0), D("0.1")),
        ("SELL", D("0.1"), D(2100), D(10), D("0.1")),
    ]
    assert found.positions == ()
    bought = next(e for e in found.entries if e.income_type == "COMMISSION")
    earlier = statement(traded, "acct-1", NOW, bought.at_ms + 1)
    [held] = earlier.positions
    assert (held.symbol, held.quantity, held.entry_price) == (ETH, D("0.1"), D(2000))
    assert statement(traded, "acct-1", 1, 2).entries == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("UPDATE bulkhead.ledger SET amount = amount + 1 WHERE income_type = 'REALIZED_PNL'",
         r"REALIZED_PNL 11 at position \d+, part 0 do not make 1009.9"),
        ("UPDATE bulkhead.ledger SET balance = balance + 1 WHERE income_type = 'REALIZED_PNL'",
         r"REALIZED_PNL 10 at position \d+, part 0 do not make 1010.9"),
        ("DELETE FROM bulkhead.ledger WHERE income_type = 'REALIZED_PNL'", r"COMMISSION -0.1 at position \d+, part 1"),
        ("DELETE FROM bulkhead.ledger WHERE info = 'WITHDRAWAL'", "come to 1009.8, and its row in bulkhead.account says 1000.8"),
        ("UPDATE bulkhead.account SET balance = 7, deposits = 7, realized = 0, fees = 0", "says 7"),
    ],
)  # fmt: skip
def test_one_that_does_not_add_up_is_refused_and_names_the_first_entry(traded, change, text):
    statement(traded, "acct-1", NOW, FOREVER)
    assert traded.execute(change).rowcount
    with pytest.raises(BooksWrong, match=text) as raised:
        statement(traded, "acct-1", NOW, FOREVER)
    assert "bulkhead db rebuild --dry-run" in str(raised.value)


def test_one_whose_past_does_not_add_up_is_refused_too(traded):
    traded.execute("UPDATE bulkhead.ledger SET amount = amount + 1 WHERE income_type = 'REALIZED_PNL'")
    with pytest.raises(
        BooksWrong, match=r"come to 1001.8, and the last of them says 1000.8; the first .* part 0"
    ):
        statement(traded, "acct-1", FOREVER - 1, FOREVER)


def test_entries_that_agree_with_each_other_and_not_with_the_decisions_are_refused(traded):
    withdrawn = traded.execute("SELECT wall_ms FROM bulkhead.ledger WHERE info = 'WITHDRAWAL'").fetchone()[0]
    statement(traded, "acct-1", NOW, withdrawn)
    traded.execute(
        "UPDATE bulkhead.ledger SET balance = balance + 1, amount = amount + (part = 0 AND info = 'DEPOSIT')::int"
    )
    with pytest.raises(BooksWrong, match=r"its entries come to 1010.8.*and its decisions to 1009.8"):
        statement(traded, "acct-1", NOW, withdrawn)


def test_a_clock_that_was_set_back_loses_and_doubles_no_entry(traded):
    traded.execute("UPDATE bulkhead.journal SET wall_ms = wall_ms - 4000 WHERE sequence > 6")
    traded.execute(
        "UPDATE bulkhead.ledger l SET wall_ms = j.wall_ms FROM bulkhead.journal j WHERE j.position = l.position"
    )
    whole = statement(traded, "acct-1", 0, FOREVER)
    for cut in range(NOW, NOW + 12_000, 500):
        one, two = statement(traded, "acct-1", 0, cut), statement(traded, "acct-1", cut, FOREVER)
        assert one.entries + two.entries == whole.entries
        assert one.trades + two.trades == whole.trades
        assert one.closing == two.opening


def test_tables_that_are_behind_make_no_statement_of_what_they_lack(store, dsn):
    author = Author(create(store, 1)[0])
    author.trade(BUY, "0.1")
    assert not any(store.commit(author.batch))
    Projection(dsn).begin()
    with connect(dsn, read_only=True) as connection:
        with pytest.raises(StoreBusy, match="behind the journal, and lack decisions of acct-1"):
            statement(connection, "acct-1", 0, FOREVER)
        assert statement(connection, "acct-1", 0, NOW).closing == 0
        project(dsn)
        assert statement(connection, "acct-1", 0, FOREVER).closing == D("999.9")
    with psycopg.connect(dsn, autocommit=True) as connection:
        [(at,)] = connection.execute("SELECT position FROM bulkhead.journal WHERE sequence = 3").fetchall()
        connection.execute(
            "INSERT INTO bulkhead.parked VALUES ('acct-1', 3, %s, 0, 'a row is locked')", (at,)
        )
        connection.execute("DELETE FROM bulkhead.ledger WHERE position >= %s", (at,))
        connection.execute("UPDATE bulkhead.account SET sequence = 2, balance = 1000, fees = 0")
        with pytest.raises(StoreBusy, match=r"stopped at decision 3 \(a row is locked\).*unpark acct-1"):
            statement(connection, "acct-1", 0, FOREVER)


def test_wrong_questions_are_answered_with_the_cure(traded, monkeypatch):
    with pytest.raises(BadInput, match="there is no account 'nobody'; 'bulkhead accounts' lists them"):
        statement(traded, "nobody", 0, 5)
    for begin, end in ((5, 5), (6, 5)):
        with pytest.raises(BadInput, match="the first time must be earlier than the second"):
            statement(traded, "acct-1", begin, end)
    monkeypatch.setattr(module, "ENTRIES_MAX", 3)
    with pytest.raises(BadInput, match="more than 3 entries in this period; ask for it in shorter ones"):
        statement(traded, "acct-1", 0, FOREVER)
    monkeypatch.setattr(module, "ENTRIES_MAX", 5)
    assert len(statement(traded, "acct-1", 0, FOREVER).entries) == 5, "so many are not too many"


def test_positions_that_cost_too_much_folding_are_not_known_and_said_so(traded, monkeypatch):
    monkeypatch.setattr(module, "FOLDED_MAX", 3)
    found = statement(traded, "acct-1", 0, NOW + 9_000)
    assert found.positions is None
    assert found.closing > 0
    assert statement(traded, "acct-1", 0, NOW + 4_000).positions is not None, "three are not too many"
    assert statement(traded, "acct-1", 0, NOW + 4_001).positions is None


def test_positions_from_the_snapshot_on_cost_no_folding_of_what_was_before(traded, store, dsn, monkeypatch):
    author = Author(store.load(["acct-1"])[0])
    author.trade(BUY, "0.2")
    assert not any(store.commit(author.batch))
    projection = Projection(dsn)
    projection.begin()
    projection.project(projection.read(1_000))
    assert projection.save_tails(10) == 1
    projection.close()
    [(last,)] = traded.execute("SELECT sequence FROM bulkhead.snapshot WHERE stream = 'acct-1'").fetchall()
    traded.execute("UPDATE bulkhead.journal SET wall_ms = %s + sequence * 1000", (NOW,))
    traded.execute(
        "UPDATE bulkhead.ledger l SET wall_ms = j.wall_ms FROM bulkhead.journal j WHERE j.position = l.position"
    )
    ends = range(NOW + 1_001, NOW + last * 1_000 + 2, 1_000)
    folded = [statement(traded, "acct-1", 0, end).positions for end in ends]
    assert [p.quantity for p in folded[-1]] == [D("0.2")]
    monkeypatch.setattr(module, "FOLDED_MAX", 0)
    unfolded = [statement(traded, "acct-1", 0, end).positions for end in ends]
    assert unfolded == [*[None] * (len(ends) - 1), folded[-1]]


def test_the_quote_asset_is_that_of_all_symbols_and_empty_where_none_was_traded(traded):
    assert statement(traded, "acct-1", NOW, FOREVER).asset == "USDT"
    deposit = statement(traded, "acct-1", NOW, NOW + 1_500)
    assert [e.income_type for e in deposit.entries] == [Income.TRANSFER]
    assert deposit.asset == ""
    assert statement(traded, "acct-1", NOW, NOW + 1_500, "USDC").asset == "USDC"
    [fees] = statement(traded, "acct-1", NOW, FOREVER).fees
    assert (fees.name, fees.count, fees.of_asset) == ("USDT", 2, None)


def test_an_account_that_was_adopted_given_back_and_adopted_again_adds_up_at_any_cut(dsn, monkeypatch):
    @contextlib.contextmanager
    def asked(_config, _held, _progress):
        yield INSTRUMENTS, {ETH: D("0.1")}, ()

    monkeypatch.setattr(adoption, "_exchange", asked)
    platform.make(dsn)
    platform.account(dsn, "a-1", 1000.1)
    platform.position(dsn, "p-1", "a-1", 0.1, 2000)
    for deed in (adopt, undo, adopt):
        assert deed(dsn, "a-1")
        project(dsn)
    with a_store(dsn) as store:
        author = Author(store.load(["a-1"])[0])
        author.trade(SELL, "0.1", "2010")
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
        assert set(store.commit(author.batch)) == {None}
    project(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.journal SET wall_ms = %s + position * 1000", (NOW,))
        connection.execute("UPDATE bulkhead.ledger SET wall_ms = %s + position * 1000", (NOW,))
        whole = statement(connection, "a-1", 0, FOREVER)
        assert [(e.income_type, e.amount, e.info) for e in whole.entries] == [
            ("TRANSFER", D("1000.1"), OPENING),
            ("TRANSFER", D("-1000.1"), "ADOPTION_UNDONE"),
            ("TRANSFER", D("1000.1"), OPENING),
            ("REALIZED_PNL", D(1), "TRADE"),
            ("COMMISSION", D("-0.1"), "TRADE"),
            ("TRANSFER", D(5), "DEPOSIT"),
        ]
        assert whole.closing == author.state.balance
        for cut in range(NOW, NOW + 12_000, 500):
            one, two = (statement(connection, "a-1", a, b) for a, b in ((0, cut), (cut, FOREVER)))
            assert one.entries + two.entries == whole.entries
            assert (one.opening, one.closing, two.closing) == (0, two.opening, whole.closing)
        first = statement(connection, "a-1", 0, whole.entries[0].at_ms + 1)
        assert [(p.symbol, p.quantity, p.entry_price) for p in first.positions] == [(ETH, D("0.1"), D(2000))]
        told = page(connection, Wanted(account_id="a-1", kinds=frozenset({HistoryKind.BALANCE})), 10).records
        assert [r.text.split()[0] for r in told] == ["DEPOSIT", "adopted", "adoption", "adopted"]
        assert sum(r.amount for r in told) == D("1005.1")

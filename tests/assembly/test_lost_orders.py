"""Orders that a restored database does not know are found in the exchange's history and booked, or named.

Covers: actors/clearing/lost.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.assembly import lost_orders
from actors.assembly.lost_orders import (
    EARLIER_MS,
    Fleet,
    KnownEnds,
    book,
    book_after_restore,
    committed_ms,
    first_roots,
    pending,
)
from actors.clearing.state import ClearingState
from actors.core.alarm_level import Level, level_of
from actors.core.clearing_messages import clearing_name, is_clearing
from actors.core.durability import Persist
from actors.core.enums import OrderType, TimeInForce
from actors.core.errors import NotRecorded, StateCorrupt
from actors.core.facts import FillApplied, OrderIntended
from actors.core.messages import AdjustBalance
from actors.core.order_ids import FIXED, Origin, StartId, account_part, client_order_id
from actors.core.trades import Trade
from actors.core.units import AccountId
from actors.gateway.messages import Report, ReportStatus
from actors.persistence.connection import connect
from actors.persistence.journal import trades_of
from actors.persistence.store import Store
from actors.runtime.clock import VirtualClock
from actors.subaccount.pipeline import Accepted
from actors.supervision.journal_roots import JournalRoot
from actors.supervision.operator_log import OPERATORS_FILE, read_roots
from actors.venues.port import PastOrder
from tests.assembly.test_build import Built
from tests.factories import BTC, BUY, ETH, SELL, account
from tests.persistence.authors import Author, create

EARLIER = Origin(FIXED.fleet, StartId("0000zz"))
SINCE = 1_700_000_000_000


class Exchange:
    """Past orders with their trades, some of which end only when they are asked for again."""

    def __init__(self, *orders):
        self.orders, self.trades, self.asked, self.open = list(orders), [], [], {}
        for order in orders:
            self.traded(order, order.report.executed)

    def traded(self, order, quantity):
        if quantity:
            self.trades.append(
                Trade(
                    exchange_order_id=order.report.exchange_order_id, trade_id=len(self.trades) + 1, quantity=quantity,
                    symbol=order.report.symbol, side=order.side, price=D(2000), fee=D("0.5"), maker=False,
                    trade_ms=SINCE + len(self.trades),
                )
            )  # fmt: skip

    def past_orders(self, symbol, since_ms, prefix):
        self.asked.append((symbol, since_ms))
        found = [
            o
            for o in self.orders
            if o.report.symbol == symbol and o.report.client_order_id.startswith(prefix)
        ]
        return [self._now(order) for order in found]

    def _now(self, order):
        left = self.open.get(order.report.exchange_order_id, 0)
        self.open[order.report.exchange_order_id] = left - 1
        return replace(order, report=replace(order.report, status=ReportStatus.NEW)) if left > 0 else order

    def past_trades(self, symbol, since_ms):
        self.asked.append((symbol, since_ms))
        return [t for t in self.trades if t.symbol == symbol]


def past(number, exchange_order_id, account_id="acct-1", side=BUY, executed="1", origin=EARLIER, symbol=ETH):
    return PastOrder(
        report=Report(
            client_order_id=client_order_id(origin, AccountId(account_id), number), exchange_order_id=exchange_order_id,
            symbol=symbol, status=ReportStatus.FILLED, executed=D(executed), stated="NEW",
        ),
        side=side, quantity=D(2), order_type=OrderType.MARKET, price=None, time_in_force=TimeInForce.GTC,
        placed_ms=SINCE + number,
    )  # fmt: skip


def started():
    made = Built()
    made.assembly.supervise()
    made.assembly.start("writer", "gateway", "router", prove=False)
    made.run()
    return made


@pytest.fixture
def built():
    return started()


@pytest.fixture
def store(dsn):
    opened = Store.open(dsn)
    opened.acquire("me", 30)
    yield opened
    opened.close()


class Asked:
    """Stands for a ref: what an account is asked it decides, and answers at once, or raises."""

    def __init__(self, built, ref, error=None):
        self._built, self._ref, self._error = built, ref, error

    def ask(self, message, block):
        assert block is False
        self._ref.tell(message)
        self._built.run()
        return self

    def get(self, timeout):
        assert timeout > 0
        if self._error is not None:
            raise self._error
        return Accepted()


class AskedHouse:
    """The same for a symbol's clearing: the writer has its decision, and answers with the fact."""

    def __init__(self, built, ref):
        self._built, self._ref, self._before = built, ref, len(built.got("writer"))

    def ask(self, message, block):
        assert block is False
        self._ref.tell(message)
        self._built.run()
        return self

    def get(self, timeout):
        assert timeout > 0
        return next((m.reply for m in self._built.got("writer")[self._before :]), None)


def house(built, symbol):
    """The clearing of a symbol that decided nothing yet."""
    known = built.assembly.parts.clearing.preloaded
    if clearing_name(symbol) not in built.assembly.actors:
        known[symbol] = ClearingState(symbol=symbol)
    ref = built.assembly.clearing_of(symbol)
    built.run()
    return ref


def fleet(built, ids=("acct-1", "acct-2"), known=(), errors=None):
    errors = errors or {}
    for n in ids:
        if n not in errors:
            built.assembly.start_account(AccountId(n), replace(account("50000"), account_id=AccountId(n)))
    built.run()
    refs = built.assembly.accounts

    def find(id_):
        return (
            Asked(built, refs.get(id_) or next(iter(refs.values())), errors.get(id_)) if id_ in ids else None
        )

    return Fleet(
        fleet=FIXED.fleet, account_ids=ids, account=find, clearing=lambda s: AskedHouse(built, house(built, s)),
        known=lambda asked: [id_ for id_ in asked if id_ in known], alarm=built.alarms.append,
    )  # fmt: skip


def decided(built):
    return [m for m in built.got("writer") if isinstance(m, Persist)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(lost_orders.time, "sleep", lambda _s: None)


def test_each_order_that_no_intent_explains_is_booked_by_its_account_in_the_order_of_trades(built):
    known = past(1, 900)
    late, early = past(2, 902, side=SELL), past(3, 901, "acct-2", symbol=BTC)
    second = past(4, 903)
    exchange = Exchange(known, early, late, second, past(5, 904, executed="0"))
    assert book(exchange, [ETH, BTC], SINCE, fleet(built, known={known.report.client_order_id}))
    found = [
        (m.stream, [f.client_order_id for f in m.facts if isinstance(f, OrderIntended)])
        for m in decided(built)
    ]
    assert found == [
        ("acct-2", [early.report.client_order_id]),
        ("acct-1", [late.report.client_order_id]),
        ("acct-1", [second.report.client_order_id]),
    ]
    assert sum(isinstance(f, FillApplied) for m in decided(built) for f in m.facts) == 3
    assert {since_ms for _, since_ms in exchange.asked} == {SINCE - EARLIER_MS}
    [alarm] = built.alarms
    assert "3 orders" in alarm
    assert "their 3 trades are booked to 2 accounts" in alarm
    states = {id_: ref.cell.actor.state for id_, ref in built.assembly.accounts.items()}
    assert [p.quantity for p in states["acct-2"].positions] == [D(1)]
    assert (states["acct-1"].positions, states["acct-1"].next_order_sequence) == ((), 5)


def test_without_any_nothing_is_said_and_trades_are_not_asked_for(built):
    exchange = Exchange(past(5, 904, executed="0"), past(6, 905, origin=Origin("00000z", StartId("000000"))))
    assert book(exchange, [ETH], 5, fleet(built))
    assert (built.alarms, decided(built), exchange.asked) == ([], [], [(ETH, 0)])


def test_one_that_is_being_cancelled_is_waited_for(built):
    order = past(2, 902)
    exchange = Exchange(order)
    exchange.open[902] = 2
    assert book(exchange, [ETH, BTC], SINCE, fleet(built))
    assert len(decided(built)) == 1
    assert [symbol for symbol, _ in exchange.asked] == [ETH, BTC, ETH, ETH, ETH]


@pytest.mark.parametrize("executed", ["0", "1"])
def test_one_that_does_not_end_is_named_if_it_traded_and_looked_for_again(built, executed, monkeypatch):
    monkeypatch.setattr(lost_orders, "END_SECONDS", -1)
    exchange = Exchange(past(2, 902, executed=executed))
    exchange.open[902] = 99
    assert not book(exchange, [ETH], SINCE, fleet(built))
    assert decided(built) == []
    assert ["the exchange still calls it NEW" in a for a in built.alarms] == [True] * int(executed)


def test_a_first_look_books_what_it_can_and_neither_waits_nor_speaks_of_the_rest(built, monkeypatch):
    ended, working, strange = past(2, 902), past(3, 903), past(4, 904)
    strange = replace(strange, report=replace(strange.report, client_order_id="bh-000000-odd"))
    exchange = Exchange(ended, working, strange)
    exchange.open[903] = 99
    assert not book(exchange, [ETH], SINCE, fleet(built), is_last=False)
    assert len(decided(built)) == 1
    assert ["1 orders" in alarm for alarm in built.alarms] == [True]
    assert exchange.asked == [(ETH, SINCE - EARLIER_MS)] * 2


def test_what_cannot_be_true_is_named_booked_to_nobody_and_not_looked_for_again(built):
    short, block, other_side = past(3, 903), past(2, 902, clearing_name(ETH)), past(5, 905)
    strange = replace(past(6, 906), report=replace(past(6, 906).report, client_order_id="bh-000000-odd"))
    exchange = Exchange(short, block, other_side, strange, past(4, 904))
    exchange.trades = [t for t in exchange.trades if t.exchange_order_id not in {902, 903}]
    exchange.trades = [replace(t, side=SELL) if t.exchange_order_id == 905 else t for t in exchange.trades]
    assert book(exchange, [ETH], SINCE, fleet(built))
    assert len(decided(built)) == 1
    *named, _ = built.alarms
    assert [n.partition(":")[0] for n in named] == [
        o.report.client_order_id for o in (short, block, other_side, strange)
    ]
    assert ["trades of it, which do not add up" in n for n in named] == [True, True, True, False]
    assert "no release makes such an id" in named[3]
    assert all("the books differ from the exchange by it" in n for n in named)


@pytest.mark.parametrize(
    ("whose", "text"),
    [
        (clearing_name(ETH), "a block of several accounts' orders"),
        ("acct-9", "of an account that was created after"),
    ],
)
def test_what_no_account_here_can_be_given_the_house_has(built, whose, text):
    order = past(2, 902, whose, side=SELL)
    assert book(Exchange(order), [ETH], SINCE, fleet(built))
    [decision] = decided(built)
    [fact] = decision.facts
    assert (decision.stream, decision.cause, decision.reply) == ("clearing:ETHUSDT", "history:902", fact)
    assert (fact.client_order_id, fact.exchange_order_id) == (order.report.client_order_id, 902)
    assert (fact.position, fact.quantity, fact.placed_ms) == (D(-1), D(2), SINCE + 2)
    assert fact.block == (2 if whose == clearing_name(ETH) else 1)
    named, risk = built.alarms
    id_ = order.report.client_order_id
    assert named.startswith(
        f"{id_}: SELL 1 ETHUSDT has traded after the backup, and the house has it: it was {text}"
    )
    assert risk.startswith("the house has -1 ETHUSDT more by lost orders. The books are equal")
    assert "'bulkhead order ACCOUNT buy 1 ETHUSDT'" in risk
    assert (level_of(named), level_of(risk)) == (Level.WARNING, Level.CRITICAL)


def test_what_the_house_has_is_summed_by_symbol_and_nothing_is_no_risk(built):
    traded = [(ETH, BUY, "1.50"), (BTC, SELL, "1"), (ETH, SELL, "0.3"), (BTC, BUY, "1")]
    orders = [
        past(n, 900 + n, clearing_name(symbol), side, executed, symbol=symbol)
        for n, (symbol, side, executed) in enumerate(traded, 1)
    ]
    assert book(Exchange(*orders), [BTC, ETH], SINCE, fleet(built))
    *named, risk = built.alarms
    assert len(named) == 4
    assert "'bulkhead order ACCOUNT sell 1.2 ETHUSDT'" in risk


def test_the_house_books_an_order_once_however_often_it_is_asked(built):
    order = past(2, 902, clearing_name(ETH))
    one = fleet(built)
    assert book(Exchange(order), [ETH], SINCE, one)
    assert not book(Exchange(order), [ETH], SINCE, one)
    assert len(decided(built)) == 1
    assert "clearing:ETHUSDT has it already" in built.alarms[-1]
    known = replace(one, known=list)
    assert book(Exchange(order), [ETH], SINCE, known)
    assert (len(decided(built)), len(built.alarms)) == (1, 3)


def test_a_clearing_that_does_not_run_has_booked_nothing(built):
    some = replace(fleet(built), clearing=lambda _symbol: None)
    assert not book(Exchange(past(2, 902, clearing_name(ETH))), [ETH], SINCE, some)
    assert "clearing:ETHUSDT is not running; the next start tries again" in built.alarms[0]


OWNERS = ("acct-1", "acct-2", "acct-9", clearing_name(ETH), clearing_name(BTC))


@st.composite
def history(draw):
    """Orders of accounts, of accounts that are not here, and blocks, each traded in some parts."""
    orders = draw(
        st.lists(
            st.tuples(
                st.sampled_from(OWNERS), st.sampled_from([ETH, BTC]), st.sampled_from([BUY, SELL]),
                st.lists(st.integers(1, 400), max_size=4),
            ),
            max_size=8,
        )
    )  # fmt: skip
    exchange = Exchange()
    for number, (owner, symbol, side, parts) in enumerate(orders, 1):
        whose = clearing_name(symbol) if is_clearing(owner) else owner
        order = past(number, 900 + number, whose, side, str(D(sum(parts)) / 1_000), symbol=symbol)
        exchange.orders.append(order)
        for part in parts:
            exchange.traded(order, D(part) / 1_000)
    return exchange


@settings(max_examples=30)
@given(exchange=history())
def test_accounts_and_house_together_have_all_that_traded_each_trade_once(exchange):
    built = started()
    assert book(exchange, [ETH, BTC], SINCE, fleet(built))
    held = {ETH: D(0), BTC: D(0)}
    for ref in built.assembly.accounts.values():
        for position in ref.cell.actor.state.positions:
            held[position.symbol] += position.quantity
    clearings = [ref for name, ref in built.assembly.actors.items() if is_clearing(name)]
    for ref in clearings:
        state = ref.cell.actor.inspect_decided()
        held[state.symbol] += state.house
    traded = {s: sum(t.quantity * t.side.sign for t in exchange.past_trades(s, 0)) for s in held}
    assert held == traded
    keys = [key for decision in decided(built) for key in trades_of(decision.facts)]
    assert sorted(keys) == sorted((t.symbol, t.trade_id, "") for t in exchange.trades)


def test_nobody_guesses_between_accounts_that_share_a_hash(built, monkeypatch):
    alike = {"acct-2": account_part("acct-1")}
    monkeypatch.setattr(lost_orders, "account_part", lambda id_: alike.get(id_) or account_part(id_))
    assert book(Exchange(past(2, 902)), [ETH], SINCE, fleet(built))
    assert decided(built) == []
    assert "its id may be of acct-1 or acct-2" in built.alarms[0]


def test_nobody_guesses_between_a_block_and_an_account_that_shares_its_hash(built, monkeypatch):
    alike = {"acct-2": account_part(clearing_name(ETH))}
    monkeypatch.setattr(lost_orders, "account_part", lambda id_: alike.get(id_) or account_part(id_))
    assert book(Exchange(past(2, 902, clearing_name(ETH))), [ETH], SINCE, fleet(built))
    assert decided(built) == []
    assert "its id may be of acct-2 or clearing:ETHUSDT" in built.alarms[0]


@pytest.mark.parametrize("error", [StateCorrupt("odd"), TimeoutError()])
def test_an_account_that_cannot_book_is_named_the_others_book_and_it_is_tried_again(built, error):
    exchange = Exchange(past(2, 902, "acct-2"), past(3, 903))
    assert not book(exchange, [ETH], SINCE, fleet(built, errors={"acct-2": error}))
    refused, done = built.alarms
    assert "acct-2 could not book it: " + (str(error) or "TimeoutError") in refused
    assert "the next start tries again" in refused
    assert "1 orders" in done


def test_an_account_that_does_not_run_is_no_account_that_has_booked(built):
    some = replace(fleet(built), account=lambda _id: None)
    assert not book(Exchange(past(2, 902)), [ETH], SINCE, some)
    assert "acct-1 is not running" in built.alarms[0]


def root(position, *, accepted="", looked=False, fleet_id="f"):
    return JournalRoot(
        journal_root="", position=position, at_ms=1, fleet=fleet_id, accepted=accepted, looked=looked
    )


@pytest.mark.parametrize(
    ("roots", "position"),
    [
        ([], None),
        ([root(5)], None),
        ([root(9), root(5, accepted="x")], 5),
        ([root(9), root(5, accepted="x"), root(7)], 5),
        ([root(9), root(5, accepted="x"), root(7, looked=True), root(8)], None),
        ([root(9, looked=True), root(5, accepted="x")], 5),
        ([root(5, accepted="x"), root(7, looked=True), root(6, accepted="y")], 6),
        ([root(5, accepted="x", fleet_id="g")], None),
        ([root(5, accepted="x"), root(7, looked=True, fleet_id="g")], 5),
    ],
)
def test_a_restored_journal_is_looked_behind_once(roots, position):
    found = pending(roots, "f")
    assert (None if found is None else found.position) == position


def test_a_new_data_folder_may_have_got_a_restored_database_and_one_that_knows_it_has_not(tmp_path):
    clock = VirtualClock(77_000_000)
    [first] = first_roots(tmp_path, clock, [root(9, fleet_id="g")], "f", (b"five", 5))
    assert (first.journal_root, first.position, first.at_ms, first.fleet) == (
        b"five".hex(),
        5,
        clock.wall_ms(),
        "f",
    )
    assert read_roots(tmp_path) == [first]
    assert pending([first, root(6)], "f") is first
    assert first_roots(tmp_path, clock, [root(4)], "f", (b"five", 5)) == []
    assert first_roots(tmp_path, clock, [], "f", (bytes(16), 0)) == []
    assert read_roots(tmp_path) == [first]


def test_a_folder_that_cannot_be_written_keeps_no_engine_from_looking(tmp_path):
    (tmp_path / OPERATORS_FILE).mkdir()
    [first] = first_roots(tmp_path, VirtualClock(1), [], "f", (b"five", 5))
    assert pending([first], "f") is first


class Read:
    """Answers in turn what is asked of the database."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def ask(self, _call):
        return self.answers.pop(0)


class Kept:
    """A file of roots."""

    def __init__(self, error=None):
        self.roots, self.error = [], error

    def keep_root(self, kept):
        self.roots.append(kept)
        return self

    def result(self, _seconds):
        if self.error is not None:
            raise self.error


def looked_after(built, roots, *answers, exchange=None, file=None, is_last=True, ids=()):
    """What was said and what was written down."""
    said, file = [], file or Kept()
    answers = (*answers[:1], ids, *answers[1:])
    ends = KnownEnds(roots, file if is_last else None, lambda: (b"nine", 9))
    book_after_restore(built.assembly, exchange or Exchange(), Read(*answers), ends, said.append)
    return said, file.roots


ACCEPTED = root(5, accepted="restored", fleet_id=FIXED.fleet)


def test_nothing_is_asked_where_no_restored_database_was_accepted_or_it_is_empty(built):
    assert looked_after(built, [root(5, fleet_id=FIXED.fleet)]) == ([], [])
    assert looked_after(built, [ACCEPTED], None) == ([], [])


def test_once_looked_for_it_is_written_down_with_the_journal_s_end(built):
    said, [kept] = looked_after(built, [ACCEPTED], SINCE)
    assert "looking for orders" in said[0]
    assert (kept.journal_root, kept.position, kept.fleet, kept.looked) == (
        b"nine".hex(),
        9,
        FIXED.fleet,
        True,
    )
    assert pending([ACCEPTED, kept], FIXED.fleet) is None
    said, kept = looked_after(built, [ACCEPTED], SINCE, file=Kept(NotRecorded("full")))
    assert len(kept) == 1


def test_a_first_look_is_not_all(built):
    order = past(2, 902)
    order = replace(order, report=replace(order.report, client_order_id="bh-000000-odd"))
    said, kept = looked_after(built, [ACCEPTED], SINCE, set(), exchange=Exchange(order), is_last=False)
    assert (len(said), kept, built.alarms) == (1, [], [])


def test_an_account_of_the_database_that_does_not_run_is_not_taken_for_a_newer_one(built):
    found = looked_after(built, [ACCEPTED], SINCE, set(), exchange=Exchange(past(2, 902)), ids=("acct-1",))
    assert found[1] == []
    assert "acct-1 is not running; the next start tries again" in built.alarms[0]


def test_what_could_not_be_booked_is_looked_for_again(built, monkeypatch):
    monkeypatch.setattr(lost_orders, "END_SECONDS", -1)
    exchange = Exchange(past(2, 902))
    exchange.open[902] = 99
    assert looked_after(built, [ACCEPTED], SINCE, set(), exchange=exchange)[1] == []


@pytest.mark.parametrize("left", ["accounts", "quarantined"])
def test_its_account_is_found_in_quarantine_too(built, left):
    asked = []

    class Ref:
        def ask(self, message, block):
            asked.append((message.client_order_id, block))
            return self

        def get(self, timeout):
            return Accepted()

    order = past(2, 902)
    getattr(built.assembly, left)["acct-1"] = Ref()
    assert len(looked_after(built, [ACCEPTED], SINCE, set(), exchange=Exchange(order))[1]) == 1
    assert asked == [(order.report.client_order_id, False)]
    getattr(built.assembly, left).clear()


def test_a_commit_says_when_it_was_made(store, dsn):
    author = Author(create(store)[0])
    author.decide(AdjustBalance(D(1), "DEPOSIT"))
    assert not any(store.commit(author.batch))
    with connect(dsn, read_only=True) as connection:
        assert committed_ms(connection, store.root[1]) == author.batch[-1].wall_ms
        assert committed_ms(connection, 99) is None

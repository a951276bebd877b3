"""The trigger index against a brute-force twin, and the book's rules."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.core.messages import RegisterTriggers, Trigger
from actors.core.units import AccountId
from actors.symbol_router import trigger_index
from actors.symbol_router.book import PriceBook
from actors.symbol_router.trigger_index import COMPACT_AT, TriggerIndex
from tests.factories import BTC, ETH, tick

ACCOUNTS = [AccountId(f"a{n}") for n in range(6)]
PRICES = st.integers(1, 60).map(float)
TRIGGERS = st.lists(
    st.builds(Trigger, st.sampled_from([ETH, BTC]), st.booleans(), PRICES, st.booleans()), max_size=3
)


class IndexMachine(RuleBasedStateMachine):
    """Register, tick, lose and forget in any order: who must look is woken, once until it registers."""

    def __init__(self):
        super().__init__()
        self.index = TriggerIndex()
        self.current: dict[AccountId, RegisterTriggers] = {}
        self.lost: set[AccountId] = set()
        self.woken: dict[AccountId, int] = {}
        self.ticks = {}
        self.now_ns = 0

    @rule(
        account=st.sampled_from(ACCOUNTS),
        found=TRIGGERS,
        every=st.lists(st.sampled_from([ETH, BTC]), max_size=2),
    )
    def register(self, account, found, every):
        message = RegisterTriggers(account, tuple(found), tuple(every))
        self.end(account)
        crossed = self.index.register(message, self.ticks, self.now_ns)
        self.current[account] = message
        expected = any(self.is_crossed(t, self.ticks[t.symbol]) for t in found if t.symbol in self.ticks)
        assert crossed == expected
        if crossed:
            self.woken[account] = self.now_ns

    @rule(account=st.sampled_from(ACCOUNTS))
    def lose(self, account):
        self.index.watch(account)
        self.woken.pop(account, None)
        if account in self.current:
            self.lost.add(account)

    @rule(account=st.sampled_from(ACCOUNTS))
    def forget(self, account):
        self.index.forget(account)
        self.end(account)

    def end(self, account):
        self.current.pop(account, None)
        self.lost.discard(account)
        self.woken.pop(account, None)

    @rule(symbol=st.sampled_from([ETH, BTC]), mid=PRICES, spread=st.sampled_from(["0", "0.5", "8"]))
    def tick(self, symbol, mid, spread):
        self.now_ns += 1
        now = self.ticks[symbol] = tick(symbol, str(mid), spread=spread, received_ns=self.now_ns)
        found = self.index.crossed(now) or []
        must = {
            a
            for a, m in self.current.items()
            if a not in self.woken
            and (
                symbol in m.every_tick
                or (a in self.lost and symbol in {t.symbol for t in m.triggers})
                or any(t.symbol == symbol and self.is_crossed(t, now) for t in m.triggers)
            )
        }
        assert set(found) == must
        assert len(found) == len(must)
        self.woken |= dict.fromkeys(found, self.now_ns)
        self.lost -= must

    @rule(ago=st.integers(0, 5))
    def repeat(self, ago):
        before = self.now_ns - ago
        late = {a for a, at_ns in self.woken.items() if at_ns < before}
        found = self.index.unanswered(before, self.now_ns)
        assert (set(found), len(found)) == (late, len(late))
        self.woken |= dict.fromkeys(found, self.now_ns)

    @invariant()
    def living_entries_are_counted(self):
        _, living = self.index.size()
        assert living == sum(len(m.triggers) for m in self.current.values())

    @staticmethod
    def is_crossed(trigger, now):
        price = now.mid_float if not trigger.touch else float(now.bid if trigger.below else now.ask)
        return price <= trigger.price if trigger.below else price >= trigger.price


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_first_tick_that_crosses_wakes_and_others_do_not():
    index = TriggerIndex()
    index.register(RegisterTriggers(ACCOUNTS[0], (Trigger(ETH, True, 100.0),)), {}, 0)
    index.register(RegisterTriggers(ACCOUNTS[1], (Trigger(ETH, False, 110.0),)), {}, 0)
    assert index.crossed(tick(ETH, "105.0")) is None
    assert index.crossed(tick(BTC, "1.0")) is None
    assert index.crossed(tick(ETH, "100.0")) == [ACCOUNTS[0]]
    assert index.crossed(tick(ETH, "110.5")) == [ACCOUNTS[1]], "the other was woken and did not look yet"


def test_old_entries_do_not_pile_up():
    index = TriggerIndex()
    for n in range(20_000):
        index.register(RegisterTriggers(ACCOUNTS[0], (Trigger(ETH, True, 50.0 + n % 7),)), {}, 0)
    entries, living = index.size()
    assert living == 1
    assert entries <= 2 * living + COMPACT_AT


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=30))
def test_the_book_never_goes_back_in_time(updates):
    book, best = PriceBook(), (0, 0)
    for update_id, event_ms in updates:
        took = book.apply(tick(update_id=update_id, event_ms=event_ms))
        assert took == (not (best != (0, 0) and update_id < best[0] and event_ms <= best[1]))
        best = (update_id, event_ms) if took else best
        held = book.ticks[ETH]
        assert (held.update_id, held.event_ms) == best


def test_the_book_refuses_nonsense_and_takes_a_confirmation():
    book = PriceBook()
    good = tick(mid="100", received_ns=5)
    assert book.apply(good)
    crossed = type(good)(ETH, D(101), D(1), D(100), D(1), 2, 2, 0, 100.5)
    assert not book.apply(crossed)
    not_a_number = type(good)(ETH, D(1), D(1), D(1), D(1), 3, 3, 0, float("nan"))
    assert not book.apply(not_a_number)
    assert book.refused == 2
    assert book.ticks[ETH] is good
    assert book.apply(tick(mid="100", received_ns=9))
    assert book.age_ns(ETH, 10) == 1
    assert book.age_ns(BTC, 10) is None


def test_a_price_that_waited_on_its_way_is_not_fresh():
    book = PriceBook()
    assert book.apply(tick(mid="100", received_ns=1_000, delay_ns=700))
    assert book.age_ns(ETH, 1_100) == 800


def test_a_late_copy_of_an_update_does_not_make_a_confirmed_price_older():
    book = PriceBook()
    confirmed = tick(mid="100", received_ns=1_000)
    assert book.apply(confirmed)
    assert not book.apply(tick(mid="100", received_ns=1_200, delay_ns=900))
    assert book.ticks[ETH] is confirmed
    assert book.apply(tick(mid="101", received_ns=1_200, delay_ns=900, update_id=2)), "a newer one is newer"
    assert book.age_ns(ETH, 1_200) == 900


def touch(below, price):
    return RegisterTriggers(ACCOUNTS[0], (Trigger(ETH, below, price, True),))


def test_what_touches_is_held_against_its_own_side_of_the_market():
    """What sells touches with the bid, what buys with the ask: here 98 and 102."""
    now = tick(ETH, "100", spread="4")
    for below, price, crossed in (
        (True, 97.9, False), (True, 98.0, True), (True, 100.0, True), (True, 102.0, True),
        (False, 102.1, False), (False, 102.0, True), (False, 100.0, True), (False, 98.0, True),
    ):  # fmt: skip
        assert TriggerIndex().register(touch(below, price), {ETH: now}, 0) == crossed, (below, price)
        index = TriggerIndex()
        assert not index.register(touch(below, price), {}, 0)
        assert index.crossed(now) == ([ACCOUNTS[0]] if crossed else None), (below, price)


def test_what_does_not_touch_is_held_against_the_mid():
    now = tick(ETH, "100", spread="4")
    for below, price, crossed in (
        (True, 99.0, False),
        (True, 100.0, True),
        (False, 101.0, False),
        (False, 100.0, True),
    ):
        message = RegisterTriggers(ACCOUNTS[0], (Trigger(ETH, below, price),))
        assert TriggerIndex().register(message, {ETH: now}, 0) == crossed


def test_an_answer_of_rest_without_a_number_is_as_old_as_its_time():
    book = PriceBook()
    assert book.apply(tick(mid="100", update_id=9, event_ms=50))
    assert not book.apply(tick(mid="90", update_id=0, event_ms=49))
    assert book.ticks[ETH].mid == 100
    assert book.apply(tick(mid="110", update_id=0, event_ms=50))
    assert (book.ticks[ETH].mid, book.ticks[ETH].update_id) == (110, 9)
    assert not book.apply(tick(mid="90", update_id=8, event_ms=50)), "an update before it"
    assert book.ticks[ETH].mid == 110


def test_a_registration_does_not_build_the_heaps_anew(monkeypatch):
    rebuilt = []
    monkeypatch.setattr(trigger_index.heapq, "heapify", rebuilt.append)
    index = TriggerIndex()
    for n in range(3 * COMPACT_AT):
        index.register(RegisterTriggers(AccountId(f"b{n}"), (Trigger(ETH, True, 50.0 + n % 7),)), {}, 0)
    assert rebuilt == []


def test_a_price_that_is_met_exactly_wakes_on_either_side():
    for below, price in ((True, 1999.0), (False, 2001.0)):
        index = TriggerIndex()
        account = AccountId("a")
        index.register(RegisterTriggers(account, (Trigger(ETH, below, price),)), {}, 0)
        assert index.crossed(tick(ETH, "2000")) is None
        assert index.crossed(tick(ETH, str(price))) == [account]


def test_what_lives_is_kept_when_old_entries_go():
    index, living, busy = TriggerIndex(), AccountId("living"), AccountId("busy")
    index.register(RegisterTriggers(living, (Trigger(ETH, True, 1500.0),)), {}, 0)
    for n in range(COMPACT_AT + 10):
        index.register(RegisterTriggers(busy, (Trigger(ETH, True, 1000.0 + n / 1_000),)), {}, 0)
    assert len(index._symbols[ETH].below.heap) <= COMPACT_AT
    assert index.crossed(tick(ETH, "1600")) is None
    assert index.crossed(tick(ETH, "1400")) == [living]
    assert index.crossed(tick(ETH, "900")) == [busy]

"""What the account's actor does about a pending fee: asks at once, asks again, after a restart too, and stops."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.core.constants import FEE_ASK_FIRST, FEE_ASK_MAX
from actors.core.messages import AskRate, FeeKnown, RateKnown
from actors.core.order_messages import AskFees
from actors.core.units import Nanos
from tests.factories import BNB, BUY, ETH, account, fill_of, run, tick
from tests.subaccount.test_actor import Desk, order

TRADE_MS = 90_000
MINUTE = 60_000


class FeeDesk(Desk):
    """A desk with a feed, and an account that has one order under way."""

    def __init__(self, state=None):
        state = state or run(account("10000"), order(BUY, "1"))
        super().__init__(state)
        self.alarms = []
        self.context.alarm = self.alarms.append
        self.order = state.orders[0] if state.orders else None

    def fill(self, trade_id=1, fee="0.002", quantity="0.5"):
        asset = "" if fee is None else "BNB"
        self.tell(
            fill_of(self.order, quantity, trade_id=trade_id, fee=fee, fee_asset=asset, trade_ms=TRADE_MS)
        )

    def tell(self, message):
        self.ref.tell(message)
        self.dispatcher.run_until_quiet()

    def asked(self, kind):
        """Questions since the last look."""
        ref = self.feed if kind is AskRate else self.context.gateway
        found = [m for m in ref.cell.actor.got if isinstance(m, kind)]
        ref.cell.actor.got.clear()
        return found

    def wait(self, ns):
        self.dispatcher.run_until(Nanos(self.dispatcher.clock.monotonic_ns() + ns))

    @property
    def state(self):
        return self.ref.cell.actor.state


RATE_ASKED = AskRate("acct-1", BNB, TRADE_MS)
RATE = RateKnown(BNB, MINUTE, MINUTE + 60_000, D(510), "t")


def test_the_rate_is_asked_for_at_once_and_again_ever_more_seldom_until_it_is_known():
    desk = FeeDesk()
    desk.fill()
    assert desk.asked(AskRate) == [RATE_ASKED]
    times = 0
    for _ in range(10 * 60):
        desk.wait(1_000_000_000)
        times += len(desk.asked(AskRate))
    # 2, 6, 14, 30 and 62 s after the first, then each minute.
    assert times == 5 + 8
    desk.tell(RATE)
    assert (desk.state.fees, desk.state.pending_fees) == (D("1.02"), ())
    desk.wait(FEE_ASK_MAX * 3)
    assert desk.asked(AskRate) == []


def test_an_account_without_positions_is_woken_by_the_rate_as_well():
    desk = FeeDesk()
    desk.fill(quantity="1")
    state = replace(desk.state, positions=(), orders=())
    gone = FeeDesk(state)
    gone.context.book.apply(replace(tick(BNB, "500"), event_ms=7))
    gone.wait(FEE_ASK_FIRST)
    # Virtual time is minutes before the trade: the present price is not that of its time.
    assert gone.state.pending_fees
    gone.tell(RATE)
    assert (gone.state.fees, gone.state.pending_fees) == (D("1.02"), ())


def test_a_restarted_account_asks_for_what_it_lacked_before():
    desk = FeeDesk()
    desk.fill()
    desk.fill(trade_id=2, fee=None)
    again = FeeDesk(desk.state)
    assert again.asked(AskRate) == [RATE_ASKED]
    again.wait(FEE_ASK_FIRST)
    assert again.asked(AskRate) == [RATE_ASKED]
    # The gateway is there before the accounts, and so is asked at once.
    assert again.asked(AskFees) == [AskFees("acct-1", desk.order.client_order_id, 101, ETH, (2,))] * 2


def test_what_was_not_told_is_asked_of_the_gateway_and_then_the_rate_of_the_feed():
    desk = FeeDesk()
    desk.fill(fee=None)
    assert desk.asked(AskFees) == [AskFees("acct-1", desk.order.client_order_id, 101, ETH, (1,))]
    assert desk.asked(AskRate) == []
    desk.tell(FeeKnown(ETH, 1, D("0.002"), "BNB", "t"))
    assert desk.asked(AskRate) == [RATE_ASKED]
    desk.tell(RATE)
    assert desk.state.fees == D("1.02")


def test_a_second_fee_asks_for_itself_only_and_starts_no_second_timer():
    desk = FeeDesk()
    desk.fill(fee=None)
    desk.asked(AskFees)
    desk.fill(trade_id=2, fee=None)
    assert [q.trade_ids for q in desk.asked(AskFees)] == [(2,)]
    desk.wait(FEE_ASK_FIRST)
    assert [q.trade_ids for q in desk.asked(AskFees)] == [(1, 2)]


def test_a_price_that_comes_in_time_books_it_at_the_next_look():
    desk = FeeDesk()
    now_ms = desk.dispatcher.clock.wall_ms()
    desk.tell(fill_of(desk.order, "0.5", fee="0.002", fee_asset="BNB", trade_ms=now_ms))
    assert desk.state.pending_fees
    desk.context.book.apply(tick(BNB, "500"))
    desk.wait(FEE_ASK_FIRST)
    assert (desk.state.fees, desk.state.pending_fees) == (D(1), ())


def test_an_exchange_that_never_tells_is_an_alarm_once():
    desk = FeeDesk()
    desk.fill(fee=None)
    desk.fill(trade_id=2, fee=None)
    assert desk.alarms == []
    desk.wait(FEE_ASK_MAX * 10)
    assert len(desk.alarms) == 1
    assert "has not reported the fee of trade 1 of ETHUSDT and 1 more" in desk.alarms[0]


def test_an_engine_without_a_feed_keeps_it_pending():
    desk = FeeDesk()
    desk.context.feed = None
    desk.fill()
    desk.wait(FEE_ASK_MAX)
    assert desk.state.pending_fees
    assert "0.002 BNB, is not booked" in desk.alarms[0]

"""Decisions as accounts make them all day: an order, its acceptance, its trade and its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal

from actors.core.durability import Persist
from actors.core.enums import OrderStatus, OrderType, Side
from actors.core.messages import Fill, OrderAccepted, OrderClosed, PlaceOrder, Tick
from actors.core.order_ids import FIXED
from actors.core.records import NewAccount
from actors.core.trades import Trade
from actors.core.units import AccountId, ClientOrderId, Nanos
from actors.persistence.store import Store
from actors.subaccount.decide import AccountMessage, decide
from actors.subaccount.market import Market
from actors.subaccount.state import AccountState
from actors.venues.paper.instruments import LISTINGS
from bench.common import ETH

WIDE = Decimal(10**9)
LOT = Decimal("0.1")
PRICE = Decimal(2000)
CREATED_AT_ONCE = 2_000

_TICK = Tick(ETH, PRICE, Decimal(1), PRICE, Decimal(1), 1, 1, Nanos(0), float(PRICE))
_MARKET = Market({ETH: _TICK}, {ETH: LISTINGS[ETH].instrument}, Nanos(0), 0, FIXED)
_TRADES = itertools.count(1)


class Trader:
    """One account, and what it decided that was not taken yet."""

    def __init__(self, state: AccountState) -> None:
        self.state = state
        self.decided: list[Persist] = []
        self._last = Side.SELL

    def trade(self, side: Side | None = None) -> None:
        """Four decisions of one fact each: buy or sell a lot at the market; in turn unless it is said."""
        side = self._last = side or (Side.BUY if self._last is Side.SELL else Side.SELL)
        order_id = self.place(side, None)
        trade = Trade(
            exchange_order_id=1,
            trade_id=next(_TRADES),
            symbol=ETH,
            side=side,
            quantity=LOT,
            price=PRICE,
            fee=Decimal("0.1"),
            maker=False,
            trade_ms=0,
        )
        self._decide(Fill(account_id=self.state.account_id, client_order_id=order_id, trade=trade))
        self._decide(OrderClosed(order_id, OrderStatus.FILLED, LOT))

    def place(self, side: Side, price: Decimal | None) -> ClientOrderId:
        """Two decisions: an order, at the market without a price, and its acceptance; the order's id."""
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        self._decide(
            PlaceOrder(
                symbol=ETH, side=side, quantity=LOT, leverage=Decimal(20), price=price, order_type=kind
            )
        )
        order_id = self.state.orders[-1].client_order_id
        self._decide(OrderAccepted(order_id, 1))
        return order_id

    def take(self) -> list[Persist]:
        """What was decided since the last call."""
        found, self.decided = self.decided, []
        return found

    def _decide(self, message: AccountMessage) -> None:
        made = decide(self.state, message, _MARKET)
        self.decided.append(
            Persist(
                stream=self.state.account_id,
                previous_sequence=self.state.sequence,
                facts=made.facts,
                state=made.state,
                wall_ms=0,
            )
        )
        self.state = made.state


def traders(store: Store, count: int) -> list[Trader]:
    """Create so many accounts."""
    found: list[Trader] = []
    for at in range(0, count, CREATED_AT_ONCE):
        ids = [AccountId(f"acct-{n:06}") for n in range(at, min(count, at + CREATED_AT_ONCE))]
        new = [
            NewAccount(
                account_id=i, name="bench", deposit=WIDE, max_notional_per_trade=WIDE, max_total_exposure=WIDE
            )
            for i in ids
        ]
        store.create_accounts(new, 1)
        found += [Trader(state) for state in store.load(ids)]
    return found


def in_turn(found: Sequence[Trader], trades: int) -> Iterator[list[Persist]]:
    """So many trades, each of the next account, as lists of decisions: those of one account stay in order."""
    ring = itertools.cycle(found)
    for _ in range(trades):
        trader = next(ring)
        trader.trade()
        yield trader.take()


def commit(store: Store, decisions: Sequence[Persist]) -> None:
    """Commit in batches.

    Raises:
        NotDurable: one was refused.
    """
    for at in range(0, len(decisions), CREATED_AT_ONCE):
        refused = [r for r in store.commit(decisions[at : at + CREATED_AT_ONCE]) if r is not None]
        if refused:
            raise refused[0]
    store.handover()

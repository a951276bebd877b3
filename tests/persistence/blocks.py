"""An author of a clearing's decisions: blocks of accounts' orders, their rounds and ends."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.clearing.fold import folded
from actors.clearing.state import ClearingState, member_order_id
from actors.core.clearing_facts import (
    Allocation,
    BlockEnded,
    BlockFormed,
    BlocksForgotten,
    LostOrderBooked,
    Member,
    RoundAllocated,
)
from actors.core.clearing_messages import clearing_name
from actors.core.durability import Persist
from actors.core.enums import OrderStatus, OrderType, Purpose, Side, TimeInForce
from actors.core.facts import OrderIntended
from actors.core.messages import Fill
from actors.core.trades import Trade
from actors.core.units import AccountId, ClientOrderId
from tests.factories import ETH
from tests.persistence.authors import NOW


class Blocks:
    """Makes decisions of one symbol's clearing, and remembers what is not committed yet in ``batch``."""

    def __init__(self, symbol=ETH):
        self.symbol, self.stream = symbol, clearing_name(symbol)
        self.batch, self.state = [], ClearingState(symbol=symbol)

    def note(self, *facts):
        before = self.state.sequence
        self.state = replace(folded(self.state, facts), sequence=before + 1)
        made = Persist(
            stream=self.stream, previous_sequence=before, facts=facts, state=self.state, wall_ms=NOW, cause="test"
        )  # fmt: skip
        self.batch.append(made)
        return facts[-1]

    def take(self):
        """What was decided since the last call."""
        found, self.batch = self.batch, []
        return found

    def form(self, orders, *, side=Side.BUY, decided_ms=NOW):
        """A block of orders: account id, client order id and quantity of each."""
        number, first = self.state.next_block, self.state.next_order_id
        members = tuple(
            Member(AccountId(account_id), ClientOrderId(id_), D(quantity), member_order_id(first + offset))
            for offset, (account_id, id_, quantity) in enumerate(orders)
        )
        order = OrderIntended(
            account_id=AccountId(self.stream), sequence=number,
            client_order_id=ClientOrderId(f"bh-block-{self.symbol}-{number}"), symbol=self.symbol, side=side,
            order_type=OrderType.MARKET, quantity=sum((m.quantity for m in members), D(0)), price=None,
            time_in_force=TimeInForce.GTC, reduce_only=False, leverage=D(1), margin_reserved=D(0), purpose=Purpose.USER,
            tier=0, decided_ms=decided_ms, cause="test",
        )  # fmt: skip
        return self.note(BlockFormed(order=order, members=members))

    def round(self, formed, trades, parts, *, fee="0.01", fee_asset=""):
        """A round: trades as (id, quantity, price), and what each member gets as (client order id, quantity).

        All trades of it have one price, and each pays the same fee, which the first member carries; None for one that was
        not told.
        """
        made = tuple(
            Trade(
                exchange_order_id=700 + formed.order.sequence, trade_id=id_, symbol=self.symbol, side=formed.order.side,
                quantity=D(quantity), price=D(price), fee=None if fee is None else D(fee), maker=False, trade_ms=5,
                fee_asset=fee_asset,
            )
            for id_, quantity, price in trades
        )  # fmt: skip
        price, fees = D(trades[0][2]), D(fee or 0) * len(trades)
        given = tuple(
            Allocation(ClientOrderId(id_), D(quantity), D(quantity) * price, fees if number == 0 else D(0))
            for number, (id_, quantity) in enumerate(parts)
        )
        number, round_id = formed.order.sequence, max(trade.trade_id for trade in made)
        return self.note(RoundAllocated(block=number, round_id=round_id, trades=made, allocations=given))

    def end(self, formed, executed, status=OrderStatus.FILLED, code=0, reason=""):
        number = formed.order.sequence
        return self.note(
            BlockEnded(block=number, status=status, executed=D(executed), code=code, reason=reason)
        )

    def lost(
        self,
        id_,
        trades,
        *,
        quantity=None,
        side=Side.BUY,
        fee="0.01",
        fee_asset="",
        number=None,
        placed_ms=NOW,
    ):
        """An order that the house has: trades as (id, quantity, price)."""
        made = tuple(
            Trade(
                exchange_order_id=900, trade_id=trade_id, symbol=self.symbol, side=side, quantity=D(traded), price=D(price),
                fee=None if fee is None else D(fee), maker=False, trade_ms=5, fee_asset=fee_asset,
            )
            for trade_id, traded, price in trades
        )  # fmt: skip
        executed = sum((trade.quantity for trade in made), D(0))
        return self.note(
            LostOrderBooked(
                block=self.state.next_block if number is None else number, client_order_id=ClientOrderId(id_),
                exchange_order_id=900, symbol=self.symbol, side=side,
                quantity=executed if quantity is None else D(quantity), status=OrderStatus.FILLED, placed_ms=placed_ms,
                trades=made,
            )
        )  # fmt: skip

    def forget(self, *numbers):
        return self.note(BlocksForgotten(numbers))


def fill_of_round(formed, round_, client_order_id):
    """What a member's account is told of a round."""
    [member] = [m for m in formed.members if m.client_order_id == client_order_id]
    [part] = [a for a in round_.allocations if a.client_order_id == client_order_id]
    trade = Trade(
        exchange_order_id=member.order_id, trade_id=round_.round_id, symbol=formed.order.symbol,
        side=formed.order.side, quantity=part.quantity, price=round(part.value / part.quantity, 12), fee=part.fee,
        maker=False, trade_ms=round_.trades[-1].trade_ms, quote_quantity=part.value,
    )  # fmt: skip
    return Fill(member.account_id, member.client_order_id, trade)

"""An author of a clearing's decisions: blocks of accounts' orders, their rounds and ends."""

from __future__ import annotations

from decimal import Decimal as D
from types import SimpleNamespace

from actors.core.clearing_facts import (
    Allocation,
    BlockEnded,
    BlockFormed,
    BlocksForgotten,
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

MEMBER_IDS = 9_000_000_000_000_000


class Blocks:
    """Makes decisions of one symbol's clearing, and remembers what is not committed yet in ``batch``."""

    def __init__(self, symbol=ETH):
        self.symbol, self.stream = symbol, clearing_name(symbol)
        self.batch, self.blocks, self.members = [], 0, 0
        self.state = SimpleNamespace(sequence=0)

    def note(self, *facts):
        before = self.state.sequence
        self.state = SimpleNamespace(sequence=before + 1)
        self.batch.append(
            Persist(
                stream=self.stream, previous_sequence=before, facts=facts, state=self.state, wall_ms=NOW, cause="test",
            )
        )  # fmt: skip
        return facts[-1]

    def form(self, orders, *, side=Side.BUY, decided_ms=NOW):
        """A block of orders: account id, client order id and quantity of each."""
        self.blocks += 1
        members = []
        for account_id, client_order_id, quantity in orders:
            self.members += 1
            members.append(
                Member(
                    AccountId(account_id),
                    ClientOrderId(client_order_id),
                    D(quantity),
                    MEMBER_IDS - self.members,
                )
            )
        order = OrderIntended(
            account_id=AccountId(self.stream), sequence=self.blocks,
            client_order_id=ClientOrderId(f"bh-block-{self.symbol}-{self.blocks}"), symbol=self.symbol, side=side,
            order_type=OrderType.MARKET, quantity=sum((m.quantity for m in members), D(0)), price=None,
            time_in_force=TimeInForce.GTC, reduce_only=False, leverage=D(1), margin_reserved=D(0), purpose=Purpose.USER,
            tier=0, decided_ms=decided_ms, cause="test",
        )  # fmt: skip
        return self.note(BlockFormed(order=order, members=tuple(members)))

    def round(self, formed, trades, parts, *, fee="0.01"):
        """A round: trades as (id, quantity, price), and what each member gets as (client order id, quantity).

        All trades of it have one price, and each pays the same fee, which the first member carries.
        """
        made = tuple(
            Trade(
                exchange_order_id=700 + formed.order.sequence, trade_id=id_, symbol=self.symbol,
                side=formed.order.side, quantity=D(quantity), price=D(price), fee=D(fee), maker=False, trade_ms=5,
            )
            for id_, quantity, price in trades
        )  # fmt: skip
        price, fees = D(trades[0][2]), D(fee) * len(trades)
        given = tuple(
            Allocation(ClientOrderId(id_), D(quantity), D(quantity) * price, fees if number == 0 else D(0))
            for number, (id_, quantity) in enumerate(parts)
        )
        return self.note(
            RoundAllocated(
                block=formed.order.sequence,
                round_id=max(t.trade_id for t in made),
                trades=made,
                allocations=given,
            )
        )

    def end(self, formed, executed, status=OrderStatus.FILLED, code=0, reason=""):
        return self.note(
            BlockEnded(
                block=formed.order.sequence, status=status, executed=D(executed), code=code, reason=reason
            )
        )

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

"""Fees that the exchange told only after the round of their trades: each member's share, when its account asks. Pure.

A round that had to be made without a fee gives its members fills without one, and their accounts ask for it as they ask for
that of any fill. The share follows from the round's fact, so nothing of it is a fact of the clearing; the accounts make it one.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from actors.clearing.allocation import shared_money, weights_of
from actors.clearing.effects import Deliver, Effect, ToGateway
from actors.clearing.state import Block
from actors.core.clearing_facts import Member, RoundAllocated
from actors.core.messages import FeeKnown
from actors.core.order_messages import AskFees
from actors.core.units import ZERO, ClientOrderId

WITHOUT_FEE_KEPT = 20
"""So many ended blocks that have a round without fee are remembered for questions; an operator can book what is older."""


class FeeShares:
    """Who asks for its share of which round, and the fees that were learned: by block and round, by block and trade."""

    def __init__(self) -> None:
        self._asking: dict[tuple[int, int], dict[ClientOrderId, Member]] = {}
        self._known: dict[tuple[int, int], tuple[Decimal, str]] = {}

    def asked(self, block: Block, member: Member, message: AskFees) -> list[Effect]:
        """An account asks for the fees of its fills with these trade ids, which are rounds of the block."""
        lacking: list[int] = []
        effects: list[Effect] = []
        for round_ in block.rounds:
            if round_.round_id in message.trade_ids and _lacks_fee(round_):
                asking = self._asking.setdefault((block.number, round_.round_id), {})
                asking[member.client_order_id] = member
                effects += self._shares(block, round_)
                lacking += [
                    t.trade_id for t in round_.trades if (block.number, t.trade_id) not in self._known
                ]
        if lacking:
            order = block.formed.order
            exchange_order_id = block.trades[-1].exchange_order_id
            question = AskFees(
                order.account_id, order.client_order_id, exchange_order_id, order.symbol, tuple(lacking)
            )
            effects.append(ToGateway(question))
        return effects

    def learned(self, block: Block, message: FeeKnown) -> list[Effect]:
        """The exchange said what it took for a trade; it is shared when that is known of all trades of the round."""
        for round_ in block.rounds:
            if _lacks_fee(round_) and message.trade_id in {t.trade_id for t in round_.trades}:
                self._known[block.number, message.trade_id] = (message.fee, message.fee_asset)
                return self._shares(block, round_)
        return []

    def forget(self, block: Block) -> None:
        """Nothing of a block is asked for any more."""
        for round_ in block.rounds:
            self._asking.pop((block.number, round_.round_id), None)
            for trade in round_.trades:
                self._known.pop((block.number, trade.trade_id), None)

    def _shares(self, block: Block, round_: RoundAllocated) -> list[Effect]:
        told = [self._known.get((block.number, trade.trade_id)) for trade in round_.trades]
        known = [one for one in told if one is not None]
        if len(known) < len(told) or len({asset for _, asset in known}) != 1:
            return []
        asking = self._asking.pop((block.number, round_.round_id), {})
        weights = weights_of([part.quantity for part in round_.allocations])
        ids = [part.client_order_id for part in round_.allocations]
        fee, asset = sum((one for one, _ in known), ZERO), known[0][1]
        shares = dict(zip(ids, shared_money(fee, weights, ids), strict=True))
        symbol, number = block.formed.order.symbol, round_.round_id
        return [
            Deliver(m.account_id, FeeKnown(symbol, number, shares[id_], asset, "userTrades"))
            for id_, m in asking.items()
            if id_ in shares
        ]


def _lacks_fee(round_: RoundAllocated) -> bool:
    return any(trade.fee is None for trade in round_.trades)


def over_and_done(booked: Iterable[Block]) -> list[Block]:
    """Which of the blocks that all members have booked may be forgotten: not the last ones whose fee is still asked for."""
    blocks = list(booked)
    without_fee = [block.number for block in blocks if any(_lacks_fee(r) for r in block.rounds)]
    kept = set(without_fee[-WITHOUT_FEE_KEPT:])
    return [block for block in blocks if block.number not in kept]

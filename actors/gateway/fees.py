"""Commissions that fills did not contain: queried by order, whether or not it is still under way. Pure.

Rules
1. Only an account asks, and asks again if no answer comes: nothing here outlives the gateway.
2. At most ``FEE_QUERIES_MAX`` questions are under way; those of one order are one question.
3. Delivered is what the exchange says; a trade whose commission it still leaves out is not delivered.
"""

from __future__ import annotations

from collections import OrderedDict

from actors.core.messages import FeeKnown
from actors.core.order_messages import AskFees
from actors.core.units import ClientOrderId
from actors.gateway.messages import Traded
from actors.gateway.orders import Deliver, Effect, Request

FEE_QUERIES_MAX = 2
"""Questions at once: orders of unknown fate come first, and a fee can wait."""


class FeeQuestions:
    """Which account asks for which trades. Times are Unix milliseconds on the exchange's clock."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[ClientOrderId, AskFees] = OrderedDict()
        self._sent: dict[ClientOrderId, AskFees] = {}

    def queue(self, message: AskFees, now_ms: int) -> list[Effect]:
        """Queue a question; the newest of an order names all its trades that lack a fee."""
        self._waiting[message.client_order_id] = message
        return self._send_next(now_ms)

    def answered(self, message: Traded, now_ms: int) -> list[Effect]:
        """The trades of an order came, or could not be read."""
        asked = self._sent.pop(message.client_order_id, None)
        effects: list[Effect] = []
        for trade in message.trades or ():
            if asked is None or trade.fee is None or trade.trade_id not in asked.trade_ids:
                continue
            known = FeeKnown(trade.symbol, trade.trade_id, trade.fee, trade.fee_asset, "userTrades")
            effects.append(Deliver(asked.account_id, known))
        return effects + self._send_next(now_ms)

    def _send_next(self, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for id_ in list(self._waiting):
            if len(self._sent) >= FEE_QUERIES_MAX:
                break
            if id_ in self._sent:
                continue  # answered first: its answer may have been on the way already
            question = self._sent[id_] = self._waiting.pop(id_)
            effects.append(
                Request(
                    kind="fees",
                    symbol=question.symbol,
                    client_order_id=id_,
                    exchange_order_id=question.exchange_order_id,
                    timestamp_ms=now_ms,
                )
            )
        return effects

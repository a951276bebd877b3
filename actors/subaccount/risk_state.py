"""What an account's loss limits and breaker remember."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.enums import Breaker
from actors.core.facts import CloseOutBegan
from actors.core.units import ZERO, Symbol

Recent = tuple[tuple[Symbol, int], ...]


class RiskState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the loss limits and the breaker remember. Durable, so that a restart forgives nothing.

    ``day_equity`` is the equity at the begin of the trading day, moved by deposits and withdrawals since;
    ``losses`` and ``errors`` count losing trades and refused orders in a row; ``close_out`` is why
    everything must be closed, None when nothing must; ``last_refusal`` names the last order that the exchange
    refused or ended by itself, with its code and words; ``recent`` holds symbol and time of the account's own orders
    of the minute before the last one, that one included, by time. Streaks and orders are counted without a limit too.
    """

    day_start_ms: int = 0
    day_equity: Decimal = ZERO
    day_stopped: bool = False
    losses: int = 0
    errors: int = 0
    breaker: Breaker = Breaker.CLOSED
    breaker_reason: str = ""
    breaker_until_ms: int = 0
    breaker_by_hand: bool = False
    close_out: CloseOutBegan | None = None
    last_refusal: str = ""
    recent: Recent = ()

    @property
    def close_out_reason(self) -> str:
        """Why everything must be closed, as it is stored and shown; empty when nothing must."""
        return "" if self.close_out is None else self.close_out.reason


INITIAL_RISK_STATE = RiskState()
"""Shared by all accounts that nothing has happened to."""

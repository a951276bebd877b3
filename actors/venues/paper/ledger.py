"""The master account's money and positions: wallets by asset, netted positions, income. Pure.

wallet = deposit + transfers + realized - fees + funding, exactly, for each asset.
"""

from __future__ import annotations

from collections import defaultdict, deque
from decimal import Decimal

import msgspec

from actors.core.units import ZERO, Symbol, quantize_price

MARGIN_QUANTUM = Decimal("0.00000001")
INCOME_MAX = 200_000
"""Entries of the income history that are kept."""


class Wallet(msgspec.Struct):
    """One asset's money and where it came from."""

    wallet: Decimal = ZERO
    deposited: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO


class PaperPosition(msgspec.Struct):
    """A netted position; ``realized`` is what it realized so far, before fees."""

    amount: Decimal = ZERO
    entry: Decimal = ZERO
    realized: Decimal = ZERO
    isolated: Decimal = ZERO
    updated: int = 0

    def pledge(self, before: Decimal, price: Decimal, leverage: int) -> None:
        """Keep the isolated margin in step with an amount that was ``before``: in with what opens, out with what closes."""
        kept = min(abs(before), abs(self.amount)) if before * self.amount > ZERO else ZERO
        opened = abs(self.amount) - kept
        rest = self.isolated * kept / abs(before) if before else ZERO
        self.isolated = (rest + opened * price / leverage).quantize(MARGIN_QUANTUM)


class Income(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the income history."""

    id: int
    time: int
    kind: str
    asset: str
    amount: Decimal
    symbol: str = ""
    info: str = ""
    trade_id: str = ""


class Ledger:
    """Wallets, positions and income.

    Args:
        deposit: of USDT, at the start.
        others: deposits of other assets.
    """

    def __init__(self, deposit: Decimal, others: dict[str, Decimal] | None = None) -> None:
        self.wallets: defaultdict[str, Wallet] = defaultdict(Wallet)
        self.positions: defaultdict[Symbol, PaperPosition] = defaultdict(PaperPosition)
        self.income: deque[Income] = deque(maxlen=INCOME_MAX)
        self._entries = 0
        for asset, amount in {"USDT": deposit, **(others or {})}.items():
            if amount:
                self.transfer(asset, amount, 0)

    def transfer(self, asset: str, amount: Decimal, now_ms: int) -> None:
        """Money comes in, or goes out."""
        wallet = self.wallets[asset]
        wallet.wallet += amount
        wallet.deposited += amount
        self._enter("TRANSFER", asset, amount, now_ms, info="TRANSFER")

    def realize(self, asset: str, amount: Decimal, symbol: Symbol, trade_id: int, now_ms: int) -> None:
        """A trade realized a profit or a loss."""
        if not amount:
            return
        wallet = self.wallets[asset]
        wallet.wallet += amount
        wallet.realized += amount
        self._enter("REALIZED_PNL", asset, amount, now_ms, symbol, str(trade_id))

    def charge(self, asset: str, fee: Decimal, symbol: Symbol, trade_id: int, now_ms: int) -> None:
        """A trade cost a commission."""
        wallet = self.wallets[asset]
        wallet.wallet -= fee
        wallet.fees += fee
        self._enter("COMMISSION", asset, -fee, now_ms, symbol, str(trade_id))

    def fund(self, asset: str, amount: Decimal, symbol: Symbol, now_ms: int) -> None:
        """Funding was received, or paid if below zero."""
        wallet = self.wallets[asset]
        wallet.wallet += amount
        wallet.funding += amount
        if amount:
            self._enter("FUNDING_FEE", asset, amount, now_ms, symbol, info="FUNDING_FEE")

    def move(self, symbol: Symbol, signed: Decimal, price: Decimal, now_ms: int) -> Decimal:
        """Net a trade into the position; returns what it realized."""
        position = self.positions[symbol]
        before = position.amount
        after = before + signed
        realized = ZERO
        if before * signed >= ZERO:
            cost = abs(before) * position.entry + abs(signed) * price
            position.entry = quantize_price(cost / abs(after)) if after else ZERO
        else:
            closed = min(abs(before), abs(signed))
            realized = closed * (price - position.entry) * (1 if before > ZERO else -1)
            if after * before <= ZERO:
                position.entry = price if after else ZERO
        position.amount = after
        position.realized += realized
        position.updated = now_ms
        return realized

    def _enter(  # noqa: PLR0913 - an entry has that many parts
        self,
        kind: str,
        asset: str,
        amount: Decimal,
        now_ms: int,
        symbol: str = "",
        trade_id: str = "",
        info: str = "",
    ) -> None:
        self._entries += 1
        self.income.append(
            Income(
                id=self._entries,
                time=now_ms,
                kind=kind,
                asset=asset,
                amount=amount,
                symbol=symbol,
                info=info or trade_id,
                trade_id=trade_id,
            )
        )

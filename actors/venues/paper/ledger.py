"""Ledger of the master account: wallets by asset, net positions, income history. Pure.

wallet = deposit + transfers + realized - fees + funding, exactly, for each asset.
"""

from __future__ import annotations

from collections import defaultdict, deque
from decimal import Decimal

import msgspec

from actors.core.units import ZERO, Symbol, quantize_price

MARGIN_QUANTUM = Decimal("0.00000001")
INCOME_MAX = 200_000
"""Maximum number of entries kept in the income history."""


class Wallet(msgspec.Struct):
    """Balance of one asset, and its components."""

    wallet: Decimal = ZERO
    deposited: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO


class PaperPosition(msgspec.Struct):
    """A net position. ``realized`` is its realized profit so far, before fees."""

    amount: Decimal = ZERO
    entry: Decimal = ZERO
    realized: Decimal = ZERO
    isolated: Decimal = ZERO
    updated: int = 0

    def update_isolated_margin(self, before: Decimal, price: Decimal, leverage: int) -> None:
        """Update the isolated margin after a trade at ``price``; ``before`` is the amount before it.

        The part that is closed releases its share of the margin; the part that is opened adds notional / leverage.
        """
        kept = min(abs(before), abs(self.amount)) if before * self.amount > ZERO else ZERO
        opened = abs(self.amount) - kept
        rest = self.isolated * kept / abs(before) if before else ZERO
        self.isolated = (rest + opened * price / leverage).quantize(MARGIN_QUANTUM)


class Income(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the income history; ``amount`` is in ``asset``, ``time`` in Unix milliseconds."""

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
        deposit: USDT at the start.
        other_deposits: other assets at the start.
    """

    def __init__(self, deposit: Decimal, other_deposits: dict[str, Decimal] | None = None) -> None:
        self.wallets: defaultdict[str, Wallet] = defaultdict(Wallet)
        self.positions: defaultdict[Symbol, PaperPosition] = defaultdict(PaperPosition)
        self.income: deque[Income] = deque(maxlen=INCOME_MAX)
        self._entries = 0
        for asset, amount in {"USDT": deposit, **(other_deposits or {})}.items():
            if amount:
                self.transfer(asset, amount, 0)

    def transfer(self, asset: str, amount: Decimal, now_ms: int) -> None:
        """Deposit an asset, or withdraw it if ``amount`` is negative."""
        wallet = self.wallets[asset]
        wallet.wallet += amount
        wallet.deposited += amount
        self._add_income("TRANSFER", asset, amount, now_ms, info="TRANSFER")

    def book_realized(self, asset: str, amount: Decimal, symbol: Symbol, trade_id: int, now_ms: int) -> None:
        """Book a realized profit or loss."""
        if not amount:
            return
        wallet = self.wallets[asset]
        wallet.wallet += amount
        wallet.realized += amount
        self._add_income("REALIZED_PNL", asset, amount, now_ms, symbol, str(trade_id))

    def charge_fee(self, asset: str, fee: Decimal, symbol: Symbol, trade_id: int, now_ms: int) -> None:
        """Book a commission."""
        wallet = self.wallets[asset]
        wallet.wallet -= fee
        wallet.fees += fee
        self._add_income("COMMISSION", asset, -fee, now_ms, symbol, str(trade_id))

    def apply_funding(self, asset: str, amount: Decimal, symbol: Symbol, now_ms: int) -> None:
        """Book funding: received if positive, paid if negative."""
        wallet = self.wallets[asset]
        wallet.wallet += amount
        wallet.funding += amount
        if amount:
            self._add_income("FUNDING_FEE", asset, amount, now_ms, symbol, info="FUNDING_FEE")

    def apply_trade(self, symbol: Symbol, signed: Decimal, price: Decimal, now_ms: int) -> Decimal:
        """Apply a trade (``signed`` quantity: negative for a sell) to the net position.

        Adding averages the entry price. Reducing realizes profit and keeps the entry price. A trade through zero
        closes the position and opens the rest at the trade's price.

        Returns:
            Realized profit before fees, in the quote asset.
        """
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

    def _add_income(  # noqa: PLR0913 - the parts of an entry
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

"""The master account on the paper exchange: prices, wallets, positions, margin, and ACCOUNT_UPDATE events. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.core.enums import Side
from actors.core.instruments import Instrument
from actors.core.units import ZERO, Symbol
from actors.venues.paper import reports
from actors.venues.paper.generator import Quote
from actors.venues.paper.instruments import Band
from actors.venues.paper.ledger import Ledger, PaperPosition
from actors.venues.paper.margin import AssetMargin, SymbolMargin, symbol_margin
from actors.venues.paper.orders import OrderStore
from actors.venues.paper.settings import AccountSettings
from actors.venues.paper.user_events import AccountUpdate, BalanceBody, PositionBody

BNB, BNB_SYMBOL = "BNB", Symbol("BNBUSDT")
BNB_DISCOUNT = Decimal("0.9")
"""Factor on a commission that is paid in BNB: a discount of 10 %."""

FEE_QUANTUM = Decimal("0.00000001")


class TradeResult(msgspec.Struct, frozen=True):
    """Effect of one trade on the account: realized profit before fees, and the fee in its asset."""

    realized: Decimal
    fee: Decimal
    fee_asset: str


class FundingSettlement(msgspec.Struct, frozen=True, kw_only=True):
    """One funding settlement. ``time`` is in Unix milliseconds, ``mark`` is the mark price used."""

    symbol: Symbol
    rate: Decimal
    time: int
    mark: Decimal


class MasterAccount:
    """Prices, ledger and settings: the state that matching works on.

    Args:
        instruments: the symbols' trading rules.
        deposit: USDT at the start.
        taker_fee: taker fee rate, as a share of notional.
        maker_fee: maker fee rate, as a share of notional.
        other_deposits: other assets at the start.
    """

    orders: OrderStore

    def __init__(
        self,
        instruments: Mapping[Symbol, Instrument],
        deposit: Decimal,
        taker_fee: Decimal,
        maker_fee: Decimal,
        other_deposits: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.instruments = dict(instruments)
        self.ledger = Ledger(deposit, dict(other_deposits or {}))
        self.settings = AccountSettings()
        self.quotes: dict[Symbol, Quote] = {}
        self.premium: dict[Symbol, Decimal] = {}
        """Distance of the mark price from the mid price, as a share of the mid."""
        self.bands: defaultdict[Symbol, Band] = defaultdict(Band)
        self.status: dict[Symbol, str] = {}
        """Symbols that are not TRADING."""
        self.funding_rates: list[FundingSettlement] = []
        self.taker_fee, self.maker_fee = taker_fee, maker_fee

    # -- shortcuts for USDT

    @property
    def positions(self) -> Mapping[Symbol, PaperPosition]:
        """Net positions by symbol."""
        return self.ledger.positions

    @property
    def wallet(self) -> Decimal:
        """USDT in the wallet."""
        return self.ledger.wallets["USDT"].wallet

    @property
    def realized(self) -> Decimal:
        """USDT realized so far."""
        return self.ledger.wallets["USDT"].realized

    @property
    def fees(self) -> Decimal:
        """USDT paid as commission so far."""
        return self.ledger.wallets["USDT"].fees

    @property
    def funding(self) -> Decimal:
        """USDT of funding so far."""
        return self.ledger.wallets["USDT"].funding

    # -- prices

    def mid(self, symbol: Symbol) -> Decimal:
        """Mid price; zero before the first quote."""
        quote = self.quotes.get(symbol)
        return ZERO if quote is None else (quote.bid + quote.ask) / 2

    def mark(self, symbol: Symbol) -> Decimal:
        """Mark price: the mid price plus its premium, if one is set."""
        mid, premium = self.mid(symbol), self.premium.get(symbol)
        return mid if premium is None else mid * (1 + premium)

    def unrealized(self, symbol: Symbol) -> Decimal:
        """Unrealized profit of the net position at the mark price."""
        position = self.positions[symbol]
        if symbol not in self.quotes or not position.amount:
            return ZERO
        return position.amount * (self.mark(symbol) - position.entry)

    # -- money

    def book_trade(  # noqa: PLR0913 - a trade has that many parts
        self,
        symbol: Symbol,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        trade_id: int,
        now_ms: int,
        *,
        maker: bool,
    ) -> TradeResult:
        """Apply a trade to the position and the wallets: realized profit first, then the fee."""
        asset = self.instruments[symbol].quote_asset
        position = self.positions[symbol]
        before = position.amount
        realized = self.ledger.apply_trade(symbol, quantity * side.sign, price, now_ms)
        if symbol in self.settings.isolated:
            position.update_isolated_margin(before, price, self.settings.leverage_of(symbol))
        self.ledger.book_realized(asset, realized, symbol, trade_id, now_ms)
        fee = (quantity * price * (self.maker_fee if maker else self.taker_fee)).quantize(FEE_QUANTUM)
        fee, fee_asset = self._fee_and_asset(fee, asset)
        self.ledger.charge_fee(fee_asset, fee, symbol, trade_id, now_ms)
        return TradeResult(realized, fee, fee_asset)

    def _fee_and_asset(self, fee: Decimal, asset: str) -> tuple[Decimal, str]:
        if not self.settings.fee_burn:
            return fee, asset
        mid = self.mid(BNB_SYMBOL)
        if not mid:
            return fee, asset
        in_bnb = (fee * BNB_DISCOUNT / mid).quantize(FEE_QUANTUM)
        enough = self.ledger.wallets[BNB].wallet >= in_bnb
        return (in_bnb, BNB) if enough else (fee, asset)

    def settle_funding(self, symbol: Symbol, rate: Decimal, now_ms: int) -> FundingSettlement:
        """Settle funding of the net position at the mark price: longs pay a positive rate.

        Raises:
            ValueError: there is no price yet.
        """
        if symbol not in self.quotes:
            raise ValueError(f"{symbol} has no price yet")
        mark = self.mark(symbol)
        paid = self.positions[symbol].amount * mark * rate
        self.ledger.apply_funding(self.instruments[symbol].quote_asset, -paid, symbol, now_ms)
        settled = FundingSettlement(symbol=symbol, rate=rate, time=now_ms, mark=mark)
        self.funding_rates.append(settled)
        return settled

    # -- margin

    def symbol_margin(self, symbol: Symbol) -> SymbolMargin:
        """A symbol's margin at its mark price."""
        position, notional = self.positions[symbol], self.orders.resting[symbol].notional
        return symbol_margin(
            position.amount,
            position.entry,
            self.mark(symbol),
            notional[Side.BUY],
            notional[Side.SELL],
            self.settings.leverage_of(symbol),
        )

    def asset_margin(self, asset: str) -> AssetMargin:
        """Margin of one asset, summed over all symbols that it is the margin asset of."""
        wallet = self.ledger.wallets[asset].wallet if asset in self.ledger.wallets else ZERO
        unrealized = held = ordered = need = ZERO
        for symbol in self.active_symbols():
            if self.instruments[symbol].quote_asset != asset:
                continue
            margin = self.symbol_margin(symbol)
            unrealized += margin.unrealized
            held += margin.position_initial
            ordered += margin.order_initial
            need += margin.maintenance
        return AssetMargin(
            wallet=wallet,
            unrealized=unrealized,
            position_initial=held,
            order_initial=ordered,
            maintenance=need,
        )

    def active_symbols(self) -> list[Symbol]:
        """Symbols with a position or open orders."""
        held = [s for s, p in self.positions.items() if p.amount and s in self.instruments]
        return held + [
            s
            for s, r in self.orders.resting.items()
            if r and s in self.instruments and not self.positions[s].amount
        ]

    # -- user events

    def account_update_event(  # noqa: PLR0913 - what changed, and what it is about
        self,
        reason: str,
        now_ms: int,
        *,
        symbol: Symbol | None = None,
        other_asset: str = "",
        changes: Mapping[str, Decimal] | None = None,
        event_symbol: Symbol | None = None,
    ) -> AccountUpdate:
        """ACCOUNT_UPDATE with the balances that changed and, if ``symbol`` is given, its position.

        ``event_symbol`` fills the event's own symbol field without a position, as a funding event does.
        """
        quote_asset = self.instruments[symbol].quote_asset if symbol is not None else ""
        assets = dict.fromkeys(a for a in (quote_asset, other_asset, *(changes or {})) if a)
        balances = tuple(self._balance_body(a, (changes or {}).get(a, ZERO)) for a in assets)
        positions = () if symbol is None else (self._position_body(symbol),)
        return reports.account_update(reason, balances, positions, now_ms, event_symbol)

    def _balance_body(self, asset: str, change: Decimal) -> BalanceBody:
        wallet = reports.text(self.ledger.wallets[asset].wallet)
        return BalanceBody(a=asset, wb=wallet, cw=wallet, bc=reports.text(change))

    def _position_body(self, symbol: Symbol) -> PositionBody:
        position = self.positions[symbol]
        return PositionBody(
            s=symbol,
            pa=reports.text(position.amount),
            ep=reports.text(position.entry),
            bep=reports.text(self.break_even(symbol)),
            cr=reports.text(position.realized),
            up=reports.text(self.unrealized(symbol)),
            mt="isolated" if symbol in self.settings.isolated else "cross",
            iw=reports.text(position.isolated),
            ps="BOTH",
        )

    def break_even(self, symbol: Symbol) -> Decimal:
        """Break-even price: entry plus the taker fee on both sides; zero without a position."""
        position = self.positions[symbol]
        if not position.amount:
            return ZERO
        sign = 1 if position.amount > ZERO else -1
        return (position.entry * (1 + 2 * sign * self.taker_fee)).quantize(FEE_QUANTUM)

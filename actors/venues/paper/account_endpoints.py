"""Endpoints for account, balance, positions and income. No network; the time is an argument."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.core.units import ZERO, Symbol
from actors.venues.paper import wire_account as wire
from actors.venues.paper.brackets import BRACKETS, max_notional
from actors.venues.paper.codes import ExchangeRefusal, PaperCode, missing
from actors.venues.paper.margin import AssetMargin, SymbolMargin, liquidation_price
from actors.venues.paper.reports import text
from actors.venues.paper.requests import Params, decimal_param, int_param, limit_param
from actors.venues.paper.venue import PaperVenue, Reply, answer

INCOME_MAX = 1_000


class AccountEndpoints:
    """Account, balance, position and income endpoints of the master account."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue, self._exchange = venue, venue.exchange

    # -- account and balance

    def account_v3(self, _params: Params, now_ms: int) -> Reply:
        """v3/account: assets, and symbols with a position or open orders."""
        held = []
        for symbol in self._exchange.active_symbols():
            position, margin = self._exchange.positions[symbol], self._exchange.symbol_margin(symbol)
            held.append(
                wire.AccountPositionV3(
                    symbol=symbol,
                    positionSide="BOTH",
                    positionAmt=text(position.amount),
                    unrealizedProfit=text(margin.unrealized),
                    isolatedMargin=self._isolated_margin(symbol),
                    notional=text(margin.notional),
                    isolatedWallet=text(position.isolated),
                    initialMargin=text(margin.initial),
                    maintMargin=text(margin.maintenance),
                    updateTime=position.updated,
                )
            )
        assets = tuple(wire.AssetV3(**fields) for fields in self._assets(now_ms))
        return answer(wire.AccountV3(**self._totals(), assets=assets, positions=tuple(held)))

    def account_v2(self, _params: Params, now_ms: int) -> Reply:
        """v2/account: assets, all symbols, and the account settings."""
        settings = self._exchange.settings
        assets = tuple(wire.AssetV2(**fields, marginAvailable=True) for fields in self._assets(now_ms))
        return answer(
            wire.AccountV2(
                **self._totals(),
                feeTier=0,
                feeBurn=settings.fee_burn,
                canTrade=True,
                canDeposit=True,
                canWithdraw=True,
                updateTime=settings.updated_ms,
                multiAssetsMargin=settings.multi_assets,
                tradeGroupId=-1,
                assets=assets,
                positions=tuple(self._account_position_v2(s) for s in self._exchange.instruments),
            )
        )

    def _account_position_v2(self, symbol: Symbol) -> wire.AccountPositionV2:
        exchange = self._exchange
        position, margin = exchange.positions[symbol], exchange.symbol_margin(symbol)
        leverage = exchange.settings.leverage_of(symbol)
        return wire.AccountPositionV2(
            symbol=symbol,
            initialMargin=text(margin.initial),
            maintMargin=text(margin.maintenance),
            unrealizedProfit=text(margin.unrealized),
            positionInitialMargin=text(margin.position_initial),
            openOrderInitialMargin=text(margin.order_initial),
            leverage=str(leverage),
            isolated=symbol in exchange.settings.isolated,
            entryPrice=text(position.entry),
            breakEvenPrice=text(exchange.break_even(symbol)),
            maxNotional=str(max_notional(leverage)),
            bidNotional=text(margin.bids),
            askNotional=text(margin.asks),
            positionSide="BOTH",
            positionAmt=text(position.amount),
            isolatedWallet=text(position.isolated),
            notional=text(margin.notional),
            updateTime=position.updated,
        )

    def _margins(self) -> dict[str, AssetMargin]:
        assets = dict.fromkeys(["USDT", *sorted(self._exchange.ledger.wallets)])
        return {a: self._exchange.asset_margin(a) for a in assets}

    def _assets(self, now_ms: int) -> list[dict[str, Any]]:
        return [
            {
                "asset": asset,
                "walletBalance": text(m.wallet),
                "unrealizedProfit": text(m.unrealized),
                "marginBalance": text(m.equity),
                "maintMargin": text(m.maintenance),
                "initialMargin": text(m.initial),
                "positionInitialMargin": text(m.position_initial),
                "openOrderInitialMargin": text(m.order_initial),
                "crossWalletBalance": text(m.wallet),
                "crossUnPnl": text(m.unrealized),
                "availableBalance": text(m.available),
                "maxWithdrawAmount": text(min(m.available, max(ZERO, m.wallet))),
                "updateTime": now_ms,
            }
            for asset, m in self._margins().items()
        ]

    def _totals(self) -> dict[str, Any]:
        # In single-asset mode the totals cover USDT only.
        m = self._exchange.asset_margin("USDT")
        return {
            "totalInitialMargin": text(m.initial),
            "totalMaintMargin": text(m.maintenance),
            "totalWalletBalance": text(m.wallet),
            "totalUnrealizedProfit": text(m.unrealized),
            "totalMarginBalance": text(m.equity),
            "totalPositionInitialMargin": text(m.position_initial),
            "totalOpenOrderInitialMargin": text(m.order_initial),
            "totalCrossWalletBalance": text(m.wallet),
            "totalCrossUnPnl": text(m.unrealized),
            "availableBalance": text(m.available),
            "maxWithdrawAmount": text(min(m.available, max(ZERO, m.wallet))),
        }

    def balance(self, _params: Params, now_ms: int) -> Reply:
        """One entry per asset."""
        return answer(
            [
                wire.BalanceEntry(
                    accountAlias="paper",
                    asset=asset,
                    balance=text(m.wallet),
                    crossWalletBalance=text(m.wallet),
                    crossUnPnl=text(m.unrealized),
                    availableBalance=text(m.available),
                    maxWithdrawAmount=text(min(m.available, max(ZERO, m.wallet))),
                    marginAvailable=True,
                    updateTime=now_ms,
                )
                for asset, m in self._margins().items()
            ]
        )

    # -- positions

    def position_risk_v2(self, params: Params, _now_ms: int) -> Reply:
        """All symbols, with their settings."""
        return answer([self._position_v2(s) for s in self._venue.symbols(params)])

    def _position_v2(self, symbol: Symbol) -> wire.PositionV2:
        exchange = self._exchange
        position, margin = exchange.positions[symbol], exchange.symbol_margin(symbol)
        leverage, isolated = exchange.settings.leverage_of(symbol), symbol in exchange.settings.isolated
        return wire.PositionV2(
            symbol=symbol,
            positionAmt=text(position.amount),
            entryPrice=text(position.entry),
            breakEvenPrice=text(exchange.break_even(symbol)),
            markPrice=text(exchange.mark(symbol)),
            unRealizedProfit=text(margin.unrealized),
            liquidationPrice=self._liquidation(symbol),
            leverage=str(leverage),
            maxNotionalValue=str(max_notional(leverage)),
            marginType="isolated" if isolated else "cross",
            isolatedMargin=self._isolated_margin(symbol),
            isAutoAddMargin="false",
            positionSide="BOTH",
            notional=text(margin.notional),
            isolatedWallet=text(position.isolated),
            updateTime=position.updated,
        )

    def position_risk_v3(self, params: Params, _now_ms: int) -> Reply:
        """Only symbols with a position or open orders."""
        active = self._exchange.active_symbols()
        return answer([self._position_v3(s) for s in self._venue.symbols(params) if s in active])

    def _position_v3(self, symbol: Symbol) -> wire.PositionV3:
        exchange = self._exchange
        position, margin = exchange.positions[symbol], exchange.symbol_margin(symbol)
        return wire.PositionV3(
            symbol=symbol,
            positionSide="BOTH",
            positionAmt=text(position.amount),
            entryPrice=text(position.entry),
            breakEvenPrice=text(exchange.break_even(symbol)),
            markPrice=text(exchange.mark(symbol)),
            unRealizedProfit=text(margin.unrealized),
            liquidationPrice=self._liquidation(symbol),
            isolatedMargin=self._isolated_margin(symbol),
            notional=text(margin.notional),
            marginAsset=exchange.instruments[symbol].quote_asset,
            isolatedWallet=text(position.isolated),
            initialMargin=text(margin.initial),
            maintMargin=text(margin.maintenance),
            positionInitialMargin=text(margin.position_initial),
            openOrderInitialMargin=text(margin.order_initial),
            adl=_adl_quantile(margin),
            bidNotional=text(margin.bids),
            askNotional=text(margin.asks),
            updateTime=position.updated,
        )

    def _liquidation(self, symbol: Symbol) -> str:
        exchange, position = self._exchange, self._exchange.positions[symbol]
        if not position.amount:
            return "0"
        whole = exchange.asset_margin(exchange.instruments[symbol].quote_asset)
        if symbol in exchange.settings.isolated:
            own = exchange.symbol_margin(symbol)
            whole = AssetMargin(
                wallet=position.isolated, unrealized=own.unrealized, maintenance=own.maintenance
            )
        return text(liquidation_price(position.amount, position.entry, exchange.mark(symbol), whole))

    def _isolated_margin(self, symbol: Symbol) -> str:
        """Isolated wallet plus unrealized profit; 0 for a cross position."""
        position = self._exchange.positions[symbol]
        own = position.isolated + self._exchange.unrealized(symbol)
        return text(own if symbol in self._exchange.settings.isolated and position.amount else ZERO)

    def adl_quantile(self, params: Params, _now_ms: int) -> Reply:
        """ADL quantile of each position: how close it is to auto-deleveraging."""
        active = self._exchange.active_symbols()
        found = [
            wire.AdlRank(
                s, wire.AdlQuantiles(LONG=0, SHORT=0, BOTH=_adl_quantile(self._exchange.symbol_margin(s)))
            )
            for s in self._venue.symbols(params)
            if s in active
        ]
        return answer(found)

    # -- history and trading terms

    def income(self, params: Params, _now_ms: int) -> Reply:
        """Income history, oldest first."""
        kind, symbol = params.get("incomeType"), params.get("symbol")
        start, end = int_param(params, "startTime") or 0, int_param(params, "endTime")
        found = [
            wire.IncomeEntry(
                symbol=i.symbol,
                incomeType=i.kind,
                income=text(i.amount),
                asset=i.asset,
                info=i.info,
                time=i.time,
                tranId=i.id,
                tradeId=i.trade_id,
            )
            for i in self._exchange.ledger.income
            if kind in {None, "", i.kind}
            and symbol in {None, "", i.symbol}
            and i.time >= start
            and (end is None or i.time <= end)
        ]
        limit, page = limit_param(params, "limit", 100, INCOME_MAX), int_param(params, "page")
        if page is not None:
            return answer(found[(page - 1) * limit : page * limit])
        return answer(found[:limit] if start else found[-limit:])

    def leverage_bracket(self, params: Params, _now_ms: int) -> Reply:
        """The leverage brackets of one symbol or of all."""
        rows = tuple(
            wire.LeverageBracket(
                bracket=b.number,
                initialLeverage=b.leverage,
                notionalCap=b.cap,
                notionalFloor=b.floor,
                maintMarginRatio=float(b.rate),
                cum=float(b.cum),
            )
            for b in BRACKETS
        )
        return answer([wire.Brackets(s, 1.5, rows) for s in self._venue.symbols(params)])

    def commission_rate(self, params: Params, _now_ms: int) -> Reply:
        """Commission rates of a symbol."""
        exchange = self._exchange
        return answer(
            wire.Commission(
                self._venue.symbol(params), text(exchange.maker_fee), text(exchange.taker_fee), "0.000000"
            )
        )

    def trading_status(self, _params: Params, now_ms: int) -> Reply:
        """API trading status: no indicator is ever triggered here."""
        return answer(wire.Indicators({}, now_ms))

    # -- margin of isolated positions

    def change_isolated_margin(self, params: Params, now_ms: int) -> Reply:
        """Add margin to (type 1) or remove margin from (type 2) an isolated position."""
        venue, exchange = self._venue, self._exchange
        symbol, kind = venue.symbol(params), int_param(params, "type")
        if kind not in {1, 2}:
            raise ExchangeRefusal(
                PaperCode.MANDATORY_PARAM_EMPTY_OR_MALFORMED, f"Invalid type: {kind}; 1 adds, 2 takes."
            )
        moved = _positive_amount(params)
        if symbol not in exchange.settings.isolated:
            raise ExchangeRefusal(PaperCode.ADD_MARGIN_ONLY_ISOLATED)
        position = exchange.positions[symbol]
        if not position.amount:
            raise ExchangeRefusal(
                PaperCode.CROSS_BALANCE_INSUFFICIENT, "There is no position to move margin to."
            )
        available = exchange.asset_margin(exchange.instruments[symbol].quote_asset).available
        signed = moved if kind == 1 else -moved
        if signed > available:
            raise ExchangeRefusal(PaperCode.CROSS_BALANCE_INSUFFICIENT)
        if position.isolated + signed < ZERO:
            raise ExchangeRefusal(PaperCode.ISOLATED_BALANCE_INSUFFICIENT)
        position.isolated += signed
        venue.margin_changes.append((now_ms, symbol, kind, text(moved)))
        return answer(wire.PositionMarginAnswer(amount=float(moved), type=kind))

    def margin_history(self, params: Params, _now_ms: int) -> Reply:
        """History of isolated margin changes of one symbol."""
        symbol = self._venue.symbol(params)
        found = [
            wire.MarginChange(
                symbol=symbol,
                type=kind,
                deltaType="USER_ADJUST",
                amount=moved,
                asset=self._exchange.instruments[symbol].quote_asset,
                time=at,
                positionSide="BOTH",
            )
            for at, of, kind, moved in self._venue.margin_changes
            if of == symbol
        ]
        return answer(found[-limit_param(params, "limit", 500, 500) :])


def _adl_quantile(margin: SymbolMargin) -> int:
    """0 to 4, by profit over notional: the most profitable positions are deleveraged first."""
    if margin.unrealized <= ZERO or not margin.notional:
        return 0
    return min(4, 1 + int(margin.unrealized / abs(margin.notional) * 20))


def _positive_amount(params: Params) -> Decimal:
    moved = decimal_param(params, "amount")
    if moved is None or moved <= ZERO:
        raise missing("amount")
    return moved

"""REST answers about account, balance, positions and settings. Pure data; field names are the exchange's."""

from __future__ import annotations

import msgspec


class AssetV3(msgspec.Struct, frozen=True, kw_only=True):
    """An asset of v3/account."""

    asset: str
    walletBalance: str
    unrealizedProfit: str
    marginBalance: str
    maintMargin: str
    initialMargin: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    crossWalletBalance: str
    crossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    updateTime: int


class AssetV2(AssetV3, frozen=True, kw_only=True):
    """An asset of v2/account."""

    marginAvailable: bool


class AccountPositionV3(msgspec.Struct, frozen=True, kw_only=True):
    """A position of v3/account."""

    symbol: str
    positionSide: str
    positionAmt: str
    unrealizedProfit: str
    isolatedMargin: str
    notional: str
    isolatedWallet: str
    initialMargin: str
    maintMargin: str
    updateTime: int


class AccountPositionV2(msgspec.Struct, frozen=True, kw_only=True):
    """A position of v2/account."""

    symbol: str
    initialMargin: str
    maintMargin: str
    unrealizedProfit: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    leverage: str
    isolated: bool
    entryPrice: str
    breakEvenPrice: str
    maxNotional: str
    bidNotional: str
    askNotional: str
    positionSide: str
    positionAmt: str
    isolatedWallet: str
    notional: str
    updateTime: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals in v2/account and v3/account."""

    totalInitialMargin: str
    totalMaintMargin: str
    totalWalletBalance: str
    totalUnrealizedProfit: str
    totalMarginBalance: str
    totalPositionInitialMargin: str
    totalOpenOrderInitialMargin: str
    totalCrossWalletBalance: str
    totalCrossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str


class AccountV3(Totals, frozen=True, kw_only=True):
    """v3/account: only symbols with a position or open orders."""

    assets: tuple[AssetV3, ...]
    positions: tuple[AccountPositionV3, ...]


class AccountV2(Totals, frozen=True, kw_only=True):
    """v2/account: all symbols, and the account's settings."""

    feeTier: int
    feeBurn: bool
    canTrade: bool
    canDeposit: bool
    canWithdraw: bool
    updateTime: int
    multiAssetsMargin: bool
    tradeGroupId: int
    assets: tuple[AssetV2, ...]
    positions: tuple[AccountPositionV2, ...]


class BalanceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """v2/balance and v3/balance."""

    accountAlias: str
    asset: str
    balance: str
    crossWalletBalance: str
    crossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    marginAvailable: bool
    updateTime: int


class PositionV3(msgspec.Struct, frozen=True, kw_only=True):
    """v3/positionRisk: only symbols with a position or open orders."""

    symbol: str
    positionSide: str
    positionAmt: str
    entryPrice: str
    breakEvenPrice: str
    markPrice: str
    unRealizedProfit: str
    liquidationPrice: str
    isolatedMargin: str
    notional: str
    marginAsset: str
    isolatedWallet: str
    initialMargin: str
    maintMargin: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    adl: int
    bidNotional: str
    askNotional: str
    updateTime: int


class PositionV2(msgspec.Struct, frozen=True, kw_only=True):
    """v2/positionRisk: all symbols, and their settings."""

    symbol: str
    positionAmt: str
    entryPrice: str
    breakEvenPrice: str
    markPrice: str
    unRealizedProfit: str
    liquidationPrice: str
    leverage: str
    maxNotionalValue: str
    marginType: str
    isolatedMargin: str
    isAutoAddMargin: str
    positionSide: str
    notional: str
    isolatedWallet: str
    updateTime: int


class SymbolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """symbolConfig."""

    symbol: str
    marginType: str
    isAutoAddMargin: bool
    leverage: int
    maxNotionalValue: str


class AccountConfig(msgspec.Struct, frozen=True, kw_only=True):
    """accountConfig."""

    feeTier: int
    canTrade: bool
    canDeposit: bool
    canWithdraw: bool
    dualSidePosition: bool
    multiAssetsMargin: bool
    updateTime: int
    tradeGroupId: int


class IncomeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """income."""

    symbol: str
    incomeType: str
    income: str
    asset: str
    info: str
    time: int
    tranId: int
    tradeId: str


class Commission(msgspec.Struct, frozen=True):
    """commissionRate."""

    symbol: str
    makerCommissionRate: str
    takerCommissionRate: str
    rpiCommissionRate: str


class ChangedLeverage(msgspec.Struct, frozen=True):
    """Answer to a change of leverage."""

    symbol: str
    leverage: int
    maxNotionalValue: str


class DualSide(msgspec.Struct, frozen=True):
    """positionSide/dual."""

    dualSidePosition: bool


class MultiAssets(msgspec.Struct, frozen=True):
    """multiAssetsMargin."""

    multiAssetsMargin: bool


class FeeBurn(msgspec.Struct, frozen=True):
    """feeBurn."""

    feeBurn: bool


class LeverageBracket(msgspec.Struct, frozen=True, kw_only=True):
    """A leverage bracket; its values are numbers, not text."""

    bracket: int
    initialLeverage: int
    notionalCap: int
    notionalFloor: int
    maintMarginRatio: float
    cum: float


class Brackets(msgspec.Struct, frozen=True):
    """leverageBracket."""

    symbol: str
    notionalCoef: float
    brackets: tuple[LeverageBracket, ...]


class AdlQuantiles(msgspec.Struct, frozen=True):
    """ADL quantile, 0 to 4: how close a position is to auto-deleveraging."""

    LONG: int
    SHORT: int
    BOTH: int


class AdlRank(msgspec.Struct, frozen=True):
    """adlQuantile."""

    symbol: str
    adlQuantile: AdlQuantiles


class PositionMarginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a change of isolated margin; ``amount`` is a number here, not text."""

    amount: float
    code: int = 200
    msg: str = "Successfully modify position margin."
    type: int


class MarginChange(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of positionMargin/history."""

    symbol: str
    type: int
    deltaType: str
    amount: str
    asset: str
    time: int
    positionSide: str


class Indicators(msgspec.Struct, frozen=True):
    """apiTradingStatus."""

    indicators: dict[str, list[str]]
    updateTime: int


class ListenKeyAnswer(msgspec.Struct, frozen=True):
    """listenKey."""

    listenKey: str

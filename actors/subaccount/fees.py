"""Fees in another asset than the quote asset: what they are worth, when they are booked, what they hold until then.

Rules
1. A fill is booked at once. Its fee is booked with it if it was taken in the quote asset, or if the rate of
   that time is known: the mid of the asset in quote asset, fresh, and the trade no older than a price may be.
2. The present rate is never that of an old trade: it waits for the mean of its minute (``RateKnown``).
3. No tick sets anything off here: what is pending asks, and a timer asks again. So an account that sleeps
   books what one that looks at every tick books.
4. While a fee is pending nothing can be withdrawn, and ``RESERVE`` of the trade's notional is held as margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec.structs import replace

from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact
from actors.core.fees import RATE_SPAN_MS, Commission, FeeBooked, FeeLearned, FeeShare, PendingFee
from actors.core.instruments import Instrument
from actors.core.messages import AskRate, FeeKnown, RateKnown, SettleFee
from actors.core.order_messages import AskFees
from actors.core.trades import Trade
from actors.core.units import (
    ENTRY_QUANTUM,
    NANOS_PER_MS,
    ONE,
    ZERO,
    AccountId,
    ClientOrderId,
    Symbol,
    is_sane,
)
from actors.subaccount.market import Market
from actors.subaccount.rejections import RejectCode, Rejection, reject
from actors.subaccount.state import AccountState

RESERVE = Decimal("0.001")
"""Share of a trade's notional that its pending fee holds: twice the highest taker fee of Binance USD-M."""

Rate = tuple[Decimal, int]
"""Quote asset for one of another asset, and the Unix milliseconds that it is of."""


def rate_symbol(asset: str, symbol: Symbol, instruments: Mapping[Symbol, Instrument]) -> Symbol | None:
    """Whose mid is the rate of an asset in a symbol's quote asset: BNBUSDT for BNB and ETHUSDT.

    Returns:
        None while the quote asset, or the asset, is not known.
    """
    instrument = instruments.get(symbol)
    return Symbol(asset + instrument.quote_asset) if asset and instrument is not None else None


def taken(state: AccountState, trade: Trade, market: Market) -> tuple[Decimal, Commission | None]:
    """What to book as a trade's fee, in quote asset, and how that came about; see rule 1."""
    if trade.fee is None:
        return ZERO, Commission()
    if _is_quote(trade.fee_asset, trade.symbol, market.instruments):
        return trade.fee, None
    _refuse_nonsense(state, trade.fee)
    rate = _present(state, trade.fee_asset, trade.symbol, trade.trade_ms, market)
    if rate is None:
        return ZERO, Commission(asset=trade.fee_asset, amount=trade.fee)
    commission = Commission(asset=trade.fee_asset, amount=trade.fee, rate=rate[0], rate_ms=rate[1])
    return trade.fee * rate[0], commission


def learned(state: AccountState, message: FeeKnown, market: Market) -> list[AnyFact]:
    """The facts of a commission that the exchange reported afterwards; none if it is known already."""
    pending = state.pending_fee(message.symbol, message.trade_id)
    if pending is None or pending.amount is not None:
        return []
    _refuse_nonsense(state, message.fee)
    known = replace(pending, asset=message.fee_asset, amount=message.fee)
    if _is_quote(message.fee_asset, message.symbol, market.instruments):
        return [_booked(state, pending, known, (ONE, pending.trade_ms))]
    rate = _present(state, message.fee_asset, message.symbol, pending.trade_ms, market)
    if rate is not None:
        return [_booked(state, pending, known, rate)]
    return [FeeLearned(message.symbol, message.trade_id, message.fee_asset, message.fee)]


def rated(state: AccountState, message: RateKnown, market: Market) -> list[AnyFact]:
    """The facts of all fees that were taken while a rate was that of the message.

    Raises:
        StateCorrupt: a rate that cannot be.
    """
    if not is_sane(message.rate) or message.rate <= ZERO:
        raise StateCorrupt(f"{state.account_id}: {message.symbol} cannot have been at {message.rate}")
    return [
        _booked(state, fee, fee, (message.rate, message.begin_ms))
        for fee in state.pending_fees
        if message.begin_ms <= fee.trade_ms < message.end_ms
        and message.symbol == rate_symbol(fee.asset, fee.symbol, market.instruments)
    ]


def due(state: AccountState, market: Market) -> list[AnyFact]:
    """The facts of pending fees whose rate of that time is there by now."""
    facts: list[AnyFact] = []
    for fee in state.pending_fees:
        rate = _present(state, fee.asset, fee.symbol, fee.trade_ms, market)
        if rate is not None:
            facts.append(_booked(state, fee, fee, rate))
    return facts


def settled(state: AccountState, message: SettleFee) -> FeeBooked | Rejection:
    """A pending fee as an operator says: at a rate, or as an amount if the exchange never reported it."""
    pending = state.pending_fee(message.symbol, message.trade_id)
    if pending is None:
        text = f"no fee of trade {message.trade_id} of {message.symbol} is pending"
        return reject(RejectCode.FEE_NOT_PENDING, text, message.trade_id)
    if pending.amount is None:
        if message.amount is None or message.rate is not None or not is_sane(message.amount):
            text = f"the exchange did not tell this fee: give its amount in quote asset, not {message.amount}, and no rate"
            return reject(RejectCode.INVALID_QUANTITY, text, message.amount)
        return _booked(state, pending, replace(pending, amount=message.amount), (ONE, pending.trade_ms))
    rate = message.rate
    if rate is None or message.amount is not None or not is_sane(rate) or rate <= ZERO:
        text = (
            f"the fee is {pending.amount} {pending.asset}: give a rate above zero, not {rate}, and no amount"
        )
        return reject(RejectCode.INVALID_PRICE, text, rate)
    return _booked(state, pending, pending, (rate, pending.trade_ms))


def questions(
    account_id: AccountId, pending: Iterable[PendingFee], instruments: Mapping[Symbol, Instrument]
) -> tuple[list[AskFees], list[AskRate]]:
    """What must be asked of the gateway and of the feed for fees to be booked; each thing once."""
    trades: dict[ClientOrderId, list[PendingFee]] = {}
    rates: dict[tuple[Symbol, int], AskRate] = {}
    for fee in pending:
        if fee.amount is None:
            trades.setdefault(fee.client_order_id, []).append(fee)
            continue
        symbol = rate_symbol(fee.asset, fee.symbol, instruments)
        if symbol is not None:
            minute = fee.trade_ms // RATE_SPAN_MS
            rates.setdefault((symbol, minute), AskRate(account_id, symbol, fee.trade_ms))
    asked = [
        AskFees(account_id, id_, of[0].exchange_order_id, of[0].symbol, tuple(f.trade_id for f in of))
        for id_, of in trades.items()
    ]
    return asked, list(rates.values())


def reserve(state: AccountState) -> Decimal:
    """What pending fees hold of the account's margin, in quote asset; see rule 4."""
    return sum((fee.value * RESERVE for fee in state.pending_fees), ZERO)


def _present(state: AccountState, asset: str, symbol: Symbol, trade_ms: int, market: Market) -> Rate | None:
    """The present rate, if it is that of the trade's time."""
    rate_of = rate_symbol(asset, symbol, market.instruments)
    oldest = state.limits.price_max_age_ns
    if rate_of is None or abs(market.wall_ms - trade_ms) > oldest // NANOS_PER_MS:
        return None
    tick = market.fresh(rate_of, oldest)
    return None if tick is None else (tick.mid, tick.event_ms)


def _booked(state: AccountState, pending: PendingFee, known: PendingFee, rate: Rate) -> FeeBooked:
    """``pending`` is the fee as the state has it, ``known`` with asset and amount; they may be the same."""
    amount = known.amount or ZERO
    fee = amount * rate[0]
    shares = []
    closing = fee
    if pending.closed_id and pending.position_id:
        # It closed one position and opened another: each pays for what was traded of it.
        closing = (fee * pending.closed_quantity / pending.quantity).quantize(ENTRY_QUANTUM)
    if pending.closed_id:
        shares.append(FeeShare(pending.closed_id, closing, is_closed=True))
    if pending.position_id:
        held = state.position(pending.symbol)
        is_open = held is not None and held.position_id == pending.position_id
        left = fee - closing if pending.closed_id else fee
        shares.append(FeeShare(pending.position_id, left, is_closed=not is_open))
    return FeeBooked(known, rate[0], rate[1], fee, tuple(shares))


def _is_quote(asset: str, symbol: Symbol, instruments: Mapping[Symbol, Instrument]) -> bool:
    instrument = instruments.get(symbol)
    if not asset or instrument is None:
        return not asset or symbol.endswith(asset)
    return asset == instrument.quote_asset


def _refuse_nonsense(state: AccountState, amount: Decimal) -> None:
    if not is_sane(amount):
        raise StateCorrupt(f"{state.account_id}: a fee of {amount}")

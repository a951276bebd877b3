"""Six kinds of instruments, and accounts of many kinds to trade them."""

from __future__ import annotations

from decimal import Decimal as D
from random import Random

from actors.core.instruments import Bracket, Instrument
from actors.core.units import Symbol
from tests.model.terms import SEED_TIERS, Terms

# symbol: tick, step, least quantity, most in one market order, least notional, price
ROWS = {
    "BTCUSDT": ("0.10", "0.001", "0.001", "120", "100", "60000"),
    "ETHUSDT": ("0.01", "0.001", "0.001", "2000", "20", "2500"),
    # A price between one and a thousand.
    "SOLUSDT": ("0.01", "0.1", "0.1", "50000", "5", "150"),
    # Its twin: two positions can be of exactly the same size.
    "TWINUSDT": ("0.01", "0.1", "0.1", "50000", "5", "150"),
    # A cheap coin: billions of units, and a price with as many digits after the point.
    "PEPEUSDT": ("0.0000000001", "1", "1", "900000000000", "5", "0.0000001187"),
    # A large step, and little in one market order: everything takes several rounds.
    "LOTUSDT": ("0.0001", "100", "100", "600", "5", "0.8"),
    # The least quantity is worth more than the least notional.
    "UNITUSDT": ("0.001", "1", "10", "5000", "5", "3"),
}

TWINS = {"SOLUSDT": "TWINUSDT", "TWINUSDT": "SOLUSDT"}

TIER_SETS = (
    SEED_TIERS,
    SEED_TIERS,
    ((D("0.64"), D("0.25")), (D("0.8"), D(1))),
    ((D("0.5"), D("0.1")), (D("0.625"), D("0.2")), (D("0.8"), D("0.9"))),
    ((D("0.8"), D("0.5")), (D(1), D(1))),
    ((D("0.25"), D(1)),),
)


def brackets_of(scale: D) -> tuple[Bracket, ...]:
    """Three brackets that begin at 0, ``scale`` and 5 x ``scale``; maintenance is continuous."""
    found, cumulative, floor = [], D(0), D(0)
    rates = (("0.004", scale, 125), ("0.01", scale * 5, 50), ("0.05", D(10) ** 12, 10))
    for at, (text, cap, leverage) in enumerate(rates):
        rate = D(text)
        if at:
            cumulative += floor * (rate - D(rates[at - 1][0]))
        found.append(
            Bracket(
                notional_floor=floor,
                notional_cap=cap,
                rate=rate,
                cumulative=cumulative,
                max_leverage=leverage,
            )
        )
        floor = cap
    return tuple(found)


def instrument(symbol: str, scale: D) -> Instrument:
    """One of the six, with brackets in proportion to the account."""
    tick, step, least, most, notional, _ = ROWS[symbol]
    return Instrument(
        symbol=Symbol(symbol), base_asset=symbol[:-4], quote_asset="USDT", tick_size=D(tick), step_size=D(step),
        min_qty=D(least), max_qty=D(10) ** 12, market_max_qty=D(most), min_notional=D(notional),
        brackets=brackets_of(scale),
    )  # fmt: skip


def symbols_of(rng: Random) -> list[str]:
    """What an account trades: one to three symbols, the twins often together."""
    if rng.random() < 0.2:
        return sorted(TWINS)
    return rng.sample(sorted(ROWS), rng.choice([1, 2, 3, 3]))


def terms_of(rng: Random, balance: D, symbols: list[str]) -> Terms:
    """Terms at random: every basis, mark source and mode; tight limits now and then."""
    scale = balance * rng.choice([2, 10, 40])
    tight, twins = rng.random() < 0.15, set(symbols) == set(TWINS)
    return Terms(
        rate=D(rng.choice(["0.005", "0.01", "0.02", "0.04"])),
        mode=rng.choice(["ADL_30"] * (2 if twins else 4) + ["INSTANT_CLOSE", "TAKEOVER"] * (not twins)),
        basis=rng.choice(["entry", "entry" if twins else "mark", "mark", "brackets"]),
        mark_source=rng.choice(["mid", "exit"]),
        tiers=rng.choice(TIER_SETS),
        max_leverage=D(rng.choice([20, 100, 125])),
        max_notional=balance * 5 if tight else D(10) ** 9,
        max_exposure=balance * 8 if tight else D(10) ** 9,
        usage=D(rng.choice(["0.98", "0.98", "0.8"])),
        taker_fee=D(rng.choice(["0.0005", "0.0005", "0.002"])),
        losers_first=rng.random() < 0.3,
        cooldown_s=rng.choice([0, 0, 0, 5]),
        all_below=rng.choice([None, None, None, balance * 3]),
        rules={s: instrument(s, scale) for s in symbols},
    )

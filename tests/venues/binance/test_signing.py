"""Signatures against the exchange's published example."""

from __future__ import annotations

from actors.venues.binance.signing import sign

# Key and order of Binance's own USD-M documentation.
SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
PARAMS = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "9000", "timeInForce": "GTC",
    "recvWindow": "5000", "timestamp": "1591702613943",
}  # fmt: skip
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


def test_the_published_example():
    assert sign(PARAMS, SECRET).endswith(f"&signature={SIGNATURE}")

"""Signatures against the exchange's published example, and against tampering."""

from __future__ import annotations

from actors.venues.binance.signing import sign, verify

# Key and order of Binance's own USD-M documentation.
SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
PARAMS = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "9000", "timeInForce": "GTC",
    "recvWindow": "5000", "timestamp": "1591702613943",
}  # fmt: skip
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


def test_the_published_example():
    assert sign(PARAMS, SECRET).endswith(f"&signature={SIGNATURE}")


def test_what_was_signed_verifies_and_nothing_else_does():
    query = sign(PARAMS, SECRET)
    assert verify(query, SECRET)
    assert not verify(query, SECRET + "x")
    assert not verify(query.replace("quantity=1", "quantity=2"), SECRET)
    assert not verify(query[:-1], SECRET)
    assert not verify("symbol=BTCUSDT", SECRET)
    assert not verify("", SECRET)
    assert not verify(query.replace(SIGNATURE, "\u00e9" * 64), SECRET)

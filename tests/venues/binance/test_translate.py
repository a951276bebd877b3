"""What the exchange says about waiting."""

from __future__ import annotations

import pytest

from actors.venues.binance.translate import RETRY_UNREADABLE_MS, retry_after_ms

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", 0),
        ("0", 0),
        ("3", 3_000),
        ("1.5", 1_500),
        ("-4", 0),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10_000),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("soon", RETRY_UNREADABLE_MS),
        ("nan", RETRY_UNREADABLE_MS),
        ("inf", RETRY_UNREADABLE_MS),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_an_exception(header, expected):
    assert retry_after_ms(header, NOW) == expected

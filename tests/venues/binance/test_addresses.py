"""Where streams are: derived for hosts that are known, asked for by name for others."""

from __future__ import annotations

import pytest

from actors.core.errors import BadConfig
from actors.venues.binance.addresses import addresses

BINANCE = "https://fapi.binance.com"


@pytest.mark.parametrize(
    ("rest", "public", "private"),
    [
        (BINANCE, "wss://fstream.binance.com/public", "wss://fstream.binance.com/private"),
        (BINANCE + "/", "wss://fstream.binance.com/public", "wss://fstream.binance.com/private"),
        (
            "https://demo-fapi.binance.com",
            "wss://fstream.binancefuture.com/public",
            "wss://fstream.binancefuture.com/private",
        ),
        ("http://127.0.0.1:8790", "ws://127.0.0.1:8790/public", "ws://127.0.0.1:8790/private"),
        ("https://localhost:1", "wss://localhost:1/public", "wss://localhost:1/private"),
        ("http://[::1]:5", "ws://[::1]:5/public", "ws://[::1]:5/private"),
    ],
)
def test_known_hosts_need_no_setting(rest, public, private):
    found = addresses(rest)
    assert (found.rest, found.public, found.private) == (rest.rstrip("/"), public, private)


def test_each_base_can_be_given():
    found = addresses("https://proxy.test", "wss://a.test/public/", "wss://b.test:9/private")
    assert (found.public, found.private) == ("wss://a.test/public", "wss://b.test:9/private")
    assert addresses(BINANCE, private="wss://b.test").public == "wss://fstream.binance.com/public"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("https://proxy.test",), "exchange_ws_public: must be set, because the streams of proxy.test"),
        (("https://proxy.test", "wss://a.test"), "exchange_ws_private: must be set"),
        (("ftp://x",), "exchange: 'ftp://x' is not a http:// or https:// address"),
        (("http://",), "exchange: 'http://' is not"),
        (("http://x:99999",), "exchange: 'http://x:99999' is not"),
        ((BINANCE, "https://a.test"), "exchange_ws_public: 'https://a.test' is not a ws:// or wss://"),
        ((BINANCE, "wss://fstream.binance.com/ws"), "ends with /ws"),
        ((BINANCE, "wss://fstream.binance.com/private"), "ends with /private"),
        ((BINANCE, "", "wss://fstream.binance.com/public"), "ends with /public"),
    ],
)
def test_a_bad_address_is_named_with_its_setting(given, said):
    with pytest.raises(BadConfig, match=said.replace("/", "[/]")):
        addresses(*given)

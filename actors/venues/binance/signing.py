"""Binance's request signatures: HMAC-SHA256 over the query string. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

_MARK = "&signature="


def sign(params: Mapping[str, str], secret: str) -> str:
    """The query string of ``params`` with its signature at the end."""
    query = urlencode(params)
    return f"{query}{_MARK}{_digest(query, secret)}"


def verify(query: str, secret: str) -> bool:
    """Whether a query string ends with the right signature; takes the same time either way."""
    signed, mark, signature = query.rpartition(_MARK)
    if not mark:
        return False
    return hmac.compare_digest(_digest(signed, secret).encode(), signature.encode())


def _digest(query: str, secret: str) -> str:
    return hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()

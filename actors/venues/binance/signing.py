"""Binance's request signatures: HMAC-SHA256 over the query string. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode


def sign(params: Mapping[str, str], secret: str) -> str:
    """The query string of ``params`` with its signature at the end."""
    query = urlencode(params)
    signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{query}&signature={signature}"

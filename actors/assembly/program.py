"""Which release this program is."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def program() -> str:
    """Its version; empty where it is not installed."""
    try:
        return metadata.version("bulkhead")
    except metadata.PackageNotFoundError:
        return ""

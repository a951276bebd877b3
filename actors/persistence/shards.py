"""The logical shard of an account. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from actors.core.units import AccountId

SHARDS = 256


@lru_cache(maxsize=250_000)
def shard_of(account_id: AccountId) -> int:
    """The logical shard of an account: a stable hash, never to change."""
    return int.from_bytes(hashlib.blake2b(account_id.encode(), digest_size=8).digest()) % SHARDS

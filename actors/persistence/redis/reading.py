"""Reads what Redis has of an account while the engine has nothing yet.

I/O: a connection to a Redis of its own, from any thread.
"""

from __future__ import annotations

from typing import cast

from actors.core.errors import RedisRefused, StateCorrupt
from actors.core.units import AccountId
from actors.persistence.redis import snapshots
from actors.persistence.redis.connection import connect, explained
from actors.persistence.redis.snapshots import Snapshot

SILENT_S = 0.5
"""Whoever asks waits no longer."""


class SnapshotReader:
    """See the module.

    Args:
        url: of the Redis.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url, SILENT_S)

    def snapshot(self, account_id: AccountId) -> Snapshot | None:
        """The risk snapshot of an account, whoever wrote it; None if there is none.

        Raises:
            RedisUnreachable: no answer.
            RedisRefused: an answer that is none, or no snapshot.
        """
        key = snapshots.key_of(account_id)
        with explained(f"key {key}"):
            text = cast("bytes | None", self._client.get(key))
        if text is None:
            return None
        try:
            return snapshots.decode(text, account_id)
        except StateCorrupt as error:
            raise RedisRefused(str(error)) from None

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

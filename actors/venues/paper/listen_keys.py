"""Listen keys: one at a time, valid for an hour after the last request for it. Pure."""

from __future__ import annotations

import hashlib

from actors.venues.paper.codes import ExchangeRefusal, PaperCode


class ListenKeys:
    """The master account's listen key.

    Args:
        seed: input to the key's hash.
        alive_ms: validity of a key, in milliseconds.
    """

    def __init__(self, seed: str, alive_ms: int) -> None:
        self._seed, self._alive_ms = seed, alive_ms
        self._made = 0
        self._key = ""
        self._until_ms = 0

    def valid(self, now_ms: int) -> str:
        """The valid key, or an empty string."""
        return self._key if self._key and now_ms < self._until_ms else ""

    def get(self, now_ms: int) -> str:
        """The valid key, or a new one; its validity starts again now."""
        if not self.valid(now_ms):
            self._made += 1
            self._key = hashlib.sha256(f"{self._seed}:{self._made}:{now_ms}".encode()).hexdigest()
        self._until_ms = now_ms + self._alive_ms
        return self._key

    def extend(self, now_ms: int) -> str:
        """Extend the valid key; its validity starts again now.

        Raises:
            ExchangeRefusal: there is no valid key.
        """
        if not self.valid(now_ms):
            raise ExchangeRefusal(PaperCode.INVALID_LISTEN_KEY)
        return self.get(now_ms)

    def close(self) -> str:
        """Invalidate the key and return it."""
        was, self._key = self._key, ""
        return was

    def expire_at(self, now_ms: int) -> None:
        """Let the key expire now."""
        self._until_ms = min(self._until_ms, now_ms)

    def pop_expired(self, now_ms: int) -> str:
        """Remove an expired key and return it; an empty string if there is none."""
        return self.close() if self._key and now_ms >= self._until_ms else ""

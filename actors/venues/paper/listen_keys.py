"""Listen keys: one at a time, alive for an hour after it was asked for last. Pure."""

from __future__ import annotations

import hashlib

from actors.venues.paper.codes import ExchangeRefusal, PaperCode


class ListenKeys:
    """The master account's listen key.

    Args:
        seed: what keys are made from.
        alive_ms: how long a key lives.
    """

    def __init__(self, seed: str, alive_ms: int) -> None:
        self._seed, self._alive_ms = seed, alive_ms
        self._made = 0
        self._key = ""
        self._until_ms = 0

    def live(self, now_ms: int) -> str:
        """The key that is alive, empty if none is."""
        return self._key if self._key and now_ms < self._until_ms else ""

    def get(self, now_ms: int) -> str:
        """The live key, a new one if there is none, alive for its whole time from now on."""
        if not self.live(now_ms):
            self._made += 1
            self._key = hashlib.sha256(f"{self._seed}:{self._made}:{now_ms}".encode()).hexdigest()
        self._until_ms = now_ms + self._alive_ms
        return self._key

    def extend(self, now_ms: int) -> str:
        """The live key, alive for its whole time from now on.

        Raises:
            ExchangeRefusal: there is none.
        """
        if not self.live(now_ms):
            raise ExchangeRefusal(PaperCode.INVALID_LISTEN_KEY)
        return self.get(now_ms)

    def close(self) -> str:
        """No key is alive any more; returns the one that was."""
        was, self._key = self._key, ""
        return was

    def end_at(self, now_ms: int) -> None:
        """The key's time is over now."""
        self._until_ms = min(self._until_ms, now_ms)

    def expire(self, now_ms: int) -> str:
        """The key whose time is over, once; empty otherwise."""
        return self.close() if self._key and now_ms >= self._until_ms else ""

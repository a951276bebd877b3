"""An answer that costs something, for many who ask: computed once for all who ask meanwhile, and kept for a short time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SharedAnswer(Generic[Answer]):
    """See the module. Thread-safe. An error is an answer too: it is raised for all who share it.

    Args:
        ask: computes the answer; never runs twice at once.
        keep_s: for how many seconds an answer is given again.
    """

    def __init__(self, ask: Callable[[], Answer], keep_s: float) -> None:
        self._ask, self._keep_s = ask, keep_s
        self._lock = threading.Lock()
        self._until_s = float("-inf")
        self._answer: Answer
        self._error: Exception | None = None

    def get(self) -> Answer:
        """The answer, not older than ``keep_s``.

        Raises:
            Exception: what ``ask`` raised.
        """
        with self._lock:
            if time.monotonic() >= self._until_s:
                self._error = None
                try:
                    self._answer = self._ask()
                except Exception as error:  # noqa: BLE001 - raised below, for whoever asks
                    self._error = error
                self._until_s = time.monotonic() + self._keep_s
            if self._error is not None:
                raise self._error
            return self._answer

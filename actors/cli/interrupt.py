"""Ctrl-C while the program is still being read: it ends at once and says nothing.

As in a shell, the exit code is that of a program that the signal ended. A traceback of half an import helps nobody. What this
file imports takes some milliseconds, in which it is not in force yet; so it imports next to nothing.
"""

from __future__ import annotations

import os
import signal

EXIT_INTERRUPTED = 128 + signal.SIGINT


class QuietInterrupt:
    """For a block of imports alone: nothing is cleaned up. A signal that is ignored, as in a background job, stays so."""

    _is_ours = False

    def __enter__(self) -> None:
        try:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                # No KeyboardInterrupt: raised in the middle of a class it becomes other errors.
                signal.signal(signal.SIGINT, lambda *_signal: os._exit(EXIT_INTERRUPTED))
                self._is_ours = True
        except ValueError:
            pass  # another thread than the main one, which gets no signals

    def __exit__(self, *_error: object) -> None:
        if self._is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

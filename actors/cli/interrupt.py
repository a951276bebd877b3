"""Ctrl-C while the program is still being read: it ends at once and says nothing.

As in a shell, the exit code is that of a program that the signal ended. A traceback of half an import helps nobody.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

EXIT_INTERRUPTED = 128 + signal.SIGINT


@contextmanager
def ends_quietly() -> Iterator[None]:
    """For imports alone: nothing is cleaned up. A signal that is ignored, as in a background job, stays so."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if is_ours:
        # No KeyboardInterrupt: raised in the middle of a class it becomes other errors.
        signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_signal: object) -> NoReturn:
    os._exit(EXIT_INTERRUPTED)

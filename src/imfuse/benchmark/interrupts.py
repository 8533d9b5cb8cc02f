"""Ctrl-C reaches every process of a terminal: one that is just starting would end with a traceback.

And if it came between the start of processes and that of the thread which looks after them, they would wait for ever.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C counts after the block; processes that are started in it never see one, unless they release it.

    Windows cannot hide it from the processes. It comes to the main thread, and so is held there only.
    """
    held: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    _mask("SIG_BLOCK")
    try:
        yield
    finally:
        _mask("SIG_UNBLOCK")
        signal.signal(signal.SIGINT, handler)
        if held:
            signal.raise_signal(signal.SIGINT)


def release_interrupts() -> None:
    """Let Ctrl-C through again, in a process that was started while it was held."""
    _mask("SIG_UNBLOCK")


def _mask(how: str) -> None:
    """Processes inherit what is blocked, but no handler."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(getattr(signal, how), {signal.SIGINT})

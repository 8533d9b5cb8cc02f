"""SIGTERM, by which systems ask a process to end, as an exception: what is under way is finished, as after Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, as a cluster, a container or a system that shuts down does.

    A ``KeyboardInterrupt``, so that whoever tidies up after Ctrl-C does so after this as well. The command line ends
    with exit code 143.

    Example:
        ```python
        try:
            imfuse.Fuser("auif").folder("infrared/", "visible/", "fused/")
        except Terminated:
            print("the rest is done when this is run again")
        ```
    """


@contextmanager
def raise_terminated() -> Iterator[None]:
    """Raise :class:`Terminated` on SIGTERM while the block runs.

    Only where nobody else listens to it, and in the main thread, since Python allows it there alone.

    Example:
        ```python
        with raise_terminated():
            work_through_a_folder()
        ```
    """
    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    # A second one ends the process where it is.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated

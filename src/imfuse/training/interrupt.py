"""Ctrl-C and SIGTERM end a run after the step it is in, with a checkpoint: nothing is lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from imfuse.core.signals import Terminated

REASONS: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


class StopSignals:
    """Notes the first Ctrl-C or SIGTERM; a second one ends the process where it is.

    A context around ``trainer.fit``, not a pair of hooks: Lightning restores the handlers that it replaced in between.
    """

    def __init__(self) -> None:
        self.received: type[KeyboardInterrupt] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        """Listen (Python allows that in the main thread alone)."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in REASONS}

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen_to_sigterm(self) -> None:
        """Listen again where Lightning has put its own handler, which ends a run in the middle of a validation."""
        if self._before and self.received is None:
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = REASONS[number]
        signal.signal(number, self._before[number])


class Interrupted(Exception):
    """Ends the training loop after a step that Ctrl-C or SIGTERM came in."""

"""What a video is to this library: frames with their times, from wherever they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """A picture of a video.

    Args:
        picture: (H, W) or (H, W, 3), uint8 or uint16.
        time: when it was taken, in seconds: from the first frame of a file, by one clock for all cameras.
        read: when it was read, by ``time.perf_counter``.

    Example:
        >>> import numpy as np
        >>> Frame(np.zeros((48, 64), np.uint8), 0.04).time
        0.04
    """

    picture: npt.NDArray[Any]
    time: float
    read: float = field(default_factory=perf_counter, compare=False)


class Frames(ABC):
    """The frames of one source, an iterable for one pass; a context that closes it.

    Example:
        ```python
        with open_frames("visible.mp4") as frames:
            pictures = [frame.picture for frame in frames]
            print(frames.name, frames.size, frames.rate, frames.damaged, frames.stopped)
        ```
    """

    name: str
    """What messages call it."""
    size: tuple[int, int]
    """Height and width."""
    rate: float
    """Frames per second, as the source states it or as it was given."""
    length: int | None = None
    """How many there are, ``None`` where nobody knows."""
    live: bool = False
    """Whether they come from a camera now, so that their times are those of the clock."""
    damaged: int = 0
    """How many frames could not be decoded as they were meant so far."""
    stopped: str = ""
    """Why it ended before its end, once it did."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames in the order in which they were taken."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the source. A thread that reads ends at its next frame."""

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

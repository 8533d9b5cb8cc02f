"""Stages of a run in threads: so many items ahead as memory allows, and results in the order of the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

AHEAD_PIXELS = 32_000_000

Item = TypeVar("Item")
Mapped = TypeVar("Mapped")


class Pace:
    """How many pairs may be under way in a stage: fewer of large pictures, which need about 40 bytes per pixel."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # Nothing is known before the first picture is read, so begin as if they were large.
        self.largest = AHEAD_PIXELS

    def observe(self, pixels: int, first: bool) -> None:
        """A pair of so many pixels was read."""
        self.largest = pixels if first else max(self.largest, pixels)

    def depth(self) -> int:
        """How many pairs may be under way."""
        return min(2 * self.workers, AHEAD_PIXELS // self.largest)


def in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Mapped],
    items: Iterable[Item],
    depth: Callable[[], int],
    eager: bool = False,
) -> Iterator[Mapped]:
    """Map in threads, in order, with ``depth()`` items ahead; ``eager`` hands out what is done before it takes more."""
    under_way: deque[Future[Mapped]] = deque()
    for item in items:
        under_way.append(pool.submit(function, item))
        del item
        while under_way and (len(under_way) > depth() or (eager and under_way[0].done())):
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


@contextmanager
def threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that ends with what it is doing, whatever happens."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        # After Ctrl-C what is being written is finished, and nothing new begins.
        pool.shutdown(wait=True, cancel_futures=True)

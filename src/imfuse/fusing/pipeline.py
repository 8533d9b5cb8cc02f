"""Steps in threads of their own, one behind the other, with few items between two of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
_PATIENCE = 2.0
"""Seconds that the thread which reads may take to end; one that waits for a camera is left behind."""


class Closed(Exception):
    """Nobody takes or gives anything any more."""


class Channel(Generic[Item]):
    """A queue between two threads that either can close.

    Args:
        depth: how many items it holds; who puts more waits.
        newest: the oldest is dropped instead of waiting, for live pictures.
    """

    def __init__(self, depth: int, *, newest: bool = False) -> None:
        self.depth, self.newest, self.dropped = depth, newest, 0
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False

    def put(self, item: Item) -> None:
        """Add an item. Raises ``Closed`` where nobody takes it."""
        with self._changed:
            if self.newest and len(self._items) >= self.depth:
                self._items.popleft()
                self.dropped += 1
            self._changed.wait_for(lambda: self._closed or len(self._items) < self.depth)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def take(self, most: int = 1) -> list[Item]:
        """The next items that are there, at least one. Raises ``Closed`` behind the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ended or self._items)
            if self._closed or not self._items:
                raise Closed
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._changed.notify_all()
            return taken

    def end(self) -> None:
        """Nothing is added any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what is there, and let nobody wait."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


@dataclass(frozen=True)
class _Failure:
    error: BaseException


@dataclass(frozen=True)
class Step:
    """A function of several items, for as many results; ``most`` of them are given to it at a time."""

    function: Callable[[list[Any]], list[Any]]
    most: int = 1

    @classmethod
    def of_one(cls, function: Callable[[Any], Any]) -> Step:
        """A function of one item."""
        return cls(lambda items: [function(item) for item in items])


class Pipeline(Iterator[Any]):
    """What the last of several steps makes of the items of an iterable, in their order.

    The iterable and each step have a thread. An error in one of them is raised behind the results of what came before.
    Closing it, by hand or as a context, ends the threads; so does its end.

    Args:
        items: what is worked on, taken in a thread.
        steps: functions of items.
        depth: how many items wait before each step.
        newest: of items that come faster than they are worked on, drop the older ones.
    """

    def __init__(self, items: Iterable[Any], *steps: Step, depth: int = 2, newest: bool = False) -> None:
        depth = 1 if newest else depth
        channels = [Channel[Any](depth, newest=newest), *(Channel[Any](depth) for _ in steps)]
        # Threads know channels and not the pipeline, so that one that is forgotten ends.
        self._threads = [_thread(_feed, items, channels[0])]
        self._threads += [_thread(_work, *work) for work in zip(steps, channels, channels[1:], strict=False)]
        self._channels = channels
        for thread in self._threads:
            thread.start()

    @property
    def dropped(self) -> int:
        """How many items were dropped for newer ones."""
        return self._channels[0].dropped

    def __next__(self) -> Any:
        try:
            [item] = self._channels[-1].take()
        except Closed:
            self.close()
            raise StopIteration from None
        if isinstance(item, _Failure):
            self.close()
            raise item.error
        return item

    def close(self) -> None:
        """End the threads; what is under way is finished, and dropped."""
        for channel in self._channels:
            channel.close()
        # A step ends with what it is doing: a network that runs when Python ends would take the process with it.
        for thread, patience in zip(self._threads, (_PATIENCE, *(None for _ in self._threads)), strict=False):
            if thread is not threading.current_thread():
                thread.join(patience)

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        for channel in self._channels:
            channel.close()


def _thread(function: Callable[..., None], *words: Any) -> threading.Thread:
    return threading.Thread(target=function, args=words, name="imfuse", daemon=True)


def _feed(items: Iterable[Any], behind: Channel[Any]) -> None:
    def feed() -> None:
        for item in items:
            behind.put(item)

    _until_closed(feed, behind)


def _work(step: Step, before: Channel[Any], behind: Channel[Any]) -> None:
    def work() -> None:
        while True:
            try:
                items = before.take(step.most)
            except Closed:
                return
            if isinstance(items[-1], _Failure):
                results = [*(step.function(items[:-1]) if items[:-1] else ()), items[-1]]
            else:
                results = step.function(items)
            for result in results:
                behind.put(result)
            del items, results

    _until_closed(work, behind)
    before.close()


def _until_closed(work: Callable[[], None], behind: Channel[Any]) -> None:
    """Work; what goes wrong is handed on."""
    try:
        work()
    except Closed:
        pass
    except BaseException as error:
        with suppress(Closed):
            behind.put(_Failure(error))
    behind.end()

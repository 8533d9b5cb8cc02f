"""Mappings that installed packages add to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TypeVar

T = TypeVar("T")


class OpenMapping(MutableMapping[str, T]):
    """Things by name, ours first; those of other packages are loaded when somebody looks into it.

    Args:
        own: what this library brings.
        load: called before the mapping is read.
    """

    def __init__(self, own: Mapping[str, T], load: Callable[[], None]) -> None:
        self._items, self._load = dict(own), load

    def __getitem__(self, name: str) -> T:
        self._load()
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(dict(self._items))

    def __len__(self) -> int:
        self._load()
        return len(self._items)

    def __setitem__(self, name: str, value: T) -> None:
        self._items[name] = value

    def __delitem__(self, name: str) -> None:
        del self._items[name]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self)})"

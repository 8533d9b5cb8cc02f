"""Looks through the pickle of a checkpoint, without running it, before PyTorch's safe unpickler does.

That one calls nothing that could do harm, but some of what it calls takes memory or time without a bound: a byte array
of any size, storages larger than the file, a key whose hash takes years. Here the opcodes move stand-ins on a stack, so
that each name, key and size is known before anything is made of it. What no checkpoint of plain tensors has is refused.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from imfuse.core.text import shortened

MAX_STEPS = 500_000
"""Opcodes of a file: some 15,000 tensors, and about a second."""
_SIZES = {
    "torch DoubleStorage": 8,
    "torch LongStorage": 8,
    "torch FloatStorage": 4,
    "torch IntStorage": 4,
    "torch HalfStorage": 2,
    "torch BFloat16Storage": 2,
    "torch ShortStorage": 2,
    "torch ByteStorage": 1,
    "torch CharStorage": 1,
    "torch BoolStorage": 1,
}
_ORDERED = "collections OrderedDict"
_COUNTER = "collections Counter"
_CALLED = {
    _ORDERED,
    _COUNTER,
    "torch Size",
    "torch device",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
}
_DTYPES = {
    f"torch {name}" for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "uint8")
}
_IMPORTED = _CALLED | _DTYPES | _SIZES.keys()
_LIST, _DICT = "list", "dict"


class Refused(Exception):
    """What speaks against opening a checkpoint, in printable words."""


@dataclass(frozen=True)
class _Name:
    """Stands for what a pickle imports."""

    text: str


@dataclass(frozen=True)
class _Made:
    """Stands for an object that is made while a pickle is loaded."""

    kind: str


@dataclass
class Scan:
    """What the pickles of one file ask for.

    Args:
        storages: bytes of the storage of each key.
        steps: opcodes so far.
    """

    storages: dict[str, int] = field(default_factory=dict)
    steps: int = 0

    def object(self, stream: BinaryIO) -> None:
        """Look through one pickle of tensors, up to its end. Raises :class:`Refused`."""
        self._run(stream, _Stack(self.storages))

    def plain(self, stream: BinaryIO) -> set[str]:
        """Look through one pickle of numbers and texts alone, up to its end; returns its texts. Raises `Refused`."""
        stack = _Stack({})
        self._run(stream, stack)
        if stack.compound:
            raise Refused("its form is not that of torch.save")
        return stack.texts

    def _run(self, stream: BinaryIO, stack: _Stack) -> None:
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                self.steps += 1
                if self.steps > MAX_STEPS:
                    raise Refused(f"its pickle has more than {MAX_STEPS} steps")
                stack.step(opcode.name, argument)
        except (IndexError, KeyError, ValueError) as error:
            raise Refused("its pickle is damaged") from error


class _Stack:
    """The unpickler's stack with stand-ins; numbers, texts and tuples stand for themselves."""

    def __init__(self, storages: dict[str, int]) -> None:
        self.storages = storages
        self.items: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.texts: set[str] = set()
        self.compound = False
        """Whether there is anything but numbers, texts, lists and dictionaries."""

    def step(self, name: str, argument: Any) -> None:
        """One opcode; those that PyTorch's unpickler does not know are refused."""
        match name:
            case "BINGET" | "LONG_BINGET":
                self.items.append(self.memo[argument])
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.items[-1]
            case "BININT" | "BININT1" | "BININT2" | "LONG1":
                self.items.append(argument)
            case "BINUNICODE" | "SHORT_BINSTRING":
                self.texts.add(argument)
                self.items.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "BINFLOAT":
                self.items.append(None)
            case "EMPTY_LIST":
                self.items.append(_Made(_LIST))
            case "EMPTY_DICT":
                self.items.append(_Made(_DICT))
            case "MARK":
                self.marks.append(self.items)
                self.items = []
            case "APPEND":
                self.items.pop()
                self._check_target(_LIST)
            case "APPENDS":
                self._since_mark()
                self._check_target(_LIST)
            case "SETITEM":
                self.items.pop()
                self._check_keys([self.items.pop()])
            case "SETITEMS":
                self._check_keys(self._since_mark()[::2])
            case "PROTO" | "STOP":
                pass
            case _:
                self.compound = True
                self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        match name:
            case "EMPTY_TUPLE":
                self.items.append(())
            case "TUPLE":
                items = tuple(self._since_mark())
                self.items.append(items)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                self.items[-count:] = [tuple(self.items[-count:])]
            case "GLOBAL":
                if argument not in _IMPORTED:
                    raise Refused(f"it asks for {shortened(argument.replace(' ', '.'))}")
                self.items.append(_Name(argument))
            case "REDUCE":
                self._call()
            case "BUILD":
                self.items.pop()
                self._check_target(_ORDERED)
            case "BINPERSID":
                self._storage(self.items.pop())
            case _:
                raise Refused(f"its pickle has the opcode {name}")

    def _since_mark(self) -> list[Any]:
        items, self.items = self.items, self.marks.pop()
        return items

    def _check_target(self, *kinds: str) -> None:
        target = self.items[-1]
        if not isinstance(target, _Made) or target.kind not in kinds:
            raise Refused("its pickle puts things where they do not belong")

    def _check_keys(self, keys: list[Any]) -> None:
        """The hash of nested tuples can take any time, and no checkpoint has such keys."""
        self._check_target(_DICT, _ORDERED)
        if not all(isinstance(key, (int, str)) for key in keys):
            raise Refused("a key of it is neither a text nor a number")

    def _call(self) -> None:
        arguments, function = self.items.pop(), self.items.pop()
        if not isinstance(function, _Name) or function.text not in _CALLED or not isinstance(arguments, tuple):
            raise Refused("it calls what no checkpoint calls")
        # Schedules count their steps in a Counter, which is made of a dictionary whose keys were checked.
        if (function.text == _ORDERED and arguments) or (function.text == _COUNTER and arguments != (_Made(_DICT),)):
            raise Refused("a dictionary of it is filled as no checkpoint fills it")
        self.items.append(_Made(function.text))

    def _storage(self, identity: Any) -> None:
        """A storage: ``("storage", type, key, location, number of elements)``, in old files also what it is part of."""
        match identity:
            case ("storage", _Name(text), str(key), str(_), int(count), *rest) if (
                text in _SIZES and count >= 0 and rest in ([], [None])
            ):
                self.storages[key] = max(self.storages.get(key, 0), count * _SIZES[text])
            case _:
                raise Refused("a storage of it is described as none is")
        self.items.append(_Made("storage"))

"""The public docstrings, those that ``docs/api.md`` shows, have one form.

A summary in one line; text; then, where they apply and in this order, the sections of ``SECTIONS``. A function has
``Args:`` with exactly the names of its signature, ``Returns:`` if it returns anything, and an ``Example:``, a doctest
or, for what needs files or takes long, a block of code. So does a class, for the parameters of its constructor; a
record, whose fields are its parameters, may call them ``Attributes:``. Methods need no example of their own.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Source", "Example")
OTHER_SECTIONS = ("Arguments", "Parameters", "Return", "Yields", "Note", "Notes", "Examples", "References")


@dataclasses.dataclass(frozen=True)
class Documented:
    """Something that the page shows: by which name, and whether an example of its own is wanted."""

    name: str
    thing: Any
    example: bool = True


def entries(page: str) -> Iterator[tuple[str, list[str] | None]]:
    """Dotted name of each ``:::`` entry, and the members that it shows (``None``: all that are public)."""
    for name, options in re.findall(r"^::: (\S+)\n((?:    .*\n)*)", page, re.MULTILINE):
        yield name, (yaml.safe_load(options) or {}).get("options", {}).get("members") if options else None


def resolve(name: str) -> Any:
    """The object of a dotted name: as much of it as can be imported, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise
            continue
        for part in parts[length:]:
            thing = getattr(thing, part)
        return thing
    raise LookupError(name)


def of_entry(name: str, members: list[str] | None) -> Iterator[Documented]:
    """An entry and what is shown below it."""
    thing = resolve(name)
    if isinstance(thing, ModuleType):
        for key, value in vars(thing).items():
            if not key.startswith("_") and getattr(value, "__module__", None) == thing.__name__:
                if inspect.isclass(value):
                    yield from of_object(f"{name}.{key}", value, None)
                elif inspect.isfunction(inspect.unwrap(value)):
                    yield Documented(f"{name}.{key}", inspect.unwrap(value))
    else:
        yield from of_object(name, thing, members)


def of_object(name: str, thing: Any, members: list[str] | None) -> Iterator[Documented]:
    yield Documented(name, thing)
    if inspect.isclass(thing):
        own = vars(thing)
        shown = members if members is not None else [key for key in own if not key.startswith("_")]
        for key in shown:
            value = inspect.unwrap(getattr(own.get(key), "__func__", own.get(key)) or getattr(thing, key))
            if inspect.isfunction(value):
                yield Documented(f"{name}.{key}", value, example=False)


def documented() -> dict[str, Documented]:
    page = PAGE.read_text(encoding="utf-8")
    return {item.name: item for name, members in entries(page) for item in of_entry(name, members)}


def sections(text: str) -> dict[str, str]:
    """Heading -> content of the sections of a cleaned docstring; "" is what stands before them."""
    parts = re.split(rf"^({'|'.join((*SECTIONS, *OTHER_SECTIONS))}):\n", text, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def described(section: str) -> list[str]:
    """Names that a section of parameters describes, in its order; stars are left out."""
    return re.findall(r"^    \*{0,2}(\w+)(?: \([^)]*\))?: \S", section, re.MULTILINE)


def parameters(thing: Any) -> list[str] | None:
    """Names that ``Args:`` has to describe; ``None`` where that is told elsewhere (fields with descriptions)."""
    if inspect.isclass(thing):
        if issubclass(thing, BaseModel):
            undescribed = [name for name, field in thing.model_fields.items() if not field.description]
            return list(thing.model_fields) if undescribed else None
        if issubclass(thing, tuple) and hasattr(thing, "_fields"):
            return list(thing._fields)
        if "__init__" not in vars(thing) or getattr(thing, "_is_protocol", False):
            return []
        thing = thing.__init__
    names = list(inspect.signature(thing).parameters)
    return [name for name in names if name not in ("self", "cls")]


def own_fields(thing: Any, names: list[str]) -> list[str]:
    """Of a record that derives from another, which describes the rest, the fields that it adds; else all names."""
    if not (dataclasses.is_dataclass(thing) and any(map(dataclasses.is_dataclass, thing.__mro__[1:]))):
        return names
    return [name for name in names if name in vars(thing).get("__annotations__", ())]


def returns(function: Any) -> bool:
    """Whether a function returns something, by its annotation."""
    annotation = inspect.signature(function).return_annotation
    return annotation not in (None, "None", "NoReturn", inspect.Signature.empty)


def faults(item: Documented) -> Iterator[str]:
    """What a docstring lacks, a sentence each."""
    # A class without a docstring would show that of its base.
    text = inspect.cleandoc((vars(item.thing)["__doc__"] if inspect.isclass(item.thing) else item.thing.__doc__) or "")
    first, _, rest = text.partition("\n")
    if not first.endswith((".", "?")) or (rest.strip() and not rest.startswith("\n")):
        yield "the summary is one sentence in one line, and an empty line follows"
    found = sections(text)
    unknown = [name for name in found if name and name not in SECTIONS]
    if unknown:
        yield f"{unknown[0]}: is not one of {', '.join(SECTIONS)}"
    order = [name for name in found if name in SECTIONS]
    if order != sorted(order, key=SECTIONS.index):
        yield f"sections stand in the order {', '.join(SECTIONS)}"
    wanted = parameters(item.thing)
    if wanted is not None:
        told = described(found.get("Args", "") or found.get("Attributes", ""))
        if told not in (wanted, own_fields(item.thing, wanted)):
            yield f"Args: describes {told}, the signature has {wanted}"
    if not inspect.isclass(item.thing) and returns(item.thing) and not found.get("Returns", "").strip():
        yield "Returns: is missing"
    if item.example and not re.search(r">>> |```|::$", found.get("Example", ""), re.MULTILINE):
        yield "Example: with a doctest or a block of code is missing"


DOCUMENTED = documented()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring_has_the_form(name: str) -> None:
    lacking = list(faults(DOCUMENTED[name]))
    assert not lacking, f"{name}: " + "; ".join(lacking)


def test_the_page_shows_what_is_public() -> None:
    import imfuse

    shown = {name.removeprefix("imfuse.") for name, _ in entries(PAGE.read_text(encoding="utf-8"))}
    public = {name for name in imfuse.__all__ if isinstance(getattr(imfuse, name), (type, type(resolve)))}
    assert public <= shown


def good(side: int, *, scale: float = 1.0) -> float:
    """Multiply.

    Args:
        side: of the square, in pixels.
        scale (float): at least 0.

    Returns:
        The area.

    Example:
        >>> good(2)
        4.0
    """
    return scale * side**2


def without_args(side: int) -> float:
    """Multiply.

    Returns:
        The area.

    Example:
        >>> without_args(2)
        4
    """
    return side**2


def without_returns() -> int:
    """Count.

    Example:
        >>> without_returns()
        1
    """
    return 1


def without_example() -> None:
    """Nothing."""


def disordered() -> int:
    """Count.

    Example:
        ::

            disordered()

    Returns:
        One.
    """
    return 1


def long_summary() -> None:
    """Do something that one line
    does not tell.

    Example:
        >>> long_summary()
    """


def with_another_heading() -> None:
    """Do nothing.

    Examples:
        >>> with_another_heading()
    """


@dataclasses.dataclass
class Record:
    """A size.

    Attributes:
        height: in pixels.
        width: in pixels.

    Example:
        >>> Record(2, 3).area(1)
        6
    """

    height: int
    width: int

    def area(self, scale: int) -> int:
        """Product of both."""
        return scale * self.height * self.width


@dataclasses.dataclass
class LongerRecord(Record):
    """A size with a depth.

    Attributes:
        depth: in pixels.

    Example:
        >>> LongerRecord(2, 3, 4).depth
        4
    """

    depth: int


@pytest.mark.parametrize(
    ("thing", "wanted"),
    [
        (good, []),
        (without_args, ["Args: describes"]),
        (without_returns, ["Returns: is missing"]),
        (without_example, ["Example: with a doctest"]),
        (disordered, ["sections stand in"]),
        (long_summary, ["the summary is one"]),
        (with_another_heading, ["Examples: is not", "Example: with"]),
        (Record, []),
        (LongerRecord, []),
    ],
)
def test_faults_are_found(thing: Callable[..., Any], wanted: list[str]) -> None:
    lacking = list(faults(Documented("x", thing)))
    assert len(lacking) == len(wanted)
    assert all(fault.startswith(start) for fault, start in zip(lacking, wanted, strict=True))


def test_methods_need_arguments_and_no_example() -> None:
    record, area = of_object("Record", Record, None)
    assert (record.name, area.name) == ("Record", "Record.area")
    assert [fault.partition(":")[0] for fault in faults(area)] == ["Args", "Returns"]


def test_entries_are_read_with_their_members() -> None:
    page = (
        "# Python\n\n::: imfuse.fuse\n\n::: imfuse.Fuser\n    options:\n      members: [__call__, folder]\n\n## More\n"
    )
    assert list(entries(page)) == [("imfuse.fuse", None), ("imfuse.Fuser", ["__call__", "folder"])]

"""Things that others bring: ``path/to/file.py:Name`` or ``package.module:Name``, and entry points of packages."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from imfuse.core.errors import ImfuseError, first_line


class PluginError(ImfuseError):
    """A plug-in cannot be loaded, or is not what is asked for.

    Example:
        >>> import imfuse
        >>> try:
        ...     imfuse.get_spec("missing.py:Net")
        ... except imfuse.PluginError as error:
        ...     print(error)
        missing.py: no such file
    """


def is_reference(text: str) -> bool:
    """Whether a text names something of others: ``file.py:Name`` or ``package.module:Name``.

    >>> is_reference("net.py:TinyFuse"), is_reference("auif"), is_reference("seafusion:weights.safetensors")
    (True, False, False)
    """
    place, colon, name = text.rpartition(":")
    return (
        bool(colon) and name.isidentifier() and (place.endswith(".py") or all(map(str.isidentifier, place.split("."))))
    )


def load_reference(reference: str) -> Any:
    """What ``file.py:Name`` or ``package.module:Name`` names. **The code of the file or module is run.**

    A file is run once; a second reference to it, by whatever path, gives the same objects.

    Args:
        reference: the file or module and, after a colon, a name in it.

    Returns:
        The object.

    Raises:
        PluginError: there is no such file, module or name, or its code fails.
    """
    if not is_reference(reference):
        raise PluginError(f"{reference!r}: file.py:Name or package.module:Name is expected")
    place, _, name = reference.rpartition(":")
    module = _run_file(Path(place)) if place.endswith(".py") else _import(place)
    try:
        return getattr(module, name)
    except AttributeError:
        own = (key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__)
        public = ", ".join(sorted(key for key in own if not key.startswith("_"))[:8])
        raise PluginError(f"{place}: has no {name!r}; it has {public or 'nothing'}") from None


def plugins(group: str) -> dict[str, EntryPoint]:
    """Entry points of the installed packages in a group such as ``imfuse.methods``, by name; none is loaded."""
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        # A package that is found by two paths lists its entry points twice.
        if points.setdefault(point.name, point).value != point.value:
            raise PluginError(
                f"{group}: two packages bring {point.name!r}: {points[point.name].value} and {point.value}; remove one"
            )
    return points


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"{path}: no such file")
    path = path.resolve()
    # Pickles of worker processes, and dataclasses, look for the module by its name.
    name = f"imfuse_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, ImfuseError) or not isinstance(error, Exception):
            raise
        raise PluginError(f"{path}: cannot be run ({_reason(error)})") from error
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImfuseError:
        raise
    except Exception as error:
        raise PluginError(f"{name}: cannot be imported ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error, 'no message'):.160}"

"""Which methods there are: those of this package by their files, those of others by registration. No list is kept.

A file of ``PACKAGES`` that assigns ``SPEC`` is a method. Others join by :func:`register_method`, by an entry point in
the group ``imfuse.methods``, or are named where they lie: ``path/to/file.py:MyNet``, ``package.module:MyNet``.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import fnmatch
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from imfuse.core import spec as spec_module
from imfuse.core.errors import ModelError
from imfuse.core.plugins import is_reference, load_reference, plugins
from imfuse.core.spec import ModelSpec

PACKAGES = ("imfuse.models", "imfuse.classical")
ENTRY_POINTS = "imfuse.methods"
DEFAULT_MODEL = "refinefuse"
"""The method that is used where none is named."""

Network = TypeVar("Network", bound=type)


@dataclass(frozen=True)
class Method:
    """A method, and where its network is: in a module that is imported when it is built, or in a class at hand."""

    spec: ModelSpec
    module: str
    network: type | None = None


_registered: dict[str, Method] = {}


def list_models(
    pattern: str = "*",
    *,
    pretrained: bool | None = None,
    trainable: bool | None = None,
    training_free: bool | None = None,
) -> list[str]:
    """Names of the methods, sorted.

    Args:
        pattern: a shell pattern of names.
        pretrained: those that ship weights (True), or none (False).
        trainable: those that have parameters to learn, or none.
        training_free: those that need no weights, or that do.

    Returns:
        Names, as :func:`get_spec` takes them. Methods of other packages are among them by their entry points; a filter
        loads these.

    Example:
        >>> list_models("auif*")
        ['auif']
        >>> "gff" in list_models(training_free=True)
        True
    """
    names = sorted(fnmatch.filter({*_shipped(), *_registered, *plugins(ENTRY_POINTS)}, pattern))
    wanted = {"pretrained": pretrained, "trainable": trainable, "training_free": training_free}
    filters = {key: value for key, value in wanted.items() if value is not None}
    return [name for name in names if not filters or filters.items() <= _traits(get_spec(name)).items()]


def get_spec(name: str) -> ModelSpec:
    """The specification of a method.

    Args:
        name: of the method, or where it lies, as ``file.py:Name`` or ``package.module:Name``. The code of such a file
            or module is run.

    Returns:
        What the method declares; for methods of this package it is read without importing torch.

    Raises:
        ModelError: there is no such method; the message has the nearest names.
        PluginError: a file or module of others cannot be loaded.

    Example:
        >>> get_spec("auif").size.min_size
        10
    """
    return find_method(name).spec


def is_of_this_package(name: str) -> bool:
    """Whether a method is one of this package, not one that others registered or name where it lies.

    >>> is_of_this_package("seafusion"), is_of_this_package("net.py:TinyFuse")
    (True, False)
    """
    return name in _shipped()


def register_method(spec: ModelSpec) -> Callable[[Network], Network]:
    """Class decorator that makes a network a method of the library: it sets ``spec`` and lists it by its name.

    Args:
        spec: what the method declares; its name must be new.

    Returns:
        The decorator. The class takes the options of ``spec`` in its constructor and has the ``forward`` of
        :class:`imfuse.FusionModel`, which it usually derives from.

    Raises:
        ModelError: there is another method of this name.

    Example:
        >>> import imfuse, torch
        >>> paper = imfuse.Paper("Pixel mean", "unpublished", 2026)
        >>> spec = imfuse.ModelSpec("mean", "Mean", paper, "the mean of both", training_free=True)
        >>> @imfuse.register_method(spec)
        ... class Mean(imfuse.FusionModel):
        ...     def forward(self, infrared, visible):
        ...         return (infrared + visible) / 2
        >>> imfuse.fuse(torch.zeros(4, 4), torch.ones(4, 4), "mean").mean().item()
        0.5
    """

    def register(network: Network) -> Network:
        _register(spec, network)
        setattr(network, "spec", spec)  # noqa: B010 - any class may be decorated, whether it declares spec or not
        return network

    return register


def find_method(name: str) -> Method:
    """The method that a name or a reference stands for; raises what :func:`get_spec` raises."""
    if name in _registered:
        return _registered[name]
    if name in _shipped():
        return _shipped()[name]
    if name in plugins(ENTRY_POINTS):
        method = _of_class(_load_entry_point(name), f"entry point {name}")
        if method.spec.name != name:
            raise ModelError(f"entry point {name} of {ENTRY_POINTS}: its specification is named {method.spec.name!r}")
        return method
    if is_reference(name):
        return _of_class(load_reference(name), name)
    names = list_models()
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ModelError(
        f"unknown model {name!r}: {hint}there are {', '.join(names)}; a network of yours goes as file.py:Name"
    )


def _traits(spec: ModelSpec) -> dict[str, bool]:
    return {
        "pretrained": bool(spec.weights),
        "trainable": not spec.training_free,
        "training_free": spec.training_free,
    }


def _load_entry_point(name: str) -> Any:
    point = plugins(ENTRY_POINTS)[name]
    return load_reference(point.value)


def _of_class(network: Any, origin: str) -> Method:
    spec = getattr(network, "spec", None)
    if not (isinstance(network, type) and isinstance(spec, ModelSpec)):
        raise ModelError(
            f"{origin}: a class of a network with a specification is expected (@imfuse.register_method(ModelSpec(...)) "
            f"above it, or spec = ModelSpec(...) in it), found {type(network).__name__}"
        )
    return _register(spec, network)


def _register(spec: ModelSpec, network: type) -> Method:
    other = _registered.get(spec.name) or _shipped().get(spec.name)
    place = f"{network.__module__}.{network.__qualname__}"
    if other is not None and other.network is not network:
        before = "this library" if other.network is None else f"{other.network.__module__}.{other.network.__qualname__}"
        # A class that is defined again, as in a notebook's cell that is run twice, takes the place of the old one.
        if before != place:
            raise ModelError(f"two methods are called {spec.name!r}: one of {before}, one of {place}; rename yours")
    method = _registered[spec.name] = Method(spec, network.__module__, network)
    return method


# Methods of this package, by their files


@cache
def _shipped() -> dict[str, Method]:
    """Name of each method of ``PACKAGES`` -> its specification and module."""
    methods: dict[str, Method] = {}
    for package in PACKAGES:
        located = importlib.util.find_spec(package)
        for folder in list(located.submodule_search_locations or ()) if located else []:
            for module in pkgutil.iter_modules([folder]):
                if module.name.startswith("_"):
                    continue
                source = Path(folder) / f"{module.name}.py"
                spec = _read_spec(source)
                if spec.name in methods:
                    raise ModelError(f"{source}: two methods are called {spec.name!r}: see {methods[spec.name].module}")
                methods[spec.name] = Method(spec, f"{package}.{module.name}")
    return methods


def _read_spec(source: Path) -> ModelSpec:
    """Evaluate the module's ``SPEC = ...`` alone, so that listing methods does not import torch."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if (assigned := _assigned(node, "SPEC")) is not None:
            expression = compile(ast.Expression(assigned), str(source), "eval")
            try:
                value = eval(expression, dict(vars(spec_module)), _Siblings(source.parent))
            except NameError as error:
                raise ModelError(f"{source}: SPEC uses more than imfuse.core.spec and its siblings ({error})") from None
            except (TypeError, ModelError) as error:
                raise ModelError(f"{source}: SPEC is not complete ({error})") from None
            if not isinstance(value, ModelSpec):
                raise ModelError(f"{source}: SPEC is a {type(value).__name__}; a ModelSpec is expected")
            return value
    raise ModelError(f"{source}: assigns no SPEC; a file of methods does, a helper's name begins with an underscore")


def _assigned(node: ast.stmt, name: str) -> ast.expr | None:
    """What a statement assigns to a name, with or without an annotation; ``None`` where it does not."""
    if isinstance(node, ast.Assign):
        return node.value if [ast.unparse(target) for target in node.targets] == [name] else None
    return node.value if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name else None


class _Siblings(dict[str, Any]):
    """Names in a specification that builds on that of a file beside it: ``replace(psfusion.SPEC, ...)``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(replace=dataclasses.replace)
        self.folder = folder

    def __missing__(self, name: str) -> Any:
        sibling = self.folder / f"{name}.py"
        if not sibling.is_file():
            raise KeyError(name)
        return SimpleNamespace(SPEC=_read_spec(sibling))

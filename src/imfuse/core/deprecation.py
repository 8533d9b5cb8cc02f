"""Names and parameters that will be removed: they continue to work for a while, and say what to use instead."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ImfuseDeprecationWarning(FutureWarning):
    """Something public will be removed. The message says since when, in which version, and what to use instead.

    A ``FutureWarning``, because Python shows those by default and hides a ``DeprecationWarning`` from most users.

    Example:
        A test suite that must not rely on anything deprecated turns the warning into an error:

        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", ImfuseDeprecationWarning)
    """


def warn_deprecated(what: str, *, since: str, removal: str, instead: str, stacklevel: int = 2) -> None:
    """Warn that a name, a parameter or a value is deprecated.

    Args:
        what: the deprecated thing as users write it, such as ``"fuse(rang=...)"``.
        since: the version that deprecated it.
        removal: the version that removes it. A test of the library fails when that version is reached.
        instead: what to write instead.
        stacklevel: how many calls up the warning points; 2 is the caller of the function that warns.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_deprecated("f(size=...)", since="0.3", removal="0.5", instead="f(shape=...)")
        >>> str(caught[0].message)
        'f(size=...) is deprecated since imfuse 0.3 and will be removed in 0.5; use f(shape=...)'
    """
    message = f"{what} is deprecated since imfuse {since} and will be removed in {removal}; use {instead}"
    warnings.warn(message, ImfuseDeprecationWarning, stacklevel=stacklevel + 1)


def deprecated(*, since: str, removal: str, instead: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function or method that will be removed: each call warns, and then does what it did.

    Args:
        since: the version that deprecated it.
        removal: the version that removes it.
        instead: what to call instead.

    Returns:
        The decorator.

    Example:
        >>> @deprecated(since="0.3", removal="0.5", instead="area(side)")
        ... def square(side: float) -> float:
        ...     return side * side
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     square(3)
        9
        >>> str(caught[0].message)
        'square() is deprecated since imfuse 0.3 and will be removed in 0.5; use area(side)'
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        # Of a method "Fuser.fuse", of a function in a function its own name alone.
        name = function.__qualname__.rpartition("<locals>.")[2]

        @functools.wraps(function)
        def warning(*args: P.args, **kwargs: P.kwargs) -> T:
            warn_deprecated(f"{name}()", since=since, removal=removal, instead=instead)
            return function(*args, **kwargs)

        return warning

    return decorate

"""Alignment: where a pixel of one camera lies in the picture of the other, found from pictures, points or a board."""

from __future__ import annotations

import pkgutil

from imfuse.core.lazy import lazy_exports

_MODULES = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)}
__getattr__, __dir__ = lazy_exports(__name__, {k: v for k, v in _MODULES.items() if not k.startswith("_")})

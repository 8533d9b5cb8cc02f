"""Inference forms: for each network a module that computes the same image faster and cannot be trained.

:func:`imfuse.inference.forms.fast_form` finds the form of a network by the name of its module.
"""

from __future__ import annotations

import pkgutil

from imfuse.core.lazy import lazy_exports

_MODULES = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)}
__getattr__, __dir__ = lazy_exports(__name__, {k: v for k, v in _MODULES.items() if not k.startswith("_")})

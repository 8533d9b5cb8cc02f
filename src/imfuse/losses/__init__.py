"""What methods are trained with, one file each: terms as functions, and an objective that weighs and sums them.

``Loss``, ``Objective`` and ``WeightedObjective`` are what objectives are written with, those of others too.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.losses._base import Loss as Loss
    from imfuse.losses._base import Objective as Objective
    from imfuse.losses._base import WeightedObjective as WeightedObjective

_MODULES = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)}
_HOMES = {
    **{name: module for name, module in _MODULES.items() if not name.startswith("_")},
    **dict.fromkeys(("Loss", "Objective", "WeightedObjective"), "imfuse.losses._base"),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)

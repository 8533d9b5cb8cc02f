"""Training pairs: how they are found, checked, cached, cropped and changed, the same way in every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse.data.augment import Augmentation
    from imfuse.data.crops import CropPlan
    from imfuse.data.pairs import LoadedPair, PairFiles, TrainingPairs, find_pairs

__all__ = ["Augmentation", "CropPlan", "LoadedPair", "PairFiles", "TrainingPairs", "find_pairs"]

_HOMES = {
    **dict.fromkeys(("LoadedPair", "PairFiles", "TrainingPairs", "find_pairs"), "imfuse.data.pairs"),
    "Augmentation": "imfuse.data.augment",
    "CropPlan": "imfuse.data.crops",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)

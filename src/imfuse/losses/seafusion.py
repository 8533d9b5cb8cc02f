"""Objectives of SeAFusion (Information Fusion 2022): the brighter pixel, the stronger edge, and what can be recognised.

The semantic term is the loss of a segmentation network that judges the fused image. The two networks learn in turns:
first the fusion without the term, then the segmentation on what it fuses, then the fusion again with the term, and so
on; the paper makes four rounds and weighs the term by the number of the round, 0 to 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.errors import RecipeError
from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import IGNORE, hard_pixel_loss, sobel_magnitude

HARD = 0.7
"""Pixels whose true class has a lower probability are hard."""
HARD_SHARE = 1 / 8
"""As many pixels count at least: the authors' 307,200 are this share of their batches of 8 images of 640x480."""


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """``intensity + gradient * (edges) + semantic * (segmentation)``.

    The batch holds ``infrared`` and ``visible`` (N, 1, H, W) in [0, 1]. With ``semantic`` the network is built with
    ``semantic=True``, and the batch holds ``colours`` (N, 3, H, W) and ``labels`` (N, H, W) too.

    Args:
        gradient: weight of the distance to the stronger edge.
        semantic: that of the loss of the segmentation; 0: not computed.

    Source:
        Information Fusion 82, 2022.
    """

    gradient: float = 10.0
    semantic: float = 0.0

    @property
    def colour(self) -> bool:
        """Whether batches must hold colours: the segmentation network looks at them."""
        return self.semantic > 0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        fused = model(batch["infrared"], batch["visible"]).float()
        loss = self.terms(fused, batch["infrared"], batch["visible"])
        if not self.semantic:
            return loss
        semantic, _ = judged(model, fused, batch, middle=0.1)
        return self.weighted(loss.parts | {"semantic": semantic}, intensity=1)

    def terms(self, fused: Tensor, infrared: Tensor, visible: Tensor) -> Loss:
        """Loss and parts for a fused image, but for the semantic term."""
        edges = torch.maximum(sobel_magnitude(infrared), sobel_magnitude(visible))
        parts = {
            "intensity": F.l1_loss(fused, torch.maximum(infrared, visible)),
            "gradient": F.l1_loss(sobel_magnitude(fused), edges),
        }
        return self.weighted(parts, intensity=1)


@dataclass(frozen=True)
class Segmentation(WeightedObjective):
    """The segmentation network learns on fused images.

    Args:
        middle: weight of the scores of its deep path alone.

    Source:
        Information Fusion 82, 2022.
    """

    middle: float = 0.75

    @property
    def colour(self) -> bool:
        """Whether batches must hold colours: yes, the segmentation network looks at them."""
        return True

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        with torch.no_grad():
            fused = model(batch["infrared"], batch["visible"]).float()
        loss, _ = judged(model, fused, batch, self.middle)
        return Loss(loss, {"semantic": loss})

    def validate(self, model: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Loss of whole pairs, and the share of their labelled pixels that are recognised; nothing without labels."""
        if "labels" not in batch:
            return {}
        loss, scores = judged(model, model(batch["infrared"], batch["visible"]).float(), batch, self.middle)
        correct, labelled = scores.argmax(1) == batch["labels"], batch["labels"] != IGNORE
        return {"semantic": loss, "accuracy": (correct & labelled).sum() / labelled.sum().clamp_min(1)}


def judged(model: Any, fused: Tensor, batch: Mapping[str, Tensor], middle: float) -> tuple[Tensor, Tensor]:
    """Loss of the segmentation of a fused image, and its scores (N, 9, H, W); ``middle`` weighs that of the deep path.

    Raises ``RecipeError`` where the segmentation network or labels are missing.
    """
    if getattr(model, "segmenter", None) is None:
        raise RecipeError("the semantic term needs the segmentation network; set options.semantic=on")
    if "labels" not in batch:
        raise RecipeError("the semantic term needs labels; give pairs that have them, or set data.rendered")
    scores = model.segmenter(coloured(fused, batch))
    whole, deep = (
        hard_pixel_loss(score.float(), batch["labels"], probability=HARD, share=HARD_SHARE) for score in scores
    )
    return whole + middle * deep, scores[0]


def coloured(fused: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """The fused luminance (N, 1, H, W) with the colours of the visible image, (N, 3, H, W) in [0, 1]."""
    return (batch["colours"] + fused - batch["visible"]).clamp(0, 1)

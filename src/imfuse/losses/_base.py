"""The contract between a training and what it minimises, and the base of objectives that are weighted sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor


class Loss(NamedTuple):
    """What an objective computes of a batch.

    Attributes:
        total: the scalar that is minimised.
        parts: named scalars for the log: the terms of the sum before they are weighed, and what else shows how a
            training goes.

    Example:
        >>> total, parts = Loss(torch.tensor(3.0), {"mse": torch.tensor(0.5)})
        >>> total.item(), list(parts)
        (3.0, ['mse'])
    """

    total: Tensor
    parts: dict[str, Tensor]


@runtime_checkable
class Objective(Protocol):
    """What a training minimises. Objectives of ours, and most others, derive from :class:`WeightedObjective`.

    An objective is a dataclass: its fields are what a recipe sets under ``loss``.

    Example:
        >>> from imfuse.losses.seafusion import Segmentation
        >>> isinstance(Segmentation(), Objective), Segmentation().colour
        (True, True)
    """

    @property
    def colour(self) -> bool:
        """Whether batches must hold ``colours`` of the visible image, (N, 3, H, W) in [0, 1]."""

    def maps(self, infrared: Tensor, visible: Tensor) -> Mapping[str, Tensor]:
        """What is computed of a whole pair before it is cropped, and cropped with it.

        Args:
            infrared: the whole image, (1, 1, H, W) in [0, 1].
            visible: that of the visible camera, of the same shape.

        Returns:
            Maps (1, 1, H, W) by the name under which a batch holds their crops; none for most objectives.
        """

    def validate(self, model: Any, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Score a whole pair, for objectives that do not train a network to fuse.

        Args:
            model: the network, in evaluation mode.
            batch: one pair, ``infrared`` and ``visible`` (1, 1, H, W) of any size, with ``labels`` and ``colours``
                where there are any.

        Returns:
            Scores by name; ``None`` where the metrics of the recipe are to score the fused image instead.
        """

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Compute the loss of a batch.

        Args:
            model: the network, in training mode.
            batch: ``infrared`` and ``visible`` (N, 1, H, W) in [0, 1], of which H and W are the size of the recipe's
                crop, with ``labels`` (N, H, W), ``colours`` and :meth:`maps` where there are any; or, for
                ``data.kind: images``, ``image`` (N, 1, H, W) alone.

        Returns:
            The loss and its parts.
        """


class WeightedObjective:
    """Base of objectives that are a weighted sum of named terms: no maps, no colours, fused images are scored.

    A subclass is a frozen dataclass that defines ``__call__``; each field is the weight of the term of its name.

    Example:
        ```python
        @dataclass(frozen=True)
        class Objective(WeightedObjective):
            intensity: float = 1.0
            gradient: float = 10.0

            def __call__(self, model, batch):
                fused = model(batch["infrared"], batch["visible"])
                brighter = torch.maximum(batch["infrared"], batch["visible"])
                parts = {
                    "intensity": F.l1_loss(fused, brighter),
                    "gradient": F.l1_loss(sobel_gradient(fused), sobel_gradient(brighter)),
                }
                return self.weighted(parts)
        ```
    """

    @property
    def colour(self) -> bool:
        """Whether batches must hold the colours of the visible image: no."""
        return False

    def maps(self, infrared: Tensor, visible: Tensor) -> Mapping[str, Tensor]:
        """What is computed of a whole pair before it is cropped: nothing."""
        return {}

    def validate(self, model: Any, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Scores of a whole pair: ``None``, since the fused image is scored."""
        return None

    def weighted(self, parts: Mapping[str, Tensor], **weights: float) -> Loss:
        """Sum up named terms, each times its weight.

        Args:
            parts: the terms, scalars.
            weights: weights of terms that the objective has no field for, or whose field means something else.

        Returns:
            The sum and the terms. More values for the log may be added to its ``parts``.

        Raises:
            AttributeError: a term has no weight.

        Example:
            >>> objective = WeightedObjective()
            >>> objective.weighted({"mse": torch.tensor(0.5), "ssim": torch.tensor(0.25)}, mse=1, ssim=10).total.item()
            3.0
        """
        terms = [(weights[name] if name in weights else getattr(self, name)) * part for name, part in parts.items()]
        return Loss(torch.stack(terms).sum(), dict(parts))

"""Means of metrics over many batches and processes, for training and validation. Needs ``imfuse[train]``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from imfuse.core.errors import MetricError
from imfuse.metrics._pictures import Image
from imfuse.metrics.conventions import get_convention, get_definition
from imfuse.metrics.score import score_images


class FusionScores(Metric):
    """Mean of each metric over all images that were given to ``update``, on all processes.

    An undefined value (nan, or infinite) is left out of the mean and counted in ``undefined``. Sums are kept in
    float64 whatever the precision of the network. No gradients flow through.

    Args:
        metrics: symbols; all that the convention defines where left out.
        convention: one of ``imfuse.metrics.CONVENTIONS``.
        data_range: the value of white in the images.
        options: those of ``torchmetrics.Metric``.

    Raises:
        MetricError: a metric or the convention is unknown, the convention does not define a metric, or no metric is
            named.

    Example:
        >>> scores = FusionScores(["EN", "SD"])
        >>> scores.update(*torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(3, 4, 1, 1, 2))
        >>> {symbol: mean.item() for symbol, mean in scores.compute().items()}
        {'EN': 1.0, 'SD': 127.5}
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    sums: Tensor
    counts: Tensor
    images: Tensor

    def __init__(
        self,
        metrics: Sequence[str] | None = None,
        convention: str = "plain",
        data_range: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.metrics = tuple(get_convention(convention).definitions if metrics is None else metrics)
        if not self.metrics:
            raise MetricError("no metric is named", "leave metrics out for all that the convention defines")
        for symbol in self.metrics:
            get_definition(symbol, convention)
        self.convention, self.data_range = convention, data_range
        number = len(self.metrics)
        self.add_state("sums", torch.zeros(number, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(number, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, fused: Image, infrared: Image, visible: Image) -> None:
        """Add the scores of some images.

        Args:
            fused: fused images (N, 1, H, W) in [0, data_range], or a ``Picture`` of them.
            infrared: their first sources, as ``fused``.
            visible: their second sources, as ``fused``.

        Raises:
            MetricError: the images are not what a metric takes.

        Example:
            >>> scores = FusionScores(["EN"])
            >>> scores.update(*torch.rand(3, 4, 1, 16, 20))
            >>> int(scores.images)
            4
        """
        scores = score_images(fused, infrared, visible, self.data_range, self.metrics, self.convention)
        values = torch.stack([scores[symbol] for symbol in self.metrics]).to(self.sums.device)
        defined = values.isfinite()
        # A network in half precision takes the sums along; they are still zero then.
        self.sums = self.sums.double() + values.where(defined, 0).sum(1)
        self.counts += defined.sum(1)
        self.images += values.shape[1]

    def compute(self) -> dict[str, Tensor]:
        """Means over the images of all processes.

        Returns:
            The mean under each symbol, a float64 scalar; nan where no image had a defined value.

        Example:
            >>> scores = FusionScores(["EN"])
            >>> scores.update(*torch.zeros(3, 4, 1, 16, 20))
            >>> scores.compute()["EN"].item()
            0.0
        """
        return dict(zip(self.metrics, self.sums / self.counts, strict=True))

    @property
    def undefined(self) -> dict[str, int]:
        """How many images, of this process, had no defined value under each symbol."""
        return dict(zip(self.metrics, (self.images - self.counts).tolist(), strict=True))

"""What a metric says about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class MetricSpec:
    """A metric: its symbol in tables, name, unit, function, and whether it looks at the sources too."""

    symbol: str
    name: str
    unit: str
    function: Callable[..., Tensor]
    sources: bool = False
    higher_is_better: bool = True

    def __call__(self, fused: Tensor, infrared: Tensor, visible: Tensor, data_range: float = 1.0) -> Tensor:
        """One value per image of (N, 1, H, W)."""
        images = (fused, infrared, visible) if self.sources else (fused,)
        return self.function(*images, data_range=data_range)

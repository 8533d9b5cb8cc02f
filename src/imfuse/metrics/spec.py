"""What a metric says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower", "none"]


@dataclass(frozen=True)
class MetricSpec:
    """What a metric says about itself, whatever the convention that it is computed under.

    Args:
        symbol: its name in tables, such as ``Qabf``.
        name: its name in words.
        unit: of its plain value; empty where it has none.
        range: lowest and highest plain value.
        better: which direction is better; ``none`` where the best value lies between.
        sources: whether it compares the fused image with its sources.
        paper: who defined it, where and when.
        min_size: smallest height and width, in pixels.

    Example:
        >>> MetricSpec("SD", "standard deviation", "gray levels", (0, 127.5), "higher", False, "common").arrow
        '↑'
    """

    symbol: str
    name: str
    unit: str
    range: tuple[float, float]
    better: Direction
    sources: bool
    paper: str
    min_size: int = 1

    @property
    def arrow(self) -> str:
        """The direction that is better, for tables: ↑, ↓ or nothing."""
        return {"higher": "↑", "lower": "↓", "none": ""}[self.better]

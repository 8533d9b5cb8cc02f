"""What a convention is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

Gray = Literal["matlab", "opencv", "channels"]
"""How a colour picture is scored: its gray as MATLAB's ``rgb2gray`` or OpenCV on float32 round it, or each channel with
the sources' same channel, and their mean."""


@dataclass(frozen=True)
class Definition:
    """One metric under one convention: a function, its constants, and what is known to be wrong with it.

    Args:
        function: takes the images, their ``data_range`` and the constants, and returns one value per image.
        constants: by the name of the parameter.
        accident: what the program does that its authors do not say; empty where nothing is known.

    Example:
        >>> from imfuse.metrics import spatial_frequency
        >>> Definition(spatial_frequency, {"white": 1.0}).constants["white"]
        1.0
    """

    function: Callable[..., Tensor]
    constants: Mapping[str, Any] = field(default_factory=dict)
    accident: str = ""


@dataclass(frozen=True)
class Convention:
    """A set of definitions under which published numbers were computed.

    Args:
        name: as users write it.
        origin: whose numbers they are.
        gray: how colour pictures are scored.
        definitions: by symbol of ``METRICS``.

    Example:
        >>> from imfuse.metrics import spatial_frequency
        >>> mine = Convention("mine", "our earlier paper", "matlab", {"SF": Definition(spatial_frequency)})
        >>> list(mine.definitions)
        ['SF']
    """

    name: str
    origin: str
    gray: Gray
    definitions: Mapping[str, Definition]

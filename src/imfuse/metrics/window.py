"""The window in which structural similarity takes moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from imfuse.metrics._pictures import Picture
from imfuse.ops.windows import box, filter_separable, gaussian


@dataclass(frozen=True)
class Window:
    """Weights of the pixels around one: a Gaussian, or equal ones where there is no ``sigma``.

    Args:
        size: rows and columns, an odd number of pixels.
        sigma: standard deviation of the Gaussian in pixels, or None.
        border: ``valid`` keeps whole windows alone, ``replicate`` repeats the pixels of the border beyond it.

    Example:
        >>> Window(size=7, sigma=None) == UNIFORM
        True
    """

    size: int = 11
    sigma: float | None = 1.5
    border: Literal["valid", "replicate"] = "valid"

    def moments(self, picture: Picture) -> tuple[Tensor, Tensor]:
        """Mean and variance around each pixel.

        Args:
            picture: of levels (N, 1, H, W); it remembers both.

        Returns:
            Two tensors (N, 1, H, W); with border ``valid`` H and W are less by ``size - 1``.

        Example:
            >>> import torch
            >>> mean, variance = GAUSSIAN.moments(Picture(torch.ones(1, 1, 16, 20)))
            >>> tuple(mean.shape)
            (1, 1, 6, 10)
        """

        def compute() -> tuple[Tensor, Tensor]:
            mean = self._mean(picture.levels)
            return mean, self._mean(picture.levels.square()).addcmul_(mean, mean, value=-1)

        return picture.once((self, "moments"), compute)

    def covariance(self, first: Picture, second: Picture) -> Tensor:
        """Covariance around each pixel.

        Args:
            first: of levels (N, 1, H, W); it remembers the covariance, and so the other picture.
            second: as ``first``.

        Returns:
            As the maps of ``moments``.

        Example:
            >>> import torch
            >>> picture = Picture(torch.ones(1, 1, 16, 20))
            >>> tuple(UNIFORM.covariance(picture, picture).shape)
            (1, 1, 10, 14)
        """

        def compute() -> Tensor:
            mean = self._mean(first.levels * second.levels)
            return mean.addcmul_(self.moments(first)[0], self.moments(second)[0], value=-1)

        return first.once((self, "covariance", second), compute)

    def _mean(self, x: Tensor) -> Tensor:
        taps = box(self.size) if self.sigma is None else gaussian(self.size, self.sigma)
        return filter_separable(x, taps, border=self.border)


GAUSSIAN = Window()
"""The window of Wang et al."""
UNIFORM = Window(size=7, sigma=None)
"""The window that scikit-image takes where none is given."""

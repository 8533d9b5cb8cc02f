from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.registry import get_spec
from imfuse.core.size_rule import SizeRule
from imfuse.core.spec import ModelSpec, Paper
from imfuse.ops.tiles import fuse_tiled, tile_side

RADIUS = 4


def blurred_sum(infrared: Tensor, visible: Tensor) -> Tensor:
    """Receptive field of radius 4, with a border treatment of its own, as networks have."""
    return F.avg_pool2d(F.pad(infrared - 2 * visible, (RADIUS,) * 4, mode="reflect"), 2 * RADIUS + 1, stride=1)


def strided(infrared: Tensor, visible: Tensor) -> Tensor:
    """Down by 4 and up again: right in a tile only where the tile lies on the grid of the whole."""
    small = F.avg_pool2d(infrared + visible, 4)
    return F.interpolate(small, scale_factor=4, mode="nearest")


@pytest.mark.parametrize("size", [(5, 5), (31, 47), (64, 64), (97, 131)])
@pytest.mark.parametrize("tile", [5, 16, 40, 1000])
def test_equals_the_whole(size: tuple[int, int], tile: int) -> None:
    infrared, visible = torch.rand(2, 1, *size), torch.rand(2, 1, *size)
    tiled = fuse_tiled(blurred_sum, infrared, visible, tile=tile, rule=SizeRule(min_size=RADIUS + 1, halo=RADIUS))
    torch.testing.assert_close(tiled, blurred_sum(infrared, visible), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (97, 131)])
def test_tiles_lie_on_the_grid_of_the_whole(size: tuple[int, int]) -> None:
    infrared, visible = torch.rand(1, 1, *size), torch.rand(1, 1, *size)
    whole = fuse_tiled(strided, infrared, visible, tile=None, rule=SizeRule(4, halo=3))
    tiled = fuse_tiled(strided, infrared, visible, tile=18, rule=SizeRule(4, halo=3))
    assert tiled.shape == infrared.shape
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)


def test_parts_are_small_and_never_too_small() -> None:
    shapes = []

    def watch(infrared: Tensor, visible: Tensor) -> Tensor:
        shapes.append(tuple(infrared.shape[2:]))
        return infrared

    fuse_tiled(watch, torch.rand(1, 1, 101, 57), torch.rand(1, 1, 101, 57), tile=10, rule=SizeRule(min_size=13, halo=2))
    assert len(shapes) == 11 * 6
    assert all(13 <= side <= 14 for shape in shapes for side in shape)


@pytest.mark.parametrize(
    ("size", "tile", "multiple"), [(1, 1, 1), (101, 10, 1), (104, 10, 8), (64, 64, 32), (96, 1, 32)]
)
def test_cores_cover_the_axis_once(size: int, tile: int, multiple: int) -> None:
    spans = SizeRule(multiple, min_size=8, halo=5).spans(size, tile)
    assert [i for span in spans for i in range(size)[span.core]] == list(range(size))
    for span in spans:
        assert span.core.start % multiple == span.with_halo.start % multiple == span.with_halo.stop % multiple == 0
        assert range(size)[span.with_halo][span.inner] == range(size)[span.core]


def test_tile_side() -> None:
    spec = get_spec("auif")
    assert spec.size.halo is not None
    pixels = 480 * 640
    assert tile_side(spec, pixels * spec.memory_per_pixel, 480, 640) is None
    side = tile_side(spec, 10**8, 4000, 6000)
    assert side is not None
    assert (side + 2 * spec.size.halo) ** 2 * spec.memory_per_pixel <= 10**8
    assert tile_side(spec, 0, 4000, 6000) == 64
    paper = Paper("A title", "A venue", 2024)
    whole = ModelSpec("whole", "Whole", paper, "", size=SizeRule(not_tileable="global attention"))
    assert tile_side(whole, 0, 4000, 6000) is None

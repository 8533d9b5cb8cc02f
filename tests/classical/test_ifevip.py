"""IFEVIP: its steps against plain forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from imfuse.classical._bicubic import resize_matrix
from imfuse.classical.ifevip import IFEVIP, bezier_basis, erode, leaves, quadtree_surface


@pytest.mark.parametrize("mode", ["clean", "faithful"])
def test_never_darker_than_the_visible_image(scene_pair, mode: str) -> None:
    infrared, visible = scene_pair(96, 128, 3)
    fused = IFEVIP(mode=mode)(infrared, visible)
    assert (fused >= visible - 1e-6).all()
    assert (fused > visible + 0.05).any()


def test_hot_objects_are_brightened_and_the_rest_is_kept() -> None:
    infrared, visible = torch.full((1, 1, 128, 128), 0.2), torch.full((1, 1, 128, 128), 0.3)
    visible[..., ::2] = 0.32
    infrared[..., 50:60, 60:70] = 0.9
    infrared[..., 0, 0] = 0.21
    fused = IFEVIP()(infrared, visible)
    assert (fused[..., 52:58, 62:68] > visible[..., 52:58, 62:68] + 0.2).all()
    assert torch.equal(fused[..., 100:, :], visible[..., 100:, :])


@pytest.mark.parametrize(("size", "target"), [(64, 512), (640, 512), (512, 480), (3, 7), (1, 4), (100, 9)])
def test_bicubic_is_that_of_pillow_inside(size: int, target: int) -> None:
    line = np.random.default_rng(0).random(size).astype(np.float32)
    actual = (resize_matrix(size, target) @ torch.from_numpy(line).double()).numpy()
    theirs = np.asarray(Image.fromarray(line[None]).resize((target, 1), Image.Resampling.BICUBIC))[0]
    # At the border Pillow leaves samples out where we mirror them.
    margin = int(np.ceil(2 * max(1, target / size))) + 1
    assert np.allclose(actual[margin:-margin], theirs[margin:-margin], atol=1e-5)
    assert torch.allclose(resize_matrix(size, target).sum(1), torch.ones(target, dtype=torch.float64))


def test_bicubic_mirrors_the_border() -> None:
    line = torch.rand(11, dtype=torch.float64)
    mirrored = torch.cat([line.flip(0), line, line.flip(0)])
    assert torch.allclose((resize_matrix(33, 99) @ mirrored)[33:66], resize_matrix(11, 33) @ line)


def test_erosion() -> None:
    picture = np.random.default_rng(0).random((60, 71))
    expected = ndimage.minimum_filter(picture, 32, mode="constant", cval=np.inf, origin=-1)
    assert np.array_equal(erode(torch.from_numpy(picture)[None, None])[0, 0].numpy(), expected)


def test_quadtree_splits_where_levels_differ() -> None:
    image = torch.zeros(2, 1, 512, 512)
    image[0, 0, 300, 10] = 200
    actual = leaves(image)
    # Row 300, column 10 lies in the lower left quarter, then the upper left of it, and so on.
    assert {side: int(where[0].sum()) for side, where in actual.items()} == {512: 0, 256: 3, 128: 3, 64: 3, 32: 4}
    assert actual[256][0].tolist() == [[True, True], [False, True]]
    assert actual[32][0].nonzero().tolist() == [[8, 0], [8, 1], [9, 0], [9, 1]]
    assert actual[512][1].all()
    area = sum(side**2 * where[0].sum().item() for side, where in actual.items())
    assert area == 512**2
    image[0, 0, 300, 10] = 51
    assert leaves(image)[512].all(), "not more than 51 levels"


def surface_of_the_paper(points: Tensor) -> Tensor:
    """U M P M' U' of a block of 33 x 33."""
    control = [0, 15, 23, 32]
    u = torch.arange(33, dtype=torch.float64) / 32
    powers = torch.stack([u**3, u**2, u, torch.ones_like(u)], 1)
    m = torch.tensor([[-1, 3, -3, 1], [3, -6, 3, 0], [-3, 3, 0, 0], [1, 0, 0, 0]], dtype=torch.float64)
    return powers @ m @ points[control][:, control] @ m.mT @ powers.mT


def test_surfaces() -> None:
    eroded = torch.rand(1, 1, 512, 512, dtype=torch.float64)
    smallest = {32: torch.ones(1, 16, 16, dtype=torch.bool)}
    surface = quadtree_surface(eroded, smallest)[0, 0]
    # The last block of all is written last, with its whole border.
    framed = torch.nn.functional.pad(eroded, (0, 1, 0, 1), mode="replicate")[0, 0]
    assert torch.allclose(surface[480:, 480:], surface_of_the_paper(framed[480:, 480:])[:-1, :-1])
    # An earlier one lost its right and lower lines to its neighbours.
    assert torch.allclose(surface[64:96, 96:128], surface_of_the_paper(eroded[0, 0, 64:97, 96:129])[:-1, :-1])
    assert torch.allclose(bezier_basis(32).sum(1), torch.ones(33, dtype=torch.float64))


def test_a_flat_visible_image_has_no_entropy_to_divide_by() -> None:
    infrared = torch.rand(1, 1, 40, 40)
    for value in (0.0, 0.5, 1.0):
        assert IFEVIP()(infrared, torch.full_like(infrared, value)).isfinite().all()

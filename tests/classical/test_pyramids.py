"""TE-MST, Laplacian and ratio pyramid: exact reconstruction, selection, bases, and the quirks of published programs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imfuse.classical._pyramid import decompose, expand, make_even, reduce
from imfuse.classical._selection import first_is_stronger, pad_mirror, take_larger
from imfuse.classical.te_mst import TEMST, enhance_targets
from imfuse.models import create_model

PYRAMIDS = ("te_mst", "laplacian_pyramid", "ratio_pyramid")
SIZES = [(1, 1), (1, 9), (2, 3), (37, 50), (64, 80)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", PYRAMIDS)
@pytest.mark.parametrize("mode", ["clean", "faithful"])
@pytest.mark.parametrize("size", SIZES)
def test_an_image_with_itself_is_that_image(name: str, mode: str, size: tuple[int, int]) -> None:
    image = noise(2, 1, *size)
    torch.testing.assert_close(create_model(name, mode=mode)(image, image), image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["te_mst", "laplacian_pyramid"])
def test_modes_differ_in_the_corners_alone(name: str) -> None:
    pair = [0.25 + 0.5 * noise(1, 1, 256, 272, seed=seed) for seed in (1, 2)]
    clean, faithful = (create_model(name, mode=mode)(*pair) for mode in ("clean", "faithful"))
    apart = (clean - faithful).abs()
    assert apart[..., [0, 0, -1, -1], [0, -1, 0, -1]].max() > 1e-3
    # A corner may hold the brightest pixel of the base of te_mst, which weighs all others.
    assert apart[..., 112:144, :].max() < (1e-4 if name == "te_mst" else 1e-12)


def test_reduce_and_expand_keep_a_constant() -> None:
    flat = torch.full((1, 1, 8, 12), 0.7, dtype=torch.float64)
    small = reduce(flat, zero_corners=False)
    torch.testing.assert_close(small, torch.full((1, 1, 4, 6), 0.7, dtype=torch.float64))
    torch.testing.assert_close(expand(small, zero_corners=False), flat)
    assert reduce(flat, zero_corners=True)[..., 0, 0] < 0.65


def test_reduce_by_hand() -> None:
    spot = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    spot[..., 4, 4] = 256
    expected = torch.tensor([[1.0, 6, 1], [6, 36, 6], [1, 6, 1]], dtype=torch.float64)
    torch.testing.assert_close(reduce(spot, False)[0, 0, 1:, 1:], expected)


def test_expand_by_hand() -> None:
    spot = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    spot[..., 2, 2] = 64
    row = torch.tensor([0.0, 0, 1, 4, 6, 4, 1, 0], dtype=torch.float64)
    # The column after the last is the mirror of the one before, which is 0: the last but one gets nothing from it.
    torch.testing.assert_close(expand(spot, False)[0, 0], row[:, None] * row)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 4), (7, 9)])
def test_odd_sides_get_the_last_line_but_one(size: tuple[int, int]) -> None:
    x = noise(1, 1, *size)
    even = make_even(x)
    assert torch.equal(even[..., : size[0], : size[1]], x)
    assert even.shape[2:] == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    if size[0] % 2 and size[0] > 1:
        assert torch.equal(even[..., -1, : size[1]], x[..., -2, :])


def test_levels_are_what_the_coarser_ones_do_not_say() -> None:
    levels, base = decompose(noise(1, 2, 21, 34), 3, zero_corners=False)
    assert [tuple(level.size) for level in levels] == [(21, 34), (11, 17), (6, 9)]
    assert base.shape == (1, 2, 3, 5)
    assert all(abs((level.image - level.prediction).mean()) < 0.02 for level in levels)


def test_frame_mirrors_and_may_have_black_corners() -> None:
    x = torch.arange(1.0, 10).view(1, 1, 3, 3)
    assert pad_mirror(x, 1, False)[0, 0].tolist()[0] == [5, 4, 5, 6, 5]
    assert pad_mirror(x, 1, True)[0, 0].tolist()[0] == [0, 4, 5, 6, 0]


# Selection


def test_the_larger_magnitude_wins_and_a_tie_goes_to_the_second() -> None:
    first, second = torch.tensor([-3.0, 1.0, 2.0, -2.0]), torch.tensor([2.0, -4.0, -2.0, 2.0])
    assert take_larger(first, second).tolist() == [-3, -4, -2, 2]


def test_consistency_follows_the_majority() -> None:
    first = torch.zeros(1, 1, 12, 12)
    second = torch.full((1, 1, 12, 12), 0.5)
    first[..., :6] = 1
    assert first_is_stronger(first, second)[0, 0, 6].tolist() == [True] * 7 + [False] * 5
    # The maximum of 3x3 reaches one pixel over the border, and there the majority ends.
    assert not first_is_stronger(first, first).any()
    first[..., :6] = 0
    first[..., 4, 4] = 1
    # One strong coefficient wins a window of 3x3, whose centre has nine votes, its corners four.
    assert first_is_stronger(first, second)[0, 0, 3:6, 3:6].tolist() == [
        [False, True, False],
        [True, True, True],
        [False, True, False],
    ]


@pytest.mark.parametrize("name", ["laplacian_pyramid", "ratio_pyramid"])
def test_detail_is_taken_from_where_it_is(name: str) -> None:
    infrared, visible = torch.full((2, 1, 1, 64, 64), 0.5, dtype=torch.float64)
    infrared[..., 8:24, 20:44:2] = 0.7
    visible[..., 40:56, 20:44:2] = 0.3
    fused = create_model(name)(infrared, visible)
    assert fused[..., 16, 22:42].diff().abs().min() > 0.15
    assert fused[..., 48, 22:42].diff().abs().min() > 0.15


# TE-MST


def test_hot_parts_keep_their_infrared_brightness() -> None:
    infrared, visible = torch.zeros(1, 1, 256, 256), torch.full((1, 1, 256, 256), 0.4)
    infrared[..., 96:160, 96:160] = 0.9
    fused = create_model("te_mst")(infrared, visible)
    assert fused[..., 128, 128].item() == pytest.approx(0.9, abs=1e-3)
    assert fused[..., 128, 2].item() == pytest.approx(0.4, abs=1e-3)


def test_share_of_the_infrared_base() -> None:
    infrared, visible = torch.tensor([[[[1.0, 0.5, 0.0]]]]), torch.full((1, 1, 1, 3), 0.2)
    ten, forty = (enhance_targets(infrared, visible, share)[0, 0, 0] for share in (10.0, 40.0))
    weight = torch.atan(torch.tensor(5.0)) / torch.atan(torch.tensor(10.0))
    torch.testing.assert_close(ten, torch.stack([torch.tensor(1.0), 0.2 + 0.3 * weight, torch.tensor(0.2)]))
    assert forty[1] > ten[1]


def test_black_infrared_leaves_the_visible_base() -> None:
    black, visible = torch.zeros(1, 1, 20, 30), torch.rand(1, 1, 20, 30)
    torch.testing.assert_close(create_model("te_mst")(black, visible), visible, rtol=0, atol=1e-6)


def test_brightest_pixel_is_that_of_each_image_alone() -> None:
    dark, bright, visible = (scale * noise(1, 1, 32, 40, seed=7) for scale in (0.2, 0.9, 1.0))
    model = create_model("te_mst")
    both = model(torch.cat([dark, bright]), visible.flip(2).expand(2, -1, -1, -1))
    torch.testing.assert_close(both[:1], model(dark, visible.flip(2)))


def test_presets() -> None:
    assert (TEMST().levels, TEMST().share) == (4, 40)
    assert (TEMST(preset="refinefuse").levels, TEMST(preset="refinefuse").share) == (1, 10)


# Ratio pyramid


def test_clean_ratios_have_no_specks_where_it_is_black() -> None:
    infrared, visible = torch.zeros(2, 1, 1, 96, 96, dtype=torch.float64)
    infrared[..., 30, 30], visible[:] = 1 / 255, 0.2
    clean, faithful = (create_model("ratio_pyramid", mode=mode)(infrared, visible) for mode in ("clean", "faithful"))
    # One level more than black is a huge contrast, or one of about two where black counts as one.
    assert faithful.max() > 0.8
    assert clean.max() < 0.5

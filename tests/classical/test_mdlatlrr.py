"""MDLatLRR: its decomposition against a loop over patches, its learning in two forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from imfuse.classical import mdlatlrr
from imfuse.classical._latlrr import choose_patches, learn_projection, reduced, shrink_values
from imfuse.classical.mdlatlrr import MDLatLRR, nuclear_norms, share_of_first
from imfuse.core.errors import ModelError
from imfuse.models import create_model

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def part_by_patches(images: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
    """One level of a pair (2, H, W), patch by patch, with singular values."""
    height, width = images.shape[1:]
    salient, fused, count = torch.zeros_like(images), torch.zeros_like(images[0]), torch.zeros_like(images[0])
    for top in range(height - 15):
        for left in range(width - 15):
            window = (..., slice(top, top + 16), slice(left, left + 16))
            patches = (images[window].reshape(2, 256) @ projection.mT).view(2, 16, 16)
            norms = torch.linalg.svdvals(patches).sum(1)
            salient[window] += patches
            fused[window] += (norms[:, None, None] / norms.sum() * patches).sum(0)
            count[window] += 1
    return images - salient / count, fused / count


def test_decomposition_against_a_loop_over_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MDLatLRR().double()
    model.projection.copy_(0.1 * random(256, 256, seed=1) / 16)
    images = random(2, 20, 23)
    wanted_bases, wanted_detail = part_by_patches(images, model.projection)
    for strip in (1 << 13, 1):
        monkeypatch.setattr(mdlatlrr, "STRIP", strip)
        bases, detail = model.decompose(images[:, None, None])
        assert torch.allclose(bases[:, 0, 0], wanted_bases, atol=1e-12)
        assert torch.allclose(detail[0, 0], wanted_detail, atol=1e-12)


def test_nuclear_norms_against_singular_values() -> None:
    patches = random(3, 256, 5) - 0.5
    patches[0, :, 0] = 0
    patches[1, :, 1] = torch.outer(random(16), random(16, seed=1)).flatten()
    expected = torch.linalg.svdvals(patches.mT.reshape(3, 5, 16, 16)).sum(-1)
    assert torch.allclose(nuclear_norms(patches), expected, atol=1e-5)
    single = nuclear_norms(patches.float()).double()
    assert torch.allclose(single, expected, rtol=2e-3, atol=1e-4)


def test_share_of_flat_patches_is_a_half() -> None:
    actual = share_of_first(torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.0, 2.0, 1.0]))
    assert actual.tolist() == [0.5, 0.0, 0.75]


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_equal_images_are_kept(levels: int) -> None:
    image = random(1, 1, 24, 30)
    assert torch.allclose(create_model("mdlatlrr", levels=levels).double()(image, image), image)


def test_published_levels_count_more_than_once() -> None:
    pair = 0.4 + 0.2 * random(2, 1, 1, 30, 30)
    model = MDLatLRR().double()
    bases, first = model.decompose(pair)
    bases, second = model.decompose(bases)
    assert torch.allclose(model(*pair), bases.mean(0) + first + second)
    published = MDLatLRR(mode="faithful").double()
    assert torch.allclose(published(*pair), bases.mean(0) + 2 * first + second)
    assert torch.equal(MDLatLRR(1, "faithful").double()(*pair), MDLatLRR(1).double()(*pair))


def test_published_program_cuts_large_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdlatlrr, "LARGE", 50)
    pair = 0.4 + 0.2 * random(2, 1, 1, 40, 51)
    whole, cut = MDLatLRR(1).double()(*pair), MDLatLRR(1, "faithful").double()(*pair)
    apart = MDLatLRR(1).double()(*pair[..., :22, :27])
    assert torch.allclose(cut[..., :18, :23], apart[..., :18, :23])
    seam = (whole - cut).abs()[0, 0]
    assert seam[:, 20:30].max() > 1e-4
    assert seam[:4, :4].max() < 1e-12


def test_both_forms_of_the_learning_agree(scene_pair: Callable[[int, int, int], tuple[Tensor, Tensor]]) -> None:
    pictures = [image[0, 0] for seed in (1, 2) for image in scene_pair(96, 128, seed)]
    samples = choose_patches(pictures, side=4, count=40, seed=0)
    assert samples.shape == (16, 80)
    errors: list[float] = []
    fast, steps = learn_projection(samples, report=lambda step, error: errors.append(error))
    plain, plain_steps = learn_projection(samples, dictionary=samples)
    assert (steps, len(errors)) == (plain_steps, steps)
    assert errors[-1] < 1e-6 <= errors[-2]
    assert torch.allclose(fast, plain, atol=1e-9)
    values = torch.linalg.svdvals(fast)
    assert values[0] < 0.51
    assert fast.trace() > 2


def test_patches_are_chosen_by_their_detail() -> None:
    black, grey, noise = torch.zeros(80, 80), torch.full((80, 90), 0.5), random(80, 80).float()
    pictures = [black, grey, noise, torch.ones(3, 90)]
    samples = choose_patches(pictures, side=16, count=10, seed=0)
    spread = (samples - samples.mean(0)).norm(dim=0)
    assert samples.shape == (256, 20)
    assert int((spread > 0.5).sum()) == 10
    assert not (samples == 0).all(0).any()
    assert torch.equal(samples, choose_patches(pictures, 16, 10, seed=0))
    assert not torch.equal(samples, choose_patches(pictures, 16, 10, seed=1))


def test_parts_of_the_solver() -> None:
    x = random(6, 3) @ random(3, 9)
    a = reduced(x)
    assert a.shape == (6, 3)
    assert torch.allclose(a @ a.mT, x @ x.mT)
    values = torch.linalg.svdvals(shrink_values(x, 0.5))
    assert torch.allclose(values, (torch.linalg.svdvals(x) - 0.5).clamp(min=0), atol=1e-12)


def test_samples_without_a_solution_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from imfuse.classical import _latlrr

    monkeypatch.setattr(_latlrr, "MOST_STEPS", 3)
    with pytest.raises(ModelError, match="no solution within 3 steps"):
        learn_projection(random(4, 8))

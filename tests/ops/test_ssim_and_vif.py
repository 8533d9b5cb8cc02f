"""The formulas that metrics and losses share: both come to the same numbers."""

from __future__ import annotations

import pytest
import torch

from imfuse.losses.common import box_ssim, ssim_map, visual_information
from imfuse.losses.swinfusion import zero_padded_ssim
from imfuse.losses.transfusion import ms_ssim
from imfuse.metrics import (
    UNIFORM,
    multi_scale_structural_similarity,
    structural_similarity,
    visual_information_fidelity,
)
from imfuse.ops import vif
from metric_pictures import smooth


def test_losses_are_the_metrics_of_one_source() -> None:
    fused, source, _ = smooth(176, 192, 4)
    unit = fused / 255, source / 255
    of_metric = structural_similarity(fused, source, source, 255).item()
    # Whole windows alone: beyond the border a loss mirrors the image, or adds zeros.
    assert ssim_map(*unit)[..., 5:-5, 5:-5].mean().item() == pytest.approx(of_metric, rel=1e-9)
    assert zero_padded_ssim(*unit).item() != pytest.approx(of_metric, rel=1e-6)
    of_metric = structural_similarity(fused, source, source, 255, window=UNIFORM).item()
    assert box_ssim(*unit).item() == pytest.approx(of_metric, rel=1e-9)
    of_metric = multi_scale_structural_similarity(fused, source, source, 255).item()
    assert ms_ssim(*unit).item() == pytest.approx(of_metric, rel=1e-9)
    of_metric = visual_information_fidelity(fused, source, source, 255).item() / 2
    assert visual_information(*unit).item() == pytest.approx(of_metric, rel=1e-6)


def test_information_in_either_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    ratio = torch.rand(3, 1, 7, 9, generator=generator, dtype=torch.float64) * 1000
    wanted = torch.log1p(ratio).sum((1, 2, 3))
    torch.testing.assert_close(vif.information(ratio), wanted, rtol=1e-13, atol=0)
    torch.testing.assert_close(vif.information(ratio.float()), wanted.float(), rtol=1e-5, atol=0)


def test_no_gain_where_an_image_is_flat_or_a_negative() -> None:
    variance, fused, covariance = torch.tensor([[0.0, 4.0, 4.0, 4.0], [4.0, 0.0, 4.0, 4.0], [1.0, 1.0, -2.0, 2.0]])
    gain, noise = vif.gain_and_noise(variance, fused, covariance)
    assert gain.tolist() == pytest.approx([0, 0, 0, 0.5])
    assert noise.tolist() == pytest.approx([4, vif.SMALLEST, 4, 3])

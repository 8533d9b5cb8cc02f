"""PSFusion against golden values of the authors' network, and its inference form against the plain one."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imfuse.inference import psfusion as _psfusion_inference
from imfuse.inference.forms import fast_form
from imfuse.layers.attention import attend_plainly
from imfuse.layers.blocks import mirror_borders
from imfuse.models import _psfusion_parts, create_model
from imfuse.models._convert import convert
from imfuse.models._psfusion_parts import published_attention
from imfuse.models.psfusion import PSFusion
from imfuse.models.psfusion_compact import PSFusionCompact


def draw(seed: int, *shape: int) -> Tensor:
    """The inputs that the golden values of single modules were made with."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


def assert_golden(actual: Tensor, expected: Tensor, name: str, every: int = 1) -> None:
    thinned = actual[..., ::every, ::every].squeeze()
    assert thinned.shape == expected.squeeze().shape, name
    assert largest(thinned - expected.squeeze()) < 1e-4 * max(1.0, largest(expected)), name


@pytest.fixture(scope="module")
def model(golden: Any) -> PSFusion:
    return golden.filled("psfusion")


@pytest.fixture(scope="module")
def expected(golden: Any) -> dict[str, Tensor]:
    return golden.arrays("psfusion")


def golden_pair(golden: Any, height: int, width: int) -> tuple[Tensor, Tensor]:
    colours = torch.from_numpy(golden.rules.colour(height, width)).permute(2, 0, 1)[None]
    return golden.pair(height, width)[0], colours.contiguous()


# The published counts


def test_parameters() -> None:
    with torch.device("meta"):
        model = PSFusion()
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert sum(count.values()) == 45_908_840
    assert len(model.state_dict()) == 1360
    assert count["segmentation"] == 29_775
    assert count["scene"] == count["image"] == 92_672
    assert [sum(p.numel() for p in part.parameters()) for part in model.fusion] == [
        61_376, 79_808, 243_584, 512_290, 663_842, 966_946,
    ]  # fmt: skip
    idle = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert sum(model.get_parameter(name).numel() for name in idle) == 9_474
    assert all(name.startswith("segmentation.unused.") for name in idle)


def test_multiply_accumulates() -> None:
    """Counted by PyTorch's own counter, which says two operations for each."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model, infrared, visible = PSFusion(), torch.empty(1, 1, 480, 640), torch.empty(1, 3, 480, 640)
    for form, macs in ((model.predict, 178.260), (model.forward, 178.260 - 2.16)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            form(infrared, visible)
        assert counter.get_flop_counts()["Global"][torch.ops.aten.convolution] / 2e9 == pytest.approx(macs, abs=0.01)


# Golden values


@pytest.mark.parametrize(
    ("size", "images", "sources", "logits"), [((64, 96), 1, 2, 4), ((61, 95), 2, 4, 8), ((128, 160), 2, 4, 8)]
)
def test_golden_outputs(
    golden: Any,
    model: PSFusion,
    expected: dict[str, Tensor],
    size: tuple[int, int],
    images: int,
    sources: int,
    logits: int,
) -> None:
    pair, at = golden_pair(golden, *size), f"{size[0]}x{size[1]}"
    with torch.inference_mode():
        actual = model.predict(*pair)
        assert torch.equal(model(*pair), actual.fused), "the fused image alone is the same to the bit"
    assert_golden(actual.fused, expected[f"fused_{at}" + (f"_s{images}" if images > 1 else "")], "fused", images)
    for name in ("visible", "infrared"):
        assert_golden(getattr(actual, name), expected[f"{name}_{at}_s{sources}"], name, sources)
    for name in ("semantic", "binary", "boundary"):
        assert_golden(getattr(actual, name), expected[f"{name}_{at}_s{logits}"], name, logits)
    if at == "64x96":
        assert torch.equal(actual.semantic.argmax(1).squeeze(), expected["labels_64x96"].squeeze().long())


def test_golden_features(golden: Any, model: PSFusion, expected: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        features = model.encode(*golden_pair(golden, 64, 96))
        semantics = model.understand(features)
        half = model.scene_half(features[1], features[2])
        full = model.scene_full(features[0], half)
        scene = model.scene(full)
        injected = model.inject(scene, semantics)
        image = model.image(injected)
        actual = {f"f{i}": part for i, part in enumerate(features, 1)}
        actual |= {"seg": semantics, "sim1": half, "sim2": full, "rec": scene, "sim3": injected, "segrec": image}
        actual["fused_pre"] = model.head.conv(image)
    for name, part in actual.items():
        (key,) = (key for key in expected if key.startswith(f"{name}_64x96"))
        assert_golden(part, expected[key], name, int(key.partition("_s")[2] or 1))


def test_golden_modules(model: PSFusion, expected: dict[str, Tensor]) -> None:
    def swapped(module: nn.Module, seed: int, *shape: int) -> Tensor:
        """The authors' visible features are drawn first."""
        return module(draw(seed + 1, *shape), draw(seed, *shape))

    with torch.inference_mode():
        stem = model.encoder_vi.first(draw(11, 1, 3, 10, 9))
        semantic, binary, boundary = model.segmentation(draw(14, 1, 64, 4, 5))
        actual = {
            "psfm_high_fuse4": swapped(model.fusion[3], 1, 2, 128, 6, 5),
            "gefm_high_fuse4": swapped(model.fusion[3].fuse, 3, 1, 64, 4, 5),
            "sdfm_low_fuse2": swapped(model.fusion[1], 5, 2, 64, 7, 5),
            "fusion_low_fuse2": swapped(model.fusion[1].fuse, 7, 1, 32, 5, 4),
            "sim_SIM1": model.scene_half(draw(9, 1, 32, 8, 10), draw(10, 1, 64, 4, 5)),
            "stem_rgb_half": model.encoder_vi.second(stem),
            "dsrm_rec_decoder": model.scene(draw(12, 1, 32, 5, 6)),
            "s2pm_seg_decoder": model.semantics(draw(13, 1, 256, 4, 5)),
            "heads_semantic": semantic,
            "heads_binary": binary,
            "heads_boundary": boundary,
            "sfp_pred_vi": model.head_vi(draw(15, 1, 32, 8, 9)),
            "to_fused_seg_2": _psfusion_parts.enlarge(model.align[2](draw(16, 1, 64, 1, 2)), 4),
        }
    for name, part in actual.items():
        assert_golden(part, expected[name], name)
    assert_golden(stem, expected["stem_rgb_full_s2"], "stem_rgb_full_s2", 2)


# Parts


def test_attention_runs_over_the_places_of_the_query() -> None:
    key, query, value = (draw(seed, 2, 8, 5, 7) for seed in (1, 2, 3))
    expected = torch.empty_like(value)
    for n in range(2):
        scores = torch.einsum("ci,cj->ij", key[n].flatten(1), query[n].flatten(1))
        expected[n] = torch.einsum("ij,cj->ci", scores.softmax(1), value[n].flatten(1)).view(8, 5, 7)
    assert largest(published_attention(key, query, value) - expected) < 1e-5
    with torch.inference_mode():
        assert largest(published_attention(key, query, value) - expected) < 1e-5


def test_kernels_without_the_map_give_what_the_map_gives(model: PSFusion, monkeypatch: pytest.MonkeyPatch) -> None:
    """With gradients, the network asks PyTorch's fused attention."""
    infrared, visible = draw(1, 1, 64, 12, 17), draw(2, 1, 64, 12, 17)
    fused = model.fusion[3].fuse(infrared, visible)
    assert fused.requires_grad
    monkeypatch.setattr(_psfusion_parts, "attend", attend_plainly)
    assert largest(fused - model.fusion[3].fuse(infrared, visible)) < 1e-5


def test_gray_visible_image_is_three_equal_channels(model: PSFusion) -> None:
    infrared, visible = (torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    with torch.inference_mode():
        assert torch.equal(model(infrared, visible), model(infrared, visible.repeat(1, 3, 1, 1)))


def test_features_without_injection_are_those_of_the_scene(golden: Any) -> None:
    model = golden.filled("psfusion", injection="off")
    pair = golden_pair(golden, 64, 96)
    with torch.inference_mode():
        features = model.encode(*pair)
        scene = model.scene(model.scene_full(features[0], model.scene_half(features[1], features[2])))
        assert torch.equal(model(*pair), model.head(model.image(scene)))


def test_batch_of_one_can_be_trained() -> None:
    model = seeded().train()
    model.predict(torch.rand(1, 1, 64, 64), torch.rand(1, 3, 64, 64)).fused.mean().backward()
    assert model.encoder_vi.first[0].weight.grad.isfinite().all()


@cache
def built() -> PSFusion:
    torch.manual_seed(0)
    return PSFusion().eval()


def seeded() -> PSFusion:
    return copy.deepcopy(built())


# Borders and norms of our own


def test_mirrored_borders_are_those_of_pytorch() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 7, padding=3), nn.Conv2d(8, 8, 3, 2, padding=1, groups=8), nn.Conv2d(8, 4, 1))
    ours = copy.deepcopy(plain)
    parameters = list(ours.parameters())
    mirror_borders(ours)
    assert all(one is other for one, other in zip(ours.parameters(), parameters, strict=True))
    for conv in plain[:2]:
        conv.padding_mode = "reflect"
    x = torch.randn(2, 3, 9, 12)
    assert largest(ours(x) - plain(x)) < 1e-6


def even_result(**options: str) -> Tensor:
    model = PSFusionCompact(**options).eval()
    with torch.inference_mode():
        return model(torch.full((1, 1, 96, 96), 0.2), torch.full((1, 1, 96, 96), 0.7))


def test_mirrored_borders_draw_no_frame() -> None:
    torch.manual_seed(0)
    assert even_result(padding="reflect").std() < 1e-6 < 1e-4 < even_result(padding="zeros").std()


def test_a_batch_norm_does_not_forget_how_much_there_is_to_see() -> None:
    x, deep = draw(1, 1, 8, 6, 6), draw(2, 1, 4, 3, 3)
    for norm, forgets in (("instance", True), ("batch", False)):
        torch.manual_seed(0)
        module = _psfusion_parts.SIM(8, 4, norm).eval()
        with torch.inference_mode():
            change = largest(module(x, deep) - module(10 * x, deep))
        assert (change < 1e-3) is forgets


# Inference form


@pytest.mark.parametrize("injection", ["on", "off"])
def test_golden_output_of_the_inference_form(golden: Any, expected: dict[str, Tensor], injection: str) -> None:
    model, pair = golden.filled("psfusion", injection=injection), golden_pair(golden, 64, 96)
    with torch.inference_mode():
        plain, fast = model(*pair), fast_form(model)(*pair)
    assert largest(fast - plain) < 2e-5
    if injection == "on":
        assert largest(fast - expected["fused_64x96"]) < 1e-4


@pytest.mark.parametrize("size", [(64, 64), (64, 160), (192, 96)])
def test_tiles_give_what_the_whole_gives(
    golden: Any, model: PSFusion, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(_psfusion_inference, "TILE", 48)
    pair = golden_pair(golden, *size)
    with torch.inference_mode():
        plain = model(*pair)
        assert plain.std() > 0.1
        assert largest(fast_form(model)(*pair) - plain) < 3e-5


@pytest.mark.parametrize("options", [{"padding": "reflect"}, {"norm": "batch"}])
def test_tiles_of_mirrored_borders_and_batch_norms(
    golden: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    monkeypatch.setattr(_psfusion_inference, "TILE", 48)
    torch.manual_seed(0)
    model = PSFusionCompact(**{"padding": "zeros", "norm": "instance"} | options).train()
    pair = golden_pair(golden, 96, 160)
    with torch.no_grad():
        model(*pair)
        assert largest(fast_form(model.eval())(*pair) - model(*pair)) < 3e-5


def test_a_halo_that_is_too_small_shows(golden: Any, model: PSFusion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_psfusion_inference, "TILE", 48)
    monkeypatch.setattr(_psfusion_inference, "HALO", 8)
    pair = golden_pair(golden, 64, 160)
    with torch.inference_mode():
        assert largest(fast_form(model)(*pair) - model(*pair)) > 1e-4


def test_inference_form_leaves_the_network_alone(golden: Any, model: PSFusion) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        fast_form(model).to(torch.bfloat16)(*golden_pair(golden, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.encoder_vi.first[0].weight.requires_grad


# Checkpoints


def test_authors_checkpoint_becomes_weights(golden: Any, model: PSFusion, tmp_path: Path) -> None:
    entries = golden.checkpoint("psfusion")
    assert len(entries) == 1360
    content = {"MTAN": entries, "optimizer": {"state": {}}, "ep": 2400, "total_it": 650_400, "best_mIou": 0.7}
    torch.save(content, tmp_path / "best_model.pth")
    target = tmp_path / "psfusion.safetensors"
    assert convert([tmp_path / "best_model.pth"], target) == "psfusion"
    state = create_model("psfusion", target).state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())

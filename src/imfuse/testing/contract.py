"""What every method must do, as tests: a method of this package inherits them by its file, others by its name.

``python -m imfuse.testing path/to/file.py:MyNet`` runs them for a network of yours.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imfuse.core.errors import ModelError
from imfuse.core.files import file_hash
from imfuse.core.registry import get_spec
from imfuse.core.spec import SizeRule, Value
from imfuse.core.weights import load_weights, read_header, save_weights
from imfuse.fusing.fuser import Fuser
from imfuse.inference.forms import fast_form
from imfuse.models import FusionModel, create_model, model_class
from imfuse.ops.padding import pad_to
from imfuse.scenes import render_scene

# Below every smallest size, and above it without being a multiple of anything.
SIZES = [(1, 1), (3, 5), (67, 97)]
# The same few scenes serve all methods: to render one takes longer than to fuse it.
rendered_scene = lru_cache(maxsize=None)(render_scene)


def build(name: str, **options: Value) -> FusionModel:
    """A method with seeded random weights and norms that have seen some images, so that folding them matters."""
    return copy.deepcopy(built(name, tuple(options.items())))


@lru_cache(maxsize=2)
def built(name: str, options: tuple[tuple[str, Value], ...]) -> FusionModel:
    torch.manual_seed(0)
    model = create_model(name, weights=None, **dict(options))
    spec = model.spec
    side = spec.size.padded(16)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(2, 1, side, side), torch.rand(2, 1, side, side))
    return model.eval()


@lru_cache(maxsize=1)
def fast_form_of(name: str) -> nn.Module:
    """The inference form of :func:`build`, for those that only ask it for pictures."""
    return fast_form(build(name))


@pytest.fixture(scope="module")
def weights(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("weights") / f"{name}.safetensors"
    save_weights(path, build(name).state_dict(), {"model": name})
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def fuser(name: str, weights: Path) -> Fuser:
    return Fuser(name, weights)


def scene(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    rendered = rendered_scene(height, width, seed)
    images = rendered.infrared.astype("float32"), rendered.visible.astype("float32").mean(2)
    infrared, visible = (torch.from_numpy(image / 255)[None, None] for image in images)
    return infrared, visible


def padded_scene(name: str, height: int, width: int) -> tuple[Tensor, Tensor]:
    spec = get_spec(name)
    first, second = scene(height, width)
    return pad_to(first, spec.size), pad_to(second, spec.size)


def test_spec_is_complete(name: str) -> None:
    spec = get_spec(name)
    assert spec.title
    assert spec.summary
    assert spec.paper.title
    assert 1980 < spec.paper.year < 2100
    assert spec.paper.link.startswith("https://") or spec.paper.venue == "unpublished"
    assert spec.size.multiple >= 1
    assert spec.size.min_size >= 1
    assert (spec.size.halo is None) == bool(spec.size.not_tileable), "a method without a halo says why"
    assert "float32" in spec.dtypes
    arguments = inspect.signature(model_class(name).__init__).parameters
    for option in spec.options:
        assert option.default in option.choices
        assert arguments[option.name].default == option.default


def test_shipped_weights_are_whole_and_say_where_they_come_from(name: str) -> None:
    for entry in get_spec(name).weights:
        path = entry.path
        assert file_hash(path) == entry.sha256
        header = read_header(path)
        assert header["model"] == name
        assert {"recipe", "data", "date", "imfuse", "licence"} <= header.keys()
        assert (header["date"], header["licence"]) == (entry.date, entry.licence)
        create_model(name, entry.name)


@pytest.mark.parametrize("size", SIZES)
def test_any_size_gives_an_image_of_that_size(fuser: Fuser, size: tuple[int, int]) -> None:
    rendered = rendered_scene(*size)
    fused = fuser(rendered.infrared, rendered.visible)
    assert fused.shape == rendered.visible.shape
    assert fused.dtype == rendered.visible.dtype


@pytest.mark.parametrize("size", SIZES)
def test_values_stay_in_unit_range(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        fused = build(name)(*padded_scene(name, *size))
    assert fused.min() >= 0
    assert fused.max() <= 1


def test_batch_equals_one_by_one(name: str) -> None:
    model = fast_form_of(name)
    pairs = [padded_scene(name, 40, 56), tuple(reversed(padded_scene(name, 40, 56)))]
    with torch.inference_mode():
        together = model(*(torch.cat(images) for images in zip(*pairs, strict=True)))
        alone = torch.cat([model(*pair) for pair in pairs])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_deterministic(name: str) -> None:
    model = fast_form_of(name)
    pair = padded_scene(name, 64, 48)
    with torch.inference_mode():
        assert torch.equal(model(*pair), model(*pair))


def test_inference_form_equals_the_plain_network(name: str) -> None:
    options = get_spec(name).options
    # A default that is named is the same network: test_spec_is_complete compares the two.
    others: list[dict[str, Value]] = [{o.name: choice} for o in options for choice in o.choices if choice != o.default]
    for chosen in [{}, *others]:
        model = build(name, **chosen)
        form = fast_form(copy.deepcopy(model))
        for size in [(16, 16), (67, 97)]:
            pair = padded_scene(name, *size)
            with torch.inference_mode():
                torch.testing.assert_close(form(*pair), model(*pair), atol=2e-4, rtol=0)


def test_dtypes_are_those_stated(name: str, weights: Path) -> None:
    spec = get_spec(name)
    # What is stated is stated of trained weights; random ones may enlarge every rounding.
    weights = spec.weights[0].path if spec.weights else weights
    rendered = rendered_scene(40, 56)
    exact = Fuser(name, weights)(rendered.infrared, rendered.visible).astype(int)
    for dtype in ("bfloat16", "float16"):
        if dtype in spec.dtypes:
            fused = Fuser(name, weights, dtype=dtype)(rendered.infrared, rendered.visible).astype(int)
            assert abs(fused - exact).max() <= 3, "two levels of luminance, and the rounding of a colour"
        else:
            with pytest.raises(ModelError, match=dtype):
                Fuser(name, weights, dtype=dtype)


def test_weights_round_trip_through_safetensors(name: str, weights: Path) -> None:
    model = build(name)
    loaded = load_weights(weights, model.spec, model.state_dict())
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(loaded[key], value), key


def test_tiled_equals_whole(name: str, weights: Path) -> None:
    spec = get_spec(name)
    if spec.size.halo is None:
        pytest.skip(f"{name} is not tileable: {spec.size.not_tileable}")
    rendered = rendered_scene(150, 210)
    whole = Fuser(name, weights, tile="off")(rendered.infrared, rendered.visible).astype(int)
    tiled = Fuser(name, weights, tile=64)(rendered.infrared, rendered.visible).astype(int)
    assert abs(whole - tiled).max() <= 1


def test_no_pixel_looks_beyond_the_halo(name: str) -> None:
    """Tiles of a network with random weights hide a halo that is too small; one changed pixel does not."""
    options = get_spec(name).options
    others: list[dict[str, Value]] = [{o.name: choice} for o in options for choice in o.choices if choice != o.default]
    for chosen in [{}, *others]:
        spec = get_spec(name)
        rule = spec.with_options(spec.check_options(chosen)).size
        if rule.halo is None:
            continue
        model = build(name, **chosen)
        # Strided layers see what lies in the same cell of their grid.
        radius = SizeRule(rule.multiple).padded(rule.halo) + rule.multiple - 1
        side = rule.padded(2 * radius + 8)
        infrared, visible = (0.2 + 0.6 * image for image in torch.rand(2, 1, 1, side, side, generator=seeded()))
        changed, middle = infrared.clone(), side // 2
        changed[..., middle, middle] = 1 - changed[..., middle, middle]
        with torch.no_grad():
            difference = (model(changed, visible) - model(infrared, visible)).abs()[0, 0]
        near = slice(max(0, middle - radius), middle + radius + 1)
        assert difference[near, near].max() > 0
        difference[near, near] = 0
        assert difference.max() < 1e-6, f"{chosen}: {difference.nonzero()[0].tolist()} depends on {middle}, {middle}"


def seeded() -> torch.Generator:
    """The same random numbers in every test."""
    return torch.Generator().manual_seed(0)


FLAT = ((0.0, 0.0), (0.25, 0.25), (0.5, 0.5), (1.0, 1.0), (0.2, 0.8), (0.8, 0.2))
"""Levels of pairs without any detail."""
EVEN = 1.0
"""Gray levels that pixels of a flat result may lie apart."""
CLOSE = 2.0
"""Gray levels that they may lie outside their sources; more is the bias that ``WeightsSpec`` declares."""


def flat_results(name: str, model: nn.Module) -> Iterator[tuple[tuple[float, float], Tensor]]:
    """What a network makes of pairs of constant images, in gray levels."""
    side = get_spec(name).size.padded(48)
    for levels in FLAT:
        with torch.inference_mode():
            yield levels, 255 * model(*(torch.full((1, 1, side, side), level) for level in levels))


def test_constant_images_give_a_finite_even_image(name: str) -> None:
    """With random weights and with those that ship, unless the specification says why it does not."""
    reason = get_spec(name).uneven
    for model in (fast_form_of(name), *(shipped(name, entry.name) for entry in get_spec(name).weights)):
        for levels, fused in flat_results(name, model):
            assert fused.isfinite().all()
            apart = float(fused.max() - fused.min())
            assert reason or apart <= EVEN, f"{levels}: {apart:.1f} levels apart, and spec.uneven gives no reason"


def test_constant_images_stay_near_their_levels(name: str) -> None:
    """With the weights that ship, as far as they say; how far random ones are is no matter."""
    for entry in get_spec(name).weights:
        away = 0.0
        for levels, fused in flat_results(name, shipped(name, entry.name)):
            low, high = 255 * min(levels), 255 * max(levels)
            away = max(away, low - float(fused.min()), float(fused.max()) - high)
        assert away <= CLOSE + entry.bias, f"{entry.name}: {away:.1f} levels outside its sources, bias={entry.bias}"
        assert entry.bias <= away, f"{entry.name}: bias={entry.bias} declared, only {away:.1f} levels found"


def test_pairs_without_detail_come_out_as_they_are(name: str, fuser: Fuser) -> None:
    """Whatever the network would make of them: there is nothing to fuse."""
    for first, second in FLAT:
        infrared, visible = (np.full((40, 56), round(255 * level), np.uint8) for level in (first, second))
        fused = fuser(infrared, visible).astype(float)
        assert np.ptp(fused) == 0
        assert min(infrared[0, 0], visible[0, 0]) <= fused[0, 0] <= max(infrared[0, 0], visible[0, 0])


@lru_cache(maxsize=1)
def shipped(name: str, weights: str) -> nn.Module:
    """The inference form with weights that ship."""
    return fast_form(create_model(name, weights))


def test_gradients_reach_every_parameter(name: str) -> None:
    model = build(name).train()
    if get_spec(name).training_free:
        assert not model.state_dict()
    assert sum(parameter.numel() for parameter in model.parameters()) == get_spec(name).parameters
    if not list(model.parameters()):
        pytest.skip(f"{name} has no parameters")
    prediction = vars(model.predict(*padded_scene(name, 32, 32)))
    torch.autograd.backward(torch.stack([output.mean() for output in prediction.values()]).sum())
    trained = [key for key, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained
    assert not [key for key in trained if model.get_parameter(key).grad is None]


def test_prediction_holds_the_fused_image(name: str) -> None:
    model, pair = build(name), padded_scene(name, 40, 56)
    with torch.inference_mode():
        assert torch.equal(model.predict(*pair).fused, model(*pair))


def test_colours_are_taken_by_those_that_say_so(name: str) -> None:
    if not get_spec(name).colour:
        pytest.skip(f"{name} looks at the luminance alone")
    infrared, visible = padded_scene(name, 64, 64)
    colours = torch.cat([visible, visible.flip(2), visible.flip(3)], dim=1)
    model = build(name)
    with torch.inference_mode():
        fused = model(infrared, colours)
        torch.testing.assert_close(fast_form(model)(infrared, colours), fused, atol=2e-4, rtol=0)
        assert not torch.allclose(fused, model(infrared, visible))
        assert torch.equal(model(infrared, visible.repeat(1, 3, 1, 1)), model(infrared, visible))


def test_published_layout_names_the_whole_state(name: str) -> None:
    layout = model_class(name).published_layout()
    ours = {key for key in build(name).state_dict() if not key.endswith("num_batches_tracked")}
    assert not layout or set(layout.values()) == ours
    assert len(set(layout.values())) == len(layout)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_gives_what_the_processor_gives(name: str, weights: Path) -> None:
    rendered = rendered_scene(97, 131)
    on_cpu = Fuser(name, weights, device="cpu")(rendered.infrared, rendered.visible).astype(int)
    on_gpu = Fuser(name, weights, device="cuda")(rendered.infrared, rendered.visible).astype(int)
    assert abs(on_cpu - on_gpu).max() <= 1

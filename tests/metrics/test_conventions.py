"""What every metric does alike, under every convention: input, shapes, names, errors."""

from __future__ import annotations

import gc
import inspect
import math
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics import CONVENTIONS, METRICS, Picture, get_convention, get_definition, score_images

DEFINED = [(convention, symbol) for convention, defined in CONVENTIONS.items() for symbol in defined.definitions]
COMPARING = [symbol for symbol in CONVENTIONS["plain"].definitions if METRICS[symbol].sources]
LIMITED = [symbol for symbol in CONVENTIONS["plain"].definitions if METRICS[symbol].min_size > 1]
RELAXED = settings(deadline=None, max_examples=25)


def images(symbol: str, count: int = 1, seed: int = 0) -> list[Tensor]:
    """Fused image, infrared and visible in [0, 1], (count, 1, H, W), large enough for a metric."""
    height = max(24, METRICS[symbol].min_size)
    generator = torch.Generator().manual_seed(seed)
    infrared, visible = torch.rand(2, count, 1, height, height + 3, dtype=torch.float64, generator=generator)
    return [0.6 * infrared + 0.4 * visible, infrared, visible]


def score(symbol: str, *triple: Tensor | Picture, convention: str = "plain", data_range: float = 1.0) -> Tensor:
    return score_images(*triple, data_range, metrics=[symbol], convention=convention)[symbol]


# Catalogue and conventions


def test_metrics_describe_themselves() -> None:
    for symbol, spec in METRICS.items():
        assert spec.symbol == symbol
        assert spec.name
        assert spec.paper
        assert spec.range[0] < spec.range[1], symbol
        assert spec.arrow == {"higher": "↑", "lower": "↓", "none": ""}[spec.better]


def test_plain_defines_every_metric() -> None:
    assert set(CONVENTIONS["plain"].definitions) == set(METRICS)


@pytest.mark.parametrize(("convention", "symbol"), DEFINED)
def test_constants_are_those_of_the_function(convention: str, symbol: str) -> None:
    definition = get_definition(symbol, convention)
    given = ("fused", "infrared", "visible") if METRICS[symbol].sources else ("fused",)
    signature = inspect.signature(definition.function)
    assert tuple(signature.parameters)[: len(given) + 1] == (*given, "data_range")
    signature.bind(*given, **definition.constants)


def test_names_that_are_none() -> None:
    with pytest.raises(MetricError, match="unknown metric 'SFF'; did you mean SF"):
        get_definition("SFF")
    with pytest.raises(MetricError, match=r"unknown metric '\?\?'; there are EN, "):
        get_definition("??")
    for look in (get_convention, lambda name: get_definition("EN", name)):
        with pytest.raises(MetricError, match="unknown convention 'plane'; there are plain"):
            look("plane")


def test_metrics_that_a_convention_lacks() -> None:
    for name, convention in CONVENTIONS.items():
        for symbol in METRICS.keys() - convention.definitions.keys():
            with pytest.raises(MetricError, match=f"convention {name} does not define {symbol}; plain"):
                get_definition(symbol, name)


# Scores


@pytest.mark.parametrize(("convention", "symbol"), DEFINED)
def test_one_value_per_image(convention: str, symbol: str) -> None:
    batch = images(symbol, count=2)
    kept = [image.clone() for image in batch]
    found = score(symbol, *batch, convention=convention)
    assert found.shape == (2,)
    assert found.dtype == torch.float64
    assert all(map(torch.equal, batch, kept))
    alone = [score(symbol, *(image[i : i + 1] for image in batch), convention=convention).item() for i in range(2)]
    assert found.tolist() == pytest.approx(alone, rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_pictures_are_reused_without_a_trace(convention: str) -> None:
    """Many metrics on one triple of pictures, twice, and with other fused images, give what each alone gives."""
    symbols = [symbol for symbol in get_convention(convention).definitions if METRICS[symbol].min_size <= 24]
    first, infrared, visible = images("EN")
    second = images("EN", seed=1)[0]
    sources = Picture(infrared), Picture(visible)
    for fused in (first, second, first):
        own = Picture(fused)
        for order in (symbols, symbols[::-1]):
            found = score_images(own, *sources, metrics=order, convention=convention)
            assert list(found) == order
            for symbol in symbols:
                wanted = score(symbol, fused, infrared, visible, convention=convention).item()
                assert found[symbol].item() == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True), symbol


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_memory_of_fused_pictures_is_given_back(convention: str) -> None:
    """A source must not keep the fused pictures that it was compared with, nor any picture itself."""
    symbols = [symbol for symbol in get_convention(convention).definitions if METRICS[symbol].min_size <= 24]
    first, infrared, visible = images("EN")
    sources = Picture(infrared), Picture(visible)
    fused = Picture(first)
    gone = weakref.ref(fused)
    gc.collect()
    gc.disable()
    try:
        score_images(fused, *sources, metrics=symbols, convention=convention)
        del fused
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("symbol", COMPARING)
def test_sources_are_equals(symbol: str) -> None:
    fused, infrared, visible = images(symbol)
    wanted = score(symbol, fused, infrared, visible).item()
    assert score(symbol, fused, visible, infrared).item() == pytest.approx(wanted, rel=1e-7, nan_ok=True)


def test_all_metrics_of_a_convention_if_none_is_named() -> None:
    triple = [torch.rand(1, 1, 200, 210, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    for name, convention in CONVENTIONS.items():
        assert list(score_images(*triple, convention=name)) == list(convention.definitions)
    assert score_images(*triple, metrics=[]) == {}


# Input


@RELAXED
@given(st.tuples(*(hnp.arrays(np.uint8, (5, 6)) for _ in range(3))))
def test_any_type_and_range_of_the_same_levels(arrays: tuple[np.ndarray, ...]) -> None:
    levels = [torch.from_numpy(array)[None, None] for array in arrays]
    for symbol in ("EN", "SD", "SCD"):
        wanted = score(symbol, *levels, data_range=255).item()
        for triple, data_range in (
            ([x.float() for x in levels], 255),
            ([x.float() / 255 for x in levels], 1),
            ([x.double() / 255 for x in levels], 1),
            ([x.int() * 257 for x in levels], 65535),
        ):
            found = score(symbol, *triple, data_range=data_range).item()
            assert found == wanted or (math.isnan(found) and math.isnan(wanted)), symbol


def test_levels_are_rounded_and_cut() -> None:
    image = torch.tensor([-3.0, 0.001, 0.0, 7.0, 1.0, 0.9999, 0.5, 100.4 / 255]).view(1, 1, 2, 4)
    assert Picture(image).levels.flatten().tolist() == [0, 0, 0, 255, 255, 255, 128, 100]


@pytest.mark.parametrize("symbol", METRICS)
@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (1, 3, 4, 5), (1, 1, 0, 5), (0, 1, 4, 5), (1, 1, 1, 4, 5)])
def test_shapes_that_are_no_images(symbol: str, shape: tuple[int, ...]) -> None:
    definition, image = get_definition(symbol), torch.rand(shape)
    with pytest.raises(MetricError, match=r"expected images of shape \(N, 1, H, W\), found"):
        definition.function(*[image] * (3 if METRICS[symbol].sources else 1), **definition.constants)


@pytest.mark.parametrize("data_range", [0, -1.0, math.nan])
def test_ranges_that_are_none(data_range: float) -> None:
    with pytest.raises(MetricError, match="data_range must be positive"):
        Picture(torch.rand(1, 1, 4, 5), data_range)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(3))
def test_values_that_are_no_numbers(value: float, place: int) -> None:
    triple = [torch.rand(1, 1, 4, 5) for _ in range(3)]
    triple[place][..., 1, 2] = value
    with pytest.raises(MetricError, match="NaN or infinite"):
        score_images(*triple, metrics=["EN"])


def test_whole_numbers_without_a_range_are_refused() -> None:
    image = torch.full((1, 1, 4, 4), 200, dtype=torch.uint8)
    with pytest.raises(MetricError, match="data_range=255"):
        Picture(image)
    assert Picture(image, 255).levels.eq(200).all()


@pytest.mark.parametrize("place", range(3))
def test_sizes_that_differ(place: int) -> None:
    triple = [torch.rand(1, 1, 6, 6) for _ in range(3)]
    triple[place] = torch.rand(1, 1, 6, 5)
    with pytest.raises(MetricError, match="differ in shape"):
        score_images(*triple, metrics=["SCD"])


@pytest.mark.parametrize("symbol", LIMITED)
def test_smallest_size(symbol: str) -> None:
    size, definition = METRICS[symbol].min_size, get_definition(symbol)
    for height, width in ((size, size), (size - 1, size + 9), (size + 9, size - 1)):
        fused = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))
        triple = [fused, 1 - fused, fused.flip(3)][: 3 if METRICS[symbol].sources else 1]
        if height == width:
            assert definition.function(*triple, **definition.constants).isfinite().all()
        else:
            with pytest.raises(MetricError, match=f"at least {size}x{size} pixels, found {width}x{height}"):
                definition.function(*triple, **definition.constants)

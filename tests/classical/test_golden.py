"""Every training-free method against arrays of a separate NumPy program, and against means over a published set."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from conftest import Golden
from imfuse.benchmark.published import get_published
from imfuse.core.registry import get_spec, list_models
from imfuse.models import create_model, model_class

METHODS = [name for name in list_models() if model_class(name).__module__.startswith("imfuse.classical.")]
PRESETS = {name: {} for name in METHODS} | {"te_mst_refinefuse": {"preset": "refinefuse"}}
CASES = [(array, mode) for array in PRESETS for mode in ("clean", "faithful")]
# Methods that take the larger of two coefficients flip single ones in float32: so large a share is the same.
SAME = dict.fromkeys(
    ("te_mst", "te_mst_refinefuse", "laplacian_pyramid", "ratio_pyramid", "dwt", "dtcwt", "gff", "vsm_wls"), 0.98
)
# Levels of 8 bits in both pictures: many moduli are equal but for rounding.
SAME_TIED = {"dtcwt": 0.95}
ITERATED = ("ifevip", "gtf", "bayesian", "mdlatlrr")


def fused_and_golden(
    golden: Golden, array: str, mode: str, dtype: torch.dtype, gradient: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The result for the pair of the fact sheet and what it should be, which is stored without its last limits."""
    expected = golden.arrays("classical")[f"{array}_{mode}"].double().clamp(0, 1)
    images = [image.double() for image in golden.pair(*expected.shape[2:])]
    if mode == "faithful":
        images = [torch.floor(255 * image + 0.5) / 255 for image in images]
    method = array.removesuffix("_refinefuse")
    modes = {"mode": mode} if "mode" in {option.name for option in get_spec(method).options} else {}
    model = create_model(method, weights=None, **modes, **PRESETS[array])
    with torch.set_grad_enabled(gradient):
        fused = model(*(image.to(dtype).requires_grad_(gradient) for image in images))
    assert fused.dtype == dtype
    assert fused.requires_grad == gradient
    return fused.detach().double(), expected


def test_every_method_has_its_arrays(golden: Golden) -> None:
    assert {f"{array}_{mode}" for array, mode in CASES} <= set(golden.arrays("classical"))


@pytest.mark.parametrize(("array", "mode"), CASES)
def test_golden_array(golden: Golden, array: str, mode: str) -> None:
    fused, expected = fused_and_golden(golden, array, mode, torch.float64)
    assert expected.std() > 0.05
    assert (fused - expected).abs().max() < 1e-6


@pytest.mark.parametrize("array", PRESETS)
def test_golden_array_without_opencv(golden: Golden, array: str) -> None:
    """Filters that a gradient goes through are those of a GPU."""
    fused, expected = fused_and_golden(golden, array, "clean", torch.float64, gradient=True)
    assert (fused - expected).abs().max() < 1e-6


@pytest.mark.parametrize(("array", "mode"), CASES)
def test_golden_array_in_single_precision(golden: Golden, array: str, mode: str) -> None:
    fused, expected = fused_and_golden(golden, array, mode, torch.float32)
    apart = (fused - expected).abs()
    if array in SAME:
        share = (SAME_TIED if mode == "faithful" else {}).get(array, SAME[array])
        assert (apart <= 1e-4).double().mean() >= share
    else:
        assert apart.max() < (1e-3 if array in ITERATED else 1e-4)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """``scripts/evidence/classical.py``."""
    source = Path(__file__).resolve().parents[2] / "scripts" / "evidence" / "classical.py"
    spec = importlib.util.spec_from_file_location("evidence_classical", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_means_over_the_pairs_of_tno(script: ModuleType, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = script.tno(shared)
    assert len(pairs) == 42
    assert script.show_references(["dwt"], pairs)
    assert "| dwt | clean | 42 | 6.6231 / 6.6231 | 12.9039 / 12.9039 |" in capsys.readouterr().out
    assert not script.show_references(["dwt"], pairs[:41]), "means that are off are told"


def test_published_row_of_the_refinefuse_article(script: ModuleType, shared: Path) -> None:
    printed = get_published("refinefuse-tno").rows["MST"]
    quick = ("EN", "SF", "AG", "SCD")
    ours = script.article_means(script.tno(shared), quick)
    assert ours == pytest.approx({symbol: printed[symbol] for symbol in quick}, abs=5.1e-5)

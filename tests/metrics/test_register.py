"""Metrics of others: registered, brought by packages, used wherever our own are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.cli.main import main
from imfuse.core import plugins
from imfuse.core.errors import MetricError
from imfuse.imaging import write_image
from imfuse.metrics import (
    CONVENTIONS,
    METRICS,
    MetricSpec,
    Picture,
    catalogue,
    get_definition,
    register_metric,
    score_images,
)
from imfuse.metrics.accumulate import FusionScores
from imfuse.scoring.files import score

CONTRAST = MetricSpec("Contrast", "range of levels", "", (0, 1), "higher", sources=False, paper="none")
NEARER = MetricSpec("Nearer", "distance to the nearer source", "gray levels", (0, 255), "lower", True, "none")

MODULE = """
from imfuse.metrics import METRICS, MetricSpec, Picture, register_metric

SPEC = MetricSpec("Depth", "brightest level", "gray levels", (0, 255), "higher", sources=False, paper="none")

@register_metric(SPEC, conventions={"vifb": {"scale": 2.0}})
def depth(fused: Picture, scale=1.0):
    assert "EN" in METRICS
    return fused.levels.amax((1, 2, 3)) * scale

"""


def contrast(fused: Picture) -> Tensor:
    low, high = fused.levels.flatten(1).aminmax(dim=1)
    return (high - low) / 255


def nearer(fused: Picture, infrared: Picture, visible: Picture, power: float = 1.0) -> Tensor:
    distances = [(source.levels - fused.levels).abs() for source in (infrared, visible)]
    return torch.minimum(*distances).mean((1, 2, 3)) ** power


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Metrics and conventions as they were."""
    before = dict(METRICS), dict(CONVENTIONS)
    yield
    for mapping, items in zip((METRICS, CONVENTIONS), before, strict=True):
        for name in set(mapping) - set(items):
            del mapping[name]
        mapping.update(items)  # type: ignore[arg-type]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of packages, to be filled; their modules lie in ``tmp_path``."""
    points: list[EntryPoint] = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "plugins", lambda group: {p.name: p for p in points if p.group == group})
    monkeypatch.setattr(catalogue, "_loaded", False)
    for name in ("depth_package", "other_package"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return points


IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def write_folders(place: Path) -> list[str]:
    """Folders of one fused, infrared and visible picture each."""
    for side, image in (("fused", IMAGE), ("ir", 255 - IMAGE), ("vi", IMAGE[::-1])):
        (place / side).mkdir()
        write_image(place / side / "a.png", image)
    return [str(place / side) for side in ("fused", "ir", "vi")]


def triple() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second, third = torch.rand(3, 2, 1, 24, 30, generator=generator)
    return first, second, third


def test_registered_metrics_are_scored() -> None:
    register_metric(CONTRAST)(contrast)
    register_metric(NEARER, conventions={"vifb": {"power": 2.0}})(nearer)
    assert list(METRICS)[-2:] == ["Contrast", "Nearer"]
    images = triple()
    found = score_images(*images, metrics=["EN", "Contrast", "Nearer"])
    pictures = [Picture(image) for image in images]
    assert torch.equal(found["Contrast"], contrast(pictures[0]))
    assert torch.equal(found["Nearer"], nearer(*pictures))
    of_vifb = score_images(*images, metrics=["Nearer"], convention="vifb")
    assert torch.equal(of_vifb["Nearer"], nearer(*pictures) ** 2)
    with pytest.raises(MetricError, match="convention vifb does not define Contrast; plain do"):
        get_definition("Contrast", "vifb")


def test_registered_metrics_are_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register_metric(CONTRAST)(contrast)
    assert score(IMAGE, IMAGE, IMAGE, metrics="Contrast, EN")["Contrast"] == 11 / 255
    means = FusionScores(["Contrast"])
    means.update(*triple())
    assert means.compute()["Contrast"].item() == 1
    folders = write_folders(tmp_path)
    assert main(["score", *folders, "--metrics", "Contrast", "--json", str(tmp_path / "scores.json")]) == 0
    assert "range of levels" in capsys.readouterr().out
    assert json.loads((tmp_path / "scores.json").read_text())["metrics"]["Contrast"]["better"] == "higher"


def test_an_installed_package_is_benchmarked(tmp_path: Path) -> None:
    """By the command line, whose workers are processes of their own."""
    (tmp_path / "depth_package.py").write_text(MODULE)
    information = tmp_path / "depth_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: depth-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{catalogue.GROUP}]\nDepth = depth_package:depth\n")
    fused, *_ = write_folders(tmp_path)
    words = ["benchmark", "--data", f"mine={tmp_path}", "--fused", f"low={fused}", "--metrics", "EN,Depth"]
    words += ["--workers", "2", "--no-report", "-o", str(tmp_path / "out")]
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "imfuse.cli.main", *words]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["data"]["mine"]["pictures"]["low"]["a"]["scores"]["Depth"] == 11


def test_packages_bring_metrics(tmp_path: Path, installed: list[EntryPoint]) -> None:
    (tmp_path / "depth_package.py").write_text(MODULE)
    installed.append(EntryPoint("Depth", "depth_package:depth", catalogue.GROUP))
    assert "depth_package" not in sys.modules
    assert METRICS["Depth"].name == "brightest level"
    images = triple()
    assert score_images(*images, metrics=["Depth"])["Depth"].tolist() == [255, 255]
    assert score_images(*images, metrics=["Depth"], convention="vifb")["Depth"].tolist() == [510, 510]
    assert "Depth" in CONVENTIONS["plain"].definitions


def test_a_convention_alone_lists_what_packages_bring(tmp_path: Path, installed: list[EntryPoint]) -> None:
    (tmp_path / "depth_package.py").write_text(MODULE)
    installed.append(EntryPoint("Depth", "depth_package:depth", catalogue.GROUP))
    assert "Depth" in CONVENTIONS["vifb"].definitions


def test_packages_that_fail(tmp_path: Path, installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("Depth", "depth_package:depth", catalogue.GROUP))
    with pytest.raises(MetricError, match=r"'Depth' cannot be loaded from depth_package:depth \(ModuleNotFoundError"):
        list(METRICS)
    (tmp_path / "depth_package.py").write_text("depth = 1")
    with pytest.raises(MetricError, match="depth_package:depth registers no metric 'Depth'"):
        get_definition("EN")
    (tmp_path / "other_package.py").write_text(MODULE.replace('"Depth"', '"EN"'))
    installed[:] = [EntryPoint("EN", "other_package:depth", catalogue.GROUP)]
    with pytest.raises(MetricError, match=r"two metrics .* 'EN': imfuse.metrics.information.entropy and other_package"):
        len(METRICS)


def test_two_metrics_of_one_symbol() -> None:
    register_metric(CONTRAST)(contrast)
    with pytest.raises(MetricError, match=r"two metrics have the symbol 'Contrast': .*contrast and .*nearer"):
        register_metric(CONTRAST)(nearer)
    with pytest.raises(MetricError, match="two metrics have the symbol 'SSIM'"):
        register_metric(MetricSpec("SSIM", "mine", "", (0, 1), "higher", False, "none"))(contrast)
    register_metric(CONTRAST)(contrast)


@pytest.mark.parametrize("symbol", ["", "two words", "a,b"])
def test_symbols_that_a_list_would_not_hold(symbol: str) -> None:
    with pytest.raises(MetricError, match="is no symbol of a metric"):
        register_metric(MetricSpec(symbol, "mine", "", (0, 1), "higher", False, "none"))


def test_functions_and_conventions_that_do_not_fit() -> None:
    with pytest.raises(MetricError, match=r"Nearer: .*contrast cannot be called with \(fused, infrared, visible\)"):
        register_metric(NEARER)(contrast)
    with pytest.raises(MetricError, match="unknown convention 'mine'"):
        register_metric(NEARER, {"mine": {}})
    with pytest.raises(MetricError, match=r"\(fused, infrared, visible, base=2\)"):
        register_metric(NEARER, {"vifb": {"base": 2}})(nearer)
    assert "Nearer" not in METRICS
    assert "Nearer" not in CONVENTIONS["plain"].definitions


def test_the_example_of_the_documentation_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    (example,) = re.findall(
        r"```python\n(.*?@register_metric.*?)```", text.rpartition("## Metrics of your own")[2], re.S
    )
    exec(example, {"__name__": "example"})
    assert score_images(*triple(), metrics=["Missed"])["Missed"].shape == (2,)

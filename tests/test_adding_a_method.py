"""The worked example of CONTRIBUTING.md: its files are put beside those of the package, and every step is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imfuse.imaging import read_image, write_image
from imfuse.scenes import render_scene

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^`((?:src|tests|docs)/[\w/.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))


def program(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``python WORDS`` with the package of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which the steps have been done, but for weights."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "src" / "imfuse", copy / "src" / "imfuse", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / name, copy / name)
    shutil.copytree(ROOT / "tests" / "contract", copy / "tests" / "contract")
    for name, content in FILES.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        assert not (copy / name).exists()
        (copy / name).write_text(content, encoding="utf-8")
    return copy


def test_the_example_has_all_files() -> None:
    assert list(FILES) == [
        "src/imfuse/models/pixelmix.py",
        "src/imfuse/inference/pixelmix.py",
        "src/imfuse/losses/pixelmix.py",
        "src/imfuse/training/recipes/pixelmix.yaml",
        "tests/models/test_pixelmix.py",
        "tests/losses/test_pixelmix.py",
        "docs/methods/pixelmix.md",
    ]


def test_its_style_is_ours(checkout: Path) -> None:
    sources = [name for name in FILES if name.endswith(".py")]
    for command in (("check",), ("format", "--check", "--diff")):
        done = program(checkout, "-m", "ruff", *command, *sources)
        assert done.returncode == 0, done.stdout


def test_the_method_is_listed(checkout: Path) -> None:
    done = program(checkout, "-m", "imfuse.cli.main", "models", "pixelmix")
    assert done.returncode == 0, done.stderr
    assert "Image Fusion by Mixing Pixels" in done.stdout


def test_it_passes_the_contract_and_its_own_tests(checkout: Path) -> None:
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--model", "pixelmix", "tests")
    done = program(checkout, *words)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed >= 25, done.stdout
    # The published layout and the inference form of the page were there to be tested.
    form = "import imfuse; from imfuse.inference.forms import fast_form; m = imfuse.create_model('pixelmix', None);"
    shown = program(checkout, "-c", f"{form} print(type(fast_form(m)).__name__, len(m.published_layout()))")
    assert shown.stdout == "FoldedPixelMix 7\n", shown.stderr


def test_it_is_trained_and_fuses(checkout: Path, tmp_path: Path) -> None:
    for seed in range(4):
        scene = render_scene(48, 64, seed)
        write_image(tmp_path / "ir" / f"{seed}.png", scene.infrared)
        write_image(tmp_path / "vi" / f"{seed}.png", scene.visible)
    run = tmp_path / "run"
    changes = ["epochs=2", "batch_size=2", "data.crop.size=32", "validate_every=1", "data.validation=0.25"]
    words = ["pixelmix", "--data", str(tmp_path), "-o", str(run)]
    words += [word for change in changes for word in ("--set", change)]
    done = program(checkout, "-m", "imfuse.cli.main", "train", *words)
    assert done.returncode == 0, done.stderr
    sources = [str(tmp_path / side / "0.png") for side in ("ir", "vi")]
    model = ("--model", "pixelmix", "--weights", str(run / "weights.safetensors"))
    done = program(checkout, "-m", "imfuse.cli.main", "fuse", *sources, *model, "-o", str(tmp_path / "fused.png"))
    assert done.returncode == 0, done.stderr
    assert read_image(tmp_path / "fused.png").shape == (48, 64, 3)

"""``examples/own_method``: a method outside the package goes through every command that its README lists."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import imfuse
from imfuse.imaging import read_image, write_image
from imfuse.scenes import render_scene

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "own_method"
IMFUSE = ("-c", "import sys; from imfuse.cli.main import main; sys.exit(main())")
MODEL = f"{EXAMPLE / 'net.py'}:TinyFuse"


def run(*words: object, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small pairs; the README's script writes larger ones."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed in range(8):
        scene = render_scene(72, 96, seed)
        write_image(folder / "ir" / f"{seed:02}.png", scene.infrared)
        write_image(folder / "vi" / f"{seed:02}.png", scene.visible)
    return folder


def test_trains_fuses_scores_and_is_benchmarked(pairs: Path, tmp_path: Path) -> None:
    run(*IMFUSE, "train", EXAMPLE / "recipe.yaml", "--data", pairs, "-o", "run", folder=tmp_path)
    weights = tmp_path / "run" / "weights.safetensors"
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert sum('"train"' in line for line in log) == 30
    run(
        *(*IMFUSE, "fuse", pairs / "ir", pairs / "vi", "-o", "fused", "--model", MODEL, "--weights", weights),
        folder=tmp_path,
    )
    assert read_image(tmp_path / "fused" / "00.png").shape == (72, 96, 3)
    assert "fused" in run(*IMFUSE, "score", "fused", pairs / "ir", pairs / "vi", "--metrics", "EN,VIF", folder=tmp_path)
    table = run(
        *(*IMFUSE, "benchmark", "--data", f"scenes={pairs}", "--models", f"{MODEL},auif,gff", "--metrics", "EN,VIF"),
        *("-o", "bench", "--no-report", "--workers", "1"),
        folder=tmp_path,
    )
    assert all(name in table for name in ("tinyfuse", "auif", "gff"))


def test_shipped_weights_of_the_example_fuse(pairs: Path) -> None:
    fused = imfuse.fuse(pairs / "ir" / "00.png", pairs / "vi" / "00.png", MODEL)
    assert fused.shape == (72, 96, 3)


def test_passes_the_contract(tmp_path: Path) -> None:
    assert " passed" in run("-m", "imfuse.testing", MODEL, folder=tmp_path)


def test_contract_finds_what_is_wrong(tmp_path: Path) -> None:
    code = (EXAMPLE / "net.py").read_text().replace("halo=2", "halo=1").replace("weights=(", "weights=() and (")
    (tmp_path / "wrong.py").write_text(code)
    command = [sys.executable, "-m", "imfuse.testing", "wrong.py:TinyFuse"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "test_no_pixel_looks_beyond_the_halo" in done.stdout
    done = subprocess.run([*command[:-1], "missing.py:Net"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "imfuse: missing.py: no such file\n")


PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "tinypackage"
version = "1"

[project.entry-points."imfuse.methods"]
tinyfuse = "tinypackage.net:TinyFuse"

[tool.setuptools]
packages = ["tinypackage"]
"""


def test_an_installed_package_brings_its_method(pairs: Path, tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    (source / "tinypackage").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "tinypackage" / "__init__.py").touch()
    for name in ("net.py", "tinyfuse.safetensors"):
        (source / "tinypackage" / name).write_bytes((EXAMPLE / name).read_bytes())
    pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        site,
        source,
    ]
    run(*pip, folder=tmp_path)
    # setuptools takes along modules alone unless it is told more.
    (site / "tinypackage" / "tinyfuse.safetensors").write_bytes((EXAMPLE / "tinyfuse.safetensors").read_bytes())
    listed = run(*IMFUSE, "models", folder=tmp_path, PYTHONPATH=str(site))
    assert "tinyfuse" in listed
    assert "refinefuse" in listed
    files = pairs / "ir" / "00.png", pairs / "vi" / "00.png"
    run(*(*IMFUSE, "fuse", *files, "-o", "out.png", "--model", "tinyfuse"), folder=tmp_path, PYTHONPATH=str(site))
    assert read_image(tmp_path / "out.png").shape == (72, 96, 3)

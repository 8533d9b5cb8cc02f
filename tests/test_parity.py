"""A sample of ``scripts/evidence/parity.py``: the authors' weights give the authors' published pictures."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from imfuse.imaging import write_image
from imfuse.models import create_model
from imfuse.models._convert import convert
from imfuse.models.lrrnet import LRRNet
from imfuse.scenes import render_scene

ROOT = Path(__file__).resolve().parents[1]
PARITY = "scripts.evidence.parity"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def parity(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shared: Path) -> Run:
    """Runs the script in this process, which has imported torch already."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.syspath_prepend(ROOT)
        monkeypatch.setattr(sys, "argv", [PARITY, *words, "--shared", str(shared), "--threads", "1"])
        return importlib.import_module(PARITY).main(), capsys.readouterr().out

    return run


def test_published_pictures_are_reproduced_by_the_command(shared: Path) -> None:
    command = [sys.executable, "-m", PARITY, "auif", "--shared", str(shared), "--sample", "2", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    for group in ("tno", "nir", "flir"):
        assert f"| {group} | 2 |" in done.stdout
    assert "kept" in done.stdout


def test_published_pictures_are_reproduced(parity: Run) -> None:
    code, printed = parity("didfuse", "--sample", "2")
    assert code == 0, printed
    for group in ("tno", "nir", "flir"):
        assert f"| {group} | 2 |" in printed
    assert "kept" in printed


@pytest.mark.parametrize(
    ("method", "pairs"), [("densefuse", "08,37"), ("lrrnet", "05,37"), ("seafusion", "08,37"), ("u2fusion", "08,37")]
)
def test_published_pictures_of_comparison_methods_are_reproduced(
    parity: Run, shared: Path, method: str, pairs: str
) -> None:
    if not (shared / "truth" / "fused" / method).is_dir():
        pytest.skip(f"no published pictures of {method} in {shared / 'truth' / 'fused'}")
    code, printed = parity(method, "--pairs", pairs)
    assert code == 0, printed
    assert "| tno | 2 |" in printed
    assert "kept" in printed


def test_lrrnet_is_compared_as_its_authors_save_pictures(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Levels are truncated, of a range to which 1e-5 is added: 254 is the largest."""
    shutil.copytree(shared / "official" / "lrrnet", tmp_path / "official" / "lrrnet")
    convert([tmp_path / "official" / "lrrnet"], tmp_path / "lrrnet.safetensors")
    model, scene = create_model("lrrnet", tmp_path / "lrrnet.safetensors"), render_scene(48, 64)
    assert isinstance(model, LRRNet)
    pair = scene.infrared, scene.visible[..., 1]
    with torch.inference_mode():
        raw = model.raw(*(torch.from_numpy(side.astype(np.float32) / 255)[None, None] for side in pair))[0, 0].numpy()
    saved = ((raw - raw.min()) / (raw.max() - raw.min() + np.float32(1e-5)) * 255).astype(np.uint8)
    assert saved.max() == 254
    for folder, pixels in (("data/tno/ir", pair[0]), ("data/tno/vi", pair[1]), ("truth/fused/lrrnet", saved)):
        write_image(tmp_path / folder / "05.png", np.ascontiguousarray(pixels))
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setattr(sys, "argv", [PARITY, "lrrnet", "--plain", "--shared", str(tmp_path), "--threads", "1"])
    assert importlib.import_module(PARITY).main() == 0
    assert "| tno | 1 | 1 | 0 |" in capsys.readouterr().out

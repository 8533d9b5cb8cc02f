"""Files of published backbones: found, fetched, checked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from imfuse.core.errors import WeightsError
from imfuse.layers.backbones import cached_file, downloaded_file, read_backbone

WANTED = {"conv.weight": torch.zeros(2, 3), "conv.bias": torch.zeros(2)}


def written(folder: Path, entries: dict[str, Tensor], stem: str = "net") -> Path:
    """A file whose name ends in the start of its SHA-256."""
    path = folder / "made.pth"
    torch.save(entries, path)
    return path.rename(folder / f"{stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")


def test_entries_are_read_and_others_left_out(tmp_path: Path) -> None:
    entries = {name: torch.rand(value.shape) for name, value in WANTED.items()}
    file = written(tmp_path, entries | {"classifier.weight": torch.rand(5, 5)})
    found = read_backbone(file, WANTED)
    assert found.keys() == WANTED.keys()
    assert all(torch.equal(found[name], entries[name]) for name in WANTED)
    # A name without digits says nothing of the content.
    assert read_backbone(file.rename(tmp_path / "mine.pth"), WANTED).keys() == WANTED.keys()


def test_missing_damaged_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth: no such file"):
        read_backbone(tmp_path / "none.pth", WANTED)
    file = written(tmp_path, {"conv.weight": torch.zeros(2, 3), "conv.bias": torch.zeros(3)})
    with pytest.raises(WeightsError, match=r"wrong shape conv\.bias \(3,\) instead of \(2,\)"):
        read_backbone(file, WANTED)
    with pytest.raises(WeightsError, match=r"missing norm\.bias"):
        read_backbone(file, {"norm.bias": torch.zeros(2)})
    with pytest.raises(WeightsError, match="its sha256 does not begin with 00000000"):
        read_backbone(file.rename(tmp_path / "net-00000000.pth"), WANTED)


def test_a_download_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    source = written(tmp_path, WANTED)
    url = source.as_uri()
    assert not cached_file(url).exists()
    assert downloaded_file(url) == cached_file(url)
    source.unlink()
    assert read_backbone(downloaded_file(url), WANTED).keys() == WANTED.keys()
    with pytest.raises(WeightsError, match="cannot download file://"):
        downloaded_file((tmp_path / "absent.pth").as_uri())


def test_pipes_and_values_that_are_no_numbers(tmp_path: Path) -> None:
    file = written(tmp_path, WANTED | {"conv.bias": torch.tensor([1.0, float("nan")])})
    with pytest.raises(WeightsError, match=r"NaN or infinite values in conv\.bias"):
        read_backbone(file, WANTED)
    # What is not needed may be of any value.
    assert read_backbone(file, {"conv.weight": torch.zeros(2, 3)}).keys() == {"conv.weight"}
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "net-00000000.pth")
        with pytest.raises(WeightsError, match="not a regular file, a checkpoint is expected"):
            read_backbone(tmp_path / "net-00000000.pth", WANTED)

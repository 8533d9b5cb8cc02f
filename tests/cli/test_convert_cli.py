from pathlib import Path

import pytest
import torch

from imfuse.cli.main import main
from imfuse.models import create_model, model_class


def test_convert_writes_weights_that_fuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = create_model("auif", weights=None)
    state, layout = model.state_dict(), model_class("auif").published_layout()
    torch.save({theirs: state[ours] for theirs, ours in layout.items()}, tmp_path / "all.pth")
    out = tmp_path / "auif.safetensors"
    assert main(["convert", str(tmp_path / "all.pth"), "-o", str(out)]) == 0
    assert "auif" in capsys.readouterr().out
    loaded = create_model("auif", out)
    pair = torch.rand(2, 1, 1, 16, 16)
    assert torch.equal(loaded(*pair), model(*pair))


def test_missing_checkpoint_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(tmp_path / "none.pth"), "-o", str(tmp_path / "x.safetensors")]) == 2
    assert "no such file or folder" in capsys.readouterr().err

from pathlib import Path

import numpy as np
import pytest

from imfuse.cli.demo import SHOWN
from imfuse.cli.main import main
from imfuse.imaging import read_image
from imfuse.scenes import render_scene


def test_demo_writes_pictures_and_prints_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "-o", str(tmp_path)]) == 0
    scene = render_scene()
    assert (read_image(tmp_path / "infrared.png") == scene.infrared).all()
    assert (read_image(tmp_path / "visible.png") == scene.visible).all()
    fused = read_image(tmp_path / "fused.png")
    joined = read_image(tmp_path / "side_by_side.png")
    assert joined.shape == (480, 3 * 640 + 16, 3)
    assert (joined[:, -640:] == fused).all()
    printed = capsys.readouterr().out
    assert all(symbol in printed for symbol in SHOWN)
    assert "side_by_side.png" in printed


def test_fused_demo_shows_the_people_that_the_visible_image_hides() -> None:
    """What fusion is for, in numbers: dark walkers become brighter than what surrounds them."""
    from imfuse import fuse

    scene = render_scene()
    fused = np.asarray(fuse(scene.infrared, scene.visible)).mean(2)
    people, around = scene.labels == 2, scene.labels == 0
    visible = scene.visible.mean(2)
    assert visible[people].mean() < 1.2 * visible[around].mean()
    assert fused[people].mean() > 1.5 * fused[around].mean()


def test_unknown_model_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "--model", "aufi", "-o", str(tmp_path)]) == 2
    assert "did you mean 'auif'" in capsys.readouterr().err


def test_pictures_of_others_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fused.png").write_bytes(b"a picture of somebody")
    assert main(["demo", "-o", str(tmp_path), "--model", "laplacian_pyramid"]) == 2
    assert "nothing in it says that imfuse made it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["fused.png"]
    (tmp_path / "fused.png").unlink()
    for _ in range(2):
        assert main(["demo", "-o", str(tmp_path), "--model", "laplacian_pyramid"]) == 0

"""Files of real sensors by the command line, against their stated truth; the commands of the guide on scans."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imfuse.cli.main import main
from imfuse.imaging import View, describe, write_image

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "sensors.md"
# File, options, what of the printed facts is compared, and with what of the truth.
TRUTHS = [
    *[(f"flir_{name}.jpg", "", of, truth) for name in ("e40bx", "b60", "one", "ax8", "i7_be")
      for of, truth in (("stored", "raw"), ("celsius", "celsius_single_path"))],
    *[(f"dji_{name}_T.jpg", "", "stored", "raw") for name in ("m3t", "h20t", "m30t")],
    *[(f"dji_{name}_T.jpg", "--units dji-approximation", "celsius", "approximate_celsius_raw_over_64")
      for name in ("m3t", "m30t")],
    ("duo_pro_r_tlinear.tiff", "", "stored", "raw"),
    ("duo_pro_r_tlinear.tiff", "--units tlinear", "celsius", "celsius_if_0_04_K"),
    ("flir_e40bx_celsius.tif", "--units celsius", "celsius", "celsius"),
    ("ct_small.dcm", "", "stored", "hounsfield"),
    ("geo_float_nodata.tif", "", "stored", "valid"),
]  # fmt: skip


def info(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["info", *words]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


@pytest.fixture
def sensors(shared: Path) -> Path:
    folder = shared / "data" / "sensors"
    if not folder.is_dir():
        pytest.skip(f"no files of sensors at {folder}")
    return folder


@pytest.mark.parametrize(("name", "options", "of", "truth"), TRUTHS, ids=lambda value: str(value))
def test_real_files(
    sensors: Path, capsys: pytest.CaptureFixture[str], name: str, options: str, of: str, truth: str
) -> None:
    if name.endswith(".dcm"):
        pytest.importorskip("pydicom", reason="pydicom comes with the extra 'medical'")
    expected = json.loads((sensors / "truth.json").read_text())[name][truth]
    found = info(capsys, str(sensors / name), *options.split())[of]
    assert [found[key] for key in ("min", "max", "mean")] == pytest.approx(
        [expected[key] for key in ("min", "max", "mean")], abs=0.0051
    )


def test_frames_of_a_real_scan(sensors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pydicom", reason="pydicom comes with the extra 'medical'")
    means = json.loads((sensors / "truth.json").read_text())["mr_multiframe.dcm"]["frame_means"]
    for frame, mean in enumerate(means):
        facts = info(capsys, str(sensors / "mr_multiframe.dcm"), "--frame", str(frame))
        assert facts["stored"]["mean"] == pytest.approx(mean, abs=1e-4)
        assert "spacing of its pixels is unknown" in facts["sensor"]["remark"]


def test_slices_of_a_real_volume(sensors: Path) -> None:
    pytest.importorskip("nibabel", reason="nibabel comes with the extra 'medical'")
    truth = json.loads((sensors / "truth.json").read_text())["functional.nii"]
    places = [(slice_, frame) for slice_ in range(3) for frame in range(20)]
    path = sensors / "functional.nii"
    slices = [describe(path, View(slice=f"axial:{number}", frame=frame)) for number, frame in places]
    stored = [facts["stored"] for facts in slices]
    assert min(one["min"] for one in stored) == pytest.approx(truth["scaled"]["min"], abs=1e-3)
    assert max(one["max"] for one in stored) == pytest.approx(truth["scaled"]["max"], abs=1e-3)
    assert np.mean([one["mean"] for one in stored]) == pytest.approx(truth["scaled"]["mean"], abs=1e-3)
    assert slices[0]["sensor"]["axes"] == truth["axes"]


def test_commands_of_the_guide_on_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydicom", reason="pydicom comes with the extra 'medical'")
    nibabel = pytest.importorskip("nibabel", reason="nibabel comes with the extra 'medical'")
    monkeypatch.chdir(tmp_path)
    section = GUIDE.read_text(encoding="utf-8").split("## Scanners")[1]
    block = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0]
    commands = [line.split()[1:] for line in block.splitlines() if line.startswith("imfuse")]
    rng = np.random.default_rng(0)
    for name in ("mri.nii.gz", "pet.nii.gz"):
        volume = rng.integers(0, 1000, (40, 36, 60)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), name)
    for name in ("ct.dcm", "mr.dcm", "pet.dcm"):
        write_image(name, rng.integers(0, 255, (36, 40), dtype=np.uint8))
    assert len(commands) == 4
    for words in commands:
        if "--frame" in words:
            for name in ("mr.dcm", "pet.dcm"):
                repeat_frames(Path(name), 5)
        assert main(words) == 0, words


def repeat_frames(path: Path, frames: int) -> None:
    import pydicom

    data = pydicom.dcmread(path)
    data.PixelData, data.NumberOfFrames = data.PixelData * frames, frames
    data.save_as(path)

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import imfuse
from imfuse import DEFAULT_MODEL, __version__, create_model
from imfuse.cli.main import main
from imfuse.core.weights import model_of, save_weights
from imfuse.imaging import image_size, read_image, write_image
from imfuse.imaging.palette import palette_colours


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "auif.safetensors"
    save_weights(path, create_model("auif", weights=None).state_dict(), {"model": "auif"})
    return str(path)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with ir/ and vi/: three pairs, the second in colour."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for i, name in enumerate(("1", "2", "Ω 3")):
        write_image(tmp_path / "ir" / f"{name}.png", random.integers(0, 256, (24, 32), np.uint8))
        shape = (24, 32, 3) if i == 1 else (24, 32)
        write_image(tmp_path / "vi" / f"{name}.png", random.integers(0, 256, shape, np.uint8))
    return tmp_path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "imfuse.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True)


def one_error(captured: pytest.CaptureFixture[str], *words: str) -> str:
    out, err = captured.readouterr()
    assert out == ""
    assert err.startswith("imfuse: error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    return err


def test_two_files(folders: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuse", "ir/2.png", "vi/2.png", "--weights", weights]) == 0
    assert capsys.readouterr().out == "2_fused.png: 32x24, infrared 0..255 shown as black..white\n"
    assert read_image("2_fused.png").shape == (24, 32, 3)
    assert main(["fuse", "ir/2.png", "vi/2.png", "--weights", weights]) == 0
    assert "finished before" in capsys.readouterr().out
    words = ["fuse", "ir/2.png", "vi/2.png", "-o", "deep.tif", "--gray", "--bits", "16", "-O", "rule=average"]
    assert main([*words, "--weights", weights, "--tile", "16", "--threads", "1", "--range", "10,200"]) == 0
    assert "infrared 10..200" in capsys.readouterr().out
    assert read_image("deep.tif").dtype == np.uint16
    assert read_image("deep.tif").shape == (24, 32)
    assert main(["fuse", "ir/2.png", "vi/2.png", "-o", "vi", "--weights", weights]) == 0
    assert Path("vi/2_fused.png").is_file()


def test_two_folders(folders: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuse", "ir", "vi", "--weights", weights]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("3 pairs fused into fused (")
    assert out.endswith(" pairs/s)\n")
    assert err == ""
    assert sorted(path.name for path in Path("fused").iterdir()) == ["1.png", "2.png", "Ω 3.png"]
    assert main(["fuse", "ir", "vi", "--weights", weights]) == 0
    assert capsys.readouterr().out == "0 pairs fused into fused, 3 finished before\n"
    assert main(["fuse", "ir", "vi", "--weights", weights, "--overwrite"]) == 0
    assert capsys.readouterr().out.startswith("3 pairs fused")


def test_some_fail(folders: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("ir/2.png").write_bytes(b"")
    Path("vi/Ω 3.png").rename("vi/4.png")
    assert main(["fuse", "ir", "vi", "-o", "out", "--weights", weights]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("1 pair fused into out (")
    assert out.endswith("1 failed\n")
    lines = err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "imfuse: 1 infrared picture without a partner: Ω 3.png"
    assert lines[1] == "imfuse: 1 visible picture without a partner: 4.png"
    assert lines[2].startswith("imfuse: failed: 2: ir/2.png: ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ir", "vi/1.png"], ["ir is a folder", "vi/1.png is a file", "two files or two folders"]),
        (["ir", "missing"], ["missing", "No such file"]),
        (["ir", "ir"], ["same folder"]),
        (["ir", "vi", "-o", "vi"], ["vi", "--output"]),
        (["ir/1.png", "vi/1.png", "-o", "vi/1.png"], ["vi/1.png", "--output"]),
        (["ir/1.png", "vi/1.png", "-o", "x.gif"], ["x.gif", ".png"]),
        (["ir/1.png", "vi/1.png", "--bits", "12"], ["--bits 12", "8 or 16"]),
        (["ir/1.png", "vi/1.png", "--tile", "x"], ["--tile 'x'"]),
        (["ir/1.png", "vi/1.png", "--range", "9,1"], ["LOW < HIGH"]),
        (["ir/1.png", "vi/1.png", "--model", "auf"], ["did you mean 'auif'"]),
        (["ir/1.png", "vi/1.png", "-O", "rule"], ["KEY=VALUE"]),
        (["ir/1.png", "vi/1.png", "-O", "rule=max"], ["sum, average, l1"]),
        (["ir/1.png", "vi/1.png", "--model", "densefuse", "-O", "output=x"], ["densefuse: output='x' is not one of"]),
        (["ir/1.png", "vi/1.png", "-O", "device=cpu"], ["device"]),
        (["ir/1.png", "vi/1.png", "--max-megapixels", "0.0001"], ["32x24"]),
        (["ir/1.png", "vi/1.png", "--workers", "0"], ["--workers"]),
        (["ir/1.png"], ["ir/1.png", "holds no visible picture", "second file"]),
        ([], ["imfuse --help"]),
        (["ir/1.png", "vi/1.png", "--colour"], ["--colour"]),
    ],
)
def test_misuse(
    folders: Path, weights: str, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[str]
) -> None:
    assert main(["fuse", *words, "--weights", weights]) == 2
    one_error(capsys, *expected)


def test_sizes(folders: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("small.png", np.zeros((12, 16), np.uint8))
    assert main(["fuse", "small.png", "vi/1.png", "--weights", weights]) == 2
    one_error(capsys, "16x12", "32x24", "--resize")
    assert main(["fuse", "ir/1.png", "vi/1.png", "--weights", weights, "--fit", "stretch"]) == 2
    one_error(capsys, "--fit stretch", "mirror, zero, resize")
    assert main(["fuse", "ir/1.png", "vi/1.png", "--weights", weights, "--fit", "zero", "-o", "zero.png"]) == 0
    assert main(["fuse", "small.png", "vi/1.png", "--weights", weights, "--resize"]) == 0
    assert image_size("1_fused.png") == (24, 32)


def test_debug_shows_the_traceback(folders: Path, weights: str) -> None:
    plain = run("fuse", "ir", "vi/1.png")
    assert (plain.returncode, plain.stderr.count("\n")) == (2, 1)
    debug = run("fuse", "ir", "vi/1.png", "--debug")
    assert "Traceback" in debug.stderr
    assert debug.stderr.splitlines()[-1].endswith("give two files or two folders")


def test_plain_run_with_warnings_as_errors(folders: Path, weights: str) -> None:
    done = run("fuse", "ir", "vi", "--weights", weights)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(Path("fused").iterdir())) == 3


def test_names_that_are_no_text(folders: Path, weights: str) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    try:
        for side in ("ir", "vi"):
            Path(side, "1.png").rename(Path(side, name))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    done = run("fuse", f"ir/{name}", f"vi/{name}", "--weights", weights)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("\\udcff\\udcfe_fused.png: 32x24")
    Path("ir", name).write_bytes(b"")
    done = run("fuse", "ir", "vi", "--weights", weights)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "0 bytes" in done.stderr


def test_the_model_is_the_default_one_or_what_the_weights_are_for(weights: str, tmp_path: Path) -> None:
    assert imfuse.Fuser(device="cpu").spec.name == DEFAULT_MODEL
    assert imfuse.Fuser(weights=weights, device="cpu").spec.name == "auif"
    assert model_of("default") == model_of(None) == model_of(tmp_path / "missing.safetensors") == DEFAULT_MODEL


def test_version_help_and_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"imfuse {__version__}\n"
    for words in ([], ["--help"], ["-h"]):
        assert main(words) == 0
        assert "fuse" in capsys.readouterr().out
    assert main(["models", "nothing*"]) == 2
    one_error(capsys, "nothing*", "auif")


def test_every_method_is_listed_with_its_size_weights_and_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    listing = capsys.readouterr().out
    assert all(f"\n{name} " in listing for name in imfuse.list_models())
    for line, words in (
        ("auif ", ("11,631", "default, 0.06 MB")),
        ("adf ", ("none", "not needed")),
        ("sdnet ", ("MIT",)),
    ):
        found = next(row for row in listing.splitlines() if row.startswith(line))
        assert all(word in found for word in words)


def test_one_method_is_described_whole(capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (
        ("auif", ("11,631", "rule=sum|average|l1 (sum)", "FLIR", "https://doi.org", "Apache-2.0")),
        ("emma", ("none ship", "none given", "no:")),
        ("adf", ("not needed", "mode=clean|faithful")),
    ):
        assert main(["models", name]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert all(word in shown for word in words)


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_closed_pipe_is_quiet(folders: Path) -> None:
    code = f"{sys.executable} -m imfuse.cli.main models | true"
    done = subprocess.run(["sh", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""


def test_swapped_files_are_refused_with_the_option_that_overrides(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fuse", "vi/1.png", "ir/1.png", "--model", "laplacian_pyramid", "-o", "o.png"]
    assert main(words) == 2
    one_error(capsys, "look swapped: the name vi says visible", "--order given")
    assert not Path("o.png").exists()
    assert main([*words, "--order", "given"]) == 0
    capsys.readouterr()
    assert main([*words, "--order", "x"]) == 2
    one_error(capsys, "--order x: check or given")


def test_resize_alone_is_of_one_aspect_ratio(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("wide.png", np.random.default_rng(0).integers(0, 256, (24, 64), np.uint8))
    words = ["fuse", "wide.png", "vi/1.png", "--model", "laplacian_pyramid", "-o", "o.png"]
    assert main([*words, "--resize"]) == 2
    one_error(capsys, "another aspect ratio", "--resize stretch", "--resize crop or --resize pad")
    for how in ("stretch", "crop", "pad"):
        assert main([*words, "--resize", how, "--overwrite"]) == 0
        assert image_size("o.png") == (24, 32)
    capsys.readouterr()
    assert main([*words, "--resize", "zoom"]) == 2
    one_error(capsys, "zoom")


def test_false_colours_and_bands(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heat = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (24, 1))
    write_image("painted.png", palette_colours("jet")[heat].astype(np.uint8))
    words = ["fuse", "painted.png", "vi/2.png", "--model", "laplacian_pyramid", "-o", "o.png"]
    assert main(words) == 0
    warned = capsys.readouterr().err
    assert warned.startswith("imfuse: warning: painted.png: the infrared picture is painted in the colours of jet")
    assert "--infrared-palette none" in warned
    assert main([*words, "--infrared-palette", "jet", "--strict", "--overwrite"]) == 0
    assert capsys.readouterr().err == ""
    same = ["fuse", "vi/2.png", "vi/2.png", "--model", "laplacian_pyramid", "-o", "bands.png"]
    assert main([*same, "--infrared-bands", "1", "--visible-bands", "3,2,1"]) == 0
    assert read_image("bands.png").shape == (24, 32, 3)
    capsys.readouterr()
    assert main([*same, "--infrared-bands", "4", "--overwrite"]) == 2
    one_error(capsys, "infrared band 4 is asked for, the picture has 3")

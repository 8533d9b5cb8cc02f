from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imfuse import Fuser, ImageError, ImfuseError, PairError, create_model
from imfuse.core.signals import Terminated
from imfuse.core.weights import save_weights
from imfuse.fusing.folder import Progress
from imfuse.imaging import read_image, write_image

NAMES = ("01", "2", "10", "наука", "a b")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "auif.safetensors"
    save_weights(path, create_model("auif", weights=None).state_dict(), {"model": "auif"})
    return path


@pytest.fixture(scope="module")
def fuser(weights: Path) -> Fuser:
    return Fuser("auif", weights, device="cpu")


def fill(folder: Path, names: tuple[str, ...] = NAMES, size: tuple[int, int] = (24, 32)) -> tuple[Path, Path, Path]:
    """Folders of pairs, and one for the results that does not exist yet."""
    random = np.random.default_rng(0)
    for i, name in enumerate(names):
        write_image(folder / "ir" / f"{name}.png", random.integers(0, 256, size, np.uint8))
        write_image(folder / "vi" / f"{name}.png", random.integers(0, 256, (*size, 3) if i % 2 else size, np.uint8))
    return folder / "ir", folder / "vi", folder / "out"


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_results_are_those_of_the_call(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path)
    steps: list[Progress] = []
    report = fuser.folder(ir, vi, out, progress=steps.append)
    assert report.written == ("01", "2", "10", "a b", "наука")
    assert (report.skipped, report.failed) == ((), ())
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{name}.png" for name in NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(read_image(out / f"{name}.png"), fuser(ir / f"{name}.png", vi / f"{name}.png"))
    assert [(step.done, step.outcome) for step in steps] == [(0, None), *((i, "written") for i in range(1, 6))]
    assert {step.total for step in steps} == {5}


@pytest.mark.parametrize("workers", [1, 3])
def test_second_run_skips(fuser: Fuser, tmp_path: Path, workers: int) -> None:
    ir, vi, out = fill(tmp_path)
    fuser.folder(ir, vi, out, workers=workers)
    before = times(out)
    report = fuser.folder(ir, vi, out, workers=workers)
    assert len(report.skipped) == 5
    assert times(out) == before
    report = fuser.folder(ir, vi, out, overwrite=True)
    assert len(report.written) == 5
    assert all(times(out)[name] > before[name] for name in before)


@pytest.mark.parametrize(
    "settings", [{"rule": "l1"}, {"range": "minmax"}, {"visible_range": "minmax"}, {"gray": True}, {"bits": 16}]
)
def test_other_settings_redo(fuser: Fuser, weights: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2"))
    fuser.folder(ir, vi, out)
    other = Fuser("auif", weights, device="cpu", **settings)
    assert len(other.folder(ir, vi, out).written) == 2
    assert len(other.folder(ir, vi, out).skipped) == 2


def test_other_weights_models_and_pictures_redo(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2"))
    torch.manual_seed(1)
    for other in (fuser, Fuser("auif", None, device="cpu"), Fuser("didfuse", None, device="cpu"), fuser):
        assert len(other.folder(ir, vi, out).written) == 2
    write_image(ir / "2.png", np.zeros((24, 32), np.uint8))
    report = fuser.folder(ir, vi, out)
    assert (report.skipped, report.written) == (("1",), ("2",))


def test_damaged_result_is_redone(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2", "3"))
    fuser.folder(ir, vi, out)
    whole = (out / "1.png").read_bytes()
    (out / "1.png").write_bytes(whole[:-20])
    (out / "2.png").write_bytes(b"")
    report = fuser.folder(ir, vi, out)
    assert (report.skipped, report.written) == (("3",), ("1", "2"))
    assert (out / "1.png").read_bytes() == whole


def test_files_of_others_stay(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2"))
    write_image(out / "1.png", np.zeros((24, 32), np.uint8))
    report = fuser.folder(ir, vi, out)
    assert report.written == ("2",)
    [(name, message)] = report.failed
    assert name == "1"
    assert "use overwrite=True" in message
    assert not read_image(out / "1.png").any()
    assert len(fuser.folder(ir, vi, out, overwrite=True).written) == 2


def test_bad_pairs_do_not_stop_the_others(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path, tuple("123456"))
    (ir / "1.png").write_bytes(b"")
    (vi / "2.png").write_bytes((vi / "2.png").read_bytes()[:100])
    (ir / "3.png").write_text("not an image")
    write_image(ir / "4.png", np.zeros((5, 7), np.uint8))
    (out / "5.png").mkdir(parents=True)
    report = fuser.folder(ir, vi, out)
    assert report.written == ("6",)
    messages = dict(report.failed)
    assert list(messages) == list("12345")
    expected = {"1": "0 bytes", "2": "damaged", "3": "3.png", "4": "use resize=True", "5": "folder"}
    for name, words in expected.items():
        assert words in messages[name]
        assert "\n" not in messages[name]


def test_a_defect_is_the_failure_of_its_pair(fuser: Fuser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2"))
    real = Fuser.finish

    def finish(self: Fuser, pair: Any, fused: Any) -> Any:
        if pair.colours is not None:
            raise KeyError("what")
        return real(self, pair, fused)

    monkeypatch.setattr(Fuser, "finish", finish)
    report = fuser.folder(ir, vi, out)
    assert report.written == ("1",)
    assert "KeyError" in report.failed[0][1]
    assert "this one alone" in report.failed[0][1]


def test_unmatched_are_listed(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2", "3"))
    (ir / "1.png").unlink()
    (vi / "3.png").unlink()
    report = fuser.folder(ir, vi, out)
    assert report.written == ("2",)
    assert (report.unmatched_infrared, report.unmatched_visible) == (("3.png",), ("1.png",))


def test_refused_folders(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2"))
    before = times(ir), times(vi)
    (tmp_path / "link").symlink_to(vi)
    for target in (ir, vi, tmp_path / "vi" / ".." / "vi", tmp_path / "link"):
        with pytest.raises(PairError, match="output="):
            fuser.folder(ir, vi, target)
    with pytest.raises(PairError, match="same folder"):
        fuser.folder(ir, ir, out)
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(ImageError, match="output="):
            fuser.folder(ir, vi, target)
    assert (times(ir), times(vi)) == before
    assert not out.exists()


def test_full_disk(fuser: Fuser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ir, vi, out = fill(tmp_path, ("1", "2", "3"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        report = fuser.folder(ir, vi, out)
    assert [name for name, _ in report.failed] == ["1", "2", "3"]
    assert all("disk is full" in message for _, message in report.failed)
    assert list(out.iterdir()) == []
    assert len(fuser.folder(ir, vi, out).written) == 3


@pytest.mark.parametrize(("limit", "least", "most"), [(32_000_000, 3, 6), (24 * 32, 2, 3), (24 * 32 - 1, 1, 1)])
def test_reading_overlaps_the_network_within_bounds(
    fuser: Fuser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, least: int, most: int
) -> None:
    """Few pairs are ahead of the network, and fewer, down to none, where pictures are large."""
    ir, vi, out = fill(tmp_path, tuple(str(i) for i in range(20)))
    lock, ready, seen = threading.Lock(), [0], [0]
    prepare, fuse = Fuser.prepare, Fuser.fuse_luminance

    def watched_prepare(self: Fuser, infrared: Any, visible: Any) -> Any:
        with lock:
            ready[0] += 1
        return prepare(self, infrared, visible)

    def slow_fuse(self: Fuser, pair: Any) -> Any:
        time.sleep(0.02)
        with lock:
            seen.append(ready[0])
            ready[0] -= 1
        assert threading.current_thread() is threading.main_thread()
        return fuse(self, pair)

    monkeypatch.setattr("imfuse.fusing.threads.AHEAD_PIXELS", limit)
    monkeypatch.setattr(Fuser, "prepare", watched_prepare)
    monkeypatch.setattr(Fuser, "fuse_luminance", slow_fuse)
    assert len(fuser.folder(ir, vi, out, workers=2).written) == 20
    # The first pictures are read before their size is known.
    assert least <= max(seen[3:]) <= most


def test_sigterm_finishes_what_is_written(fuser: Fuser, tmp_path: Path) -> None:
    # More pairs than one worker has under way in all stages together.
    ir, vi, out = fill(tmp_path, tuple(f"{i:02}" for i in range(20)))

    def terminate(step: Progress) -> None:
        if step.done == 2:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Terminated):
        fuser.folder(ir, vi, out, progress=terminate, workers=1)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    done = sorted(out.iterdir())
    assert 2 <= len(done) < 20
    assert all(read_image(path).shape[:2] == (24, 32) for path in done)
    assert len(fuser.folder(ir, vi, out).skipped) == len(done)


def test_a_second_run_into_the_folder_is_refused(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, out = fill(tmp_path)
    refused: list[str] = []

    def second(step: Progress) -> None:
        if step.done == 1:
            with pytest.raises(ImfuseError) as caught:
                fuser.folder(ir, vi, out)
            refused.append(str(caught.value))

    assert len(fuser.folder(ir, vi, out, progress=second).written) == 5
    assert refused[0].startswith(f"{out}: in use by a run over two folders (process {os.getpid()} on ")
    assert len(list(out.iterdir())) == 5
    assert len(fuser.folder(ir, vi, out).skipped) == 5


SLOW_RUN = """
import sys, time
from imfuse import Fuser
real = Fuser.fuse_luminance
def slow(self, pair):
    time.sleep(0.1)
    return real(self, pair)
Fuser.fuse_luminance = slow
from imfuse.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_run_leaves_whole_files_and_goes_on(fuser: Fuser, weights: Path, tmp_path: Path, how: int) -> None:
    names = tuple(str(i) for i in range(30))
    ir, vi, out = fill(tmp_path, names, (100, 120))
    command = [sys.executable, "-c", SLOW_RUN, "fuse", str(ir), str(vi), "-o", str(out), "--weights", str(weights)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list(out.glob("*.png"))) < 3 and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.02)
    run.send_signal(how)
    stdout, stderr = run.communicate(timeout=60)
    done = list(out.glob("*.png"))
    assert 3 <= len(done) < 30
    for path in done:
        assert read_image(path).shape[:2] == (100, 120)
    if how != signal.SIGKILL:
        code, word = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}[how]
        assert run.returncode == code
        assert stdout == ""
        assert stderr.startswith(f"imfuse: {word}")
        assert stderr.count("\n") == 1
        assert sorted(path.suffix for path in out.iterdir()) == [".png"] * len(done)
    report = fuser.folder(ir, vi, out)
    assert len(report.skipped) == len(done)
    assert len(report.written) == 30 - len(done)
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{name}.png" for name in names)
    for path in out.iterdir():
        np.testing.assert_array_equal(read_image(path), fuser(ir / path.name, vi / path.name))

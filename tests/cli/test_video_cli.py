"""``imfuse video``: what it prints, and errors in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from imfuse.cli import video
from imfuse.cli.main import main
from imfuse.video import VideoProgress

av = pytest.importorskip("av", reason="needs PyAV, of the extra video")
from video_clips import pictures, write_clip  # noqa: E402

QUICK = ["--model", "laplacian_pyramid"]


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "infrared.mp4", pictures(12, gray=True))
    write_clip(tmp_path / "visible.mp4", pictures(12), sound=True)
    return ["video", "infrared.mp4", "visible.mp4", *QUICK]


def test_one_command_makes_a_video(clips: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*clips, "--side-by-side", "--smooth"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("visible_fused.mp4: 192x48, 12 frames (")
    assert "with the sound of the visible one" in out
    assert err == ""
    assert main([*clips, "--side-by-side", "--smooth"]) == 0
    assert "finished before, nothing to do (--overwrite redoes it)" in capsys.readouterr()[0]


def test_what_is_dropped_is_told(clips: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "infrared.mp4", pictures(5, gray=True), 4)
    assert main([*clips, "--max-gap", "0.06", "-o", "f.mkv", "--codec", "ffv1"]) == 0
    assert "imfuse: dropped: 4 visible frames without an infrared one near enough" in capsys.readouterr()[1]


def test_progress_off_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 12.0, 15.0, 23.0])
    monkeypatch.setattr(video, "monotonic", lambda: next(clock))
    with video._progress() as progress:
        for done in (10, 24, 30, 46):
            progress(VideoProgress(done, 240, 0.0))
    assert capsys.readouterr()[1].splitlines() == [
        "imfuse: 24 of 240 frames, 2.0 frames/s, 1:48 left",
        "imfuse: 46 of 240 frames, 2.0 frames/s, 1:37 left",
    ]
    assert video.progress_line(1, 36001, 1).endswith("10:00:00 left")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.mp4", "visible.mp4"], "missing.mp4: no such file"),
        (["-", "-"], "one of the two sources"),
        (["-", "visible.mp4"], "use --raw 640x480:gray"),
        (["infrared.mp4", "visible.mp4", "-o", "f.gif"], "ends in .mp4"),
        (["infrared.mp4", "visible.mp4", "--bits", "16"], "use --codec ffv1; use --bits 8"),
        (["visible.mp4", "infrared.mp4"], "look swapped"),
        (["infrared.mp4", "visible.mp4", "--range", "stable"], "steady"),
    ],
)
def test_errors_are_one_line(
    clips: list[str], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["video", *words, *QUICK]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("imfuse: error: ")
    assert message in err


def test_an_interrupted_run_tells_how_to_go_on(
    clips: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: object, picture: object, seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("imfuse.video.parts.Parts.write", stop)
        assert main(clips) == 130
    Path("visible_fused.part-000.mp4").write_bytes(b"")
    capsys.readouterr()
    assert main(clips) == 2
    assert "use --resume to continue it; use --overwrite to begin anew" in capsys.readouterr()[1]
    assert main([*clips, "--resume"]) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a display by its variable")
def test_no_display_is_one_line(
    clips: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert main([*clips, "--show"]) == 2
    assert capsys.readouterr()[1].startswith("imfuse: error: --show: ")


def test_a_window_shows_and_tells_the_latency(
    clips: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fake:
        latency = 40.0
        shown = 0

        def __call__(self, picture: np.ndarray, read: float) -> bool:
            self.shown += 1
            return self.shown < 4

        def close(self) -> None:
            pass

    monkeypatch.setattr(video, "_window", lambda title: Fake())
    assert main([*clips, "--show"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("shown: 64x48, 4 frames (")
    assert "latency 40 ms" in out
    assert not Path("visible_fused.mp4").exists()

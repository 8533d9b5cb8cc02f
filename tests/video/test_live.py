"""Cameras: the newest wins, Ctrl-C is the ordinary end, and one that stops is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse.video import Frame, Frames, fuse_video, open_frames, run

pytest.importorskip("av", reason="needs PyAV, of the extra video")
from video_clips import pictures


class Camera(Frames):
    """Frames at an even rate, by the clock; it stops after some."""

    def __init__(self, name: str, number: int, rate: float) -> None:
        self.name, self.number, self.rate, self.live, self.size = name, number, rate, True, (48, 64)
        self.closed = False

    def __iter__(self) -> Iterator[Frame]:
        for picture in pictures(self.number, gray=self.name == "rtsp://infrared"):
            if self.closed:
                return
            time.sleep(1 / self.rate)
            yield Frame(picture, time.monotonic())
        self.stopped = "nothing comes any more"

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> dict[str, Camera]:
    found = {name: Camera(name, 40, 100) for name in ("rtsp://infrared", "rtsp://visible")}
    monkeypatch.setattr(run, "open_frames", lambda source, **_: found[str(source)])
    return found


def test_what_two_cameras_gave_until_one_stopped(cameras: dict[str, Camera], tmp_path: Path) -> None:
    fuser = imfuse.Fuser("laplacian_pyramid", range="steady")
    with pytest.warns(imfuse.ImfuseWarning, match="stopped after .* nothing comes any more"):
        report = fuse_video(fuser, *cameras, tmp_path / "f.mp4")
    times = [frame.time for frame in open_frames(tmp_path / "f.mp4")]
    assert len(times) == report.written > 3
    assert np.all(np.diff(times) > 0)
    assert times[-1] < 5


def test_an_interrupt_ends_a_recording_in_order(cameras: dict[str, Camera], tmp_path: Path) -> None:
    def stop(step: Any) -> None:
        if step.done == 4:
            raise KeyboardInterrupt

    report = fuse_video(imfuse.Fuser("laplacian_pyramid"), *cameras, tmp_path / "f.mp4", progress=stop)
    assert report.written == len(list(open_frames(tmp_path / "f.mp4"))) == 4
    assert not list(tmp_path.glob("*.part-*"))


def test_the_newest_wins_where_the_window_is_slow(cameras: dict[str, Camera]) -> None:
    def show(picture: np.ndarray, read: float) -> bool:
        time.sleep(0.05)
        return True

    with pytest.warns(imfuse.ImfuseWarning):
        report = fuse_video(imfuse.Fuser("laplacian_pyramid"), *cameras, None, show=show)
    assert report.dropped_live > 0
    assert report.written < 40

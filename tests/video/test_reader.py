"""Sources of frames: what each gives, and what each says that it cannot."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse.imaging import write_image
from imfuse.video import open_frames, reader

av = pytest.importorskip("av", reason="needs PyAV, of the extra video")
from video_clips import pictures, write_clip  # noqa: E402


def test_a_file(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a:b %d.mp4", pictures(12))
    with open_frames(path) as frames:
        assert (frames.size, frames.rate, frames.length, frames.live) == ((48, 64), 10, 12, False)
        read = list(frames)
    assert [frame.time for frame in read] == pytest.approx([i / 10 for i in range(12)], abs=1e-3)
    assert all(
        np.abs(frame.picture.astype(int) - picture).mean() < 6
        for frame, picture in zip(read, pictures(12), strict=True)
    )


def test_variable_rate_and_times_that_do_not_begin_at_zero(tmp_path: Path) -> None:
    times = [5, 5.1, 5.15, 5.9, 6.0]
    path = write_clip(tmp_path / "a.mkv", pictures(5), times=times)
    assert [frame.time for frame in open_frames(path)] == pytest.approx([time - 5 for time in times], abs=2e-3)


def test_thermal_frames_of_16_bits(tmp_path: Path) -> None:
    thermal = [frame.astype(np.uint16) * 40 for frame in pictures(3, gray=True)]
    path = write_clip(tmp_path / "a.mkv", thermal, codec="ffv1")
    np.testing.assert_array_equal([frame.picture for frame in open_frames(path)], thermal)


def test_a_gray_video_of_a_format_with_colours_is_gray(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(2, gray=True))
    assert next(iter(open_frames(path))).picture.shape == (48, 64)


@pytest.mark.parametrize("source", ["", "/f%d.png", "/f*.png"])
def test_folders_and_sequences_go_by_their_numbers(tmp_path: Path, source: str) -> None:
    for number in (0, 2, 10):
        write_image(tmp_path / f"f{number}.png", np.full((8, 8), number, np.uint8))
    frames = open_frames(f"{tmp_path}{source}", rate=4)
    assert frames.length == 3
    assert [(int(frame.picture[0, 0]), frame.time) for frame in frames] == [(0, 0), (2, 0.25), (10, 0.5)]


@pytest.mark.parametrize(
    ("form", "shape"), [("gray", (2, 3)), ("gray16le", (2, 3)), ("rgb24", (2, 3, 3)), ("bgr24", (2, 3, 3))]
)
def test_raw_frames_on_a_pipe(form: str, shape: tuple[int, ...]) -> None:
    dtype = np.uint16 if form == "gray16le" else np.uint8
    first = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    frames = open_frames("-", raw=f"3x2:{form}", pipe=io.BytesIO(first.tobytes() * 2 + b"x"))
    read = list(frames)
    expected = first[..., ::-1] if form == "bgr24" else first
    np.testing.assert_array_equal([frame.picture for frame in read], [expected] * 2)
    assert frames.stopped == "it ends within a frame"


def test_corrupt_packets_are_counted_and_the_others_read(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(30), codec="mpeg4")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 200
    data[at : at + 60] = bytes(60)
    path.write_bytes(bytes(data))
    frames = open_frames(path)
    assert len(list(frames)) > 10
    assert frames.damaged > 0


def test_a_file_that_breaks_off_ends_there(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(30), codec="ffv1")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert 3 < len(list(open_frames(path))) < 30


def without_pictures(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        tone = container.add_stream("aac", rate=8000, layout="mono")
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        heard.rate = 8000
        container.mux(tone.encode(heard))
        container.mux(tone.encode(None))
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.mp4", "no such file"),
        (lambda folder: folder / "f%04d.png", "no file has such a name"),
        (lambda folder: folder, "no pictures"),
        (lambda folder: _written(folder / "a.mp4", b""), "is empty"),
        (lambda folder: _written(folder / "a.mp4", b"rubbish" * 99), "not a video that can be read"),
        (lambda folder: without_pictures(folder / "a.mp4"), "holds no pictures"),
        (lambda folder: "rtsp://127.0.0.1:9/x", "not a video that can be read"),
        (lambda folder: "/dev/video99", "cannot read frames"),
        (lambda folder: "-", "WIDTHxHEIGHT:FORMAT"),
    ],
)
def test_sources_that_cannot_be_read(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(imfuse.VideoError, match=message) as error:
        open_frames(make(tmp_path))
    assert "\n" not in str(error.value)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(2))
    for wrong in ({"rate": 0}, {"raw": "3x2:gray"}):
        with pytest.raises(imfuse.VideoError):
            open_frames(path, **wrong)  # type: ignore[arg-type]
    for raw in ("3x2", "3x2:yuv", "0x2:gray"):
        with pytest.raises(imfuse.VideoError, match="WIDTHxHEIGHT"):
            open_frames("-", raw=raw)


def test_opencv_where_pyav_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(6))
    monkeypatch.setattr(reader, "has_pyav", lambda: False)
    with open_frames(path) as frames:
        assert (frames.size, frames.rate, frames.length) == ((48, 64), 10, 6)
        read = list(frames)
    assert [frame.time for frame in read] == pytest.approx([i / 10 for i in range(6)], abs=0.01)
    assert read[0].picture.shape == (48, 64, 3)
    assert np.abs(read[0].picture.astype(int) - next(pictures(1))).mean() < 6
    (tmp_path / "b.mp4").write_bytes(b"rubbish" * 99)
    with pytest.raises(imfuse.VideoError, match=r"imfuse\[video\]"):
        open_frames(tmp_path / "b.mp4")

"""Two videos into one: what is kept, what is told, what survives, and what is continued."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imfuse
from imfuse.core.errors import ImfuseError
from imfuse.video import VideoReport, fuse_video, open_frames

av = pytest.importorskip("av", reason="needs PyAV, of the extra video")
from imfuse.video import writer  # noqa: E402
from imfuse.video.formats import Format  # noqa: E402
from imfuse.video.parts import Parts  # noqa: E402
from video_clips import pictures, write_clip  # noqa: E402

RATE = 10


@pytest.fixture(scope="module")
def fuser() -> imfuse.Fuser:
    return imfuse.Fuser("laplacian_pyramid", range="steady")


@pytest.fixture
def clips(tmp_path: Path) -> tuple[Path, Path]:
    """An infrared clip of 35 frames and a visible one with sound."""
    first = write_clip(tmp_path / "infrared.mp4", pictures(35, gray=True), RATE)
    return first, write_clip(tmp_path / "visible.mp4", pictures(35), RATE, sound=True)


def read(path: Path) -> tuple[list[np.ndarray], list[float]]:
    frames = list(open_frames(path))
    return [frame.picture for frame in frames], [frame.time for frame in frames]


def sound_of(path: Path) -> tuple[int, float]:
    """Packets of sound, and where they end."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.pts is not None]
        return len(packets), float(packets[-1].pts * packets[-1].time_base)


def test_frames_times_and_sound(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    report = fuse_video(fuser, *clips, tmp_path / "f.mp4", progress=lambda step: steps.append((step.done, step.total)))
    assert (report.written, report.sound, report.size, report.finished) == (35, True, (48, 64), False)
    fused, times = read(tmp_path / "f.mp4")
    assert times == pytest.approx([i / RATE for i in range(35)], abs=1e-3)
    assert steps == [(i, 35) for i in range(36)]
    expected = list(fuser.stream(*([frame.picture for frame in open_frames(clip)] for clip in clips), rate=RATE))
    assert np.abs(np.array(fused, float) - expected).mean() < 3
    packets, end = sound_of(tmp_path / "f.mp4")
    assert packets in (sound_of(clips[1])[0], sound_of(clips[1])[0] - 1), "but for that before the beginning"
    assert end == pytest.approx(3.4, abs=0.2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.mp4", "infrared.mp4", "visible.mp4"]


def test_a_finished_one_is_not_made_again(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    fuse_video(fuser, *clips, tmp_path / "f.mp4")
    before = (tmp_path / "f.mp4").stat().st_mtime_ns
    assert fuse_video(fuser, *clips, tmp_path / "f.mp4").finished
    assert (tmp_path / "f.mp4").stat().st_mtime_ns == before
    assert fuse_video(fuser, *clips, tmp_path / "f.mp4", quality=30).written == 35, "other settings: an older version"


@pytest.mark.parametrize(("gray", "bits", "dtype"), [(False, 8, np.uint8), (True, 8, np.uint8), (True, 16, np.uint16)])
def test_ffv1_loses_nothing(clips: tuple[Path, Path], tmp_path: Path, gray: bool, bits: Any, dtype: type) -> None:
    fuser = imfuse.Fuser("laplacian_pyramid", range="full", gray=gray, bits=bits)
    fuse_video(fuser, *clips, tmp_path / "f.mkv", codec="ffv1")
    fused, _ = read(tmp_path / "f.mkv")
    assert fused[0].dtype == dtype
    sources = ([frame.picture for frame in open_frames(clip)] for clip in clips)
    np.testing.assert_array_equal(fused, list(fuser.stream(*sources, rate=RATE)))


def test_sixteen_bits_of_colour(tmp_path: Path) -> None:
    picture = (np.arange(8 * 8 * 3).reshape(8, 8, 3) * 300).astype(np.uint16)
    made = writer.VideoWriter(tmp_path / "a.mkv", RATE, Format("ffv1"), {})
    made.write(picture, 0)
    made.close()
    with av.open(str(tmp_path / "a.mkv")) as container:
        np.testing.assert_array_equal(next(container.decode(video=0)).to_ndarray(format="rgb48le"), picture)


def test_odd_sizes_keep_every_pixel(fuser: imfuse.Fuser, tmp_path: Path) -> None:
    clips = [
        write_clip(tmp_path / f"{name}.mkv", pictures(5, (47, 63), gray=name == "infrared"), RATE, codec="ffv1")
        for name in ("infrared", "visible")
    ]
    fuse_video(fuser, *clips, tmp_path / "f.mp4")
    assert read(tmp_path / "f.mp4")[0][0].shape[:2] == (48, 64)


def test_side_by_side(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    report = fuse_video(fuser, *clips, tmp_path / "f.mp4", side_by_side=True)
    assert report.size == (48, 192)
    first = read(tmp_path / "f.mp4")[0][0].astype(int)
    assert np.abs(first[:, 64:128] - next(pictures(1))).mean() < 8


def test_other_rates_and_a_rig_of_other_sizes(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    slow = write_clip(tmp_path / "infrared_slow.mp4", pictures(18, gray=True), 5)
    assert fuse_video(fuser, slow, clips[1], tmp_path / "f.mp4").written == 35
    small = write_clip(tmp_path / "infrared_small.mp4", pictures(35, (24, 32), gray=True), RATE)
    with pytest.raises(imfuse.PairError, match="32x24"):
        fuse_video(fuser, small, clips[1], tmp_path / "g.mp4")
    points = tmp_path / "points.csv"
    points.write_text(
        "x_visible,y_visible,x_infrared,y_infrared\n0.5,0.5,0,0\n62.5,0.5,31,0\n0.5,46.5,0,23\n62.5,46.5,31,23\n"
    )
    from imfuse.imaging import write_image

    write_image(tmp_path / "ir.png", next(pictures(1, (24, 32), gray=True)))
    write_image(tmp_path / "vis.png", next(pictures(1)))
    rig = imfuse.align(tmp_path / "ir.png", tmp_path / "vis.png", points=points)
    aligned = imfuse.Fuser("laplacian_pyramid", range="steady", rig=rig)
    assert fuse_video(aligned, small, clips[1], tmp_path / "g.mp4", overwrite=True).written == 35


def test_different_lengths_are_told(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    short = write_clip(tmp_path / "infrared_short.mp4", pictures(20, gray=True), RATE)
    with pytest.warns(imfuse.ImfuseWarning, match=r"2\.0 s and .* 3\.5 s"):
        report = fuse_video(fuser, short, clips[1], tmp_path / "f.mp4")
    assert report.written == 21
    assert sound_of(tmp_path / "f.mp4")[1] < 2.2


def test_what_stops_and_what_is_damaged_is_told_and_the_rest_kept(
    fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path
) -> None:
    damaged = write_clip(tmp_path / "infrared_2.mp4", pictures(35, gray=True), RATE, codec="mpeg4")
    data = bytearray(damaged.read_bytes())
    at = data.index(b"mdat") + 500
    data[at : at + 60] = bytes(60)
    damaged.write_bytes(bytes(data))
    with pytest.warns(imfuse.ImfuseWarning, match="damaged"):
        report = fuse_video(fuser, damaged, clips[1], tmp_path / "f.mp4")
    assert report.damaged > 0
    assert report.written > 10


def test_no_sound_where_there_is_none(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    mute = write_clip(tmp_path / "visible_mute.mp4", pictures(8), RATE)
    assert not fuse_video(fuser, clips[0], mute, tmp_path / "f.mp4", max_gap=9).sound


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_resumed_runs_give_what_one_run_gives(
    fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path, suffix: str
) -> None:
    whole, parted = tmp_path / f"whole{suffix}", tmp_path / f"parted{suffix}"
    codec = {"codec": "ffv1"} if suffix == ".mkv" else {}
    fuse_video(fuser, *clips, whole, **codec)  # type: ignore[arg-type]
    for after in (14, 27):

        def stop(step: Any, after: int = after) -> None:
            if step.done == after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fuse_video(fuser, *clips, parted, progress=stop, resume=after > 14, **codec)  # type: ignore[arg-type]
    parts = sorted(tmp_path.glob("parted.part-*"))
    assert [read(part)[1][0] for part in parts] == [0, 0]
    report = fuse_video(fuser, *clips, parted, resume=True, **codec)  # type: ignore[arg-type]
    assert (report.resumed, report.written) == (20, 15)
    (one, times), (other, others) = read(whole), read(parted)
    assert others == pytest.approx(times, abs=1e-3)
    assert np.abs(np.array(one, float) - other).mean() < (0.01 if codec else 1.5)
    assert report.sound
    assert not list(tmp_path.glob("*.part-*"))


def test_parts_are_neither_lost_nor_mixed(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "f.mp4"

    def stop(step: Any) -> None:
        if step.done == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuse_video(fuser, *clips, output, progress=stop)
    with pytest.raises(imfuse.VideoError, match="interrupted run left it") as error:
        fuse_video(fuser, *clips, output)
    assert "resume=True" in str(error.value)
    with pytest.raises(imfuse.VideoError, match="other settings"):
        fuse_video(fuser, *clips, output, resume=True, quality=30)
    report = fuse_video(fuser, *clips, output, overwrite=True)
    assert (report.written, report.resumed) == (35, 0)


def test_an_error_on_the_way_keeps_what_was_fused(
    fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full: one line, which names the part, and the part can be continued."""
    write, calls = Parts.write, 0

    def full(self: Parts, picture: Any, seconds: float) -> None:
        nonlocal calls
        calls += 1
        if calls > 15:
            with writer._telling(self.part or Path()):
                raise OSError(28, "No space left on device")
        write(self, picture, seconds)

    monkeypatch.setattr(Parts, "write", full)
    with pytest.raises(imfuse.VideoError, match="the disk is full") as error:
        fuse_video(fuser, *clips, tmp_path / "f.mp4")
    assert "15 frames are in" in str(error.value)
    assert "resume=True" in str(error.value)
    monkeypatch.undo()
    assert len(read(tmp_path / "f.part-000.mp4")[0]) == 15
    assert fuse_video(fuser, *clips, tmp_path / "f.mp4", resume=True).resumed == 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_ffmpeg_says_of_a_full_disk_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").symlink_to("/dev/full")
    made = writer.VideoWriter(tmp_path / "a.mkv", RATE, Format("ffv1"), {})
    noise = np.random.default_rng(0).integers(0, 255, (40, 240, 320, 3), np.uint8)

    def write() -> None:
        for number, picture in enumerate(noise):
            made.write(picture, number / RATE)

    with pytest.raises(imfuse.VideoError, match="cannot write: the disk is full"):
        write()


PROGRAM = """
import sys, time, imfuse
from imfuse.video import fuse_video

def slow(step):
    time.sleep(0.02)
    print(step.done, flush=True)

fuse_video(imfuse.Fuser("laplacian_pyramid"), *sys.argv[1:4], progress=slow)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
def test_a_kill_leaves_a_file_that_plays_and_can_be_continued(tmp_path: Path) -> None:
    clips = [
        write_clip(tmp_path / f"{name}.mp4", pictures(150, gray=name == "infrared"), RATE)
        for name in ("infrared", "visible")
    ]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, clips), str(tmp_path / "f.mp4")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "120":
                process.kill()
                break
    assert not (tmp_path / "f.mp4").exists()
    played = len(read(tmp_path / "f.part-000.mp4")[0])
    assert 20 <= played <= 130
    report = fuse_video(imfuse.Fuser("laplacian_pyramid"), *clips, tmp_path / "f.mp4", resume=True)
    assert report.resumed == played // RATE * RATE
    assert report.written + report.resumed == len(read(tmp_path / "f.mp4")[0]) == 150


@pytest.mark.parametrize(
    ("settings", "output", "message"),
    [
        ({}, "f.gif", "ends in .mp4"),
        ({"codec": "ffv1"}, "f.mp4", "Matroska"),
        ({"codec": "vp9"}, "f.mp4", "one of h264, ffv1"),
        ({"quality": 90}, "f.mp4", "0, the best"),
        ({"pixel_format": "rgb1"}, "f.mp4", "libx264 has yuv420p"),
        ({}, "visible.mp4", "one of the two videos"),
        ({"max_gap": -1}, "f.mp4", "seconds are expected"),
    ],
)
def test_settings_that_cannot_be_used(
    fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path, settings: Any, output: str, message: str
) -> None:
    with pytest.raises(ImfuseError, match=message) as error:
        fuse_video(fuser, *clips, tmp_path / output, **settings)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.part-*"))


def test_a_file_of_others_is_not_replaced(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_clip(tmp_path / "f.mp4", pictures(2), RATE)
    with pytest.raises(imfuse.VideoError, match="nothing in it says"):
        fuse_video(fuser, *clips, other)
    assert fuse_video(fuser, *clips, other, overwrite=True).written == 35


def test_sixteen_bits_need_another_codec(clips: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(imfuse.VideoError, match="codec='ffv1'"):
        fuse_video(imfuse.Fuser("laplacian_pyramid", bits=16), *clips, tmp_path / "f.mp4")


def test_a_codec_that_is_missing(
    fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(writer.CODECS, "h264", ("no_such_encoder",))
    with pytest.raises(imfuse.VideoError, match="no encoder of h264; use codec='ffv1'"):
        fuse_video(fuser, *clips, tmp_path / "f.mp4")


def test_swapped_files_are_refused(fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(imfuse.PairError, match="look swapped"):
        fuse_video(fuser, clips[1], clips[0], tmp_path / "f.mp4")


def test_a_window_gets_each_picture_and_may_end_it(fuser: imfuse.Fuser, clips: tuple[Path, Path]) -> None:
    shown: list[float] = []

    def show(picture: np.ndarray, taken: float) -> bool:
        shown.append(time.perf_counter() - taken)
        return len(shown) < 5

    report: VideoReport = fuse_video(fuser, *clips, None, show=show)
    assert (report.output, len(shown)) == (None, 5)
    assert all(0 < latency < 60 for latency in shown)


def test_opencv_where_pyav_is_missing(
    fuser: imfuse.Fuser, clips: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> bool:
        return False

    for module in ("reader", "output", "run"):
        monkeypatch.setattr(f"imfuse.video.{module}.has_pyav", missing)
    with pytest.warns(imfuse.ImfuseWarning, match=r"imfuse\[video\]"):
        report = fuse_video(fuser, *clips, tmp_path / "f.mp4")
    assert (report.written, report.sound) == (35, False)
    monkeypatch.undo()
    assert len(read(tmp_path / "f.mp4")[0]) == 35


def test_memory_does_not_grow(fuser: imfuse.Fuser) -> None:
    """What is under way is bounded whatever the length."""
    stream = fuser.stream(pictures(400, gray=True), pictures(400, gray=True))
    for _ in range(50):
        next(stream)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in stream:
        pass
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 2_000_000

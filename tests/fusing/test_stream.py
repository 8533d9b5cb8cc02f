"""Streams: frames of any kind, in order, with bounded memory, and errors where they are reached."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import imfuse
from imfuse.fusing.pipeline import Channel, Closed, Pipeline, Step

FAST = "laplacian_pyramid"


def frames(number: int, dtype: type = np.uint8, colour: bool = False) -> Iterator[np.ndarray]:
    """Gradients that move."""
    ramp = np.linspace(20, 200, 64)
    for i in range(number):
        plane = np.tile(np.roll(ramp, i), (48, 1)).astype(dtype)
        yield np.stack([plane, plane, plane // 2], axis=2) if colour else plane


def infrared(number: int) -> list[np.ndarray]:
    return [frame * np.uint16(10) + np.uint16(7000) for frame in frames(number, np.uint16)]


def test_what_a_fuser_makes_of_each_pair() -> None:
    fuser = imfuse.Fuser(FAST, range=(7000, 9000))
    alone = [fuser(ir, vi) for ir, vi in zip(infrared(5), frames(5, colour=True), strict=True)]
    for batch in (1, 3):
        streamed = list(fuser.stream(infrared(5), frames(5, colour=True), batch=batch))
        np.testing.assert_array_equal(streamed, alone)


def test_batches_of_a_network_are_its_frames() -> None:
    fuser = imfuse.Fuser("seafusion", device="cpu")
    alone = [fuser(ir, vi) for ir, vi in zip(frames(4), frames(4, colour=True), strict=True)]
    streamed = np.array(list(fuser.stream(frames(4), frames(4, colour=True), batch=4)))
    assert np.abs(streamed.astype(int) - alone).max() <= 1


def test_frames_keep_their_kind() -> None:
    tensors = [torch.from_numpy(frame)[None] for frame in frames(2)]
    assert [tuple(one.shape) for one in imfuse.stream(tensors, tensors, FAST)] == [(1, 48, 64)] * 2
    assert [one.shape for one in imfuse.stream(frames(2), frames(2, colour=True), FAST)] == [(48, 64, 3)] * 2


def test_frames_of_pyav() -> None:
    av = pytest.importorskip("av", reason="needs PyAV, of the extra video")
    first = [av.VideoFrame.from_ndarray(frame, format="gray16le") for frame in infrared(2)]
    second = [av.VideoFrame.from_ndarray(frame, format="rgb24") for frame in frames(2, colour=True)]
    expected = list(imfuse.stream(infrared(2), frames(2, colour=True), FAST))
    np.testing.assert_array_equal(list(imfuse.stream(first, second, FAST)), expected)


def test_a_steady_range_is_the_default_and_does_not_pump() -> None:
    """Beside a hot object the rest of the picture stays as it was."""

    def entering() -> Iterator[np.ndarray]:
        for number in range(20):
            frame = infrared(1)[0].copy()
            frame[10:20, 10 : 10 + number] = 20000
            yield frame

    def changes(range_: str) -> float:
        still = next(frames(1))
        fused = np.array(list(imfuse.stream(entering(), [still] * 20, FAST, range=range_)), float)
        return float(np.abs(np.diff(fused[:, 30:], axis=0)).mean())

    assert imfuse.Fuser(range="steady").range == imfuse.imaging.Range("steady")
    assert changes("steady") < 0.2 * changes("percentile")
    assert changes("auto") == changes("steady")


def test_it_ends_with_the_shorter_and_takes_few_frames_ahead() -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield next(frames(1))

    fused = imfuse.stream(endless(), endless(), FAST)
    next(fused)
    time.sleep(0.2)
    assert taken <= 2 * 20, "bounded, whatever the source gives"
    fused.close()
    after = taken
    time.sleep(0.1)
    assert taken <= after + 2
    assert list(fused) == []
    assert len(list(imfuse.stream(frames(3), frames(5), FAST))) == 3


def test_threads_end_with_the_stream() -> None:
    def ours() -> int:
        return sum(thread.name == "imfuse" for thread in threading.enumerate())

    before = ours()
    with imfuse.stream(frames(50), frames(50), FAST) as fused:
        next(fused)
        assert ours() > before
    assert ours() == before


def test_an_error_is_raised_behind_what_came_before() -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from frames(2)
        raise OSError(5, "the camera is gone")

    fused = imfuse.stream(broken(), frames(9), FAST)
    assert next(fused).shape == next(fused).shape == (48, 64)
    with pytest.raises(OSError, match="the camera is gone"):
        next(fused)
    with pytest.raises(StopIteration):
        next(fused)


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        ([np.zeros((48, 64), np.uint8)], [np.zeros((40, 64), np.uint8)], imfuse.PairError),
        ([np.zeros((48, 64, 2), np.uint8)], [np.zeros((48, 64), np.uint8)], imfuse.ImageError),
        ([torch.zeros(2, 1, 48, 64)], [torch.zeros(2, 1, 48, 64)], imfuse.ModelError),
    ],
)
def test_frames_that_cannot_be_used(first: Any, second: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(imfuse.stream(first, second, FAST))


def test_settings_that_cannot_be_used() -> None:
    for wrong in ({"rate": 0}, {"batch": 0}):
        with pytest.raises(imfuse.ModelError, match="expected"):
            imfuse.stream([], [], FAST, **wrong)  # type: ignore[arg-type]


def test_doubts_are_told_once_and_are_errors_where_strict() -> None:
    visible = [np.full((48, 64), 900, np.uint16)] * 4  # of 10 bits
    with pytest.warns(imfuse.ImfuseWarning, match="10 bits") as told:
        assert len(list(imfuse.stream(frames(4), visible, FAST))) == 4
    assert len(told) == 1
    with pytest.raises(imfuse.ImageError, match="10 bits"):
        list(imfuse.stream(frames(4), visible, FAST, strict=True))


def test_false_colours_are_settled_by_the_first_frame() -> None:
    from imfuse.imaging.palette import painted

    plain = list(frames(3))
    coloured = [(painted(frame / np.float32(255), "ironbow") * 255).round().astype(np.uint8) for frame in plain]
    with pytest.warns(imfuse.ImfuseWarning, match="ironbow"):
        fused = np.array(list(imfuse.stream(coloured, frames(3), FAST, range="full")), float)
    expected = np.array(list(imfuse.stream(plain, frames(3), FAST, range="full")), float)
    assert np.abs(fused - expected).mean() < 3


def test_newest_wins() -> None:
    def fast() -> Iterator[np.ndarray]:
        for frame in frames(60):
            time.sleep(0.002)
            yield frame

    with imfuse.stream(fast(), frames(60), FAST, newest=True) as fused:
        shown = 0
        for _ in fused:
            shown += 1
            time.sleep(0.02)
        assert shown < 50
        assert shown + fused.dropped == 60


def test_asynchronous() -> None:
    async def collect() -> int:
        number = 0
        async for frame in imfuse.stream(frames(4), frames(4), FAST):
            assert frame.shape == (48, 64)
            number += 1
        return number

    assert asyncio.run(collect()) == 4


def test_the_filter_over_time_smooths_noise_and_leaves_what_moves() -> None:
    random = np.random.default_rng(0)
    still = [np.clip(next(frames(1)) + random.normal(0, 1, (48, 64)), 0, 255).astype(np.uint8) for _ in range(12)]

    def flicker(smooth: bool) -> float:
        fused = np.array(list(imfuse.stream(still, still, FAST, range="full", smooth=smooth)), float)
        return float(np.abs(np.diff(fused, axis=0)).mean())

    assert flicker(True) < 0.6 * flicker(False)
    moving = [np.where(np.arange(64) // 8 % 2 == i % 2, 40, 200).astype(np.uint8)[None].repeat(48, 0) for i in range(4)]
    plain, smooth = (list(imfuse.stream(moving, moving, FAST, smooth=smooth)) for smooth in (False, True))
    np.testing.assert_array_equal(plain, smooth)


def test_a_channel_that_is_closed_lets_nobody_wait() -> None:
    channel = Channel[int](1)
    channel.put(1)

    def put() -> None:
        with pytest.raises(Closed):
            channel.put(2)

    waiting = threading.Thread(target=put)
    waiting.start()
    channel.close()
    waiting.join(2)
    assert not waiting.is_alive()


def test_closing_waits_for_a_step_that_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that runs on while Python ends would abort the process."""
    monkeypatch.setattr("imfuse.fusing.pipeline._PATIENCE", 0.01)
    ended: list[int] = []

    def slow(item: int) -> int:
        time.sleep(0.2)
        ended.append(item)
        return item

    pipeline = Pipeline(iter(int, 1), Step.of_one(slow))
    assert next(pipeline) == 0
    before = len(ended)
    time.sleep(0.05)
    pipeline.close()
    assert len(ended) > before


def test_a_pipeline_that_is_forgotten_ends() -> None:
    before = threading.active_count()
    pipeline = Pipeline(iter(int, 1), Step.of_one(lambda item: item))
    assert next(pipeline) == 0
    del pipeline
    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before

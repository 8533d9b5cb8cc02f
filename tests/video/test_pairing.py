"""Frames of two cameras by their times."""

from __future__ import annotations

import numpy as np
import pytest

import imfuse
from imfuse.video import Frame, PairCounts, pair_frames


def frames(*times: float) -> list[Frame]:
    return [Frame(np.zeros((1, 1), np.uint8), time) for time in times]


def paired(
    infrared: list[Frame], visible: list[Frame], gap: float = 0.1
) -> tuple[list[tuple[float, float]], PairCounts]:
    counts = PairCounts()
    return [(a.time, b.time) for a, b in pair_frames(infrared, visible, gap, counts)], counts


def test_a_slow_infrared_camera_serves_several_visible_frames() -> None:
    pairs, counts = paired(frames(0, 0.11, 0.22), frames(*(i / 30 for i in range(8))))
    assert [a for a, _ in pairs] == [0, 0, 0.11, 0.11, 0.11, 0.22, 0.22, 0.22]
    assert (counts.paired, counts.dropped_infrared, counts.dropped_visible) == (8, 0, 0)
    assert counts.widest == pytest.approx(0.22 - 5 / 30)


def test_a_fast_infrared_camera_loses_frames() -> None:
    pairs, counts = paired(frames(*(i / 60 for i in range(12))), frames(0, 0.1))
    assert [b for _, b in pairs] == [0, 0.1]
    assert counts.dropped_infrared == 5


def test_visible_frames_without_a_partner_are_dropped() -> None:
    pairs, counts = paired(frames(0, 1), frames(0, 0.3, 0.5, 0.95), gap=0.1)
    assert pairs == [(0, 0), (1, 0.95)]
    assert counts.dropped_visible == 2


def test_it_ends_with_the_shorter() -> None:
    pairs, _ = paired(frames(0, 0.1), frames(0, 0.1, 0.15, 0.3, 0.4))
    assert pairs == [(0, 0), (0.1, 0.1), (0.1, 0.15)]
    assert paired([], frames(0))[0] == []
    assert paired(frames(0), [])[0] == []


def test_late_frames_are_left_out() -> None:
    pairs, counts = paired(frames(0, 0.1, 0.05, 0.2), frames(0, 0.1, 0.1, 0.2))
    assert pairs == [(0, 0), (0.1, 0.1), (0.2, 0.2)]
    assert counts.late == 2


@pytest.mark.parametrize("gap", [-1, float("nan"), float("inf")])
def test_a_gap_that_is_none(gap: float) -> None:
    with pytest.raises(imfuse.VideoError, match="seconds"):
        pair_frames([], [], gap)

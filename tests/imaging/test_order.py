"""Pairs that look swapped, and those that only seem to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse.core.errors import PairError
from imfuse.imaging.inputs import Array, Stored
from imfuse.imaging.order import check_colours, check_names
from imfuse.imaging.palette import palette_colours
from imfuse.scenes import render_scene

SCENE = render_scene(96, 128)
GRAY, COLOURS = SCENE.infrared, SCENE.visible
JET = palette_colours("jet")[GRAY].astype(np.uint8)


@pytest.mark.parametrize(
    ("infrared", "visible", "told"),
    [
        ("x_vis.png", "x_ir.png", "x_vis.png says visible"),
        ("x_vis.png", "x.png", "x_vis.png says visible"),
        ("x.png", "x_thermal.png", "x_thermal.png says infrared"),
        ("rgb/1.png", "other/1.png", "rgb says visible"),
        ("a/1.png", "tir/1.png", "tir says infrared"),
        ("VIS1.png", "IR1.png", "VIS1.png says visible"),
    ],
)
def test_names_that_say_the_opposite_are_refused(infrared: str, visible: str, told: str) -> None:
    with pytest.raises(PairError, match=rf"look swapped: the name {told}.*order='given'") as caught:
        check_names(Path(infrared), Path(visible))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("infrared", "visible"),
    [
        ("ir/1.png", "vi/1.png"),
        ("x_ir.png", "x_vis.png"),
        ("a.png", "b.png"),
        ("visitor.png", "first.png"),  # words are whole
        ("vi/1_ir.png", "ir/1_vis.png"),  # files are asked before folders
        ("vis_ir/1.png", "vis_ir/2.png"),  # both sides say nothing
        ("x_lwir.png", "x_nir.png"),
        ("frame_v.png", "frame_t.png"),  # a letter alone is no word
        ("rgbt.png", "rgbt.png"),
        ("vis.png", "vis.png"),  # one file with the bands of both
    ],
)
def test_names_that_do_not(infrared: str, visible: str) -> None:
    check_names(Path(infrared), Path(visible))


def stored(pixels: Array, name: str = "x.png") -> Stored:
    return Stored(pixels, name, Path(name))


@pytest.mark.parametrize("visible", [GRAY, np.repeat(GRAY[..., None], 3, 2), JET], ids=["gray", "gray RGB", "painted"])
@pytest.mark.parametrize("scale", [1, 257])
def test_natural_colours_beside_none_are_refused(visible: Array, scale: int) -> None:
    first, second = (pixels * np.uint16(scale) if scale > 1 else pixels for pixels in (COLOURS, visible))
    with pytest.raises(PairError, match=r"a.png and b.png look swapped: the infrared picture has natural colours"):
        check_colours(stored(first, "a.png"), stored(second, "b.png"))


@pytest.mark.parametrize(
    ("infrared", "visible"),
    [(GRAY, GRAY), (GRAY, COLOURS), (COLOURS, COLOURS), (JET, GRAY), (JET, COLOURS), (JET, JET)],
)
def test_other_colours_are_not(infrared: Array, visible: Array) -> None:
    check_colours(stored(infrared), stored(visible))


def test_a_coloured_scale_beside_the_picture_is_no_colour() -> None:
    screen = np.repeat(GRAY[..., None], 3, 2)
    screen[:, -4:] = palette_colours("jet")[np.linspace(0, 255, 96).astype(int)][:, None]
    check_colours(stored(screen), stored(GRAY))


def test_scans_in_false_colours_go_on_either_side() -> None:
    faint = np.clip(COLOURS.astype(int), 0, 255).astype(np.uint8)
    check_colours(stored(faint, "pet/1.png"), stored(GRAY, "mri/1.png"))

"""Rendered street scenes in motion: a camera that moves, people who walk, cars that pass, and how every point moved."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imfuse.core.errors import ImageError
from imfuse.scenes import sensors
from imfuse.scenes.boxes import visible_boxes
from imfuse.scenes.canvas import FAR, NEAR, Camera, Canvas, Floats, noise_tile
from imfuse.scenes.layout import Layout
from imfuse.scenes.render import Mover, Scene, camera_of, check_street, paint_street, street_layout

CameraMotion = Literal["still", "handheld", "driving"]

STEP = 1.4
"""Metres that a pedestrian walks in one period of the gait, which is two steps."""


@dataclass(frozen=True)
class MovingScene(Scene):
    """One frame of a scene in motion.

    Attributes:
        time: of the frame, in seconds from the first one.
        motion: where the surface point of each pixel was in the frame before, less where it is now: columns and rows,
            (H, W, 2) float32, in pixels. It is exact for what is rigid; of a pedestrian it is the motion of the body,
            not of the limbs that swing. Zeros in the first frame.
        seen: whether the frame before showed the point, (H, W) bool: it was in the picture, and nothing was before it.

    Example:
        >>> clip = list(render_motion(2, 60, 80, seed=3))
        >>> clip[1].time, clip[1].motion.shape, bool(clip[0].seen.any())
        (0.04, (60, 80, 2), False)
    """

    time: float
    motion: NDArray[np.float32]
    seen: NDArray[np.bool_]


def render_motion(
    frames: int,
    height: int = 480,
    width: int = 640,
    seed: int = 0,
    *,
    rate: float = 25.0,
    camera: CameraMotion = "handheld",
) -> Iterator[MovingScene]:
    """Renders a night street as a clip: people walk, bicycles ride, cars with their lights on drive past the camera.

    The first frame shows the street of :func:`render_scene`, by night. Both cameras have a fixed range, so that nothing
    but the scene and their noise changes the levels.

    Args:
        frames: how many, at least 1; they are rendered one by one, as they are asked for.
        height: rows, at least 1.
        width: columns, at least 1.
        seed: of the street, its people and the noise; zero or a positive integer.
        rate: frames per second.
        camera: "still" on a tripod, "handheld" (it sways by centimetres and trembles), or "driving" at 7 m/s.

    Returns:
        The frames, in order. They depend on the arguments only, within the limits of ``render_scene``.

    Raises:
        ImageError: an argument is out of its range; when the first frame is asked for.

    Example:
        >>> first, *_, last = render_motion(5, 60, 80, seed=3)
        >>> first.infrared.shape, last.time
        ((60, 80), 0.16)
        >>> bool((first.infrared != last.infrared).any())
        True
    """
    check_street(height, width, seed)
    if frames < 1 or rate <= 0:
        raise ImageError(f"frames={frames}, rate={rate:g}: at least one frame, and a positive rate are expected")
    if camera not in get_args(CameraMotion):
        raise ImageError(f"camera={camera!r}: {', '.join(get_args(CameraMotion))} are expected")
    rng = np.random.Generator(np.random.PCG64(seed))
    start = street_layout(seed, rng)
    fine, coarse = noise_tile(rng, 16, 5, 0.75), noise_tile(rng, 4, 5)
    still = camera_of(start, height, width)
    paces = _Paces.draw(start, seed)
    before: _Painted | None = None
    for number in range(frames):
        time = number / rate
        layout = moved_layout(start, paces, time)
        canvas = Canvas(moved_camera(still, camera, seed, time), fine, coarse)
        # All frames draw the same numbers for windows and skyline.
        whole, movers = paint_street(canvas, layout, copy.deepcopy(rng))
        canvas.moved = _ways(start, layout, movers)
        noise = np.random.default_rng((seed, number))
        sensors.weather(canvas)
        infrared = sensors.expose_infrared(canvas, noise)
        visible = sensors.expose_visible(canvas, layout, noise)
        boxes, objects = visible_boxes(canvas, whole)
        now = _Painted(canvas, layout, movers)
        motion, seen = _motion(now, before)
        before = now
        yield MovingScene(infrared, visible, canvas.labels, boxes, objects, time, motion, seen)


@dataclass(frozen=True)
class _Paces:
    """Speeds along the headings, in m/s."""

    cars: tuple[float, ...]
    people: tuple[float, ...]

    @classmethod
    def draw(cls, layout: Layout, seed: int) -> _Paces:
        """Cars of one direction share a speed, so that none runs into another; parked ones have none."""
        rng = np.random.default_rng((seed, 2))
        oncoming, preceding = (float(rng.uniform(8, 14)) for _ in range(2))
        cars = tuple((oncoming if cos(car.heading) < 0 else preceding) * car.lit for car in layout.cars)
        people = tuple(float(rng.uniform(3.5, 5) if one.rides else rng.uniform(1, 1.7)) for one in layout.people)
        return cls(cars, people)


def moved_layout(start: Layout, paces: _Paces, time: float) -> Layout:
    """The street after so many seconds."""

    def ways(pace: float, heading: float) -> tuple[float, float]:
        return pace * time * sin(heading), pace * time * cos(heading)

    cars, people = [], []
    for car, pace in zip(start.cars, paces.cars, strict=True):
        side, ahead = ways(pace, car.heading)
        cars.append(replace(car, side=car.side + side, ahead=car.ahead + ahead))
    for person, pace in zip(start.people, paces.people, strict=True):
        side, ahead = ways(pace, person.heading)
        phase = person.phase + 2 * pi * pace * time / STEP
        people.append(replace(person, side=person.side + side, ahead=person.ahead + ahead, phase=phase))
    return replace(start, cars=tuple(cars), people=tuple(people))


def moved_camera(still: Camera, motion: CameraMotion, seed: int, time: float) -> Camera:
    """The camera after so many seconds; at the start it is where it would be in a scene without motion."""
    if motion == "still":
        return still
    phases = np.random.default_rng((seed, 3)).uniform(0, 2 * pi, 8)

    def wave(index: int, hertz: float) -> float:
        """Two sines; zero at the start."""
        slow, fast = phases[2 * index], phases[2 * index + 1]
        turn = 2 * pi * hertz * time
        return float(np.sin(turn + slow) - np.sin(slow) + 0.4 * (np.sin(2.7 * turn + fast) - np.sin(fast)))

    if motion == "driving":
        return replace(still, ahead=7.0 * time, elevation=still.elevation + 0.01 * wave(0, 1.3))
    return replace(
        still,
        right=0.04 * wave(0, 0.5),
        elevation=still.elevation + 0.02 * wave(1, 0.7),
        shift=0.006 * still.width * wave(2, 0.9),
        horizon=still.horizon + 0.006 * still.height * wave(3, 1.1),
    )


def _place(layout: Layout, mover: Mover) -> tuple[float, float]:
    """World X and Z."""
    one = layout.cars[mover.position] if mover.kind == "car" else layout.people[mover.position]
    return layout.x_of(one.side, one.ahead), one.ahead


def _ways(start: Layout, end: Layout, movers: list[Mover | None]) -> Floats:
    """How far each object of the second layout is from its place in the first, (N, 2): X and Z in metres."""
    ways = np.zeros((len(movers), 2), np.float32)
    for number, mover in enumerate(movers):
        if mover is not None:
            ways[number] = np.subtract(_place(end, mover), _place(start, mover))
    return ways


@dataclass(frozen=True)
class _Painted:
    """What of a frame the next one needs."""

    canvas: Canvas
    layout: Layout
    movers: list[Mover | None]


def _motion(now: _Painted, before: _Painted | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """``motion`` and ``seen`` of a frame."""
    canvas, shape = now.canvas, now.canvas.depth.shape
    if before is None:
        return np.zeros((*shape, 2), np.float32), np.zeros(shape, np.bool_)
    camera = before.canvas.camera
    ways = _ways(before.layout, now.layout, now.movers)[canvas.objects]
    x, y, z = canvas.camera.positions(canvas.depth)
    points = np.stack(np.broadcast_arrays(x - ways[..., 0], y, z - ways[..., 1]), axis=-1).reshape(-1, 3)
    points = camera.relative(points)
    depth = points[:, 2].reshape(shape)
    points[:, 2] = np.maximum(points[:, 2], NEAR)
    columns, rows = np.moveaxis(camera.project(points).reshape(*shape, 2), -1, 0)
    own_rows, own_columns = np.indices(shape) + 0.5
    motion = np.stack([columns - own_columns, rows - own_rows], axis=-1).astype(np.float32)
    return motion, _was_seen(before.canvas, columns, rows, depth)


def _was_seen(canvas: Canvas, columns: Floats, rows: Floats, depth: Floats) -> NDArray[np.bool_]:
    """Whether points were in that picture, and the nearest there; at a border of two surfaces they count as hidden."""
    height, width = canvas.depth.shape
    inside: NDArray[Any] = (columns >= 0.5) & (columns <= width - 0.5) & (rows >= 0.5) & (rows <= height - 0.5)
    inside &= depth >= NEAR
    left = np.clip(np.floor(columns - 0.5), 0, max(0, width - 2)).astype(np.intp)
    top = np.clip(np.floor(rows - 0.5), 0, max(0, height - 2)).astype(np.intp)
    around = [
        canvas.depth[np.minimum(top + down, height - 1), np.minimum(left + right, width - 1)]
        for down in (0, 1)
        for right in (0, 1)
    ]
    nearest = np.minimum(np.min(around, axis=0), FAR)
    return np.asarray(inside & (depth <= 1.05 * nearest + 0.1), np.bool_)

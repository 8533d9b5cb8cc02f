"""Buildings, trees, lamps, guardrail, cones, car stops and signs of rendered scenes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import pi

import numpy as np

from imfuse.scenes.canvas import Canvas, Floats, Light, Material, Vector
from imfuse.scenes.layout import Building, Layout, Place, Tree

CAR_STOP, GUARDRAIL, CONE = 5, 6, 7
# Three by five dots per letter, rows from the top, most significant bit on the left.
LETTERS = {
    "A": (2, 5, 7, 5, 5), "B": (6, 5, 6, 5, 6), "C": (3, 4, 4, 4, 3), "E": (7, 4, 6, 4, 7), "F": (7, 4, 6, 4, 4),
    "H": (5, 5, 7, 5, 5), "I": (7, 2, 2, 2, 7), "L": (4, 4, 4, 4, 7), "O": (7, 5, 5, 5, 7), "R": (6, 5, 6, 5, 5),
    "T": (7, 2, 2, 2, 2), "X": (5, 5, 2, 5, 5), "2": (6, 1, 2, 4, 7), "4": (5, 5, 7, 1, 1),
}  # fmt: skip


def draw_building(canvas: Canvas, building: Building, x: float, rng: np.random.Generator) -> None:
    """Paints a building: a wall along the road and one that faces the camera, with windows, some of them lit."""
    z0, z1, top = building.ahead, building.ahead + building.length, building.height
    away = 9.0 if x > 0 else -9.0
    wall = Material(building.colour, 11.8, grain=0.9)
    base = Material((0.10, 0.095, 0.09), 12.6, grain=0.9)

    def front(a: float, b: float) -> Vector:
        return (x + away * a, top * b, z0)

    def flank(a: float, b: float) -> Vector:
        return (x, top * b, z0 + (z1 - z0) * a)

    faces: tuple[tuple[Callable[[float, float], Vector], float], ...] = ((front, abs(away)), (flank, z1 - z0))
    for face, length in faces:
        _patch(canvas, face, (0, 0), (1, 1), wall)
        _patch(canvas, face, (0, 0), (1, 0.9 / top), base)
        _patch(canvas, face, (0, 1 - 0.35 / top), (1, 1), base)
        _windows(canvas, face, length, top, building.lit_share, rng)
    if building.sign:
        _lettering(canvas, building, x)


def _patch(
    canvas: Canvas,
    face: Callable[[float, float], Vector],
    low: tuple[float, float],
    high: tuple[float, float],
    material: Material,
) -> None:
    (a0, b0), (a1, b1) = low, high
    canvas.polygon([face(a0, b0), face(a1, b0), face(a1, b1), face(a0, b1)], material)


def _windows(
    canvas: Canvas,
    face: Callable[[float, float], Vector],
    length: float,
    top: float,
    lit_share: float,
    rng: np.random.Generator,
) -> None:
    """Paints rows of windows; lit ones vary in colour and brightness, have a cross bar and sometimes a blind."""
    columns, floors = max(1, int(length / 2.9)), max(1, int((top - 1.0) / 3.1))
    step, storey = 1.0 / columns, (top - 1.2) / floors / top
    frame = Material((0.2, 0.19, 0.18), 11.5)
    for floor in range(floors):
        for column in range(columns):
            lit = rng.random() < lit_share
            tint, power, blind = rng.random(), rng.uniform(0.25, 1.3), rng.uniform(0.0, 0.6)
            colour = np.array((1.0, 0.72, 0.38)) * tint + np.array((0.80, 0.92, 1.0)) * (1 - tint)
            glow = tuple((power * colour * (1.0 if lit else 0.0)).tolist())
            a0, b0 = (column + 0.24) * step, 1.3 / top + floor * storey
            a1, b1 = (column + 0.76) * step, b0 + 0.55 * storey
            pane = Material((0.02, 0.022, 0.026), 13.6 if lit else 10.2, (glow[0], glow[1], glow[2]), grain=0.25)
            _patch(canvas, face, (a0, b0), (a1, b1), pane)
            if not lit:
                continue
            if blind > 0.25:
                dim = tuple(0.35 * channel for channel in glow)
                shade = Material((0.3, 0.28, 0.25), 13.4, (dim[0], dim[1], dim[2]))
                _patch(canvas, face, (a0, b1 - blind * (b1 - b0)), (a1, b1), shade)
            middle = (a0 + a1) / 2
            _patch(canvas, face, (middle - 0.02 * step, b0), (middle + 0.02 * step, b1), frame)


def _lettering(canvas: Canvas, building: Building, x: float) -> None:
    """Paints a glowing name, letter below letter, on a board that projects from the wall towards the road."""
    size, inward = 0.13, -1.0 if x > 0 else 1.0
    left = x + (0.25 if inward > 0 else -0.25 - 5 * size)
    high, tall = min(building.height - 0.6, 6.4), 6.2 * size
    z = building.ahead + 1.2
    board = Material((0.02, 0.02, 0.05), 12.0, (0.015, 0.01, 0.05))
    bottom = high - tall * len(building.sign) - size
    canvas.polygon(
        [(left, bottom, z), (left + 5 * size, bottom, z), (left + 5 * size, high, z), (left, high, z)], board
    )
    tube = Material((0.5, 0.2, 0.2), 12.0, (2.6, 0.5, 0.75))
    for index, letter in enumerate(building.sign):
        for row, bits in enumerate(LETTERS[letter]):
            for column in range(3):
                if bits >> (2 - column) & 1:
                    u, v = left + (1 + column) * size, high - size - tall * index - row * size
                    canvas.polygon([(u, v, z), (u + size, v, z), (u + size, v - size, z), (u, v - size, z)], tube)


def draw_skyline(canvas: Canvas, road: float, rng: np.random.Generator) -> None:
    """Paints the town in the background: dark blocks with a few lit windows, and a gap for the road at X `road`."""
    z, x = 170.0, -115.0
    while x < 115:
        width, top = float(rng.uniform(8, 20)), float(rng.uniform(4, 17))
        if x + width < road - 8 or x > road + 8:
            corners = [(x, 0, z), (x + width, 0, z), (x + width, top, z), (x, top, z)]
            canvas.polygon(corners, Material((0.09, 0.085, 0.085), 10.6, grain=0.6))
            for _ in range(int(rng.integers(0, 7))):
                a, b, level = (
                    x + float(rng.uniform(0.5, width - 1.5)),
                    float(rng.uniform(1, top - 1)),
                    rng.uniform(0.3, 1.5),
                )
                lamp = Material((0.1, 0.1, 0.1), 11.0, (float(level), float(0.75 * level), float(0.4 * level)))
                canvas.polygon([(a, b, z), (a + 1, b, z), (a + 1, b + 1.2, z), (a, b + 1.2, z)], lamp)
        x += width


def draw_tree(canvas: Canvas, tree: Tree, x: float) -> None:
    """Paints a tree: a trunk with two boughs and a crown of several clouds of leaves."""
    bark = Material((0.06, 0.045, 0.032), 12.2, grain=1.2)
    leaves = Material((0.05, 0.105, 0.028), 11.0, grain=0.2)
    size, z = tree.size, tree.ahead
    fork = (x, 0.42 * size, z)
    canvas.limb((x, 0, z), fork, 0.028 * size, 0.02 * size, bark)
    for reach in (-0.16, 0.18):
        canvas.limb(fork, (x + reach * size, 0.66 * size, z), 0.017 * size, 0.007 * size, bark)
    for index, (right, up, radius) in enumerate(
        ((0.14, 0.56, 0.19), (-0.15, 0.6, 0.2), (0.02, 0.78, 0.22), (0.0, 0.62, 0.17))
    ):
        centre = (x + right * size, up * size, z - 0.02 * index)
        canvas.foliage(centre, 1.25 * radius * size, radius * size, leaves, tree.shift + 0.19 * index)


def draw_hedge(canvas: Canvas, x: float, z: float, shift: float) -> None:
    """Paints a low bush."""
    canvas.foliage((x, 0.45, z), 1.15, 0.62, Material((0.04, 0.085, 0.025), 10.8, grain=0.2), shift)


def draw_lamp(canvas: Canvas, x: float, z: float, reach: float, tint: Vector) -> None:
    """Paints a street lamp of 7 m with an arm of `reach` metres over the road; a small warm spot in the infrared."""
    steel = Material((0.09, 0.10, 0.10), 11.0)
    canvas.limb((x, 0, z), (x, 6.9, z), 0.085, 0.055, steel)
    canvas.limb((x, 6.9, z), (x + reach, 7.15, z), 0.05, 0.045, steel)
    head = (x + reach, 7.08, z)
    glow = (95.0 * tint[0], 95.0 * tint[1], 95.0 * tint[2])
    canvas.limb((x + 0.75 * reach, 7.17, z), (x + 1.15 * reach, 7.2, z), 0.09, 0.09, Material((0.1, 0.1, 0.1), 20.0))
    canvas.limb(
        (x + 0.85 * reach, 7.08, z), (x + 1.1 * reach, 7.1, z), 0.065, 0.065, Material((0.8, 0.8, 0.8), 30.0, glow)
    )
    intensity = (15.0 * tint[0], 15.0 * tint[1], 15.0 * tint[2])
    canvas.lights.append(Light(head, intensity, (0.0, -1.0, 0.0), 0.9, 1.6))


def draw_cone(canvas: Canvas, place: Place, x: float) -> None:
    """Paints a traffic cone: orange with two reflecting white bands, as cold as the air."""
    z = place.ahead
    orange = Material((0.75, 0.13, 0.02), 9.6, (0.02, 0.003, 0.0), CONE, 0.1)
    white = Material((0.85, 0.85, 0.82), 9.2, (0.05, 0.05, 0.05), CONE, 0.1)
    foot = Material((0.03, 0.03, 0.03), 10.2, label=CONE, grain=0.1)
    canvas.polygon(
        [(x - 0.2, 0.0, z), (x + 0.2, 0.0, z), (x + 0.19, 0.05, z), (x - 0.19, 0.05, z)], foot, (0, 0.4, -0.9)
    )

    def radius(up: float) -> float:
        return 0.145 - 0.155 * up

    for low, high, material in ((0.05, 0.72, orange), (0.22, 0.36, white), (0.48, 0.60, white)):
        slices = np.linspace(-1, 1, 7)
        for a, b in itertools.pairwise(slices):  # vertical slices with rotated normals look round
            middle = (a + b) / 2
            corners = [(x + a * radius(low), low, z), (x + b * radius(low), low, z)]
            corners += [(x + b * radius(high), high, z), (x + a * radius(high), high, z)]
            canvas.polygon(corners, material, (float(middle), 0.2, -float(np.sqrt(1 - middle**2))))


def draw_stop(canvas: Canvas, place: Place, x: float) -> None:
    """Paints a car stop: a low concrete block with yellow bands, its long side towards the road."""
    z, half, deep, tall = place.ahead, 0.42, 0.16, 0.16
    stripes = np.linspace(-half, half, 6)
    for index, (a, b) in enumerate(itertools.pairwise(stripes)):
        colour = (0.5, 0.36, 0.05) if index % 2 else (0.22, 0.22, 0.21)
        side = Material(colour, 14.6, label=CAR_STOP, grain=0.3)
        lid = Material(colour, 13.2, label=CAR_STOP, grain=0.3)
        canvas.polygon(
            [(x - deep, tall, z + a), (x + deep, tall, z + a), (x + deep, tall, z + b), (x - deep, tall, z + b)], lid
        )
        canvas.polygon(
            [(x - deep, 0, z + a), (x - deep, tall, z + a), (x - deep, tall, z + b), (x - deep, 0, z + b)], side
        )
    end = Material((0.22, 0.22, 0.21), 14.6, label=CAR_STOP, grain=0.3)
    canvas.polygon(
        [(x - deep, 0, z - half), (x + deep, 0, z - half), (x + deep, tall, z - half), (x - deep, tall, z - half)], end
    )


def draw_rail(canvas: Canvas, start: Vector, end: Vector) -> None:
    """Paints a section of guardrail: a post and a W-shaped beam, whose folds reflect light differently."""
    (x0, _, z0), (x1, _, z1) = start, end
    post = Material((0.14, 0.145, 0.15), 9.6, label=GUARDRAIL)
    canvas.limb((x1, 0, z1), (x1, 0.62, z1), 0.05, 0.05, post)
    folds = ((0.44, 0.50, 0.5), (0.50, 0.57, -0.6), (0.57, 0.62, 0.1), (0.62, 0.69, 0.6), (0.69, 0.75, -0.3))
    towards = -1.0 if x0 > 0 else 1.0
    for low, high, tilt in folds:
        steel = Material((0.30, 0.31, 0.32), 8.8 - 0.9 * tilt, label=GUARDRAIL, grain=0.15)
        corners = [(x0, low, z0), (x1, low, z1), (x1, high, z1), (x0, high, z0)]
        canvas.polygon(corners, steel, (0.7 * towards, tilt, -0.5))


def _disc(x: float, y: float, z: float, radius: float) -> Floats:
    turn = np.linspace(0, 2 * pi, 29)[:-1]
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn), 0 * turn + z], axis=1).astype(np.float32)


def draw_sign(canvas: Canvas, place: Place, x: float) -> None:
    """Paints a reflecting traffic sign: kind 0 a blue disc with a white arrow, kind 1 a red ring with the number 24."""
    z, up, blue = place.ahead, 2.35, place.kind == 0
    canvas.limb((x, 0, z + 0.05), (x, 2.7, z + 0.05), 0.035, 0.035, Material((0.2, 0.2, 0.2), 10.0))
    white = Material((0.7, 0.7, 0.7), 9.2, (0.32, 0.32, 0.32), grain=0.02)
    border = white if blue else Material((0.5, 0.02, 0.02), 9.2, (0.34, 0.02, 0.02), grain=0.02)
    inner = Material((0.01, 0.06, 0.4), 9.2, (0.006, 0.045, 0.27), grain=0.02) if blue else white
    canvas.polygon(_disc(x, up, z, 0.40), border)
    canvas.polygon(_disc(x, up, z, 0.36 if blue else 0.3), inner)
    if blue:
        arrow = ((-0.05, -0.24), (0.05, -0.24), (0.05, 0.02), (0.17, 0.02), (0.0, 0.25), (-0.17, 0.02), (-0.05, 0.02))
        canvas.polygon([(x + a, up + b, z) for a, b in arrow], white)
        return
    ink = Material((0.01, 0.01, 0.01), 9.2, grain=0.02)
    for index, letter in enumerate("24"):
        for row, bits in enumerate(LETTERS[letter]):
            for column in range(3):
                if bits >> (2 - column) & 1:
                    u, v = x - 0.21 + 0.23 * index + 0.065 * column, up + 0.16 - 0.065 * row
                    canvas.polygon([(u, v, z), (u + 0.065, v, z), (u + 0.065, v - 0.065, z), (u, v - 0.065, z)], ink)


def hedge_places(layout: Layout) -> list[tuple[float, float, float]]:
    """Side, distance and position in the noise tiles of the bushes in a row behind the right pavement."""
    edge = layout.half_width + 3.6
    first = max((stop.ahead + 2.0 for stop in layout.stops), default=11.0)  # a car park has no hedge
    return [(edge + 0.3 * ((7 * i) % 3), first + 2.6 * i, 0.37 * i % 1) for i in range(16) if i % 5 != 3]

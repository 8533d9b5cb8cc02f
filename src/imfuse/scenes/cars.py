"""Cars of rendered scenes: a side profile, rounded and extruded, with glass, wheels, lights and number plate."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, sin

import numpy as np

from imfuse.scenes.canvas import Canvas, Floats, Light, Material, plane_normal
from imfuse.scenes.layout import Car
from imfuse.scenes.people import to_world

CAR = 1
# Forward and up, metres, from the rear bumper over the roof to the nose.
PROFILE = (
    (-2.12, 0.24), (-2.22, 0.42), (-2.2, 0.78), (-2.08, 1.0), (-1.72, 1.05), (-1.02, 1.45),
    (0.2, 1.47), (1.08, 1.0), (1.9, 0.86), (2.16, 0.68), (2.2, 0.4), (2.1, 0.22),
)  # fmt: skip


def _rounded(corners: Floats) -> Floats:
    """Rounds the corners of an open line by two iterations of Chaikin's algorithm."""
    for _ in range(2):
        first_quarter = 0.75 * corners[:-1] + 0.25 * corners[1:]
        last_quarter = 0.25 * corners[:-1] + 0.75 * corners[1:]
        middle = np.stack([first_quarter, last_quarter], axis=1).reshape(-1, 2)
        corners = np.concatenate([corners[:1], middle, corners[-1:]])
    return corners


def _half_width(forward: Floats, up: Floats, tall: float) -> Floats:
    """Half the width of the body, which narrows towards both ends and towards the roof."""
    ends = 1 - 0.10 * np.minimum(np.abs(forward) / 2.2, 1) ** 5
    roof = 1 - 0.26 * np.clip((up / tall - 0.95) / 0.5, 0, 1)
    return np.asarray(0.87 * ends * roof * (1 - 0.05 * np.clip((0.45 - up) / 0.2, 0, 1)), np.float32)


class _Body:
    """Paints parts of a car, given in its own coordinates: right, up, forward."""

    def __init__(self, canvas: Canvas, car: Car, x: float) -> None:
        self.canvas, self.car, self.x = canvas, car, x

    def place(self, points: Floats) -> Floats:
        return to_world(np.asarray(points, np.float32), self.x, self.car.ahead, self.car.heading)

    def patch(self, points: Floats, material: Material) -> None:
        self.canvas.polygon(self.place(points), material)

    def disc(self, centre: tuple[float, float, float], radii: tuple[float, float, float], material: Material) -> None:
        """Paints an ellipse with radii along right, up and forward; either right or forward is zero."""
        turn = np.linspace(0, 2 * pi, 21)[:-1]
        right, up, forward = radii
        ring = np.stack([right * np.cos(turn), up * np.sin(turn), forward * np.cos(turn)], axis=1)
        self.patch(ring + np.array(centre), material)


def draw_car(canvas: Canvas, car: Car, x: float) -> None:
    """Paints a car at world X `x` and adds its lights to the canvas."""
    body = _Body(canvas, car, x)
    outline = _rounded(np.array(PROFILE, np.float32))
    outline[:, 1] = np.where(
        outline[:, 1] > 0.9, 0.9 + (outline[:, 1] - 0.9) * (1 + 2.2 * (car.tall - 1)), outline[:, 1]
    )
    _tyres(body)
    view = np.array([x, 1.0, car.ahead]) - canvas.camera.place
    right_axis = np.array([cos(car.heading), 0, -sin(car.heading)])
    near_side = -1.0 if float((view * right_axis).sum()) > 0 else 1.0
    _flank(body, outline, near_side)
    _shell(body, outline)
    _ends(body)


def _paint(car: Car, forward: float, up: float) -> Material:
    """Paint of the body: a running car is warm above its engine, a parked one colder than the road."""
    temperature = 14.5 + 9.5 * float(np.clip((forward - 0.7) / 1.2, 0, 1)) if car.lit else 8.5
    if car.lit and up < 0.45:
        temperature += 1.5
    return Material(car.colour, temperature, label=CAR, grain=0.12)


def _tyres(body: _Body) -> None:
    """Paints the treads below the bumpers, warm from rolling, and the dark underside between them."""
    rubber = Material((0.012, 0.012, 0.013), 25.0 if body.car.lit else 11.0, label=CAR)
    under = Material((0.008, 0.008, 0.009), 19.0 if body.car.lit else 10.0, label=CAR)
    for forward in (-1.75, 1.75):
        body.patch(
            np.array([(-0.72, 0.2, forward), (0.72, 0.2, forward), (0.72, 0.45, forward), (-0.72, 0.45, forward)]),
            under,
        )
        for sign in (-1, 1):
            inner, outer = 0.6 * sign, 0.82 * sign
            body.patch(
                np.array([(inner, 0, forward), (outer, 0, forward), (outer, 0.5, forward), (inner, 0.5, forward)]),
                rubber,
            )


def _shell(body: _Body, outline: Floats) -> None:
    """Paints the strips from bumper over roof to bumper that face the camera, from far to near, and the windscreens."""
    car = body.car
    wide = _half_width(outline[:, 0], outline[:, 1], car.tall)
    glass = Material((0.02, 0.024, 0.028), 13.0 if car.lit else 7.0, label=CAR, grain=0.05)
    strips = []
    for (f0, u0), (f1, u1), w0, w1 in zip(outline, outline[1:], wide, wide[1:], strict=False):
        local = np.array([(-w0, u0, f0), (w0, u0, f0), (w1, u1, f1), (-w1, u1, f1)])
        world = body.place(local)
        middle = world.mean(axis=0)
        normal = plane_normal(world)
        core = body.place(np.array([(0.0, 0.55, (f0 + f1) / 4)]))[0]
        outwards = float((normal * (middle - core)).sum())
        to_camera = float((normal * (body.canvas.camera.place - middle)).sum())
        if outwards * to_camera > 0:
            strips.append((float(middle[2]), local, (f0 + f1) / 2, (u0 + u1) / 2))
    for _, local, forward, up in sorted(strips, key=lambda strip: -strip[0]):
        body.patch(local, _paint(car, forward, up))
        windscreen = 0.33 < forward < 1.0 and up > 1.04
        rear_window = -1.62 < forward < -1.08 and up > 1.1
        if windscreen or rear_window:
            body.patch(local * (0.88, 1, 1), glass)


def _flank(body: _Body, outline: Floats, sign: float) -> None:
    """Paints the side that faces the camera: body, windows, wheels, edges of the door."""
    car = body.car
    width = _half_width(outline[:, 0], outline[:, 1], car.tall)[:, None] * sign
    side = np.concatenate([width, outline[:, 1:], outline[:, :1]], axis=1)
    body.patch(side, _paint(car, 0.0, 0.7))
    if car.lit:
        bonnet = side[outline[:, 0] > 0.95]
        body.patch(bonnet, _paint(car, 1.35, 0.7))
    dark = tuple(0.45 * channel for channel in car.colour)
    sill = Material((dark[0], dark[1], dark[2]), 12.0 if car.lit else 8.0, label=CAR)
    body.patch(_upright(0.872 * sign, (0.22, 0.42), (-2.0, 2.0)), sill)
    _side_windows(body, sign)
    _wheels(body, sign, sill)
    for forward in (-0.33, 0.85):
        body.patch(_upright(0.88 * sign, (0.45, 0.98), (forward, forward + 0.025)), sill)


def _upright(right: float, up: tuple[float, float], forward: tuple[float, float]) -> Floats:
    """Corners of an upright rectangle along the car."""
    (low, high), (rear, front) = up, forward
    return np.array([(right, low, rear), (right, low, front), (right, high, front), (right, high, rear)])


def _side_windows(body: _Body, sign: float) -> None:
    car = body.car
    glass = Material((0.02, 0.024, 0.028), 12.5 if car.lit else 6.8, label=CAR, grain=0.05)
    roof = 0.9 + 0.47 * (1 + 2.2 * (car.tall - 1))
    low = 1.0
    for window in (
        ((-1.5, low), (-0.98, roof), (-0.38, roof + 0.02), (-0.38, low)),
        ((-0.28, low), (-0.28, roof + 0.02), (0.22, roof), (0.9, low)),
    ):
        points = np.array(window, np.float32)
        right = _half_width(points[:, 0], points[:, 1], car.tall) * sign * 1.01
        body.patch(np.concatenate([right[:, None], points[:, 1:], points[:, :1]], axis=1), glass)


def _wheels(body: _Body, sign: float, sill: Material) -> None:
    rubber = Material((0.012, 0.012, 0.013), 24.0 if body.car.lit else 11.0, label=CAR)
    rim = Material((0.30, 0.31, 0.33), 21.0 if body.car.lit else 9.5, label=CAR)
    for forward in (-1.35, 1.35):
        body.disc((0.86 * sign, 0.36, forward), (0, 0.39, 0.39), replace(sill, albedo=(0.006, 0.006, 0.006)))
        body.disc((0.872 * sign, 0.33, forward), (0, 0.33, 0.33), rubber)
        body.disc((0.878 * sign, 0.33, forward), (0, 0.2, 0.2), rim)
        body.disc((0.88 * sign, 0.33, forward), (0, 0.07, 0.07), rubber)


def _ends(body: _Body) -> None:
    """Paints the end that faces the camera: headlights, grille and plate, or tail lights, exhaust and plate."""
    car = body.car
    facing = cos(car.heading)
    if abs(facing) < 0.5:
        return
    front = facing < 0
    forward, lamp_up = (2.2, 0.68) if front else (-2.24, 0.82)
    trim = Material((0.015, 0.015, 0.017), 21.0 if car.lit and front else 13.0, label=CAR)
    if front:
        body.patch(_rectangle(0.5, 0.48, 0.66, forward), trim)
    body.patch(_rectangle(0.7, 0.24, 0.34, forward), trim)
    body.patch(
        _rectangle(0.27, 0.44, 0.56, forward), Material((0.6, 0.6, 0.55), trim.temperature - 1, label=CAR, grain=0.05)
    )
    for glyph in range(6):
        left = -0.21 + 0.072 * glyph + (0.03 if glyph > 2 else 0)
        ink = Material((0.02, 0.02, 0.03), trim.temperature - 1, label=CAR, grain=0.05)
        body.patch(_rectangle(0.022, 0.465, 0.535 - 0.02 * (glyph % 2), forward, left + 0.02), ink)
    _lamps(body, forward, lamp_up, front)
    if car.lit and not front:
        body.disc((0.55, 0.26, forward), (0.05, 0.04, 0), Material((0.02, 0.02, 0.02), 44.0, label=CAR))


def _rectangle(half: float, low: float, high: float, forward: float, middle: float = 0.0) -> Floats:
    corners = ((middle - half, low), (middle + half, low), (middle + half, high), (middle - half, high))
    return np.array([(right, up, forward) for right, up in corners], np.float32)


def _lamps(body: _Body, forward: float, up: float, front: bool) -> None:
    car = body.car
    heading = np.array([sin(car.heading), 0.0, cos(car.heading)]) * (1 if front else -1)
    for sign in (-1.0, 1.0):
        centre = (0.63 * sign, up, forward)
        place = body.place(np.array([centre]))[0]
        position = (float(place[0]), float(place[1]), float(place[2]))
        if front:
            body.disc(centre, (0.17, 0.085, 0), Material((0.5, 0.5, 0.5), 26.0 if car.lit else 9.0, label=CAR))
            if car.lit:
                body.disc(centre, (0.1, 0.075, 0), Material((0.5, 0.5, 0.5), 31.0, (420.0, 405.0, 370.0), CAR))
                beam = (float(heading[0]), -0.09, float(heading[2]))
                canvas_light = Light(position, (70.0, 67.0, 60.0), beam, 22.0, 1.0)
                body.canvas.lights.append(canvas_light)
        else:
            on = (3.2, 0.05, 0.03) if car.lit else (0.0, 0.0, 0.0)
            body.disc(centre, (0.15, 0.09, 0), Material((0.25, 0.01, 0.01), 17.0 if car.lit else 9.0, on, CAR))
            if car.lit:
                body.canvas.lights.append(Light(position, (0.5, 0.02, 0.01), None, 1.0, 4.0))

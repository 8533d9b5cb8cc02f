"""Layouts of rendered scenes: a demo street composed by hand (seed 0), and random streets.

Positions are relative to the road: `side` is the distance to the right of its centre line, `ahead` the distance in
front of the camera, in metres. A heading of 0 faces away from the camera, pi towards it (radians, clockwise).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi
from typing import TypeVar

import numpy as np

from imfuse.scenes.canvas import Vector

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Car:
    """A car; `lit` switches on its lights and warms its engine, tyres and exhaust."""

    side: float
    ahead: float
    heading: float
    colour: Vector
    lit: bool = True
    tall: float = 1.0  # vertical scale of the body: 1 saloon, 1.25 van


@dataclass(frozen=True)
class Person:
    """A pedestrian, or a cyclist if `rides`; `phase` is the phase of the gait in radians."""

    side: float
    ahead: float
    heading: float
    phase: float = 0.0
    stature: float = 1.74
    coat: Vector = (0.02, 0.02, 0.025)
    trousers: Vector = (0.018, 0.018, 0.024)
    rides: bool = False
    carries: bool = False
    long_coat: bool = False
    stride: float = 0.45


@dataclass(frozen=True)
class Building:
    """A building beside the road; `side` is that of the wall that faces the road."""

    side: float
    ahead: float
    length: float
    height: float
    colour: Vector
    lit_share: float
    sign: str = ""


@dataclass(frozen=True)
class Tree:
    """A tree; `size` is its height in metres, `shift` its position in the noise tiles."""

    side: float
    ahead: float
    size: float
    shift: float


@dataclass(frozen=True)
class Place:
    """Position of a small object (lamp, cone, car stop, sign); `kind` selects a variant."""

    side: float
    ahead: float
    kind: int = 0


@dataclass(frozen=True)
class Layout:
    """Complete description of a street."""

    elevation: float = 1.6  # of the camera
    own_side: float = 1.2  # of the camera, right of the centre line
    bend: float = 0.0  # curvature of the road, 1/m
    half_width: float = 3.7
    haze: float = 0.006  # extinction, 1/m
    ambient: float = 1.0
    wetness: float = 0.5
    lamp_tint: Vector = (1.0, 0.69, 0.38)
    cars: tuple[Car, ...] = ()
    people: tuple[Person, ...] = ()
    buildings: tuple[Building, ...] = ()
    trees: tuple[Tree, ...] = ()
    lamps: tuple[Place, ...] = ()
    cones: tuple[Place, ...] = ()
    stops: tuple[Place, ...] = ()
    signs: tuple[Place, ...] = ()
    guardrail: tuple[float, float, float] | None = None  # side, from, to
    bump: float | None = None
    crossing: float | None = None

    def centre(self, ahead: float) -> float:
        """World X of the centre line at that distance."""
        return self.bend * ahead * ahead / 2 - self.own_side

    def x_of(self, side: float, ahead: float) -> float:
        """World X of what stands beside the road; from 120 m on the road is straight."""
        return self.centre(min(ahead, 120.0)) + side


PAINTS: tuple[Vector, ...] = (
    (0.55, 0.56, 0.58),
    (0.03, 0.03, 0.035),
    (0.30, 0.02, 0.02),
    (0.03, 0.07, 0.22),
    (0.22, 0.23, 0.25),
    (0.42, 0.36, 0.22),
    (0.04, 0.13, 0.09),
)
CLOTHES: tuple[Vector, ...] = (
    (0.018, 0.018, 0.022),
    (0.03, 0.028, 0.026),
    (0.015, 0.02, 0.04),
    (0.05, 0.02, 0.02),
    (0.04, 0.045, 0.03),
    (0.10, 0.09, 0.075),
)
WALLS: tuple[Vector, ...] = (
    (0.30, 0.26, 0.22),
    (0.24, 0.15, 0.11),
    (0.22, 0.23, 0.25),
    (0.34, 0.31, 0.24),
    (0.15, 0.16, 0.19),
)
SIGNS = ("HOTEL", "CAFE", "BAR", "24H", "TAXI", "")


def demo_layout() -> Layout:
    """The street of the README: people between headlights, pedestrians in the dark, a cyclist, and all classes."""
    return Layout(
        cars=(
            Car(-1.75, 18.0, pi, PAINTS[4]),
            Car(-1.85, 36.0, pi, PAINTS[0]),
            Car(1.9, 31.0, 0.0, PAINTS[2]),
            Car(10.9, 21.0, -pi / 2, PAINTS[0], lit=False),
            Car(11.0, 27.5, -pi / 2, PAINTS[3], lit=False, tall=1.2),
        ),
        people=(
            Person(-3.25, 15.5, 2.6, phase=0.6, stature=1.78),
            Person(0.05, 17.2, -pi / 2, phase=1.3, stature=1.7, coat=CLOTHES[2]),
            Person(-0.65, 21.0, -pi / 2 - 0.3, phase=2.9, stature=1.82, coat=CLOTHES[1]),
            Person(5.15, 8.6, 2.95, phase=1.0, stature=1.76, carries=True, long_coat=True),
            Person(-5.1, 13.5, 0.25, phase=2.2, stature=1.68, coat=CLOTHES[3]),
            Person(-5.6, 22.0, pi, phase=0.2, stature=1.75),
            Person(-6.4, 22.6, pi, phase=1.9, stature=1.62, long_coat=True),
            Person(6.0, 24.0, 0.1, phase=1.2, stature=1.73),
            Person(2.1, 11.8, 0.4, phase=0.9, rides=True, coat=CLOTHES[3]),
        ),
        buildings=(
            Building(-9.5, 11.0, 13.0, 14.0, WALLS[1], 0.35),
            Building(-10.5, 25.0, 16.0, 10.0, WALLS[0], 0.45, "CAFE"),
            Building(-9.5, 42.5, 20.0, 19.0, WALLS[2], 0.3),
            Building(-11.0, 64.0, 28.0, 13.0, WALLS[3], 0.4),
            Building(17.0, 44.0, 26.0, 15.0, WALLS[4], 0.3),
            Building(14.0, 74.0, 34.0, 11.0, WALLS[0], 0.35),
        ),
        trees=(
            Tree(8.6, 15.0, 8.5, 0.13),
            Tree(8.2, 34.0, 9.0, 0.57),
            Tree(9.0, 46.0, 10.0, 0.31),
            Tree(8.4, 62.0, 9.0, 0.83),
            Tree(-8.0, 33.0, 6.5, 0.43),
            Tree(-8.2, 53.0, 8.0, 0.71),
        ),
        lamps=(
            Place(4.5, 19.0),
            Place(-4.6, 29.0),
            Place(4.5, 43.0),
            Place(-4.6, 56.0),
            Place(4.5, 70.0),
            Place(-4.6, 90.0),
        ),
        cones=(Place(3.1, 7.4), Place(3.0, 9.2), Place(3.1, 11.4), Place(3.2, 14.0)),
        stops=(Place(8.2, 20.2), Place(8.2, 22.0), Place(8.3, 26.6), Place(8.3, 28.4)),
        signs=(Place(4.4, 13.2, 0), Place(-4.4, 20.5, 1)),
        guardrail=(4.15, 14.5, 60.0),
        bump=10.2,
        crossing=23.5,
    )


class _Random:
    """Random numbers for a layout, as plain Python numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def sign(self) -> float:
        return -1.0 if self.chance(0.5) else 1.0

    def pick(self, options: Sequence[Choice]) -> Choice:
        return options[int(self.rng.integers(len(options)))]


def random_layout(rng: np.random.Generator) -> Layout:
    """A random street; every kind of object may be missing, except for one oncoming car."""
    random = _Random(rng)
    uniform, chance = random.uniform, random.chance
    half, white = uniform(3.4, 4.2), uniform(0.0, 1.0)  # sodium lamps are orange, newer lamps nearly white
    bays = [uniform(15, 18) + 3.1 * i for i in range(random.count(1, 4))] if chance(0.6) else []
    cars = _cars(random, half, bays)
    spacing, first_lamp, first_cone = uniform(20, 32), uniform(12, 24), uniform(6, 10)
    cones = random.count(2, 5) if chance(0.6) else 0
    return Layout(
        elevation=uniform(1.35, 2.6),
        own_side=uniform(-0.6, 2.2),
        bend=uniform(-0.005, 0.005),
        half_width=half,
        haze=uniform(0.002, 0.02),
        ambient=uniform(0.5, 1.8),
        wetness=uniform(0.0, 1.0),
        lamp_tint=(1.0, 0.62 + 0.33 * white, 0.28 + 0.6 * white),
        cars=tuple(cars),
        people=tuple(_people(random, half, cars[0])),
        buildings=tuple(_buildings(random, half)),
        trees=tuple(
            Tree(random.sign() * (half + uniform(3.6, 5.5)), uniform(13, 75), uniform(5.5, 11), uniform(0, 1))
            for _ in range(random.count(3, 11))
        ),
        lamps=tuple(Place((half + 0.9) * (-1.0) ** i, first_lamp + i * spacing / 2) for i in range(random.count(3, 7))),
        cones=tuple(Place(half - 0.6 + uniform(-0.15, 0.15), first_cone + 2.1 * i) for i in range(cones)),
        stops=tuple(Place(half + 3.9, bay + shift) for bay in bays for shift in (-0.9, 0.9)),
        signs=tuple(
            Place((half + 0.7) * way, uniform(11, 24), kind) for kind, way in enumerate((1, -1)) if chance(0.7)
        ),
        guardrail=((half + 0.45) * random.sign(), uniform(9, 16), uniform(35, 70)) if chance(0.6) else None,
        bump=uniform(8.5, 13) if chance(0.45) else None,
        crossing=uniform(15, 26) if chance(0.5) else None,
    )


def _cars(random: _Random, half: float, bays: list[float]) -> list[Car]:
    """Oncoming cars on the left, the nearest first; preceding ones on the right; parked ones in their bays."""

    def car(side: float, ahead: float, heading: float, lit: bool = True) -> Car:
        return Car(side, ahead, heading, random.pick(PAINTS), lit, random.uniform(0.97, 1.25))

    cars = []
    for lane, heading, first, most in ((-half / 2, pi, 13.0, 3), (half / 2, 0.0, 18.0, 2)):
        ahead = first + random.uniform(0, 11)
        for _ in range(random.count(1 if heading else 0, most)):
            cars.append(car(lane + random.uniform(-0.2, 0.2), ahead, heading))
            ahead += random.uniform(11, 25)
    return cars + [car(half + 6.7, bay, -pi / 2, lit=False) for bay in bays]


def _people(random: _Random, half: float, nearest: Car) -> list[Person]:
    """Pedestrians on both pavements, some hidden by the glare of the nearest headlights, and perhaps a cyclist."""
    uniform = random.uniform
    people = [_walker(random, -half - uniform(0.6, 3.0), uniform(9, 26)) for _ in range(random.count(1, 3))]
    people += [_walker(random, half + uniform(0.9, 2.6), uniform(7, 26)) for _ in range(random.count(1, 3))]
    people += [
        _walker(random, nearest.side + random.sign() * uniform(1.4, 2.2), nearest.ahead + uniform(-2.0, 2.5))
        for _ in range(random.count(1, 2))
    ]
    if random.chance(0.65):
        side, heading = (half / 2, 0.0) if random.chance(0.6) else (-half / 2, pi)
        outwards = uniform(0.2, 1.1) * (1 if side > 0 else -1)
        rider = _walker(random, side + outwards, uniform(7.5, 15))
        people.append(replace(rider, rides=True, heading=heading + uniform(-0.35, 0.35)))
    return people


def _walker(random: _Random, side: float, ahead: float) -> Person:
    return Person(
        side,
        ahead,
        heading=random.pick((0.0, pi, pi / 2, -pi / 2)) + random.uniform(-0.5, 0.5),
        phase=random.uniform(0, 2 * pi),
        stature=random.uniform(1.55, 1.9),
        coat=random.pick(CLOTHES),
        trousers=random.pick(CLOTHES[:3]),
        carries=random.chance(0.35),
        long_coat=random.chance(0.3),
        stride=random.uniform(0.15, 0.5),
    )


def _buildings(random: _Random, half: float) -> list[Building]:
    """A row of buildings on either side, with gaps; the right row stands behind the car park."""
    buildings = []
    for wall in (-half - 5.5, half + 12.5):
        ahead = random.uniform(10, 30)
        while ahead < 95:
            length, high, lit = random.uniform(9, 26), random.uniform(6, 24), random.uniform(0.12, 0.5)
            side = wall + random.uniform(0, 2) * (1 if wall > 0 else -1)
            if random.chance(0.75):
                buildings.append(Building(side, ahead, length, high, random.pick(WALLS), lit, random.pick(SIGNS)))
            ahead += length + random.uniform(0.5, 7)
    return buildings

"""People and bicycles of rendered scenes: a skeleton in three dimensions, covered by tapered cylinders."""

from __future__ import annotations

import itertools
from math import cos, pi, sin
from typing import TypeAlias

import numpy as np

from imfuse.scenes.canvas import Canvas, Floats, Material
from imfuse.scenes.layout import Person

PERSON, BIKE = 2, 3
CLOTHES_TEMPERATURE = 24.5  # of the outside of clothes, °C
SKIN = Material((0.30, 0.2, 0.15), 33.5, label=PERSON, grain=0.3)
HAIR = Material((0.02, 0.015, 0.012), 25.0, label=PERSON, grain=0.5)
Joints: TypeAlias = dict[str, tuple[float, float, float]]  # right, up, forward, in units of the stature
Rod: TypeAlias = tuple[str, str, float, float, Material]  # two joints and the radii there


def to_world(points: Floats, x: float, z: float, heading: float) -> Floats:
    """Rotates local points (N, 3), right, up and forward in metres, and moves them to world X `x` and Z `z`."""
    right, up, forward = points.T
    return np.stack(
        [
            x + right * cos(heading) + forward * sin(heading),
            up,
            z - right * sin(heading) + forward * cos(heading),
        ],
        axis=1,
    ).astype(np.float32)


def _bone(start: tuple[float, float, float], length: float, swing: float, spread: float = 0.0) -> Floats:
    """The far end of a bone that hangs down, rotated forward by `swing` and outward by `spread` (radians)."""
    return np.array(start) + length * np.array([sin(spread), -cos(swing) * cos(spread), sin(swing)])


def walking(phase: float, stride: float) -> Joints:
    """Joints of a pedestrian: legs swing in opposite phase, arms against the legs, and the trailing knee bends."""
    joints: Joints = {
        "neck": (0, 0.845, 0.0),
        "chin": (0, 0.895, 0.015),
        "crown": (0, 0.945, 0.005),
        "waist": (0, 0.6, 0),
    }
    for name, sign in (("left", -1.0), ("right", 1.0)):
        swing = stride * sin(phase) * sign
        bend = stride * (0.35 + 0.9 * max(0.0, -cos(phase) * sign))
        hip = (0.048 * sign, 0.515, 0.0)
        knee = _bone(hip, 0.245, swing + 0.12 * stride)
        ankle = _bone(tuple(knee), 0.235, swing - bend)
        toe = ankle + np.array([0.01 * sign, -0.012, 0.075])
        shoulder = (0.092 * sign, 0.782, 0.0)
        elbow = _bone(shoulder, 0.17, -0.8 * swing - 0.05, 0.14 * sign)
        hand = _bone(tuple(elbow), 0.15, -0.8 * swing + 0.35, 0.03 * sign)
        parts = {
            "hip": hip,
            "knee": knee,
            "ankle": ankle,
            "toe": toe,
            "shoulder": shoulder,
            "elbow": elbow,
            "hand": hand,
        }
        joints.update({f"{name} {part}": tuple(place) for part, place in parts.items()})
    lowest = min(joints["left toe"][1], joints["right toe"][1]) - 0.018
    return {name: (x, y - lowest, z) for name, (x, y, z) in joints.items()}


def riding(phase: float) -> Joints:
    """Joints of a cyclist whose saddle is at 0.56 and whose handlebars are at 0.62 of the stature."""
    joints: Joints = {
        "neck": (0, 0.87, 0.1),
        "chin": (0, 0.915, 0.125),
        "crown": (0, 0.965, 0.125),
        "waist": (0, 0.66, 0.0),
    }
    for name, sign in (("left", -1.0), ("right", 1.0)):
        pedal = np.array(
            [0.06 * sign, 0.17 + 0.1 * cos(phase + pi * (sign > 0)), 0.08 + 0.1 * sin(phase + pi * (sign > 0))]
        )
        hip = np.array([0.05 * sign, 0.58, -0.06])
        middle = (hip + pedal) / 2
        half = float(np.sqrt(((pedal - hip) ** 2).sum())) / 2
        out = float(np.sqrt(max(0.245**2 - half**2, 0.0)))
        knee = middle + np.array([0.015 * sign, 0.5 * out, 0.85 * out])
        parts = {
            "hip": hip,
            "knee": knee,
            "ankle": pedal + np.array([0, 0.03, -0.03]),
            "toe": pedal + np.array([0, 0, 0.05]),
            "shoulder": (0.094 * sign, 0.81, 0.08),
            "elbow": (0.15 * sign, 0.7, 0.15),
            "hand": (0.14 * sign, 0.64, 0.27),
        }
        joints.update({f"{name} {part}": tuple(place) for part, place in parts.items()})
    return joints


def draw_person(canvas: Canvas, person: Person, x: float) -> None:
    """Paints a pedestrian or a cyclist at world X `x`."""
    if person.rides:
        _draw_bike(canvas, person, x)
    joints = riding(person.phase) if person.rides else walking(person.phase, person.stride)
    rods = _clothed(person) + _head(joints)
    if person.carries:
        hx, hy, hz = joints["right hand"]
        joints |= {"bag a": (hx + 0.01, hy - 0.075, hz - 0.05), "bag b": (hx + 0.01, hy - 0.075, hz + 0.06)}
        bag = Material((0.05, 0.035, 0.02), 14.0, label=PERSON)
        rods += [("bag a", "bag b", 0.055, 0.055, bag), ("right hand", "bag a", 0.006, 0.006, bag)]
    size = person.stature
    places = to_world(np.array(list(joints.values())) * size, x, person.ahead, person.heading)
    placed = dict(zip(joints, places, strict=True))
    rods.sort(key=lambda rod: -float(placed[rod[0]][2] + placed[rod[1]][2]))
    for start, end, radius, radius_end, material in rods:
        canvas.limb(placed[start], placed[end], radius * size, radius_end * size, material)


def _clothed(person: Person) -> list[Rod]:
    """Trunk, arms and legs."""
    coat = Material(person.coat, CLOTHES_TEMPERATURE - 1.5, label=PERSON, grain=1.5)
    trousers = Material(person.trousers, CLOTHES_TEMPERATURE + 1.0, label=PERSON, grain=1.5)
    shoe = Material((0.015, 0.015, 0.015), 20.0, label=PERSON)
    rods: list[Rod] = [("waist", "chest", 0.082, 0.084, coat), ("left hip", "right hip", 0.066, 0.066, coat)]
    for side in ("left", "right"):
        rods += [
            ("neck", f"{side} shoulder", 0.036, 0.044, coat),
            (f"{side} ankle", f"{side} toe", 0.026, 0.02, shoe),
            (f"{side} knee", f"{side} ankle", 0.042, 0.029, trousers),
            (f"{side} hip", f"{side} knee", 0.06, 0.044, trousers),
            (f"{side} hip", f"{side} shoulder", 0.06, 0.042, coat),
            (f"{side} shoulder", f"{side} elbow", 0.04, 0.033, coat),
            (f"{side} elbow", f"{side} hand", 0.033, 0.023, coat),
            (f"{side} hand", f"{side} hand", 0.026, 0.026, SKIN),
        ]
        if person.long_coat and not person.rides:
            rods.append((f"{side} hip", f"{side} knee", 0.066, 0.072, coat))
    return rods


def _head(joints: Joints) -> list[Rod]:
    """Neck, face and hair; adds the joints that they need."""
    (_, cy, cz), (_, by, bz), (_, ny, nz) = joints["chin"], joints["crown"], joints["neck"]
    joints |= {
        "chest": (0.0, ny - 0.09, nz - 0.01),
        "jaw": (0.0, cy + 0.005, cz + 0.012),
        "forehead": (0.0, by - 0.012, bz + 0.014),
        "nape": (0.0, cy + 0.025, cz - 0.012),
        "top": (0.0, by + 0.004, bz - 0.006),
    }
    return [
        ("neck", "chin", 0.036, 0.036, SKIN),
        ("nape", "top", 0.05, 0.053, HAIR),
        ("jaw", "forehead", 0.041, 0.045, SKIN),
    ]


def _draw_bike(canvas: Canvas, person: Person, x: float) -> None:
    tyre = Material((0.015, 0.015, 0.015), 15.5, label=BIKE)
    metal = Material((0.10, 0.11, 0.13), 12.0, label=BIKE)
    wheel, front, rear, turn = 0.34, 0.62, -0.45, np.linspace(0, 2 * pi, 25)
    for hub in (rear, front):
        ring = np.stack([0 * turn, wheel + wheel * np.sin(turn), hub + wheel * np.cos(turn)], axis=1)
        places = to_world(ring, x, person.ahead, person.heading)
        for a, b in itertools.pairwise(places):
            canvas.limb(a, b, 0.022, 0.022, tyre)
        for spoke in range(0, 24, 4):
            canvas.limb(places[spoke], places[(spoke + 12) % 24], 0.003, 0.003, metal)
    knots = {
        "rear": (0, wheel, rear),
        "front": (0, wheel, front),
        "crank": (0, 0.3, 0.1),
        "saddle": (0, 0.93, -0.12),
        "head": (0, 0.88, 0.42),
        "stem": (0, 1.04, 0.4),
        "left": (-0.26, 1.08, 0.44),
        "right": (0.26, 1.08, 0.44),
        "lamp": (0, 0.75, -0.5),
        "guard": (0, 0.55, -0.75),
    }
    placed = dict(zip(knots, to_world(np.array(list(knots.values())), x, person.ahead, person.heading), strict=True))
    for a, b in (
        ("rear", "crank"), ("rear", "saddle"), ("crank", "saddle"), ("crank", "head"), ("saddle", "head"),
        ("head", "front"), ("head", "stem"), ("stem", "left"), ("stem", "right"), ("rear", "guard"),
    ):  # fmt: skip
        canvas.limb(placed[a], placed[b], 0.018, 0.018, metal)
    glow = Material((0.3, 0.02, 0.02), 14.0, emission=(2.2, 0.06, 0.04), label=BIKE)
    canvas.limb(placed["lamp"], placed["lamp"], 0.03, 0.03, glow)

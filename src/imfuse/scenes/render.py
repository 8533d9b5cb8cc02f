"""Registered infrared, visible and label images of a night street, and boxes, rendered without photographs.

They serve the demo, the tests and first training steps without a data set. The description of a street (`layout.py`) is
painted once (`canvas.py`) and imaged by two cameras (`sensors.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imfuse.core.boxes import Boxes
from imfuse.core.errors import ImageError
from imfuse.scenes import cars, ground, people, sensors, street
from imfuse.scenes.boxes import outlines, visible_boxes
from imfuse.scenes.canvas import Camera, Canvas, noise_tile
from imfuse.scenes.conditions import Conditions, degrade, display, light_sky, warm
from imfuse.scenes.layout import Layout, demo_layout, random_layout


@dataclass(frozen=True)
class Scene:
    """A registered pair with its labels.

    Attributes:
        infrared: thermal image, (H, W) uint8; warm is bright.
        visible: colour image at night, (H, W, 3) uint8, sRGB.
        labels: class of every pixel, (H, W) uint8, an index into `CLASSES` and `PALETTE`; 0 is background.
        boxes: one around each person, car and bike, whose classes are indices into `DETECTED`; tight around the pixels
            that are seen. An object has none if it shows less than 12 pixels, or less than 15 % of those that it would
            show if nothing stood before it.
        objects: for every pixel 1 + the index of the box whose object it shows, (H, W) uint16; 0 elsewhere.

    Example:
        >>> from imfuse.scenes import CLASSES
        >>> scene = render_scene(120, 160, seed=3)
        >>> CLASSES[2], bool((scene.labels == 2).any())
        ('person', True)
        >>> len(scene.boxes), scene.boxes.corners[0].tolist()
        (6, [62.0, 56.0, 65.0, 67.0])
    """

    infrared: NDArray[np.uint8]
    visible: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    boxes: Boxes
    objects: NDArray[np.uint16]


def render_scene(height: int = 480, width: int = 640, seed: int = 0, *, conditions: Conditions | None = None) -> Scene:
    """Renders a night street as a thermal and a colour camera in the same place record it.

    The colour image shows the road, its markings, signs, windows and the glare of headlights; the thermal image shows
    the people whom glare and darkness hide. Seed 0 is composed by hand (the demo image of the library), every other
    seed is a random street.

    The result depends on the arguments only. With the same versions of NumPy and OpenCV on the same kind of
    processor it is the same to the byte. Other versions draw the same street, but round edges and blurs differently:
    from OpenCV 4.9 with NumPy 1.26 to OpenCV 5.0 with NumPy 2.4, one value in a hundred changes, mostly by one level.

    Args:
        height: rows, at least 1; the layout follows the size, so that a larger image shows more detail.
        width: columns, at least 1.
        seed: zero or a positive integer.
        conditions: light, temperatures and cameras; left out: a clear, cool night, seen by good cameras.

    Returns:
        The infrared image, the visible image, labels and boxes, registered.

    Raises:
        ImageError: ``height`` or ``width`` is below 1, or ``seed`` is negative.

    Example:
        >>> scene = render_scene(120, 160, seed=3)
        >>> scene.infrared.shape, scene.visible.shape, scene.labels.dtype
        ((120, 160), (120, 160, 3), dtype('uint8'))
        >>> person = scene.labels == 2  # CLASSES[2] is "person"
        >>> bool(scene.infrared[person].mean() > 1.5 * scene.infrared.mean())
        True
    """
    check_street(height, width, seed)
    rng = np.random.Generator(np.random.PCG64(seed))
    layout = street_layout(seed, rng)
    if conditions is not None:
        layout = replace(layout, ambient=layout.ambient + conditions.daylight)
    # The street must not change with the size, so its random numbers are drawn before those of the sensor noise.
    canvas = Canvas(camera_of(layout, height, width), fine=noise_tile(rng, 16, 5, 0.75), coarse=noise_tile(rng, 4, 5))
    whole, _ = paint_street(canvas, layout, rng, conditions)
    sensors.weather(canvas)
    if conditions is not None:
        warm(canvas, conditions)
    fitted = partial(display, conditions=conditions) if conditions is not None and conditions.warmest else None
    infrared = sensors.expose_infrared(canvas, rng, fitted)
    visible = sensors.expose_visible(canvas, layout, rng)
    if conditions is not None:
        infrared, visible = (degrade(image, conditions, rng) for image in (infrared, visible))
    return Scene(infrared, visible, canvas.labels, *visible_boxes(canvas, whole))


def check_street(height: int, width: int, seed: int) -> None:
    """Raise ``ImageError`` for a size or a seed that no street can have."""
    if height < 1 or width < 1:
        raise ImageError(f"height={height}, width={width}: a scene needs both to be at least 1")
    if seed < 0:
        raise ImageError(f"seed={seed}: must be zero or positive")


def street_layout(seed: int, rng: np.random.Generator) -> Layout:
    """The street of a seed."""
    return demo_layout() if seed == 0 else random_layout(rng)


def camera_of(layout: Layout, height: int, width: int) -> Camera:
    """The camera of a street before it moves."""
    return Camera(
        height=height,
        width=width,
        elevation=layout.elevation,
        horizon=0.43 * height,
        focal=1.05 * float(np.sqrt(height * width)),
    )


def paint_street(
    canvas: Canvas, layout: Layout, rng: np.random.Generator, conditions: Conditions | None = None
) -> tuple[dict[tuple[int, int], int], list[Mover | None]]:
    """Paint all surfaces of a street, from far to near.

    Returns:
        The outlines that ``visible_boxes`` takes; and for each number of an object the person or car that it is,
        ``None`` for what stands still.
    """
    ground.paint_sky(canvas, layout)
    if conditions is not None:
        light_sky(canvas, conditions)
    ground.paint_ground(canvas, layout)
    street.draw_skyline(canvas, layout.centre(120.0), rng)
    whole: dict[tuple[int, int], int] = {}
    movers: list[Mover | None] = [None]
    for number, thing in enumerate(sorted(_objects(canvas, layout, rng), key=lambda thing: -thing.ahead), start=1):
        canvas.painting = number
        thing.draw()
        whole |= outlines(canvas)
        movers.append(thing.mover)
    return whole, movers


class Mover(NamedTuple):
    """A car or person of a layout: its kind, and how many of the kind the layout names before it."""

    kind: Literal["car", "person"]
    position: int


class _Thing(NamedTuple):
    """What stands on the ground."""

    ahead: float
    draw: Callable[[], None]
    mover: Mover | None


def _objects(canvas: Canvas, layout: Layout, rng: np.random.Generator) -> list[_Thing]:
    """Every object that stands on the ground."""
    objects: list[_Thing] = []

    def add(ahead: float, draw: Callable[..., None], *arguments: object, mover: Mover | None = None) -> None:
        objects.append(_Thing(ahead, lambda: draw(canvas, *arguments), mover))

    x_of = layout.x_of
    for building in layout.buildings:
        building_rng = np.random.Generator(np.random.PCG64(rng.integers(2**32)))
        # A building is sorted by its far end, since objects on the pavement in front of it are nearer to the road.
        far_end = building.ahead + building.length
        x = x_of(building.side, building.ahead + building.length / 2)
        add(far_end, street.draw_building, building, x, building_rng)
    for tree in layout.trees:
        add(tree.ahead, street.draw_tree, tree, x_of(tree.side, tree.ahead))
    for side, ahead, shift in street.hedge_places(layout):
        add(ahead, street.draw_hedge, x_of(side, ahead), ahead, shift)
    for lamp in layout.lamps:
        reach = -1.5 if lamp.side > 0 else 1.5
        add(lamp.ahead, street.draw_lamp, x_of(lamp.side, lamp.ahead), lamp.ahead, reach, layout.lamp_tint)
    for cone in layout.cones:
        add(cone.ahead, street.draw_cone, cone, x_of(cone.side, cone.ahead))
    for stop in layout.stops:
        add(stop.ahead, street.draw_stop, stop, x_of(stop.side, stop.ahead))
    for sign in layout.signs:
        add(sign.ahead, street.draw_sign, sign, x_of(sign.side, sign.ahead))
    for index, car in enumerate(layout.cars):
        add(car.ahead, cars.draw_car, car, x_of(car.side, car.ahead), mover=Mover("car", index))
    for index, person in enumerate(layout.people):
        x = x_of(person.side, person.ahead)
        add(person.ahead, people.draw_person, person, x, mover=Mover("person", index))
    if layout.guardrail is not None:
        side, start, end = layout.guardrail
        posts = np.arange(start, end, 2.0).tolist()
        for z0, z1 in itertools.pairwise(posts):
            add(z1, street.draw_rail, (x_of(side, z0), 0.0, z0), (x_of(side, z1), 0.0, z1))
    return objects

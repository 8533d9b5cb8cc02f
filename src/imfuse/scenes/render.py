"""Registered infrared + visible + label pictures of a night street, rendered without any photograph.

The pictures serve the demo, the tests and the first training steps where no data set is at hand. One description of a
street (`layout.py`) is painted once (`canvas.py`) and seen by two cameras (`sensors.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imfuse.core.errors import ImageError
from imfuse.scenes import cars, ground, people, sensors, street
from imfuse.scenes.canvas import Camera, Canvas, noise_tile
from imfuse.scenes.layout import Layout, demo_layout, random_layout


@dataclass(frozen=True)
class Scene:
    """One registered pair with its classes.

    Attributes:
        infrared: thermal picture, (H, W) uint8; bright is warm.
        visible: night photograph, (H, W, 3) uint8, RGB (sRGB).
        labels: class of every pixel, (H, W) uint8, an index into `CLASSES` and `PALETTE`; 0 is everything else.

    Example:
        >>> scene = render_scene(48, 64)
        >>> scene.infrared.shape, scene.visible.shape, int(scene.labels.max()) < 9
        ((48, 64), (48, 64, 3), True)
    """

    infrared: NDArray[np.uint8]
    visible: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def render_scene(height: int = 480, width: int = 640, seed: int = 0) -> Scene:
    """Render a night street as a thermal and a colour camera at the same place see it.

    The colour picture shows the road, its markings, signs, windows and the glare of headlights; the thermal picture
    shows the people whom that glare and the dark hide. Seed 0 is composed by hand (the demo picture of the library),
    every other seed draws a street by chance.

    The result depends on (height, width, seed) only. With the same versions of NumPy and OpenCV on the same kind of
    processor it is the same to the byte. Other versions draw the same street, but round edges and blurs differently:
    from OpenCV 4.9 with NumPy 1.26 to OpenCV 5.0 with NumPy 2.4, one value in a hundred changes, mostly by one level.

    Args:
        height: rows, at least 1; the layout follows the size, so that a larger image shows more detail.
        width: columns, at least 1.
        seed: zero or a positive integer.

    Returns:
        The infrared image, the visible image and the labels, registered.

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
    if height < 1 or width < 1:
        raise ImageError(f"height={height}, width={width}: a scene needs both to be at least 1")
    if seed < 0:
        raise ImageError(f"seed={seed}: must be zero or positive")
    rng = np.random.Generator(np.random.PCG64(seed))
    layout = demo_layout() if seed == 0 else random_layout(rng)
    camera = Camera(
        height=height,
        width=width,
        elevation=layout.elevation,
        horizon=0.43 * height,
        focal=1.05 * float(np.sqrt(height * width)),
    )
    # The street must not change with the size, so its chances are drawn before those of the sensors' noise.
    canvas = Canvas(camera, fine=noise_tile(rng, 16, 5, 0.75), coarse=noise_tile(rng, 4, 5))
    ground.paint_sky(canvas, layout)
    ground.paint_ground(canvas, layout)
    street.draw_skyline(canvas, layout.centre(120.0), rng)
    for _, draw in sorted(_things(canvas, layout, rng), key=lambda thing: -thing[0]):
        draw()
    sensors.weather(canvas)
    return Scene(
        infrared=sensors.expose_infrared(canvas, rng),
        visible=sensors.expose_visible(canvas, layout, rng),
        labels=canvas.labels,
    )


def _things(canvas: Canvas, layout: Layout, rng: np.random.Generator) -> list[tuple[float, Callable[[], None]]]:
    """Distance and painter of everything that stands on the ground."""
    things: list[tuple[float, Callable[[], None]]] = []

    def add(ahead: float, draw: Callable[..., None], *arguments: object) -> None:
        things.append((ahead, lambda: draw(canvas, *arguments)))

    def x_of(side: float, ahead: float) -> float:
        return layout.centre(min(ahead, 120.0)) + side

    for building in layout.buildings:
        own = np.random.Generator(np.random.PCG64(rng.integers(2**32)))
        # A house is sorted by its far end: whatever stands on the pavement before it is nearer to the road.
        far_end = building.ahead + building.length
        add(
            far_end,
            street.draw_building,
            building,
            x_of(building.side, building.ahead + building.length / 2),
            own,
        )
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
    for car in layout.cars:
        add(car.ahead, cars.draw_car, car, x_of(car.side, car.ahead))
    for person in layout.people:
        add(person.ahead, people.draw_person, person, x_of(person.side, person.ahead))
    if layout.guardrail is not None:
        side, start, end = layout.guardrail
        posts = np.arange(start, end, 2.0).tolist()
        for z0, z1 in itertools.pairwise(posts):
            add(z1, street.draw_rail, (x_of(side, z0), 0.0, z0), (x_of(side, z1), 0.0, z1))
    return things

"""Sky, road, markings, kerb and pavement of rendered scenes, computed for every pixel of the ground plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imfuse.scenes.canvas import ALBEDO, EMISSION, GRAIN, TEMPERATURE, Canvas, Floats, lookup
from imfuse.scenes.layout import Layout

KERB, BUMP = 4, 8
KERB_WIDTH, PAVEMENT = 0.3, 2.9  # metres


def paint_sky(canvas: Canvas, layout: Layout) -> None:
    """Paints a dark blue, cold night sky with the glow of the town at the horizon and thin clouds."""
    camera = canvas.camera
    right, up = camera.rays(slice(0, camera.height), slice(0, camera.width))
    rise = np.clip(up, 0, None)
    glow = np.exp(-rise * 6.0) * (1 - 0.25 * right)
    clouds = lookup(canvas.coarse, 0.35 * right / (rise + 0.25), 0.35 / (rise + 0.25) + 0 * right)
    strength = layout.ambient * (1 + 0.22 * clouds)
    for channel, (zenith, horizon) in enumerate(((0.0025, 0.018), (0.0045, 0.0145), (0.012, 0.0185))):
        canvas.buffer[..., EMISSION.start + channel] = strength * (zenith + horizon * glow)
    canvas.buffer[..., TEMPERATURE] = -5 + 9 * np.exp(-rise * 5.0) + 1.2 * clouds
    canvas.buffer[..., 10] = -1


@dataclass
class _Ground:
    """The image below the horizon, with the road coordinates of its pixels in metres."""

    side: Floats  # right of the centre line, (h, w)
    ahead: Floats  # along the road, (h, 1)
    wide: Floats  # size of a pixel across the road, (h, 1)
    long: Floats  # size of a pixel along the road, (h, 1)
    values: Floats  # channels of the canvas, (h, w, 11)

    def across(self, low: float, high: float) -> Floats:
        """Coverage of every pixel by the strip with low < side < high."""
        return np.clip((self.side - low) / self.wide + 0.5, 0, 1) - np.clip((self.side - high) / self.wide + 0.5, 0, 1)

    def along(self, low: float, high: float) -> Floats:
        """Coverage of every pixel row by the strip with low < ahead < high."""
        return np.clip((self.ahead - low) / self.long + 0.5, 0, 1) - np.clip(
            (self.ahead - high) / self.long + 0.5, 0, 1
        )

    def rows_near(self, ahead: float, reach: float) -> slice:
        """The rows whose ground is within `reach` metres of the distance `ahead`."""
        rows = np.flatnonzero(np.abs(self.ahead[:, 0] - ahead) < reach)
        return slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(0, 0)

    def dashes(self, period: float, share: float) -> Floats:
        """Coverage of every pixel row by dashes; tends to `share` where they are finer than pixels."""
        position = np.abs((self.ahead / period) % 1 - 0.5) * period
        crisp = np.clip((position - (1 - share) * period / 2) / self.long + 0.5, 0, 1)
        return np.asarray(crisp + (share - crisp) * np.clip(self.long / period - 0.5, 0, 1), np.float32)

    def lay(
        self, cover: Floats, albedo: tuple[float, float, float], temperature: float | None, grain: float = 0.5
    ) -> None:
        """Paints a material on the ground; with `temperature` None, as of paint, the infrared does not show it."""
        for channel, value in enumerate(albedo):
            layer = self.values[..., ALBEDO.start + channel]
            layer += cover * (value - layer)
        if temperature is not None:
            self.values[..., TEMPERATURE] += cover * (temperature - self.values[..., TEMPERATURE])
            self.values[..., GRAIN] += cover * (grain - self.values[..., GRAIN])


def paint_ground(canvas: Canvas, layout: Layout) -> None:
    """Paints the ground: verge, pavement, kerb, asphalt, markings, speed bump, shade and warmth under cars."""
    camera = canvas.camera
    top = max(0, min(camera.height, int(np.ceil(camera.horizon + 0.3))))
    if top >= camera.height:
        return
    rows = slice(top, camera.height)
    right, up = camera.rays(rows, slice(0, camera.width))
    depth = np.asarray(np.minimum(-camera.elevation / up, 600), np.float32)
    ahead = depth + np.float32(camera.ahead)
    across = right * depth + np.float32(camera.right)
    side = np.asarray(across + layout.own_side - layout.bend * np.minimum(ahead, 120) ** 2 / 2, np.float32)
    wide = np.asarray(depth / camera.focal, np.float32)
    long = np.asarray(depth**2 / (camera.focal * camera.elevation), np.float32)
    values = canvas.buffer[rows]
    values[...] = 0
    values[..., 9] = 1
    ground = _Ground(side, ahead, wide, long, values)
    patches = lookup(canvas.coarse, side / 23, ahead / 23)
    ground.lay(np.ones_like(side), (0.05, 0.065, 0.03), 9.5, 1.6)
    values[..., TEMPERATURE] += 0.5 * patches
    _pavement(ground, layout)
    _asphalt(ground, layout, patches)
    _markings(ground, layout, lookup(canvas.fine, side / 4, ahead / 4))
    canvas.depth[rows] = np.broadcast_to(depth, side.shape)
    half = layout.half_width
    kerb = ground.across(-half - KERB_WIDTH, -half) + ground.across(half, half + KERB_WIDTH)
    canvas.labels[rows][(kerb >= 0.5) & (depth < 60)] = KERB
    if layout.bump is not None:
        _bump(ground, layout.bump, half)
        canvas.labels[rows][ground.across(-half, half) * ground.along(layout.bump, layout.bump + 0.75) >= 0.5] = BUMP
    _under_cars(ground, layout)


def _pavement(ground: _Ground, layout: Layout) -> None:
    inner, outer = layout.half_width + KERB_WIDTH, layout.half_width + KERB_WIDTH + PAVEMENT
    for low, high in ((-outer, -inner), (inner, outer)):
        ground.lay(ground.across(low, high), (0.13, 0.125, 0.12), 11.2, 0.6)
    # Joints between the slabs: dark lines that fade where they are finer than a pixel.
    fade = np.clip(0.04 / ground.wide, 0, 1) * np.clip(0.12 / ground.long, 0, 1)
    joint = np.maximum(np.abs((ground.side / 0.6) % 1 - 0.5), np.abs((ground.ahead / 0.6) % 1 - 0.5)) > 0.47
    slabs = ground.across(-outer, -inner) + ground.across(inner, outer)
    ground.lay(slabs * joint * fade * 0.5, (0.05, 0.05, 0.05), 10.6, 0.6)
    far_side = ground.across(outer + 0.4, outer + 11.0)  # car park
    ground.lay(far_side, (0.065, 0.065, 0.07), 12.0, 0.8)


def _asphalt(ground: _Ground, layout: Layout, patches: Floats) -> None:
    half = layout.half_width
    road = ground.across(-half, half)
    ground.lay(road, (0.075, 0.077, 0.082), 13.6, 1.0)
    ground.values[..., TEMPERATURE] += road * 0.25 * patches
    for channel in range(3):
        ground.values[..., channel] *= 1 + road * np.clip(0.06 * patches, -0.15, 0.15)
    # Traffic polishes two tracks in each lane: darker in the visible, warmer in the infrared.
    for lane in (-half / 2, half / 2):
        for track in (-0.75, 0.75):
            profile = road * np.exp(-(((ground.side - lane - track) / 0.32) ** 2))
            ground.values[..., ALBEDO] *= (1 - 0.14 * profile)[..., None]
            ground.values[..., TEMPERATURE] += 0.9 * profile
    for low, high in ((-half - KERB_WIDTH, -half), (half, half + KERB_WIDTH)):
        ground.lay(ground.across(low, high), (0.24, 0.235, 0.22), 10.8, 0.5)
        face = (high - 0.13, high) if low < 0 else (low, low + 0.13)
        ground.lay(ground.across(*face), (0.07, 0.07, 0.07), 12.4, 0.5)
    gutter = ground.across(-half, -half + 0.35) + ground.across(half - 0.35, half)
    ground.values[..., ALBEDO] *= (1 - 0.35 * gutter)[..., None]
    ground.values[..., TEMPERATURE] -= 0.7 * gutter
    for side, ahead in ((half / 2 + 0.2, 6.3), (-half / 2, 9.0), (half / 2 - 0.4, 26.0)):
        radius = np.sqrt((ground.side - side) ** 2 + (ground.ahead - ahead) ** 2)
        lid = np.asarray(np.clip((0.38 - radius) / np.maximum(ground.wide, ground.long * 0.7) + 0.5, 0, 1), np.float32)
        ground.lay(lid, (0.045, 0.045, 0.045), 15.2, 0.4)


def _markings(ground: _Ground, layout: Layout, wear: Floats) -> None:
    """Paints road markings, which only the visible image shows."""
    half, white = layout.half_width, (0.62, 0.62, 0.6)
    worn = np.clip(0.82 + 0.13 * wear, 0.25, 1)
    ground.lay(worn * ground.across(-0.08, 0.08) * ground.dashes(6.0, 0.55), white, None)
    for edge in (-half + 0.42, half - 0.42):
        ground.lay(worn * ground.across(edge - 0.07, edge + 0.07), white, None)
    if layout.crossing is not None:
        for bar in np.arange(-half + 0.75, half - 0.9, 1.0):
            stripe = ground.across(float(bar), float(bar) + 0.5) * ground.along(layout.crossing, layout.crossing + 3.2)
            ground.lay(worn * stripe, white, None)
        stop = ground.across(0.12, half - 0.5) * ground.along(layout.crossing - 1.6, layout.crossing - 1.2)
        ground.lay(worn * stop, white, None)
    _arrow(ground, worn, half / 2, 5.2)


def _arrow(ground: _Ground, worn: Floats, side: float, ahead: float) -> None:
    shaft = ground.across(side - 0.09, side + 0.09) * ground.along(ahead, ahead + 1.9)
    reach = np.clip((ahead + 3.1 - ground.ahead) / 1.2, 0, 1) * 0.42
    inside = np.clip((reach - np.abs(ground.side - side)) / ground.wide + 0.5, 0, 1)
    head = np.asarray(inside * ground.along(ahead + 1.9, ahead + 3.1), np.float32)
    ground.lay(worn * np.maximum(shaft, head), (0.62, 0.62, 0.6), None)


def _bump(ground: _Ground, start: float, half: float) -> None:
    """Paints a speed bump of alternately black and yellow rubber, which keeps the warmth of the day."""
    body = np.asarray(ground.across(-half, half) * ground.along(start, start + 0.75), np.float32)
    ground.lay(body, (0.03, 0.03, 0.032), 15.4, 0.4)
    block = np.clip((np.abs((ground.side / 1.0) % 1 - 0.5) - 0.25) / ground.wide + 0.5, 0, 1)
    ground.lay(body * block, (0.55, 0.36, 0.03), None)
    rise = (ground.ahead - start) / 0.75  # the near slope faces the camera, the far one away from it
    ground.values[..., 9] -= body * np.clip(0.3 * np.abs(rise - 0.35), 0, 0.3)
    ground.values[..., 10] -= body * np.clip(0.9 - 1.8 * rise, -0.4, 0.6)
    ground.values[..., TEMPERATURE] -= body * np.clip(2.6 * (rise - 0.3), -0.6, 1.6)


def _under_cars(ground: _Ground, layout: Layout) -> None:
    for car in layout.cars:
        long_half, wide_half = (2.2, 0.85) if abs(np.sin(car.heading)) < 0.5 else (0.85, 2.2)
        rows = ground.rows_near(car.ahead, long_half + 1.5)
        across = np.clip(np.abs(ground.side[rows] - car.side) - wide_half + 0.25, 0, None)
        along = np.clip(np.abs(ground.ahead[rows] - car.ahead) - long_half + 0.25, 0, None)
        near = np.exp(-(across**2 + along**2) / 0.45**2)
        ground.values[rows, :, ALBEDO] *= (1 - 0.85 * near)[..., None]
        if car.lit:
            ground.values[rows, :, TEMPERATURE] += 2.5 * near
    for person in layout.people:
        rows = ground.rows_near(person.ahead, 1.2)
        off = ((ground.side[rows] - person.side) / 0.35) ** 2 + ((ground.ahead[rows] - person.ahead) / 0.4) ** 2
        ground.values[rows, :, ALBEDO] *= (1 - 0.5 * np.exp(-off))[..., None]

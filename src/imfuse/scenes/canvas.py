"""Camera, noise and canvas: every shape is painted once for the visible, the infrared and the label image.

World coordinates are metres, X to the right, Y up, Z forward; the camera looks along Z, and is at (0, height, 0) unless
it moves.
The canvas is a G-buffer: for every pixel it holds the properties of the surface (reflectance, emission, temperature,
orientation, distance, class, object). Light and sensors follow later (`sensors.py`), so the two images are registered
by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Bytes: TypeAlias = NDArray[np.uint8]
Vector: TypeAlias = tuple[float, float, float]

ALBEDO, EMISSION, TEMPERATURE, GRAIN, NORMAL = slice(0, 3), slice(3, 6), 6, 7, slice(8, 11)
CHANNELS = 11
NEAR, FAR = 0.5, 1.0e4  # metres; surfaces at FAR are sky
AIR = 9.0  # temperature of the night air in °C, towards which round edges and distant surfaces tend
TILE = 512  # side of the periodic noise tile in cells


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with a level optical axis; all lengths in pixels except those of its place in the world.

    A small turn to the side is a `shift` of its optical axis on the picture, as `horizon` is a nod.
    """

    height: int
    width: int
    elevation: float  # metres above the road
    horizon: float
    focal: float
    shift: float = 0.0
    right: float = 0.0  # metres
    ahead: float = 0.0  # metres

    @property
    def scale(self) -> float:
        """Size of the image relative to 480 x 640, the size for which blurs are specified."""
        return float(np.sqrt(self.height * self.width / (480 * 640)))

    @property
    def axis(self) -> float:
        """Column of the optical axis."""
        return self.width / 2 + self.shift

    @property
    def place(self) -> Floats:
        """The camera in the world, (3,)."""
        return np.array([self.right, self.elevation, self.ahead])

    def relative(self, points: Any) -> Floats:
        """World points (N, 3), with X and Z from the camera; Y stays above the road."""
        return np.asarray(points, np.float32) - np.array([self.right, 0, self.ahead], np.float32)

    def project(self, points: Floats) -> Floats:
        """Points relative to the camera, (N, 3), to columns and rows, (N, 2)."""
        x, y, z = points.T
        return np.stack([self.axis + self.focal * x / z, self.horizon + self.focal * (self.elevation - y) / z], axis=1)

    def rays(self, rows: slice, cols: slice) -> tuple[Floats, Floats]:
        """Slopes X/Z, shape (1, w), and (Y - elevation)/Z, shape (h, 1), of the rays through the pixel centres."""
        u = np.arange(cols.start, cols.stop, dtype=np.float32) + np.float32(0.5)
        v = np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(0.5)
        return ((u - self.axis) / self.focal)[None, :], ((self.horizon - v) / self.focal)[:, None]

    def positions(self, depth: Floats) -> tuple[Floats, Floats, Floats]:
        """World X, Y, Z of every pixel from its distance."""
        right, up = self.rays(slice(0, self.height), slice(0, self.width))
        return right * depth + self.right, self.elevation + up * depth, depth + self.ahead

    def window(self, low: Floats, high: Floats) -> tuple[slice, slice] | None:
        """Rows and columns of the box between two corners (column, row), clipped to the image; None when outside."""
        left, top = (max(0, int(np.floor(corner))) for corner in low)
        right, bottom = (
            min(limit, int(np.ceil(corner)) + 1) for corner, limit in zip(high, (self.width, self.height), strict=True)
        )
        return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


@dataclass(frozen=True)
class Material:
    """Properties of a surface.

    Attributes:
        albedo: reflectance, linear RGB.
        temperature: in °C.
        emission: light of its own, linear RGB.
        label: index of its class.
        grain: strength of its texture.
    """

    albedo: Vector
    temperature: float
    emission: Vector = (0.0, 0.0, 0.0)
    label: int = 0
    grain: float = 0.1

    def vector(self, normal: Sequence[float]) -> Floats:
        """The canvas channels of this material with that orientation."""
        return np.array([*self.albedo, *self.emission, self.temperature, self.grain, *normal], np.float32)


@dataclass(frozen=True)
class Light:
    """A small light source.

    Attributes:
        position: in the world, metres.
        intensity: linear RGB at a distance of one metre.
        beam: direction of a spot light, a unit vector; None for a light in all directions.
        focus: exponent of the cosine of the angle to the beam.
        mirrored: strength of its reflection on a wet road.
    """

    position: Vector
    intensity: Vector
    beam: Vector | None = None
    focus: float = 1.0
    mirrored: float = 1.0


def noise_tile(rng: np.random.Generator, coarsest: int, octaves: int, gain: float = 0.55) -> Floats:
    """Periodic value noise of several octaves, (TILE, TILE), with zero mean and unit deviation."""
    tile = np.zeros((TILE, TILE), np.float32)
    for octave in range(octaves):
        cells = coarsest << octave
        grid = rng.random((cells, cells), dtype=np.float32)
        padded = cv2.copyMakeBorder(grid, 2, 2, 2, 2, cv2.BORDER_WRAP)
        step = TILE // cells
        smooth = cv2.resize(padded, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        tile += np.float32(gain**octave) * smooth[2 * step : 2 * step + TILE, 2 * step : 2 * step + TILE]
    tile -= tile.mean()
    return np.asarray(tile / tile.std(), np.float32)


def lookup(tile: Floats, x: Floats, y: Floats) -> Floats:
    """Samples a periodic tile at coordinates in periods, bilinear; x and y broadcast."""
    x, y = np.broadcast_arrays(x, y)
    columns = np.asarray((x - np.floor(x)) * TILE, np.float32)
    rows = np.asarray((y - np.floor(y)) * TILE, np.float32)
    return np.asarray(cv2.remap(tile, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def clip_near(points: Floats) -> Floats:
    """Clips a polygon (N, 3) at the near plane (Sutherland-Hodgman); may return fewer than three points."""
    if points[:, 2].min() >= NEAR:
        return points
    clipped: list[Floats] = []
    for corner, following in zip(points, np.roll(points, -1, axis=0), strict=True):
        if corner[2] >= NEAR:
            clipped.append(corner)
        if (corner[2] >= NEAR) != (following[2] >= NEAR):
            clipped.append(corner + (following - corner) * ((NEAR - corner[2]) / (following[2] - corner[2])))
    return np.array(clipped, np.float32).reshape(-1, 3)


def plane_normal(points: Floats) -> Floats:
    """Unit normal of a nearly planar polygon (Newell's sum)."""
    x, y, z = points.T
    # Coordinates of the next corner; the first one follows the last.
    u, v, w = np.concatenate([points[1:], points[:1]]).T
    total = np.array([(y * w - z * v).sum(), (z * u - x * w).sum(), (x * v - y * u).sum()])
    return np.asarray(total / max(float(np.sqrt((total**2).sum())), 1e-9), np.float32)


def polygon_coverage(corners: Floats, height: int, width: int) -> Floats:
    """Coverage of every pixel by a polygon: drawn at a finer resolution without anti-aliasing, then averaged."""
    finer = 4 if height * width <= 1 << 16 else 2
    mask = np.zeros((height * finer, width * finer), np.uint8)
    fixed = np.round((corners * finer - 0.5) * 16).astype(np.int32)  # four fractional bits; OpenCV counts from centres
    cv2.fillPoly(mask, [fixed], 255, shift=4)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


@dataclass
class Canvas:
    """Surface of every pixel, painted from far to near, and the lights of the painted objects.

    Attributes:
        camera: of the scene.
        fine: noise tile with fine structure.
        coarse: noise tile with coarse structure.
        lights: all light sources.
        painting: number of the object that is painted; 0 for sky, ground and what else is no object.
        moved: way of every object since the clip began, by its number, (N + 1, 2): X and Z, in metres; its texture
            moves along. None in a scene without motion.
    """

    camera: Camera
    fine: Floats
    coarse: Floats
    lights: list[Light] = field(default_factory=list)
    painting: int = 0
    moved: Floats | None = None

    def __post_init__(self) -> None:
        shape = (self.camera.height, self.camera.width)
        self.buffer: Floats = np.zeros((*shape, CHANNELS), np.float32)
        self.depth: Floats = np.full(shape, FAR, np.float32)
        self.labels: Bytes = np.zeros(shape, np.uint8)
        self.objects: NDArray[np.uint16] = np.zeros(shape, np.uint16)

    def blend(self, window: tuple[slice, slice], coverage: Floats, values: Floats, depth: Any, label: int) -> None:
        """Paints values (11,) or (h, w, 11) with soft edges; all else changes where coverage is 1/2."""
        region = self.buffer[window]
        region += coverage[..., None] * (values - region)
        inside = coverage >= 0.5
        np.copyto(self.depth[window], np.asarray(depth, np.float32), where=inside)
        self.labels[window][inside] = label
        self.objects[window][inside] = self.painting

    def polygon(self, points: Any, material: Material, normal: Vector | None = None) -> None:
        """Paints a flat polygon with the given corners in the world, (N, 3); its distance is exact in every pixel."""
        corners = clip_near(self.camera.relative(points))
        if len(corners) < 3:
            return
        uv = self.camera.project(corners)
        window = self.camera.window(uv.min(axis=0), uv.max(axis=0))
        if window is None:
            return
        rows, cols = window
        coverage = polygon_coverage(uv - (cols.start, rows.start), rows.stop - rows.start, cols.stop - cols.start)
        anchor = corners[0] - np.array([0, self.camera.elevation, 0], np.float32)
        facing = plane_normal(corners)
        right, up = self.camera.rays(rows, cols)
        slope = facing[0] * right + facing[1] * up + facing[2]
        slope = np.where(np.abs(slope) < 1e-6, 1e-6, slope)
        depth = np.clip((facing * anchor).sum() / slope, corners[:, 2].min(), corners[:, 2].max())
        if normal is None:  # that of the side that faces the camera
            sign = -1.0 if (facing * anchor).sum() > 0 else 1.0
            normal = tuple((facing * sign).tolist())
        self.blend(window, coverage, material.vector(normal), depth, material.label)

    def limb(self, start: Any, end: Any, radius: float, radius_end: float, material: Material) -> None:
        """Paints a tapered cylinder (radii in metres), for limbs, heads, poles and tubes; its edges are cooler."""
        ends = self.camera.relative([start, end])
        if ends[:, 2].min() < NEAR:
            return
        a, b = self.camera.project(ends)
        ra, rb = self.camera.focal * radius / ends[0, 2], self.camera.focal * radius_end / ends[1, 2]
        window = self.camera.window(np.minimum(a - ra, b - rb) - 1, np.maximum(a + ra, b + rb) + 1)
        if window is None:
            return
        rows, cols = window
        u = np.arange(cols.start, cols.stop, dtype=np.float32)[None, :] + np.float32(0.5) - a[0]
        v = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5) - a[1]
        axis = b - a
        along = np.clip((u * axis[0] + v * axis[1]) / max(float((axis**2).sum()), 1e-6), 0, 1)
        side_u, side_v = u - along * axis[0], v - along * axis[1]
        thick = ra + along * (rb - ra)
        off = np.sqrt(side_u**2 + side_v**2)
        # A rod thinner or shorter than a pixel covers only part of it.
        share = np.minimum(1, 2 * thick) * np.minimum(1, np.sqrt((axis**2).sum()) + 2 * thick)
        coverage = np.asarray(np.clip(thick - off + 0.5, 0, share), np.float32)
        rim = np.minimum(off / np.maximum(thick, 0.5), 1)
        values = np.empty((*coverage.shape, CHANNELS), np.float32)
        values[:] = material.vector((0, 0, 0))
        values[..., TEMPERATURE] -= 0.16 * (material.temperature - AIR) * rim**3
        values[..., 8] = side_u / np.maximum(thick, 0.5)
        values[..., 9] = -side_v / np.maximum(thick, 0.5)
        values[..., 10] = -np.sqrt(1 - np.minimum(rim, 0.98) ** 2)
        self.blend(window, coverage, values, ends[0, 2] + along * (ends[1, 2] - ends[0, 2]), material.label)

    def foliage(self, centre: Vector, half_width: float, half_height: float, material: Material, shift: float) -> None:
        """Paints a cloud of leaves: a disc whose edge and gaps come from the noise tiles, sampled at `shift`."""
        x, y, z = centre[0] - self.camera.right, centre[1], centre[2] - self.camera.ahead
        if z < NEAR:
            return
        middle = self.camera.project(self.camera.relative([centre]))[0]
        reach = self.camera.focal / z * np.array([half_width, half_height], np.float32)
        window = self.camera.window(middle - 1.3 * reach, middle + 1.3 * reach)
        if window is None:
            return
        right, up = self.camera.rays(*window)
        across, above = right * z - x, self.camera.elevation + up * z - y
        lx, ly = across / half_width, above / half_height
        clumps = lookup(self.coarse, across / 14 + shift, above / 14 + 3.7 * shift)
        leaves = lookup(self.fine, across / 5 + shift, above / 5 + 2.3 * shift)
        round_part = 1 - lx**2 - ly**2
        solid = round_part + 0.38 * clumps + 0.3 * leaves - 0.12
        soft = max(2.0, 0.22 * self.camera.focal / z / 4)
        coverage = np.asarray(np.clip(solid * soft + 0.5, 0, 1), np.float32)
        values = np.empty((*coverage.shape, CHANNELS), np.float32)
        values[:] = material.vector((0, 0, 0))
        values[..., ALBEDO] *= np.clip(0.75 + 0.3 * leaves + 0.2 * clumps, 0.12, 1.8)[..., None]
        values[..., TEMPERATURE] += 0.25 * clumps + 0.25 * leaves - 0.5 * (1 - np.clip(round_part, 0, 1))
        bump = 0.35 * leaves
        values[..., 8] = 0.8 * lx + bump
        values[..., 9] = 0.8 * ly + bump
        values[..., 10] = -np.sqrt(np.clip(round_part, 0.05, 1))
        self.blend(window, coverage, values, z, material.label)

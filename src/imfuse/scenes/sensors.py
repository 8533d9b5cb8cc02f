"""The two cameras of rendered scenes: illumination of the canvas, optics, noise and quantisation to grey levels."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from imfuse.scenes.canvas import (
    AIR,
    ALBEDO,
    EMISSION,
    FAR,
    GRAIN,
    NEAR,
    NORMAL,
    TEMPERATURE,
    Bytes,
    Canvas,
    Floats,
    lookup,
)
from imfuse.scenes.layout import Layout

COLDEST, WARMEST = -2.0, 35.0  # °C at grey levels 0 and 255


def blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur; the image itself if sigma is too small to matter."""
    if sigma < 0.2:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def wide_blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur with a large sigma, computed on a reduced copy."""
    height, width = image.shape[:2]
    factor = max(1, int(sigma / 3))
    size = (max(1, width // factor), max(1, height // factor))
    # The interpolation is a part of the scene, whose pixels never change: imfuse.imaging.resize may choose another.
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    small = blur(small, sigma / factor)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def weather(canvas: Canvas) -> None:
    """Adds texture to all surfaces: noise fixed to the world changes reflectance and temperature by their grain."""
    depth = np.minimum(canvas.depth, 300)
    x, y, z = canvas.camera.positions(depth)
    if canvas.moved is not None:
        x, z = (axis - canvas.moved[canvas.objects, i] for i, axis in enumerate((x, z)))
    p, q = x + 0.6 * y, z + 0.8 * y
    # Structure finer than a pixel averages out.
    pixels = canvas.camera.focal / np.maximum(depth, 1)  # per metre
    noise = np.clip(0.011 * pixels - 0.25, 0, 1) * lookup(canvas.fine, p / 1.7, q / 1.7)
    noise += np.clip(0.03 * pixels - 0.2, 0.1, 0.36) * lookup(canvas.fine, p / 7, q / 7)
    noise += 0.22 * lookup(canvas.coarse, p / 12, q / 12)
    noise *= canvas.buffer[..., GRAIN] * (canvas.depth < FAR)
    canvas.buffer[..., ALBEDO] *= np.clip(1 + 0.24 * noise, 0.2, 2)[..., None]
    canvas.buffer[..., TEMPERATURE] += 0.45 * noise


def light_surfaces(canvas: Canvas, layout: Layout) -> Floats:
    """Radiance (H, W, 3) in linear RGB, about 1 for white paper near a lamp: sky, lamps, emission and haze."""
    depth = np.minimum(canvas.depth, 500)
    x, y, z = canvas.camera.positions(depth)
    normal = canvas.buffer[..., NORMAL]
    nx, ny, nz = (np.ascontiguousarray(normal[..., i]) for i in range(3))
    sky: Floats = layout.ambient * (0.62 + 0.38 * ny)
    shine = [sky * level for level in (0.045, 0.05, 0.068)]
    for light in canvas.lights:
        dx, dy, dz = (np.float32(place) - axis for place, axis in zip(light.position, (x, y, z), strict=True))
        square = dx * dx + dy * dy + dz * dz + np.float32(0.3)
        inverse = 1 / np.sqrt(square)
        strength = np.maximum((nx * dx + ny * dy + nz * dz) * inverse, 0) / square
        if light.beam is not None:
            bx, by, bz = light.beam
            strength *= np.maximum(-(bx * dx + by * dy + bz * dz) * inverse, 0) ** np.float32(light.focus)
        for glow, level in zip(shine, light.intensity, strict=True):
            glow += np.float32(level) * strength
    # A weak low beam of the camera's car: without it the road just in front would be black.
    beside = x - np.float32(canvas.camera.right)
    own = np.maximum(-nz + 0.35 * ny, 0) * 9.0 / (depth * depth + 40) * np.exp(-((beside / (0.16 * depth + 1.2)) ** 2))
    own *= np.clip(1.25 - (y / 1.6), 0.12, 1)
    radiance = canvas.buffer[..., EMISSION].copy()
    through = np.exp(-layout.haze * depth)
    through[canvas.depth >= FAR] = 1
    for channel in range(3):
        radiance[..., channel] += canvas.buffer[..., channel] * (shine[channel] + own * (0.95, 1.0, 1.0)[channel])
        air = layout.ambient * (0.015, 0.014, 0.019)[channel]
        radiance[..., channel] *= through
        radiance[..., channel] += air * (1 - through)
    return radiance


def add_reflections(radiance: Floats, canvas: Canvas, layout: Layout) -> None:
    """Adds the reflections of lamps on a wet road: each is mirrored in the ground and smeared towards the camera."""
    camera = canvas.camera
    flat = (canvas.buffer[..., 9] > 0.9) & (canvas.depth < FAR)
    rough = np.clip(1 + 0.45 * _ripples(canvas), 0.1, 2) * flat * layout.wetness
    for light in canvas.lights:
        x, y, z = light.position[0] - camera.right, light.position[1], light.position[2] - camera.ahead
        if z < NEAR:
            continue
        u = camera.axis + camera.focal * x / z
        v = camera.horizon + camera.focal * (camera.elevation + y) / z
        tall, thin = camera.focal * (0.5 + 0.35 * y) / z, camera.focal * 0.16 / z
        low, high = np.array([u - 4 * thin - 1, v - 3 * tall]), np.array([u + 4 * thin + 1, v + 3 * tall])
        window = camera.window(low.astype(np.float32), high.astype(np.float32))
        if window is None:
            continue
        rows, cols = window
        du = (np.arange(cols.start, cols.stop, dtype=np.float32) + 0.5 - u) / max(thin, 0.5)
        dv = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5 - v) / max(tall, 0.5)
        streak = np.exp(-0.5 * dv**2)[:, None] * np.exp(-0.5 * du**2)[None, :] * rough[window]
        spread = min(thin / 0.5, 1) * min(tall / 0.5, 1)  # a streak finer than a pixel covers only part of it
        level = 0.012 * spread * light.mirrored * np.array(light.intensity, np.float32) ** np.float32(0.8)
        radiance[window] += streak[..., None] * level


def _ripples(canvas: Canvas) -> Floats:
    x, _, z = canvas.camera.positions(np.minimum(canvas.depth, 300))
    return lookup(canvas.fine, x / 3, z / 7)


def add_glare(radiance: Floats, scale: float, haze: float) -> Floats:
    """Adds glare of lens and air around bright lamps: a sum of blurs from narrow to very wide, and faint streaks."""
    lens = blur(radiance, 0.55 * scale)
    bright = np.minimum(radiance, np.float32(420))
    thick = 1 + 18 * haze
    glare = 0.06 * wide_blur(bright, 2.2 * scale) + 0.055 * thick * wide_blur(bright, 7.0 * scale)
    glare += 0.05 * thick * wide_blur(bright, 20.0 * scale) + 0.03 * thick * wide_blur(bright, 60.0 * scale)
    spikes = np.clip(bright - 40, 0, None)
    if scale >= 0.2 and float(spikes.max()) > 0:
        half = max(1, int(13 * scale))
        size = (max(1, int(spikes.shape[1] / max(scale, 1))), max(1, int(spikes.shape[0] / max(scale, 1))))
        small = np.asarray(cv2.resize(spikes, size, interpolation=cv2.INTER_AREA), np.float32)
        half = max(1, int(half / max(scale, 1)))
        star = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        for angle in np.deg2rad((24.0, 84.0, 144.0)):
            reach = np.array([np.cos(angle), np.sin(angle)]) * half
            tip = np.round(half + reach).astype(int).tolist()
            tail = np.round(half - reach).astype(int).tolist()
            cv2.line(star, (tail[0], tail[1]), (tip[0], tip[1]), 1.0, 1)
        offset = np.arange(-half, half + 1, dtype=np.float32) / half
        star *= np.exp(-7 * (offset[None, :] ** 2 + offset[:, None] ** 2))
        star /= max(float(star.sum()), 1e-6)
        streaks = cv2.filter2D(small, -1, star, borderType=cv2.BORDER_CONSTANT)
        glare += 0.03 * np.asarray(
            cv2.resize(streaks, radiance.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32
        )
    return np.asarray(lens + glare, np.float32)


def expose_visible(canvas: Canvas, layout: Layout, rng: np.random.Generator) -> Bytes:
    """Image of the colour camera, (H, W, 3) uint8: glare, vignetting, shot and read noise, a soft shoulder, sRGB."""
    camera = canvas.camera
    radiance = light_surfaces(canvas, layout)
    add_reflections(radiance, canvas, layout)
    image = add_glare(radiance, camera.scale, layout.haze)
    right, up = camera.rays(slice(0, camera.height), slice(0, camera.width))
    image *= (1 / (1 + 0.5 * (right**2 + up**2)))[..., None]
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise = 1.25 * blur(noise, 0.45)  # demosaicking correlates neighbours
    image += noise * np.sqrt(0.00012 * np.clip(image, 0, 4) + 0.0000045)
    image = 1 - np.exp(np.float32(-2.4) * np.clip(image, 0, None))
    encoded = np.where(image <= 0.0031308, 12.92 * image, 1.055 * np.power(image, np.float32(1 / 2.4)) - 0.055)
    return np.asarray(np.clip(np.round(encoded * 255), 0, 255), np.uint8)


def expose_infrared(
    canvas: Canvas, rng: np.random.Generator, display: Callable[[Floats], Floats] | None = None
) -> Bytes:
    """Image of the thermal camera, (H, W) uint8: attenuation by the air, softer optics, column pattern and noise.

    ``display`` turns temperatures into levels in [0, 1]; without it the range is fixed.
    """
    through = np.exp(-0.0035 * np.minimum(canvas.depth, 300))
    through[canvas.depth >= FAR] = 1
    temperature = AIR + (canvas.buffer[..., TEMPERATURE] - AIR) * through
    temperature = blur(np.asarray(temperature, np.float32), 0.8 * canvas.camera.scale)
    temperature += 0.22 * rng.standard_normal(temperature.shape, dtype=np.float32)
    temperature += 0.12 * rng.standard_normal((1, temperature.shape[1]), dtype=np.float32)
    temperature += 0.05 * rng.standard_normal((temperature.shape[0], 1), dtype=np.float32)
    if display is not None:
        return np.asarray(np.round(255 * display(temperature)), np.uint8)
    level = np.clip((temperature - COLDEST) / (WARMEST - COLDEST), 0, 1)
    # The display curve gives warm objects most grey levels: backgrounds stay dark, bodies stand out.
    return np.asarray(np.round(255 * level**1.7), np.uint8)

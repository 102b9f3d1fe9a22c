"""Procedural surface pictures: glazes, wood, cloth, wallpaper. All are sRGB images that tile, made from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

Colour = tuple[int, int, int]
"""Red, green, blue as display values 0-255."""
Picture = UInt8[ndarray, "height width 3"]


def smooth_noise(height: int, width: int, grain: Sequence[float] | float, seed: int) -> Float[ndarray, "height width"]:
    """Tiling noise of mean 0 and deviation 1 whose blobs are about `grain` pixels (rows, columns) large."""
    grain_rows, grain_columns = (grain, grain) if isinstance(grain, (int, float)) else grain
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((height, width)))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    spectrum *= np.exp(-2 * ((rows * grain_rows) ** 2 + (columns * grain_columns) ** 2))
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(height, width))
    return field / max(float(field.std()), 1e-12)


def picture_of(field: Float[ndarray, "height width 3"]) -> Picture:
    """An image from real-valued display values."""
    return np.clip(np.rint(field), 0, 255).astype(np.uint8)


def glaze(colour: Colour, seed: int = 0, variation: float = 5.0, size: int = 96) -> Picture:
    """A nearly plain colour with soft clouds, as on glazed pottery or painted wood."""
    clouds = smooth_noise(size, size, size / 6, seed) + 0.4 * smooth_noise(size, size, size / 24, seed + 1)
    return picture_of(np.asarray(colour, float) + variation * clouds[..., None])


def bands(stripes: Sequence[tuple[float, Colour]], seed: int = 0, size: tuple[int, int] = (256, 64)) -> Picture:
    """Horizontal bands; each entry is (v where the band ends, colour)."""
    v = (np.arange(size[0]) + 0.5) / size[0]
    rows = np.empty((size[0], 3))
    for end, colour in reversed(stripes):
        rows[v <= end] = colour
    mottle = 4 * smooth_noise(*size, 12, seed)
    return picture_of(np.repeat(rows[:, None], size[1], 1) + mottle[..., None])


def wood(light: Colour, dark: Colour, *, size: tuple[int, int] = (512, 512), planks: int = 5, seed: int = 0) -> Picture:
    """Boards side by side, grain along u; seams, rings and pores."""
    height, width = size
    rng = np.random.default_rng(seed)
    v = np.arange(height)[:, None] / height * planks
    board = np.broadcast_to(v.astype(int), (height, width))
    warp = 0.55 * smooth_noise(height, width, (height / 9, width / 2.5), seed + 1)
    offset, pitch = rng.uniform(0, 9, planks), rng.uniform(2.2, 4.0, planks)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (pitch[board] * (v % 1) + warp + offset[board]))
    pores = smooth_noise(height, width, (1.5, width / 14), seed + 2)
    shade = np.clip(0.3 + 0.42 * rings**1.5 + 0.1 * pores + rng.uniform(-0.16, 0.16, planks)[board], 0, 1)
    seam = np.minimum(v % 1, 1 - v % 1) * height / planks < 1.6
    colour = np.asarray(light, float) * (1 - shade[..., None]) + np.asarray(dark, float) * shade[..., None]
    return picture_of(np.where(seam[..., None] & (planks > 1), colour * 0.45, colour))


def gingham(first: Colour, second: Colour, *, checks: int = 4, size: int = 256, seed: int = 0) -> Picture:
    """Woven checks: stripes both ways that darken where they cross, with a fine weave."""
    stripe = (np.arange(size) * 2 * checks // size) % 2
    cover = (stripe[:, None] + stripe[None]) / 2
    weave = 0.05 * (((np.arange(size)[:, None] + np.arange(size)[None]) // 2) % 2)
    mix = np.clip(cover - weave + 0.02 * smooth_noise(size, size, 3, seed), 0, 1)[..., None]
    return picture_of(np.asarray(first, float) * (1 - mix) + np.asarray(second, float) * mix)


def diamond_border(ground: Colour, figure: Colour, accent: Colour, *, size: tuple[int, int], count: int) -> Picture:
    """A row of diamonds between two lines, for the rim of a bowl or the edge of a cloth; repeats along u."""
    height, width = size
    v, u = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    across, along = np.abs(v - 0.5) * 2, np.abs((u * count) % 1 - 0.5) * 2
    picture = np.empty((height, width, 3))
    picture[:] = ground
    picture[across + along < 0.72] = figure
    picture[across + along < 0.3] = accent
    picture[(across > 0.8) & (across < 0.93)] = figure
    return picture_of(picture)


def wallpaper(
    ground: Colour, figure: Colour, accent: Colour, *, size: int = 256, count: int = 2, seed: int = 0
) -> Picture:
    """Five-petalled blossoms between soft stripes, in half-drop repeat."""
    v, u = np.mgrid[0:size, 0:size] / size * count
    x, y = u % 1 - 0.5, (v + 0.5 * (np.floor(u) % 2)) % 1 - 0.5
    reach, angle = np.hypot(x, y), np.arctan2(y, x)
    petal = np.clip((0.2 + 0.075 * np.cos(5 * angle + np.pi / 2) - reach) * 40, 0, 1)[..., None]
    heart = np.clip((0.07 - reach) * 40, 0, 1)[..., None]
    stripe = np.clip((np.abs(x) - 0.4) * 30, 0, 1)[..., None] * 0.35
    paper = np.asarray(ground, float) * (1 - stripe) + np.asarray(figure, float) * stripe
    paper = paper * (1 - petal) + np.asarray(figure, float) * petal
    paper = paper * (1 - heart) + np.asarray(accent, float) * heart
    return picture_of(paper + 2.5 * smooth_noise(size, size, size / 10, seed)[..., None])


def speckled(colour: Colour, blush: Colour, *, seed: int, size: tuple[int, int] = (160, 192)) -> Picture:
    """Fruit skin: a colour with a blush on one side, streaks from pole to pole and pale dots."""
    height, width = size
    u = np.arange(width)[None] / width
    side = 0.5 + 0.5 * np.cos(2 * np.pi * (u - 0.35))
    streak = smooth_noise(height, width, (height / 3, 2.0), seed)
    mix = np.clip(side * 0.9 + 0.16 * streak - 0.1, 0, 1)[..., None]
    skin = np.asarray(colour, float) * (1 - mix) + np.asarray(blush, float) * mix
    dots = smooth_noise(height, width, 1.6, seed + 1) > 2.4
    return picture_of(np.where(dots[..., None], 0.55 * skin + 0.45 * np.array([245.0, 230, 190]), skin))


def woven_shade(colour: Colour, seed: int = 0, size: int = 128) -> Picture:
    """Linen of a lamp shade: fine vertical threads."""
    threads = 5 * smooth_noise(size, size, (size / 4, 1.2), seed) + 3 * smooth_noise(
        size, size, (1.2, size / 6), seed + 1
    )
    return picture_of(np.asarray(colour, float) + threads[..., None])


def beach_panels(colours: Sequence[Colour], *, size: tuple[int, int] = (128, 256)) -> Picture:
    """Wedges from pole to pole with a white cap at both poles."""
    height, width = size
    panel = np.arange(width) * len(colours) // width
    picture = np.repeat(np.asarray(colours, float)[panel][None], height, 0)
    v = (np.arange(height) + 0.5) / height
    picture[(v < 0.09) | (v > 0.91)] = (244, 240, 232)
    return picture_of(picture)

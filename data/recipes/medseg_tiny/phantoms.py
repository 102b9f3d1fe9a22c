"""Chest radiographs of nobody: drawn by rule, so that a picture may be shown and shipped that belongs to no patient.

Lungs, heart shadow and airways are drawn with their masks; ribs, spine, collar bones, noise and exposure vary. They are
learned from beside the real sets, and one of another seed is the sample of the demo. They look like a radiograph only
roughly, and figures on them say nothing about patients.
"""

from __future__ import annotations

import cv2
import numpy as np

from data.recipes.medseg_tiny.pictures import LabelledPicture, PictureSet

CHEST = PictureSet(
    folder="phantom_chest", modality="X-ray", body_part="chest",
    structures={name: name for name in ("left lung", "right lung", "heart shadow", "airways")},
)  # fmt: skip
PHANTOMS = 60
"""Seeds 0 to 59 are learned from; others are for tests and samples."""
_SIDE = 400
Rng = np.random.Generator


def chest_phantom(seed: int, side: int = _SIDE) -> LabelledPicture:
    """One radiograph, seen from the front: the patient's right is on the image's left."""
    rng = np.random.default_rng([seed, 77])
    y, x = np.mgrid[0:1:1j * side, 0:1:1j * side].astype(np.float32)  # fmt: skip
    middle = 0.5 + rng.normal(0, 0.012)
    right = _lung(x, y, middle, -1, rng)
    left = _lung(x, y, middle, 1, rng)
    heart = _heart(x, y, middle, rng)
    left &= ~heart
    right &= ~heart
    airways = _airways(side, middle, rng)
    right &= ~airways
    left &= ~airways
    density = _body(x, y, middle, rng)
    lungs = _soft(right | left, 0.006 * side)
    density *= 1 - lungs * rng.uniform(0.5, 0.68)
    density += _ribs(x, y, middle, rng) * _body(x, y, middle, rng) * rng.uniform(0.08, 0.16)
    density += np.exp(-(((x - middle) / 0.035) ** 2)) * rng.uniform(0.08, 0.16)  # spine
    density += _soft(heart, 0.012 * side) * rng.uniform(0.06, 0.13)
    density -= _soft(airways, 0.004 * side) * rng.uniform(0.10, 0.16)
    vessels = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), 0.008 * side)
    density += lungs * vessels * rng.uniform(0.25, 0.6)
    density += cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), 0.7) * 0.02
    density = (density - density.min()) / float(np.ptp(density))
    grey = np.round(255 * density ** rng.uniform(0.8, 1.3)).astype(np.uint8)
    masks = {"left lung": left, "right lung": right, "heart shadow": heart, "airways": airways, "lungs": left | right}
    return LabelledPicture(
        of=CHEST, image=np.repeat(grey[..., None], 3, 2), masks=masks, patient=f"phantom {seed}",
        path=f"phantom_chest/{seed}",
    )  # fmt: skip


def _body(x: np.ndarray, y: np.ndarray, middle: float, rng: Rng) -> np.ndarray:
    width = rng.uniform(0.44, 0.52)
    torso = 1 / (1 + np.exp((np.abs(x - middle) - width * (0.72 + 0.28 * np.clip(y * 3, 0, 1))) * 60))
    away = np.abs(x - middle)
    neck = 1 / (1 + np.exp((away - 0.13 - 0.1 * y) * 60))
    shoulders = 1 / (1 + np.exp(-(y - 0.01 - 1.1 * np.clip(away - 0.16, 0, 1) ** 1.3) * 50))
    return (0.62 + 0.12 * y) * np.maximum(shoulders * torso, neck)


def _lung(x: np.ndarray, y: np.ndarray, middle: float, sign: int, rng: Rng) -> np.ndarray:
    """A tall egg, cut below by a dome and towards the middle by a soft edge."""
    centre = middle + sign * rng.uniform(0.195, 0.215)
    top, bottom = rng.uniform(0.11, 0.16), rng.uniform(0.76, 0.86)
    height = (bottom - top) / 2
    place = (y - (top + bottom) / 2) / height
    half = rng.uniform(0.135, 0.165) * (0.82 + 0.22 * np.clip(place, -1, 1))
    inside = ((x - centre) / half) ** 2 + np.abs(place) ** 2.6 < 1
    dome = bottom - rng.uniform(0.05, 0.09) * np.cos(np.clip((x - centre) / 0.16, -1.5, 1.5))
    return inside & (y < dome + 0.03)


def _heart(x: np.ndarray, y: np.ndarray, middle: float, rng: Rng) -> np.ndarray:
    centre_x, centre_y = middle + rng.uniform(0.045, 0.075), rng.uniform(0.60, 0.66)
    angle = np.deg2rad(rng.uniform(25, 40))
    dx, dy = x - centre_x, y - centre_y
    along, across = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
    muscle = (along / rng.uniform(0.155, 0.19)) ** 2 + (across / rng.uniform(0.115, 0.14)) ** 2 < 1
    vessels = (np.abs(x - middle) < rng.uniform(0.05, 0.065)) & (y > rng.uniform(0.30, 0.35)) & (y < centre_y)
    return muscle | vessels


def _airways(side: int, middle: float, rng: Rng) -> np.ndarray:
    canvas = np.zeros((side, side), np.uint8)
    fork = np.array([middle + rng.normal(0, 0.006), rng.uniform(0.36, 0.40)])
    top = np.array([middle + rng.normal(0, 0.01), 0.06])
    wide = max(2, round(side * rng.uniform(0.030, 0.038)))
    ends = [
        fork + np.array([-rng.uniform(0.07, 0.09), rng.uniform(0.07, 0.1)]),
        fork + np.array([rng.uniform(0.08, 0.11), rng.uniform(0.07, 0.1)]),
    ]
    for one, other, thick in ((top, fork, wide), (fork, ends[0], wide * 2 // 3), (fork, ends[1], wide * 2 // 3)):
        cv2.line(canvas, _pixel(one, side), _pixel(other, side), 1, max(2, thick))
    return canvas > 0


def _pixel(point: np.ndarray, side: int) -> tuple[int, int]:
    return round(float(point[0]) * side), round(float(point[1]) * side)


def _ribs(x: np.ndarray, y: np.ndarray, middle: float, rng: Rng) -> np.ndarray:
    away = np.abs(x - middle)
    step, drop = rng.uniform(0.070, 0.085), rng.uniform(0.35, 0.6)
    phase = (y - 0.08 - drop * away + 0.9 * away**2) / step
    front = (y - 0.2 - 0.25 * (0.45 - away)) / (step * 1.3)
    band = np.clip(np.cos(2 * np.pi * phase) - 0.35, 0, 1) + 0.4 * np.clip(np.cos(2 * np.pi * front) - 0.5, 0, 1)
    return band * (away > 0.05) * (away < 0.40) * (y < 0.85)


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)

"""Pictures varied each time they are learned from: placed, mirrored, turned, bent, relit, blurred, with noise."""

from __future__ import annotations

import cv2
import numpy as np

from data.recipes.medseg_tiny.pictures import FINE_SIDE, LabelledPicture, Turns

Rng = np.random.Generator
_HALVED = 0.6
"""A picture made smaller than this is halved first."""
_BENT_SHARE = 0.5
_BEND = 0.025
"""Spread of the nodes' displacement, in sides of the square."""


def varied(
    picture: LabelledPicture, side: int, rng: Rng, masks: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A square of `side` pixels of the picture with the given masks: all of it, or a window where structures are thin.

    Black outside of the picture, where no mask reaches.
    """
    matrix = _placement(picture, side, rng)
    image, reduced = picture.image, matrix
    while np.sqrt(abs(np.linalg.det(reduced[:, :2]))) < _HALVED:  # linear sampling would skip pixels
        size = image.shape[1] // 2, image.shape[0] // 2
        reduced = reduced * np.array([image.shape[1] / size[0], image.shape[0] / size[1], 1.0])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    points = _bent(side, rng)
    image = _sampled(image, reduced, points)
    moved = {name: _sampled(mask.astype(np.float32), matrix, points) > 0.5 for name, mask in masks.items()}
    return relit(image, picture.of.modality, rng), moved


def _bent(side: int, rng: Rng) -> np.ndarray:
    """float [side side 2]: column and row in the plain square that each pixel of the bent one shows."""
    points = np.stack(np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32)), axis=-1)
    if rng.random() < _BENT_SHARE:
        nodes = rng.normal(0, _BEND * side, (5, 5, 2)).astype(np.float32)
        points += cv2.resize(nodes, (side, side), interpolation=cv2.INTER_CUBIC)
    return points


def _sampled(image: np.ndarray, matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The picture at points of the square that `matrix` maps it onto; 0 outside."""
    back = cv2.invertAffineTransform(matrix)
    places = (points @ back[:, :2].T + back[:, 2]).astype(np.float32)
    return cv2.remap(image, places, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]


def _placement(picture: LabelledPicture, side: int, rng: Rng) -> np.ndarray:
    """Affine map of the picture's pixels onto the square."""
    height, width = picture.image.shape[:2]
    longest = max(height, width)
    scale = FINE_SIDE / longest if picture.of.fine else side / longest  # a window has a fixed scale, whatever its side
    zoom = float(np.exp(rng.uniform(-0.3, 0.3))) if rng.random() < 0.8 else 1.0
    stretch = float(np.exp(rng.uniform(-0.15, 0.15)))
    scales = scale * zoom * np.array([stretch, 1 / stretch])
    angle = np.deg2rad(rng.normal(0, 10) if rng.random() < 0.7 else 0.0)
    angle += _quarter_turns(picture.of.turns, rng)
    if picture.of.turns != "none" and rng.random() < 0.5:
        scales[0] = -scales[0]
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]]) * scales
    if picture.of.fine:
        spread = np.maximum(0, np.array([width, height]) / 2 - side / 2 / scale / zoom * 0.8)
        middle = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * spread
        shift = np.array([side / 2, side / 2]) - turn @ middle
    else:
        size = np.array([width, height]) * np.abs(scales)
        spare = np.abs(side - (size[::-1] if abs(sine) > abs(cosine) else size)) / 2 + 0.03 * side
        shift = np.array([side / 2, side / 2]) + rng.uniform(-spare, spare) - turn @ (np.array([width, height]) / 2)
    return np.concatenate([turn, shift[:, None]], 1)


def _quarter_turns(turns: Turns, rng: Rng) -> float:
    return float(rng.integers(4)) * np.pi / 2 if turns == "all" else 0.0


def relit(image: np.ndarray, modality: str, rng: Rng) -> np.ndarray:
    """Other light, contrast, sharpness and noise; colours vary where a picture has colours."""
    values = image.astype(np.float32) / 255
    if rng.random() < 0.8:
        values = values ** np.float32(np.exp(rng.normal(0, 0.25)))
        values = (values - 0.5) * np.float32(np.exp(rng.normal(0, 0.2))) + np.float32(0.5 + rng.normal(0, 0.06))
    if np.ptp(image, axis=2).max() > 8:
        values = values * np.exp(rng.normal(0, 0.1, 3)).astype(np.float32) + rng.normal(0, 0.03, 3).astype(np.float32)
        if rng.random() < 0.1:
            values = np.repeat(values.mean(2, keepdims=True), 3, 2)
    if modality == "ultrasound" and rng.random() < 0.3:
        values = values * np.exp(rng.normal(0, 0.15, values.shape[:2]))[..., None].astype(np.float32)
    if rng.random() < 0.25:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.3:
        values = values + rng.standard_normal((*values.shape[:2], 1), np.float32) * rng.uniform(0, 0.05)
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)

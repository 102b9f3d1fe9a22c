"""Overlap and distances of surfaces: worked by hand, closed forms, laws, and MONAI's own metrics."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseg.errors import InvalidInputError
from medseg.evaluation.overlap import overlap, united
from medseg.evaluation.surface_distance import surface_distances, surface_points
from medseg.io.read_study import read_study

MASKS = arrays(bool, (6, 5, 4), elements=st.booleans())


def box(shape: tuple[int, int, int], start: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(first, first + count) for first, count in zip(start, size, strict=True))] = True
    return mask


def ball(radius_mm: float, spacing: tuple[float, float, float], size: int = 41) -> np.ndarray:
    axes = [(np.arange(size) - size // 2) * step for step in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return x**2 + y**2 + z**2 <= radius_mm**2


def test_overlap_by_hand() -> None:
    one, other = box((8, 8, 1), (0, 0, 0), (4, 4, 1)), box((8, 8, 1), (2, 0, 0), (4, 4, 1))
    found = overlap(one, other)
    assert (found.shared, found.predicted, found.reference, found.union) == (8, 16, 16, 24)
    assert found.dice == 0.5
    assert found.iou == pytest.approx(1 / 3)
    assert united([one, other], (8, 8, 1)).sum() == 24


def test_empty_rules_of_overlap() -> None:
    empty, full = np.zeros((2, 2, 2), dtype=bool), np.ones((2, 2, 2), dtype=bool)
    assert math.isnan(overlap(empty, empty).dice)
    assert overlap(empty, empty).iou == 1
    assert (overlap(empty, full).dice, overlap(full, empty).iou) == (0, 0)


def test_empty_rules_of_surfaces() -> None:
    empty, full = np.zeros((2, 2, 2), dtype=bool), np.ones((2, 2, 2), dtype=bool)
    none = surface_distances(empty, empty, np.eye(4), tolerance=1)
    assert (none.hd95, none.assd, none.nsd) == (0, 0, 1)
    for one, other in ((empty, full), (full, empty)):
        found = surface_distances(one, other, np.eye(4), tolerance=1)
        assert math.isnan(found.hd95)
        assert math.isnan(found.assd)
        assert found.nsd == 0


def test_two_parallel_plates_with_uneven_spacing() -> None:
    # Plates of one voxel, three slices of 2.5 mm apart: every point is exactly 7.5 mm from the other plate.
    one, other = box((6, 6, 9), (0, 0, 1), (6, 6, 1)), box((6, 6, 9), (0, 0, 4), (6, 6, 1))
    affine = np.diag([0.7, 0.7, 2.5, 1.0])
    found = surface_distances(one, other, affine, tolerance=7.5)
    assert found.hd95 == pytest.approx(7.5)
    assert found.assd == pytest.approx(7.5)
    assert found.nsd == 1
    assert surface_distances(one, other, affine, tolerance=7.4).nsd == 0


def test_directed_percentiles_by_hand() -> None:
    # 20 points against the same and one that lies 10 mm off: the 95th percentile of 21 distances is rank 19 of 0-20.
    line = box((60, 3, 1), (0, 1, 0), (20, 1, 1))
    more = line.copy()
    more[29, 1, 0] = True
    found = surface_distances(line, more, np.eye(4), tolerance=0)
    assert found.hd95 == pytest.approx(0)
    more[39, 1, 0] = (
        True  # two of 22 lie 10 and 20 mm off: rank 0.95 * 21 = 19.95, between 0 (rank 19) and 10 (rank 20)
    )
    assert surface_distances(line, more, np.eye(4), tolerance=0).hd95 == pytest.approx(9.5)
    assert surface_distances(line, more, np.eye(4), tolerance=0).nsd == pytest.approx(40 / 42)


def test_balls_within_balls_in_millimetres() -> None:
    spacing = (1.0, 0.5, 1.25)
    inner, outer = ball(8.0, spacing), ball(10.0, spacing)
    found = surface_distances(inner, outer, np.diag([*spacing, 1.0]), tolerance=3.0)
    assert found.assd == pytest.approx(2.0, abs=0.35)
    assert found.hd95 == pytest.approx(2.0, abs=0.8)
    assert found.nsd == 1


def test_a_picture_has_outlines() -> None:
    mask = box((9, 9, 1), (2, 2, 0), (5, 5, 1))
    assert len(surface_points(mask, np.eye(4))) == 16


@given(MASKS, MASKS)
def test_distances_do_not_depend_on_the_order_of_masks_or_on_the_place_in_space(
    one: np.ndarray, other: np.ndarray
) -> None:
    affine = np.diag([1.0, 2.0, 0.5, 1.0])
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]) @ affine[:3, :3]
    turned[:3, 3] = 100.0
    found = surface_distances(one, other, affine, tolerance=1.0)
    back = surface_distances(other, one, affine, tolerance=1.0)
    away = surface_distances(one, other, turned, tolerance=1.0)
    for name in ("hd95", "assd", "nsd"):
        value = getattr(found, name)
        assert getattr(back, name) == pytest.approx(value, nan_ok=True)
        assert getattr(away, name) == pytest.approx(value, nan_ok=True)


@settings(max_examples=15)
@given(MASKS, MASKS, st.sampled_from([(1.0, 1.0, 1.0), (0.5, 2.0, 3.3)]))
def test_as_monai_measures_it(one: np.ndarray, other: np.ndarray, spacing: tuple[float, float, float]) -> None:
    check_against_monai(one, other, spacing)


def check_against_monai(one: np.ndarray, other: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Same surfaces, same distances and the same percentile; MONAI has rules of its own for empty masks."""
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.meandice import compute_dice
    from monai.metrics.surface_dice import compute_surface_dice

    if not one.any() or not other.any():
        return
    predicted, reference = torch.tensor(one)[None, None].float(), torch.tensor(other)[None, None].float()
    found = surface_distances(one, other, np.diag([*spacing, 1.0]), tolerance=1.0)
    theirs = compute_hausdorff_distance(predicted, reference, include_background=True, percentile=95, spacing=spacing)
    assert found.hd95 == pytest.approx(float(theirs), abs=1e-4)
    surface = compute_surface_dice(
        predicted, reference, class_thresholds=[1.0], include_background=True, spacing=spacing
    )
    assert found.nsd == pytest.approx(float(surface), abs=1e-6)
    assert overlap(one, other).dice == pytest.approx(float(compute_dice(predicted, reference)), abs=1e-6)


@pytest.mark.parametrize("kind", ["semantic", "matched_instance"])
def test_real_spines(shared_data: Path, kind: str) -> None:
    folder = shared_data / "vol_metric_pairs_panoptica"
    facts = {item["kind"]: item for item in json.loads((folder / "meta.json").read_text())["items"]}[kind]
    predicted, reference = (read_study(folder / kind / f"{name}.nii.gz").volume for name in ("pred", "ref"))
    found = overlap(predicted.voxels > 0, reference.voxels > 0)
    assert found.dice == pytest.approx(facts["dice_foreground"], abs=1e-4)
    label = int(np.unique(reference.voxels)[2])
    one, other = predicted.voxels == label, reference.voxels == label
    measured = surface_distances(one, other, reference.voxel_to_ras, tolerance=1.0)
    assert measured.hd95 < 20
    check_against_monai(one, other, tuple(float(step) for step in reference.spacing_mm))


def test_masks_of_two_grids_are_refused() -> None:
    one, other = np.zeros((2, 2, 2), dtype=bool), np.zeros((2, 2, 3), dtype=bool)
    with pytest.raises(InvalidInputError, match="one grid"):
        overlap(one, other)
    with pytest.raises(InvalidInputError, match="one grid"):
        surface_distances(one, other, np.eye(4), tolerance=1.0)

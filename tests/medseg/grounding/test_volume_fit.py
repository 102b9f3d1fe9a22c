"""Fitting volumes: sizes, values, and the way back to the volume's own voxels."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.grounding.volume_fit import VolumeFit
from medseg.study.volume import volume_in_memory

_TURNS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1.0, -1.0), repeat=3)
]


def _affine(order: tuple[int, ...], signs: tuple[float, ...], spacing: tuple[float, ...]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (place, sign, step) in enumerate(zip(order, signs, spacing, strict=True)):
        affine[place, axis] = sign * step
    affine[:3, 3] = (5, -7, 11)
    return affine


@pytest.mark.parametrize(("order", "signs"), _TURNS)
def test_all_48_turns_come_back_exactly(order, signs):
    values = np.random.default_rng(0).normal(size=(9, 11, 6)).astype(np.float32)
    volume = volume_in_memory(values, _affine(order, signs, (1.0, 2.0, 3.0)))
    fit = VolumeFit(patch=(16, 16, 16))
    fitted = fit.fit(volume)
    assert fitted.values.shape == (1, 16, 16, 16)
    mask = values > 0.3
    there = fit.fit_mask(mask, fitted)
    assert there.sum() == mask.sum()
    assert np.array_equal(fit.back(there[None], fitted)[0].numpy() > 0.5, mask)


def test_the_patient_lies_the_same_way_whatever_the_files_order():
    values = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    fit = VolumeFit(patch=(8, 8, 8))
    upright = fit.fit(volume_in_memory(values, np.eye(4))).values
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])
    assert torch.equal(fit.fit(volume_in_memory(values[::-1], flipped)).values, upright)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(_TURNS), st.tuples(*[st.floats(0.6, 3.0)] * 3), st.floats(0.8, 2.0))
def test_a_ball_comes_back_in_place_after_resampling(turn, steps, wanted):
    affine = _affine(*turn, steps)
    sizes = tuple(int(np.ceil(40 / step)) for step in steps)
    places = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    middle = affine[:3, :3] @ (np.array(sizes) / 2) + affine[:3, 3]
    inside = 10.0 - np.linalg.norm(places - middle, axis=-1)  # above 0 within a ball of 10 mm
    fit = VolumeFit(spacing=(wanted,) * 3, patch=(64, 64, 64))
    volume = volume_in_memory(inside.astype(np.float32), affine)
    fitted = fit.fit(volume)
    share = fit.fit_mask(inside > 0, fitted)
    back = fit.back(share[None] - 0.5, fitted)[0].numpy() > 0
    both, either = (back & (inside > 0)).sum(), (back | (inside > 0)).sum()
    assert both / either > 0.75
    centroid = places[back].mean(axis=0)
    assert np.abs(centroid - places[inside > 0].mean(axis=0)).max() < 0.5 * max(*steps, wanted)


def test_a_larger_volume_grows_to_the_multiple_and_keeps_its_middle():
    values = np.arange(20 * 9 * 9, dtype=np.float32).reshape(20, 9, 9) + 1
    fitted = VolumeFit(patch=(8, 16, 8), multiple=8, percentiles=(0, 100)).fit(volume_in_memory(values, np.eye(4)))
    assert fitted.values.shape == (1, 24, 16, 16)
    assert fitted.before == (2, 3, 3)
    assert fitted.values[0, 2, 3, 3] == 0
    assert fitted.values[0, 21, 11, 11] == 1


def test_values_lie_between_percentiles_of_what_is_not_zero():
    values = np.zeros((10, 10, 10), dtype=np.int32)
    values[5:] = np.arange(1, 501).reshape(5, 10, 10) * 1000
    fitted = VolumeFit(patch=(16, 16, 16), percentiles=(10, 90)).fit(volume_in_memory(values, np.eye(4)))
    low, high = np.percentile(np.arange(1, 501) * 1000, (10, 90))
    expected = np.clip((values - low) / (high - low), 0, 1)
    inner = fitted.values[0, 3:13, 3:13, 3:13].numpy()
    assert np.allclose(inner, expected, atol=1e-6)


def test_a_window_of_hu_is_the_same_for_all_volumes():
    values = np.full((8, 8, 8), 40.0)
    fitted = VolumeFit(patch=(8, 8, 8), window=(-160.0, 240.0)).fit(volume_in_memory(values, np.eye(4)))
    assert torch.all(fitted.values == 0.5)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_volume_has_finite_values(value):
    fitted = VolumeFit(patch=(8, 8, 8)).fit(volume_in_memory(np.full((4, 4, 4), value), np.eye(4)))
    assert torch.isfinite(fitted.values).all()


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(InvalidInputError, match="grey volume"):
        VolumeFit().fit(volume_in_memory(np.zeros((4, 4, 4, 3)), np.eye(4)))
    with pytest.raises(InvalidInputError, match="finite"):
        VolumeFit().fit(volume_in_memory(np.full((4, 4, 4), np.nan), np.eye(4)))
    fitted = VolumeFit().fit(volume_in_memory(np.ones((4, 4, 4)), np.eye(4)))
    with pytest.raises(InvalidInputError, match="grid"):
        VolumeFit().fit_mask(np.zeros((4, 4, 5), dtype=bool), fitted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch": (48, 60, 48)},
        {"spacing": (1.0, 0.0, 1.0)},
        {"percentiles": (99.0, 1.0)},
        {"window": (5.0, 5.0)},
        {"multiple": 0},
    ],
)
def test_a_wrong_rule_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="configuration"):
        VolumeFit(**wrong)

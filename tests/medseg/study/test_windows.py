"""Intensity windows: by prompt, body part and modality, and the caller's own word above all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medseg.errors import InvalidInputError
from medseg.study.volume import Volume, volume_in_memory
from medseg.study.windows import WINDOWS_HU, IntensityWindow, choose_window, shares, show


def ct(values: object = 0) -> Volume:
    return volume_in_memory(np.full((2, 3, 4), values, dtype=np.float32), np.eye(4), modality="CT", unit="HU")


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Where is the nodule in the right LUNG?", "lung"),
        ("outline the fractured rib", "bone"),
        ("any bleeding in the brain", "brain"),
        ("liver lesion next to the lung base", "liver"),  # the first word counts
        ("the spleen", "soft tissue"),
        ("what is shown here", "soft tissue"),
        ("necrosis of the femoral head", "soft tissue"),
        ("right lobe of the liver", "liver"),
        ("consolidation of the right lower lobe", "lung"),
        ("plunge into the ribbon", "soft tissue"),  # parts of other words do not count
    ],
)
def test_the_prompt_names_the_window(prompt: str, name: str) -> None:
    window = choose_window(ct(), prompt)
    assert window.name == name
    assert (window.low, window.high) == WINDOWS_HU[name]
    assert window.chosen_by == ("modality" if name == "soft tissue" else "prompt")


def test_the_body_part_counts_where_the_prompt_says_nothing() -> None:
    for part in ("BRAIN", "HEAD"):
        window = choose_window(replace(ct(), body_part=part), "what is this?")
        assert (window.name, window.chosen_by) == ("brain", "body part")


def test_the_caller_overrides() -> None:
    own = IntensityWindow(low=-5.0, high=5.0)
    assert choose_window(ct(), "lung", own) is own
    assert choose_window(ct(), "lung", "bone").chosen_by == "caller"
    with pytest.raises(InvalidInputError, match="'kidney'"):
        choose_window(ct(), "", "kidney")
    with pytest.raises(InvalidInputError, match="unit 'unknown'"):
        choose_window(volume_in_memory(np.zeros((1, 1, 1)), np.eye(4)), "", "lung")


def test_windows_are_level_and_width() -> None:
    # -600/1500 shows from -600 - 750 to -600 + 750.
    assert WINDOWS_HU["lung"] == (-1350.0, 150.0)
    assert WINDOWS_HU["brain"] == (0.0, 80.0)


def test_percentiles_leave_zeros_and_outliers_out() -> None:
    values = np.zeros((10, 10, 20), dtype=np.float32)
    values.reshape(-1)[1000:] = np.arange(1, 1001)
    window = choose_window(volume_in_memory(values, np.eye(4), modality="MR"))
    assert window.name == "percentiles"
    # Of 1..1000, 0.5 % lie below 1 + 0.005 * 999 and 0.5 % above 1 + 0.995 * 999.
    assert window.low == pytest.approx(5.995)
    assert window.high == pytest.approx(995.005)


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_flat_volumes_have_a_window_too(value: float) -> None:
    flat = volume_in_memory(np.full((2, 2, 2), value, dtype=np.float32), np.eye(4), modality="MR")
    window = choose_window(flat)
    assert np.isfinite(shares(flat, window)).all()


def test_pictures_stay_as_stored_and_pet_shows_suv() -> None:
    colours = np.arange(24, dtype=np.uint8).reshape(2, 4, 1, 3)
    picture = volume_in_memory(colours, np.eye(4), unit="8 bit")
    np.testing.assert_array_equal(show(picture, choose_window(picture)), colours)
    pet = volume_in_memory(np.zeros((1, 1, 1)), np.eye(4), modality="PT", unit="SUV")
    assert (choose_window(pet).low, choose_window(pet).high) == (0.0, 20.0)


def test_shown_values_are_shares_of_the_window() -> None:
    volume = ct(40.0)  # the middle of 40/400
    window = choose_window(volume)
    np.testing.assert_allclose(shares(volume, window), 0.5, rtol=0, atol=1e-6)
    with pytest.raises(InvalidInputError, match="low < high"):
        IntensityWindow(low=3.0, high=3.0)

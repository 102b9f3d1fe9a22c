"""Uptake values of PET, worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from medseg.io.read_study import read_study
from tests.medseg.made_series import noise, straight_positions, write_slices

HALF_LIFE_S = 6586.2


def pet(**changes: object) -> Callable[[Dataset, int], None]:
    """80 kg, 400 MBq given at noon, scanned one half-life later."""

    def change(made: Dataset, number: int) -> None:
        made.Modality, made.Units, made.DecayCorrection = "PT", "BQML", "START"
        made.CorrectedImage = ["ATTN", "DECY", "SCAT"]
        made.PatientWeight = 80
        made.SeriesDate = made.AcquisitionDate = "20200102"
        made.SeriesTime, made.AcquisitionTime = "134946.2", "135500"  # 6586 s after noon
        made.RescaleSlope, made.RescaleIntercept = 0.5 * (number + 1), 0
        drug = Dataset()
        drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = 400e6, HALF_LIFE_S
        drug.RadiopharmaceuticalStartTime = "120000"
        made.RadiopharmaceuticalInformationSequence = Items([drug])
        for name, value in changes.items():
            holder = drug if name.startswith("Radio") else made
            setattr(holder, name, value)

    return change


def read(tmp_path: Path, **changes: object) -> tuple[np.ndarray, str, list[str]]:
    study = read_study(write_slices(tmp_path, noise(), straight_positions(5), change=pet(**changes)))
    return study.volume.voxels, study.volume.unit, [notice.code for notice in study.notices]


def activity() -> np.ndarray:
    return (noise() * 0.5 * np.arange(1, 6)[:, None, None]).transpose(2, 1, 0)


def test_the_dose_is_that_at_the_start_of_the_scan(tmp_path: Path) -> None:
    voxels, unit, codes = read(tmp_path)
    # After one half-life 200 MBq are left of 400: SUV = activity * 80 000 g / 200e6 Bq. The clock is read in whole
    # seconds, 0.2 s of 6586.2.
    np.testing.assert_allclose(voxels, activity() * 80_000 / 200e6, rtol=5e-5)
    assert (unit, codes) == ("SUV", ["suv"])


def test_activity_at_the_injection_takes_the_whole_dose(tmp_path: Path) -> None:
    voxels, _, _ = read(tmp_path, DecayCorrection="ADMIN")
    np.testing.assert_allclose(voxels, activity() * 80_000 / 400e6, rtol=1e-5)


def test_a_dose_before_midnight_is_of_the_day_before(tmp_path: Path) -> None:
    voxels, unit, _ = read(
        tmp_path, SeriesTime="003000", AcquisitionTime="003500", RadiopharmaceuticalStartTime="233000"
    )
    assert unit == "SUV"
    np.testing.assert_allclose(voxels, activity() * 80_000 / (400e6 * 2 ** (-3600 / HALF_LIFE_S)), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Invalid value for VR TM")  # the test writes one
@pytest.mark.parametrize(
    "changes",
    [
        {"PatientWeight": None},
        {"PatientWeight": 0},
        {"RadionuclideTotalDose": 400.0},  # MBq
        {"RadionuclideHalfLife": None},
        {"DecayCorrection": "NONE"},
        {"CorrectedImage": ["ATTN"]},
        {"SeriesTime": "140000"},  # behind the acquisition: written by a later reconstruction
        {"RadiopharmaceuticalStartTime": None},
        {"SeriesTime": "nonsense"},
    ],
)
def test_where_the_header_is_not_sure_activity_stays(tmp_path: Path, changes: dict[str, object]) -> None:
    voxels, unit, codes = read(tmp_path, **changes)
    np.testing.assert_allclose(voxels, activity(), rtol=1e-6)
    assert (unit, codes) == ("Bq/ml", ["no_suv"])

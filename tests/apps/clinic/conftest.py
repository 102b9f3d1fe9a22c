"""The made CT as people bring it: a DICOM zip, a NIfTI file, a picture; and the rules that answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from apps.clinic.dialogue import Dialogue
from apps.clinic.open_study import open_path
from medseg.inference.catalogue import load_segmenter
from medseg.inference.segmenter import Segmenter
from tests.medseg.made_ct import made_ct
from tests.medseg.made_series import write_slices

SPACING = (5.0, 5.0, 7.0)


@pytest.fixture(scope="session")
def rules() -> Segmenter:
    return load_segmenter("classical")


@pytest.fixture(scope="session")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ct.zip`, `two.zip` (two series), `ct.nii.gz`, `dot.png`, `broken.nii.gz`; the patient has a name."""
    folder = tmp_path_factory.mktemp("brought")
    values = made_ct(spacing=SPACING)
    stored = np.ascontiguousarray((values[::-1, ::-1] + 1024).transpose(2, 1, 0))  # rows to the back, columns left
    places = [(-100.0, -100.0, 7.0 * number) for number in range(len(stored))]
    write_slices(folder / "one", stored, places, spacing=SPACING[:2])
    write_slices(folder / "both", stored, places, spacing=SPACING[:2])
    write_slices(folder / "both", stored[:4], places[:4], spacing=SPACING[:2], series="two")
    for name, source in (("ct", "one"), ("two", "both")):
        shutil.make_archive(str(folder / name), "zip", folder / source)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([*SPACING, 1.0])), folder / "ct.nii.gz")  # type: ignore[attr-defined]
    picture = np.full((60, 80), 20, np.uint8)
    picture[20:40, 30:60] = 220
    Image.fromarray(picture).save(folder / "dot.png")
    (folder / "broken.nii.gz").write_bytes(b"not a study")
    return folder


@pytest.fixture
def ct(brought: Path) -> Dialogue:
    return open_path(brought / "ct.zip", title="a CT")

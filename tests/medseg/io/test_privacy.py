"""A patient's name planted in the headers appears in no result, text, error, warning or log."""

from __future__ import annotations

import logging
import traceback
import warnings
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from medseg.errors import MedSegError
from medseg.io.read_study import list_series, read_study
from tests.medseg.made_series import PLANTED_WORDS, noise, straight_positions, write_slices


def everything_said(value: object) -> str:
    """Text form of a value and of each field of it, hidden ones too, but for voxels and for places and names of files,
    which are there to open the files again."""
    parts = [repr(value), str(value)]
    if isinstance(value, tuple | list):
        parts += [everything_said(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        hidden = ("path", "member", "file_name", "voxels")
        parts += [everything_said(getattr(value, one.name)) for one in fields(value) if one.name not in hidden]
    return "\n".join(parts)


def assert_no_name(text: str) -> None:
    assert text
    for word in PLANTED_WORDS:
        assert word.lower() not in text.lower()


def broken_by(kind: str) -> object:
    def change(made: Dataset, number: int) -> None:
        if kind == "no pixels":
            del made.PixelData
        elif kind == "short pixels":
            made.PixelData = made.PixelData[:10]
        elif kind == "gap":
            made.ImagePositionPatient = [0, 0, 2.0 * number + (number > 2)]
        elif kind == "no size":
            del made.Rows
        elif kind == "two series":
            made.SeriesInstanceUID = f"1.2.{number}"
        elif kind == "name as number":
            made.add_new("RescaleSlope", "LO", "Zyxwvuts")
        elif kind == "name as position":
            made.add_new("ImagePositionPatient", "PN", "Zyxwvuts^Quorlina")

    return change


def test_a_result_says_no_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        folder = write_slices(tmp_path, noise(), straight_positions(5))
        warned.clear()
        caplog.clear()
        study, facts = read_study(folder), list_series(folder)
    assert_no_name(everything_said(study))
    assert_no_name(everything_said(facts) + facts[0].line())
    assert facts[0].description == ""  # the planted one held the name
    assert not warned
    assert not caplog.records


def test_a_harmless_description_is_kept_for_pages_but_not_printed(tmp_path: Path) -> None:
    def describe(made: Dataset, number: int) -> None:
        made.SeriesDescription = "thorax 2 mm"

    (facts,) = list_series(write_slices(tmp_path, noise(), straight_positions(5), change=describe))
    assert facts.description == "thorax 2 mm"
    assert "thorax" not in repr(facts) + facts.line()


@pytest.mark.parametrize(
    "kind", ["no pixels", "short pixels", "gap", "no size", "two series", "name as number", "name as position"]
)
def test_an_error_says_no_name(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    caplog.set_level(logging.DEBUG)
    folder = write_slices(tmp_path, noise(), straight_positions(5), change=broken_by(kind))  # type: ignore[arg-type]
    caplog.clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(MedSegError) as caught:
            read_study(folder)
    printed = "".join(traceback.format_exception(caught.value))
    assert_no_name(printed.replace(str(tmp_path), ""))
    logging.getLogger("test").error("failed", exc_info=caught.value)
    assert_no_name(caplog.text)
    assert not warned

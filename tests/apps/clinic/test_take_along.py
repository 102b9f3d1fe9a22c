"""Downloads: what each kind of study can be written as, and a DICOM SEG that another library reads back."""

from __future__ import annotations

from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pytest

from apps.clinic import actions
from apps.clinic.dialogue import Dialogue
from apps.clinic.open_study import open_path
from apps.clinic.take_along import TAKEN, format_choices, take_along, ticked_formats
from medseg.errors import InvalidInputError
from medseg.inference.segmenter import Segmenter
from medseg.report.catalogue import OUTPUT_FORMATS


@pytest.fixture
def asked(ct: Dialogue, rules: Segmenter) -> Dialogue:
    return actions.ask(ct, "Where are the lungs?", rules)


def test_every_format_is_one_of_the_outputs() -> None:
    assert set(TAKEN) <= set(OUTPUT_FORMATS)


def test_each_kind_of_study_has_the_formats_that_can_hold_it(
    asked: Dialogue, brought: Path, rules: Segmenter, ct: Dialogue
) -> None:
    assert [name for _, name in format_choices(asked)] == [name for name in TAKEN if name != "png"]
    assert ticked_formats(asked) == ["dicom-seg", "nifti", "report"]
    picture = actions.ask(open_path(brought / "dot.png", title="a picture"), "the bright region", rules)
    assert "dicom-seg" not in [name for _, name in format_choices(picture)]
    assert ticked_formats(picture) == ["nifti", "png", "report"]
    assert format_choices(ct) == []


def test_the_dicom_seg_is_read_back_by_highdicom(asked: Dialogue, tmp_path: Path) -> None:
    written = take_along(asked, ["dicom-seg", "nifti", "report"], tmp_path)
    assert asked.result is not None
    mask, source = asked.result.findings[0].mask, asked.volume.source
    seg, nifti, report = (
        next(path for path in written.files if path.name.endswith(ending)) for ending in (".dcm", ".nii.gz", ".html")
    )
    opened = highdicom.seg.segread(seg)
    uids = [place.sop_instance_uid for place in source.slices]
    frames = opened.get_pixels_by_source_instance(uids, segment_numbers=[1], assert_missing_frames_are_empty=True)
    assert (frames[..., 0] > 0).transpose(2, 1, 0).tolist() == mask.tolist()
    assert opened.get_segment_description(1).segment_label == "lungs"
    image = nibabel.load(nifti)  # type: ignore[attr-defined]
    assert int(np.asarray(image.dataobj).sum()) == int(mask.sum())  # type: ignore[attr-defined]
    assert "Research use only. Not a medical device." in report.read_text()


def test_what_cannot_be_written_is_told(asked: Dialogue, ct: Dialogue, rules: Segmenter, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="none ticked"):
        take_along(asked, [], tmp_path)
    with pytest.raises(InvalidInputError, match="Ask a question first"):
        take_along(ct, ["nifti"], tmp_path)
    absent = actions.ask(ct, "Is there metal?", rules)
    written = take_along(absent, ["dicom-seg", "nifti", "report"], tmp_path)
    assert [path.name for path in written.files] == ["report.html"]
    assert [notice.code for notice in written.notices] == ["no_mask", "not_found", "nothing_written"]

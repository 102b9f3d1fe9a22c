"""The stand-in: known shapes of a made CT, words it knows and does not, dialogue, other images, real CT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.inference.catalogue import SEGMENTERS, load_segmenter
from medseg.inference.segment import segment, turn_of
from medseg.inference.segmenter import Segmenter
from medseg.io.read_study import ReadOptions, read_study
from medseg.io.write_masks import write_mask_nifti
from medseg.study.finding import Finding
from medseg.study.orientation import canonicalise
from medseg.study.result import SegmentationResult
from medseg.study.volume import volume_in_memory
from tests.medseg.made_ct import BODY_MM, FAT_MM, LUNG_MM, SPINE_MM, made_ct, made_ct_volume

HEIGHT_MM = 28 * 7.0


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_segmenter("classical")


def ask(segmenter: Segmenter, question: str, *before: SegmentationResult) -> SegmentationResult:
    """A question about the made CT, after others."""
    return segment(segmenter, made_ct_volume(), question, [turn_of(result) for result in before])


def millilitres(finding: Finding) -> float:
    assert finding.quantities is not None
    assert finding.quantities.volume_ml is not None
    return finding.quantities.volume_ml


def overlap(one: ndarray, other: ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_tissues_of_a_made_ct_have_their_volumes(segmenter: Segmenter) -> None:
    result = ask(segmenter, "Mark the body, the lungs, the bone, the fat and the soft tissue.")
    assert [finding.status for finding in result.findings] == ["found"] * 5
    body, lungs, bone, fat, soft = (millilitres(finding) for finding in result.findings)
    lung_ml = 4 / 3 * np.pi * np.prod(LUNG_MM) / 1000
    core_ml = np.pi * (BODY_MM[0] - FAT_MM) * (BODY_MM[1] - FAT_MM) * HEIGHT_MM / 1000
    body_ml = np.pi * BODY_MM[0] * BODY_MM[1] * HEIGHT_MM / 1000
    spine_ml = np.pi * SPINE_MM**2 * HEIGHT_MM / 1000
    assert body == pytest.approx(body_ml, rel=0.02)
    assert lungs == pytest.approx(lung_ml * (1 + 0.8**3), rel=0.03)
    assert bone == pytest.approx(spine_ml, rel=0.1)
    assert fat == pytest.approx(body_ml - core_ml, rel=0.05)
    assert soft == pytest.approx(body - lungs - bone - fat, rel=1e-6)


def test_answers_come_in_sentences_whose_phrases_are_linked(segmenter: Segmenter) -> None:
    result = ask(segmenter, "Is there metal, bone, or a bone tumour?")
    assert result.text.startswith("I find no metal here. I marked the bone. I do not know what bone tumour is. I know")
    assert [(finding.label, finding.status) for finding in result.findings] == [
        ("metal", "not_found"), ("bone", "found"), ("bone tumour", "not_found"),
    ]  # fmt: skip
    for finding in result.findings:
        assert finding.span is not None
        assert result.text[slice(*finding.span)] == finding.label
    for finding in (result.findings[0], result.findings[2]):
        assert (finding.presence, finding.quality, finding.quantities) == (0.0, 0.0, None)
        assert not finding.mask.any()
    assert any("stand-in" in warning for warning in result.warnings)


def test_left_and_right_are_the_patients(segmenter: Segmenter) -> None:
    result = ask(segmenter, "left and right lung")
    left, right = (millilitres(finding) for finding in result.findings)
    assert left == pytest.approx(0.8**3 * right, rel=0.05)  # the left lung was made smaller
    volume = made_ct_volume()
    stored_backwards = volume_in_memory(volume.voxels[::-1], np.diag([-5.0, 5.0, 7.0, 1.0]), modality="CT", unit="HU")
    (backwards,) = segment(segmenter, stored_backwards, "left lung").findings
    np.testing.assert_array_equal(backwards.mask[::-1], result.findings[0].mask)


def test_a_dialogue_is_about_what_was_marked(segmenter: Segmenter) -> None:
    lungs = ask(segmenter, "Where are the lungs?")
    second = ask(segmenter, "the largest and the smallest part of it", lungs)
    assert [finding.label for finding in second.findings] == ["largest part of it", "smallest part of it"]
    assert overlap(second.findings[0].mask | second.findings[1].mask, lungs.findings[0].mask) == 1.0
    largest = ask(segmenter, "Mark the largest part of what you just marked", lungs)
    (finding,) = largest.findings
    assert largest.text == "I marked the largest part of what you just marked."
    assert finding.quantities is not None
    assert finding.quantities.components == 1
    assert millilitres(finding) == pytest.approx(4 / 3 * np.pi * np.prod(LUNG_MM) / 1000, rel=0.03)
    body = ask(segmenter, "body", lungs, largest)
    bright = ask(segmenter, "the bright part of it", lungs, body)
    assert not (bright.findings[0].mask & lungs.findings[0].mask).any()  # Otsu splits air from the rest
    again = ask(segmenter, "Show it again", lungs, ask(segmenter, "metal"))
    assert again.text == "I marked it."  # the answer without a mask is passed over
    np.testing.assert_array_equal(again.findings[0].mask, lungs.findings[0].mask)
    inside = ask(segmenter, "the bone in it", body)
    np.testing.assert_array_equal(inside.findings[0].mask, ask(segmenter, "bone").findings[0].mask)


def test_nothing_was_marked_yet(segmenter: Segmenter) -> None:
    result = ask(segmenter, "the largest part of it")
    assert result.text == "Nothing is marked yet, so I do not know what largest part of it means."
    assert result.findings[0].status == "not_found"


def test_the_same_question_gives_the_same_answer(segmenter: Segmenter) -> None:
    one, other = (ask(segmenter, "bone, lungs and bright region") for _ in range(2))
    assert one.text == other.text
    assert one.provenance == other.provenance
    for first, second in zip(one.findings, other.findings, strict=True):
        np.testing.assert_array_equal(first.mask, second.mask)
        assert first.quantities == second.quantities


def test_axes_turned_give_masks_turned(segmenter: Segmenter) -> None:
    volume = made_ct_volume()
    flipped = volume_in_memory(
        np.ascontiguousarray(volume.voxels[::-1, :, ::-1]), np.diag([-5.0, 5.0, -7.0, 1.0]), modality="CT", unit="HU"
    )
    question = "left lung, bone"
    for one, other in zip(
        segment(segmenter, volume, question).findings,
        segment(segmenter, canonicalise(flipped), question).findings,
        strict=True,
    ):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_tissues_need_hounsfield_units(segmenter: Segmenter) -> None:
    volume = replace(made_ct_volume(), unit="unknown", modality="MR")
    result = segment(segmenter, volume, "Where is the bone?")
    assert result.text == "I tell bone in CT alone, by its Hounsfield units."
    assert result.findings[0].status == "not_found"


def test_bright_and_dark_split_any_image(segmenter: Segmenter) -> None:
    picture = np.full((12, 10, 1, 3), 20, dtype=np.uint8)
    picture[2:5, 3:9] = 210
    volume = replace(volume_in_memory(picture, np.eye(4), unit="8 bit"), space="picture", spacing_known=False)
    result = segment(segmenter, volume, "the bright and the dark region")
    bright, dark = (finding.mask for finding in result.findings)
    np.testing.assert_array_equal(bright, picture[..., 0] > 100)
    np.testing.assert_array_equal(dark, ~bright)
    left = segment(segmenter, volume, "the left part of it", [turn_of(result)])
    assert left.text == "I cannot tell left from right in a picture, so I find no left part of it."


def test_a_window_is_not_used_and_that_is_said(segmenter: Segmenter) -> None:
    result = segment(segmenter, made_ct_volume(), "bone", window="lung")
    assert "The intensity window was not used: the rules have ranges of their own." in result.warnings


def test_an_even_image_has_nothing_bright(segmenter: Segmenter) -> None:
    volume = volume_in_memory(np.full((4, 4, 4), 7), np.eye(4))
    result = segment(segmenter, volume, "bright region")
    assert result.findings[0].status == "not_found"
    assert result.text == "All values are equal here, so there is no bright region."


@pytest.mark.parametrize("question", ["What do you see?", "🦴", "[ ] !"])
def test_a_question_for_nothing_is_answered_with_what_can_be_asked(segmenter: Segmenter, question: str) -> None:
    result = ask(segmenter, question)
    assert result.findings == ()
    assert result.text.startswith("I mark structures. I know these words: body,")


def test_a_hundred_structures_are_cut_with_a_warning(segmenter: Segmenter) -> None:
    result = ask(segmenter, ", ".join(f"thing{number}" for number in range(100)))
    assert len(result.findings) == 16
    assert "100 structures were asked for; the first 16 were taken." in result.warnings


def test_a_trace_of_a_tissue_is_uncertain_and_less_is_not_there(segmenter: Segmenter) -> None:
    for voxels, status in ((2, "found"), (1, "uncertain"), (0, "not_found")):
        values = made_ct()
        values[34, 30, 10 : 10 + voxels] = 3000
        volume = volume_in_memory(values, np.diag([2.0, 2.0, 9.0, 1.0]), modality="CT", unit="HU")
        (finding,) = segment(segmenter, volume, "metal").findings
        assert finding.presence == pytest.approx(min(1.0, voxels * 0.036 / 0.1))
        assert finding.status == status


@pytest.mark.parametrize("change", [{"weights": Path("model.pt")}, {"device": "cuda"}])
def test_weights_and_other_devices_are_refused(change: dict) -> None:
    with pytest.raises(InvalidInputError, match="expected no weights and the device cpu"):
        load_segmenter("classical", **change)


def test_an_unknown_name_is_refused_with_the_list() -> None:
    with pytest.raises(InvalidInputError, match=f"expected one of {', '.join(SEGMENTERS)}, found 'best'"):
        load_segmenter("best")


def test_lungs_of_a_real_ct_are_those_of_a_trained_model(segmenter: Segmenter, shared_data: Path) -> None:
    folder = shared_data / "vol_ct_totalseg"
    study = read_study(folder / "example_ct_sm.nii.gz", options=ReadOptions(modality="CT"))
    theirs = np.asarray(nibabel.loadsave.load(folder / "example_seg.nii.gz").dataobj)
    result = segment(segmenter, study, "the lungs, the left lung and the right lung")
    lungs, left, right = (finding.mask for finding in result.findings)
    # TotalSegmentator's lobes: 10 and 11 on the left, 12 to 14 on the right. Measured: 0.93, 0.92 and 0.94.
    assert overlap(lungs, np.isin(theirs, range(10, 15))) > 0.9
    assert overlap(left, np.isin(theirs, (10, 11))) > 0.9
    assert overlap(right, np.isin(theirs, (12, 13, 14))) > 0.9


def test_from_dicom_files_to_a_mask_on_their_grid(segmenter: Segmenter, shared_data: Path, tmp_path: Path) -> None:
    study = read_study(shared_data / "vol_ct_totalseg/ct_dicom")
    result = segment(segmenter, study, "Where is the bone?")
    write_mask_nifti(tmp_path / "bone.nii.gz", result.findings[0].mask, result.volume)
    written = nibabel.loadsave.load(tmp_path / "bone.nii.gz")
    assert result.volume is study.volume
    np.testing.assert_array_equal(np.asarray(written.dataobj) > 0, result.findings[0].mask)
    np.testing.assert_allclose(written.affine, study.volume.source.voxel_to_ras, rtol=0, atol=1e-4)

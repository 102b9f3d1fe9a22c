"""`segment`: gates at their edges, order, spans, provenance, warnings, and what it refuses."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from medseg.errors import InvalidInputError, SegmenterError, SeriesChoiceError
from medseg.inference.segment import SegmentConfig, segment, turn_of, volume_sha256
from medseg.inference.segmenter import Turn
from medseg.study.quantities import measure
from medseg.study.series_facts import SeriesFacts
from medseg.study.study import Notice, Study
from medseg.study.volume import volume_in_memory
from medseg.study.windows import IntensityWindow
from tests.medseg.inference.said import SaidSegmenter, answer, small_volume, some_mask, target


@pytest.mark.parametrize(
    ("presence", "quality", "voxels", "status"),
    [
        (0.5, 0.3, 3, "found"),
        (0.49, 0.9, 3, "uncertain"),
        (0.2, 0.9, 3, "uncertain"),
        (0.19, 0.9, 3, "not_found"),
        (0.9, 0.29, 3, "uncertain"),
        (0.9, 0.9, 2, "not_found"),
        (0.9, 0.9, 0, "not_found"),
        (0.0, 0.0, 0, "not_found"),
    ],
)
def test_gates_decide_at_their_edges(presence: float, quality: float, voxels: int, status: str) -> None:
    said = answer("The liver.", target("liver", some_mask(voxels), presence, quality))
    config = SegmentConfig(presence_found=0.5, presence_uncertain=0.2, quality_found=0.3, voxels_min=3)
    (finding,) = segment(SaidSegmenter(said), small_volume(), "Where?", config=config).findings
    assert finding.status == status
    assert finding.mask.any() == (status != "not_found")
    assert (finding.quantities is None) == (status == "not_found")
    assert finding.presence == presence
    assert finding.quality == (0.0 if status == "not_found" else quality)


def test_a_claim_without_a_mask_and_a_poor_one_are_said_aloud() -> None:
    said = answer("", target("liver", some_mask(0)), target("spleen", some_mask(), quality=0.1))
    result = segment(SaidSegmenter(said), small_volume(), "Where?")
    assert result.warnings == (
        "liver: said to be there, but its mask holds 0 voxel(s), fewer than 1; not found.",
        "spleen: found, but the estimated overlap of 0.10 is low; uncertain.",
    )


def test_words_that_the_picture_contradicts_are_told_below_the_gate_alone() -> None:
    chances = {"liver": 0.3, "spleen": 0.1}
    named = [replace(target(name, some_mask(), presence), claimed=True) for name, presence in chances.items()]
    said = answer("", *named, target("kidney", some_mask(), 0.1))
    result = segment(SaidSegmenter(said), small_volume(), "Where?")
    warning = "spleen: the answer names it, but the picture shows no sign of it (chance 0.10)."
    assert result.warnings == (warning,)
    other = segment(SaidSegmenter(said), small_volume(), "Where?", config=SegmentConfig(presence_uncertain=0.4))
    assert [line.split(":")[0] for line in other.warnings] == ["liver", "spleen"]


def test_findings_keep_their_order_their_spans_and_their_quantities() -> None:
    text = "The spleen, then the liver and no tumour."
    masks = [some_mask(2), some_mask(4), some_mask(0)]
    said = answer(
        text,
        target("spleen", masks[0], span=(4, 10)),
        target("liver", masks[1], span=(21, 26)),
        target("tumour", masks[2], presence=0.0, quality=0.0),
    )
    volume = small_volume()
    result = segment(SaidSegmenter(said), volume, "Where?")
    assert [finding.label for finding in result.findings] == ["spleen", "liver", "tumour"]
    assert [text[slice(*finding.span)] for finding in result.findings if finding.span] == ["spleen", "liver"]
    assert result.findings[2].span is None
    assert result.volume is volume
    for finding, mask in zip(result.findings, masks, strict=True):
        np.testing.assert_array_equal(finding.mask, mask)
        assert finding.quantities == measure(mask, volume)


def test_equal_input_gives_an_equal_record_and_other_input_another() -> None:
    said = SaidSegmenter(answer("It.", target("It", some_mask(), span=(0, 2))))
    one, other = (segment(said, small_volume(), "Where?") for _ in range(2))
    assert asdict(one.provenance) == asdict(other.provenance)
    assert one.provenance.thresholds == {
        "presence_found": 0.5, "presence_uncertain": 0.2, "quality_found": 0.3, "voxels_min": 1.0,
    }  # fmt: skip
    assert one.provenance.segmenter == "said"
    assert one.provenance.weights_sha256 == "0a1b"
    assert one.provenance.preprocessing == {"window": "own"}
    assert one.provenance.versions["numpy"] == "9.9"
    assert "vision3d-medseg" in one.provenance.versions
    volume = small_volume()
    shifted = volume.voxel_to_ras.copy()
    shifted[0, 3] += 1e-9
    others = {
        volume_sha256(volume),
        volume_sha256(volume_in_memory(volume.voxels + np.int16(1), volume.voxel_to_ras)),
        volume_sha256(volume_in_memory(volume.voxels, shifted)),
        volume_sha256(volume_in_memory(volume.voxels.astype(np.int32), volume.voxel_to_ras)),
        volume_sha256(volume_in_memory(volume.voxels.reshape(5, 4, 6), volume.voxel_to_ras)),
    }
    assert len(others) == 5
    swapped = volume_in_memory(volume.voxels.astype(">i2"), volume.voxel_to_ras)
    assert volume_sha256(swapped) == volume_sha256(volume)


def test_warnings_come_from_the_reader_the_question_the_segmenter_and_the_gates() -> None:
    volume = small_volume()
    facts = SeriesFacts(key="1", format="array", shape=volume.shape)
    study = Study(series=(facts,), volumes=(volume,), notices=(Notice(code="gantry_tilt", text="Tilted."),))
    said = answer("", target("liver", some_mask(0)), warnings=("A stand-in.",))
    result = segment(SaidSegmenter(said), study, "Where\x00?")
    assert [warning.partition(" ")[0] for warning in result.warnings] == ["gantry_tilt:", "1", "A", "liver:"]


def test_one_of_several_series_is_asked_for_and_taken_by_its_key() -> None:
    one = small_volume()
    other = volume_in_memory(one.voxels + np.int16(5), one.voxel_to_ras)
    facts = tuple(SeriesFacts(key=key, format="array", modality="CT", shape=one.shape) for key in ("first", "second"))
    study = Study(series=facts, volumes=(one, other))
    said = SaidSegmenter(answer("Nothing."))
    with pytest.raises(SeriesChoiceError, match=r"found 2, none named.*\n  first: CT, 4 x 5 x 6\n  second: CT"):
        segment(said, study, "Where?")
    with pytest.raises(SeriesChoiceError, match="0 of that name"):
        segment(said, study, "Where?", series="third")
    assert segment(said, study, "Where?", series="second").volume is other
    with pytest.raises(SeriesChoiceError, match="found a volume"):
        segment(said, one, "Where?", series="first")


def test_a_question_is_checked_before_the_segmenter_sees_it() -> None:
    said = SaidSegmenter(answer("Nothing."))
    with pytest.raises(InvalidInputError, match="empty"):
        segment(said, small_volume(), " ")
    assert said.questions == []
    result = segment(said, small_volume(), " Where\x07 is [SEG]? ")
    assert said.questions == ["Where  is [SEG]?"] == [result.question]


def test_a_dialogue_hands_on_masks_and_refuses_those_of_another_grid() -> None:
    said = SaidSegmenter(answer("It.", target("It", some_mask(), span=(0, 2))))
    first = segment(said, small_volume(), "Where?")
    segment(said, small_volume(), "And now?", [turn_of(first)])
    (turn,) = said.histories[1]
    assert (turn.question, turn.answer) == ("Where?", "It.")
    np.testing.assert_array_equal(turn.masks[0], some_mask())
    foreign = Turn(question="Where?", answer="There.", masks=(np.zeros((6, 5, 4), dtype=bool),))
    with pytest.raises(InvalidInputError, match=r"found bool of \(6, 5, 4\) in turn 2 of 2"):
        segment(said, small_volume(), "And now?", [turn, foreign])


def test_a_window_of_the_caller_reaches_the_segmenter_and_an_unknown_one_does_not() -> None:
    said = SaidSegmenter(answer("Nothing."))
    own = IntensityWindow(low=-5.0, high=60.0)
    for window in (None, "lung", own):
        segment(said, small_volume(), "Where?", window=window)
    assert said.windows[0] is None
    assert said.windows[2] is own
    assert said.windows[1] == IntensityWindow(low=-1350.0, high=150.0, name="lung", chosen_by="caller")
    with pytest.raises(InvalidInputError, match="found 'kidney'"):
        segment(said, small_volume(), "Where?", window="kidney")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    values = np.zeros((3, 3, 3), dtype=np.float32)
    values[1, 1, 2] = value
    with pytest.raises(InvalidInputError, match="slice k = 2"):
        segment(SaidSegmenter(answer("Nothing.")), volume_in_memory(values, np.eye(4)), "Where?")
    imaginary = volume_in_memory(np.zeros((3, 3, 3), dtype=np.complex64), np.eye(4))
    with pytest.raises(InvalidInputError, match="found complex64"):
        segment(SaidSegmenter(answer("Nothing.")), imaginary, "Where?")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (target("liver", np.zeros((6, 5, 4), dtype=bool)), r"found bool of \(6, 5, 4\)"),
        (target("liver", some_mask(), presence=1.2), "found 1.2 and 0.8"),
        (target("liver", some_mask(), quality=float("nan")), "found 0.9 and nan"),
        (target("liver", some_mask(), span=(4, 10)), "characters 4 to 10 of an answer of 10"),
        (target("liver", some_mask(), span=(5, 11)), "characters 5 to 11"),
        (target("liver", some_mask(), span=(-6, -1)), "characters -6 to -1"),
        (target("", some_mask(), span=(3, 3)), "characters 3 to 3"),
    ],
)
def test_an_answer_that_contradicts_itself_is_refused_whole(broken, message: str) -> None:
    said = answer("The liver.", target("liver", some_mask(), span=(4, 9)), broken)
    with pytest.raises(SegmenterError, match=f"target 2 of 2: .*{message}"):
        segment(SaidSegmenter(said), small_volume(), "Where?")
    assert segment(SaidSegmenter(replace(said, targets=said.targets[:1])), small_volume(), "Where?").findings


@pytest.mark.parametrize(
    "change",
    [
        {"presence_found": 0.1},
        {"presence_uncertain": -0.1},
        {"presence_found": 1.1},
        {"quality_found": 1.1},
        {"quality_found": float("nan")},
        {"voxels_min": 0},
    ],
)
def test_gates_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="SegmentConfig: expected"):
        SegmentConfig(**change)  # pyright: ignore[reportArgumentType]

"""The MedSeg-R-style segmenter with tiny random weights: what it says is noise, what it keeps to is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.errors import CheckpointError, InvalidInputError
from medseg.grounding.decode_picture import PictureDecoder
from medseg.grounding.volume_decoder import VolumeDecoderConfig
from medseg.grounding.volume_fit import VolumeFit
from medseg.inference.catalogue import load_segmenter
from medseg.inference.medsegr import MedSegRSegmenter
from medseg.inference.segment import segment, turn_of
from medseg.inference.segmenter import Turn
from medseg.model import MedSegConfig, MedSegModel, load_medseg, save_medseg
from medseg.study.volume import Volume, volume_in_memory
from tests.medseg.training.shapes import tiny_medseg

TWO = "Here are the <p>left lung</p> [SEG] and the <p>heart</p> [SEG]."


@pytest.fixture(scope="module")
def segmenter() -> MedSegRSegmenter:
    return MedSegRSegmenter(tiny_medseg(), name="medsegr", weights_sha256="0" * 64)


def picture(size: tuple[int, int] = (40, 30), seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).integers(0, 256, (*size, 1, 3), np.uint8)
    return volume_in_memory(values, np.eye(4), modality="XC", unit="8 bit")


def scan(shape: tuple[int, int, int] = (20, 18, 4)) -> Volume:
    values = np.random.default_rng(1).normal(0, 300, shape).astype(np.float32)
    return volume_in_memory(values, np.diag([1.0, 1.5, 6.0, 1.0]), modality="CT", unit="HU")


def test_a_given_answer_is_marked_phrase_by_phrase(segmenter: MedSegRSegmenter) -> None:
    answer = segmenter.ground_answer(picture(), "Where?", (), TWO)
    assert answer.text == "Here are the left lung and the heart."
    assert [target.label for target in answer.targets] == ["left lung", "heart"]
    assert [answer.text[slice(*target.span)] for target in answer.targets if target.span] == ["left lung", "heart"]
    assert all(target.mask.shape == (40, 30, 1) for target in answer.targets)


def test_equal_input_gives_equal_answers(segmenter: MedSegRSegmenter) -> None:
    volume = picture()
    one, other = (segmenter.answer(volume, "Mark the lungs.", ()) for _ in range(2))
    fresh = MedSegRSegmenter(tiny_medseg(), name="medsegr", weights_sha256="").answer(volume, "Mark the lungs.", ())
    for again in (other, fresh):
        assert again.text == one.text
        assert len(again.targets) == len(one.targets)
        for first, second in zip(one.targets, again.targets, strict=True):
            assert (first.mask == second.mask).all()
            assert first.presence == second.presence


def test_questions_together_are_answered_as_each_alone(segmenter: MedSegRSegmenter) -> None:
    volume = picture()
    history = (Turn(question="Mark it.", answer="Here it is.", masks=(np.ones((40, 30, 1), bool),)),)
    asked = [("Mark the lungs.", ()), ("And the left one, please?", history), ("x", ())]
    together = segmenter.answers(volume, asked)
    for (question, before), found in zip(asked, together, strict=True):
        alone = segmenter.answer(volume, question, before)
        assert found.text == alone.text
        assert [target.label for target in found.targets] == [target.label for target in alone.targets]
        for one, other in zip(found.targets, alone.targets, strict=True):
            assert (one.mask == other.mask).mean() > 0.999
            assert one.presence == pytest.approx(other.presence, abs=1e-4)
    assert segmenter.answers(volume, []) == []


def test_typed_marks_and_marks_in_the_history_place_no_mask(segmenter: MedSegRSegmenter) -> None:
    history = (Turn(question="[SEG]", answer="<p>a</p> [SEG]"),)
    answer = segmenter.ground_answer(picture(), "<p>lung</p> [SEG] [SEG]", history, "There is none.")
    assert answer.targets == ()


@pytest.mark.parametrize("volume", [scan(), scan((1, 20, 30)), picture((9, 70))])
def test_masks_lie_on_the_voxels(segmenter: MedSegRSegmenter, volume: Volume) -> None:
    answer = segmenter.ground_answer(volume, "Where?", (), TWO)
    assert all(target.mask.shape == volume.shape and target.mask.dtype == bool for target in answer.targets)


def test_phrases_taught_in_3d_go_to_the_3d_decoder() -> None:
    tiny = tiny_medseg()
    fit = VolumeFit(patch=(24, 24, 8))
    config = MedSegConfig(
        decoder=tiny.config.decoder, volume=VolumeDecoderConfig(width=32, fit=fit), volume_structures=("heart",)
    )
    torch.manual_seed(0)
    model = MedSegModel(tiny.backbone, config).eval()
    segmenter = MedSegRSegmenter(model, name="medsegr", weights_sha256="")
    answer = segmenter.ground_answer(scan(), "Where?", (), TWO)
    assert answer.preprocessing["masks"] == "3D decoder and 2D decoder, slice by slice"
    flat = segmenter.ground_answer(picture(), "Where?", (), TWO)
    assert flat.preprocessing["masks"] == "2D decoder"


def test_only_what_looks_the_same_in_a_mirror_is_decoded_both_ways_round(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Watched(PictureDecoder):
        def decode(self, prompts, fine, previous=None, mirrored=None):
            asked.append(mirrored.tolist())
            return super().decode(prompts, fine, previous, mirrored)

    monkeypatch.setattr("medseg.inference.medsegr.PictureDecoder", Watched)
    tiny = tiny_medseg()
    model = MedSegModel(tiny.backbone, replace(tiny.config, mirrored=("heart",))).eval()
    MedSegRSegmenter(model, name="medsegr", weights_sha256="").ground_answer(picture(), "Where?", (), TWO)
    assert asked == [[False, True]]


def test_words_that_the_picture_contradicts_are_told() -> None:
    tiny = tiny_medseg()
    with torch.no_grad():
        tiny.heads.weight.zero_()
        tiny.heads.bias.fill_(-9.0)
    result = segment(MedSegRSegmenter(tiny, name="medsegr", weights_sha256=""), picture(), "Where?")
    answer = MedSegRSegmenter(tiny, name="medsegr", weights_sha256="").ground_answer(picture(), "Where?", (), TWO)
    assert [(target.label, target.claimed) for target in answer.targets] == [("left lung", True), ("heart", True)]
    assert max(target.presence for target in answer.targets) < 0.01
    assert {finding.status for finding in result.findings} <= {"not_found"}


def test_what_was_marked_is_cut_exactly_where_the_model_says_so() -> None:
    tiny = tiny_medseg()
    model = MedSegModel(tiny.backbone, MedSegConfig(earlier="cut", decoder=tiny.config.decoder)).eval()
    with torch.no_grad():
        model.heads.weight.zero_()
        model.heads.bias.copy_(torch.tensor([5.0, -5.0, 5.0, 0, 9.0, 0, 0, 0, 0, 0]))  # present, the upper half of it
    segmenter = MedSegRSegmenter(model, name="medsegr", weights_sha256="")
    earlier = np.zeros((40, 30, 1), bool)
    earlier[10:20, 8:16] = True
    history = (Turn(question="Mark it.", answer="Here it is.", masks=(earlier,)),)
    answer = segmenter.ground_answer(picture(), "Its upper half?", history, "Here is the <p>upper half</p> [SEG].")
    wanted = earlier.copy()
    wanted[:, :12] = False  # j runs to the front, which is up in an axial picture
    assert (answer.targets[0].mask == wanted).all()
    alone = segmenter.ground_answer(picture(), "Its upper half?", (), "Here is the <p>upper half</p> [SEG].")
    assert any("nothing was" in warning for warning in alone.warnings)


def test_a_result_goes_through_the_gates(segmenter: MedSegRSegmenter) -> None:
    first = segment(segmenter, picture(), "Mark the lungs.")
    second = segment(segmenter, picture(), "And now?", [turn_of(first)])
    assert second.provenance.segmenter == "medsegr"
    assert second.provenance.preprocessing["window"].startswith("as stored")


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    model = tiny_medseg(seed=3)
    save_medseg(model, tmp_path / "model")
    read = load_medseg(tmp_path / "model")
    assert read.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(value, read.state_dict()[name]), name
    one = MedSegRSegmenter(model, name="a", weights_sha256="").ground_answer(picture(), "Where?", (), TWO)
    other = load_segmenter("medsegr", weights=tmp_path / "model").answer(picture(), "Where?", ())
    assert other.preprocessing["window"] == one.preprocessing["window"]


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_medseg(tiny_medseg(), folder)
    with pytest.raises(CheckpointError, match="trained with 'predicting'"):
        load_medseg(folder, seg_state="at_token")
    (folder / "grounding.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_medseg(folder)
    config = json.loads((folder / "medsegr.json").read_text())
    (folder / "medsegr.json").write_text(json.dumps({**config, "format": "other"}))
    with pytest.raises(CheckpointError, match=r"medsegr\.json"):
        load_medseg(folder)
    with pytest.raises(CheckpointError):
        load_medseg(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="folder of weights"):
        load_segmenter("medsegr")


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_medseg(tiny_medseg(), folder)
    config = json.loads((folder / "medsegr.json").read_text())
    config["decoder"]["channels"] = [8, 8, 16, 16, 24]
    (folder / "medsegr.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="another shape"):
        load_medseg(folder)

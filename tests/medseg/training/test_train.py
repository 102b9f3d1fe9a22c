"""The job of training end to end on shapes: what it learns, what it keeps, what it leaves alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.errors import InvalidInputError, RecordError
from medseg.model import load_medseg, save_medseg
from medseg.training.average import RunningAverage
from medseg.training.config import STAGE_PRESETS, MedSegStage, MedSegTrainConfig
from medseg.training.held_out import score_held_out
from medseg.training.records import write_qa_records
from medseg.training.taught_answers import taught_answers
from medseg.training.train import start_from, train_medseg, train_medseg_from_files
from tests.medseg.training.asked import ask_all
from tests.medseg.training.shapes import quick, tiny_medseg, turns, write_shapes
from vlm_bridge.errors import InvalidInputError as TooLongError
from vlm_bridge.runs.run_folder import RunFolder

FEW = ("explicit", "multi", "absent")


def few_kinds(records: list, kinds: tuple[str, ...] = FEW) -> list:
    """The records with the first exchange of each dialogue, of some kinds."""
    return [
        replace(one, conversations=tuple(talk[:2] for talk in one.conversations if talk[0].kind in kinds))
        for one in records
    ]


@pytest.mark.slow
def test_a_few_pictures_are_learned_by_heart(tmp_path: Path) -> None:
    """Grounding and language together: the right words, masks in the order of mention, no token for what is absent."""
    records = few_kinds(write_shapes(tmp_path / "data", 2))
    model = tiny_medseg()
    stage = MedSegStage(policy="sft_all", steps=140, learning_rate=3e-3, backbone_rate=3e-3)
    train_medseg(
        model, records, quick(stage, batch_size=8, log_every=140, fine_share=0.0), tmp_path / "run", progress=False
    )
    found = ask_all(model, taught_answers(records))
    for one in found:
        assert one.said == one.taught.answer
        assert len(one.masks) == len(one.taught.targets)
    overlaps = [overlap for one in found for overlap in one.overlaps]
    assert len(overlaps) == 6
    assert np.mean(overlaps) > 0.8
    (first, second) = next(one.masks for one in found if one.taught.kind == "multi")
    assert first.sum() > 1.5 * second.sum()


@pytest.mark.slow
def test_sixteen_shapes_are_learned_by_heart(tmp_path: Path) -> None:
    """Every kind of question: explicit, of an earlier mask, spatial, several in order, absent, in words alone."""
    records = write_shapes(tmp_path / "data")
    model = tiny_medseg()
    stage = MedSegStage(policy="sft_all", steps=400, learning_rate=3e-3, backbone_rate=3e-3)
    config = quick(stage, batch_size=16, log_every=50, average=0.95, warmup_ratio=0.05, save_every=1000, fine_share=0.0)
    train_medseg(model, records, config, tmp_path / "run", progress=False)
    found = ask_all(model, taught_answers(records))
    for kind in ("explicit", "history", "spatial", "multi", "absent", "text"):
        some = [one for one in found if one.taught.kind == kind]
        assert all(len(one.masks) == len(one.taught.targets) for one in some), kind
        overlaps = [overlap for one in some for overlap in one.overlaps]
        assert not overlaps or np.mean(overlaps) > 0.9, kind
    for one in found:
        if one.taught.kind == "multi":
            assert one.phrases == ("big", "small")


def test_grounding_alone_leaves_the_backbone_and_the_encoder_alone(tmp_path: Path) -> None:
    records = write_shapes(tmp_path / "data", 2)
    model = tiny_medseg()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stage = MedSegStage(grounding="frozen_encoder", steps=2, learning_rate=1e-2)
    result = train_medseg(model, records, quick(stage), tmp_path / "run", progress=False)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith(("language.", "decoder.encoder.")) for name in changed)
    assert {name.split(".")[0] for name in changed} == {"decoder", "projection", "heads"}
    assert result.stages[0].learned_numbers == sum(
        value.numel()
        for name, value in model.named_parameters()
        if not name.startswith(("language.", "decoder.encoder."))
    )
    assert all(value.requires_grad for value in model.decoder.parameters())
    assert not model.decoder.training


def test_new_rows_are_the_only_words_that_change(tmp_path: Path) -> None:
    model = tiny_medseg()
    before = model.language.get_input_embeddings().weight.detach().clone()
    stage = MedSegStage(steps=2, new_rows=True, backbone_rate=1e-2)
    train_medseg(model, write_shapes(tmp_path / "data", 2), quick(stage), tmp_path / "run", progress=False)
    after = model.language.get_input_embeddings().weight
    tokens = [model.backbone.tokenizer.convert_tokens_to_ids(text) for text in ("[SEG]", "<p>", "</p>")]
    changed = (before != after).any(1).nonzero()[:, 0].tolist()
    assert set(changed) <= set(tokens)
    assert changed


def test_the_language_model_alone_learns_to_prompt_a_frozen_decoder(tmp_path: Path) -> None:
    model = tiny_medseg()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stage = MedSegStage(grounding="nothing", policy="language_only", steps=1, backbone_rate=1e-2)
    train_medseg(model, write_shapes(tmp_path / "data", 1), quick(stage), tmp_path / "run", progress=False)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("language.") and "vision" not in name for name in changed)


def test_what_is_saved_is_what_was_trained(tmp_path: Path) -> None:
    """Weights come back exactly, and so do the scores that were logged last; the average is what is kept."""
    records = few_kinds(write_shapes(tmp_path / "data", 4))
    model = tiny_medseg()
    config = quick(MedSegStage(steps=3, policy="sft_default", learning_rate=5e-3), evaluate_every=1, keep_best=False)
    result = train_medseg(model, records[:3], config, tmp_path / "run", validation=records[3:], progress=False)
    loaded = load_medseg(result.model, seg_state="predicting")
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    lines = RunFolder(path=result.folder).metrics()
    last = [line for line in lines if "validation_dice" in line][-1]
    scores = score_held_out(loaded, taught_answers(records[3:]), batch_size=4)
    assert scores.dice == pytest.approx(last["validation_dice"], abs=1e-6)
    assert scores.words_loss == pytest.approx(last["validation_words_loss"], abs=1e-5)
    record = json.loads((result.folder / "config.json").read_text())
    assert record["config"]["model"]["seg_state"] == "predicting"
    assert record["seed"] == 0
    losses = [line for line in lines if "loss" in line]
    assert [line["step"] for line in losses] == [1, 2, 3]
    assert {"words_loss", "cross_entropy_loss", "dice_loss", "presence_loss", "gradient_norm"} <= losses[0].keys()


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    """A rate that ruins the model: the stage ends with what it had at its best validation."""
    records = few_kinds(write_shapes(tmp_path / "data", 4))
    model = tiny_medseg()
    stage = MedSegStage(steps=4, learning_rate=0.5)
    config = quick(stage, evaluate_every=1, average=0.0)
    result = train_medseg(model, records[:3], config, tmp_path / "run", validation=records[3:], progress=False)
    dices = [line["validation_dice"] for line in RunFolder(path=result.folder).metrics() if "validation_dice" in line]
    best = result.stages[0].best_step
    assert best is not None
    assert dices[best - 1] == max(dices) == result.stages[0].validation_dice
    assert score_held_out(model, taught_answers(records[3:]), batch_size=4).dice == pytest.approx(max(dices), abs=1e-6)


def test_records_without_masks_are_learned_from(tmp_path: Path) -> None:
    (record,) = write_shapes(tmp_path / "data", 1)
    talk = replace(record, targets={}, conversations=(turns("What is this?", "Discs.", kind="text"),))
    result = train_medseg(
        tiny_medseg(), [talk], quick(MedSegStage(steps=2, policy="sft_all")), tmp_path / "run", progress=False
    )
    lines = RunFolder(path=result.folder).metrics()
    assert lines[-1]["dice_loss"] == 0
    assert lines[-1]["loss"] == pytest.approx(lines[-1]["words_loss"], rel=1e-5)


def test_files_and_folders_are_enough(tmp_path: Path) -> None:
    """Splits in the file say what is validated on; the trained model is begun with again."""
    records = write_shapes(tmp_path / "data", 4)
    told = [replace(one, split=split) for one, split in zip(records, ("train", "", "validation", "test"), strict=True)]
    path = write_qa_records(told, tmp_path / "data" / "records.jsonl")
    save_medseg(tiny_medseg(), tmp_path / "start")
    config = quick(MedSegStage(steps=1))
    first = train_medseg_from_files(tmp_path / "start", [path], config, tmp_path / "a", device="cpu", progress=False)
    assert first.stages[0].validation_dice is not None
    again = train_medseg_from_files(first.model, [path], config, tmp_path / "b", device="cpu", progress=False)
    assert again.model.is_dir()


def test_a_backbone_alone_gets_a_new_decoder_the_same_each_time(tmp_path: Path) -> None:
    from vlm_bridge.backbone.load import save_backbone

    save_backbone(tiny_medseg().backbone, tmp_path / "backbone")  # type: ignore[arg-type]
    one, other = (start_from(tmp_path / "backbone", device="cpu") for _ in range(2))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    assert one.decoder.fit.side == 256


def test_patients_of_both_sets_are_refused(tmp_path: Path) -> None:
    records = write_shapes(tmp_path / "data", 5)
    with pytest.raises(RecordError, match="expected each patient in one split"):
        train_medseg(
            tiny_medseg(), records[:2], quick(MedSegStage(steps=1)), tmp_path / "run", validation=records[4:],
            progress=False,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_a_dialogue_that_is_too_long_is_refused_or_left_out(tmp_path: Path) -> None:
    records = write_shapes(tmp_path / "data", 1)
    with pytest.raises(TooLongError, match="expected at most 60 tokens each"):
        train_medseg(
            tiny_medseg(), records, quick(MedSegStage(steps=1), max_length=60), tmp_path / "run", progress=False
        )
    config = quick(MedSegStage(steps=1), max_length=60, too_long="drop")
    assert train_medseg(tiny_medseg(), records, config, tmp_path / "other", progress=False).dropped > 0


def test_the_average_follows_and_gives_the_weights_back() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0, 4.0]))
    count = torch.tensor(0)
    average = RunningAverage({"a.weight": weight, "count": count}, decay=0.5)
    with torch.no_grad():
        weight.copy_(torch.tensor([2.0, 0.0]))
    count += 3
    average.take_in(1000)
    with average.in_place():
        assert weight.tolist() == [1.0, 2.0]
        assert count.item() == 3
    assert weight.tolist() == [2.0, 0.0]
    average.put()
    assert weight.tolist() == [1.0, 2.0]
    average.take_in(0)  # the start is soon forgotten: a decay of 0.1
    assert torch.equal(average.get_buffer("a__weight"), torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": ()}, "found 0 stages"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"average": 1.0}, "average=1.0"),
        ({"seed": -1}, "seed=-1"),
        ({"stages": (MedSegStage(adapter_learns=True),)}, "expected the name of an adapter"),
        ({"adapter": "lora"}, "found adapter_learns in 0 stages"),
        (
            {"adapter": "lora", "stages": (MedSegStage(adapter_learns=True, policy="sft_all"),)},
            "a whole language model in 1",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        MedSegTrainConfig(**changes)


def test_a_stage_in_which_nothing_learns_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="expected something to learn"):
        MedSegStage(grounding="nothing")
    with pytest.raises(InvalidInputError, match=r"found 'all' and 1\.5"):
        MedSegStage(learning_rate=1.5)


@pytest.mark.parametrize("name", STAGE_PRESETS)
def test_presets_are_settings(name: str) -> None:
    stages = STAGE_PRESETS[name]
    adapter = "lora" if any(stage.adapter_learns for stage in stages) else None
    assert MedSegTrainConfig(stages=stages, adapter=adapter).stages == stages


def test_sam_in_the_place_of_the_embedded_decoder_is_trained(tmp_path: Path) -> None:
    """Its encoder frozen, as in the LISA family; its masks are a quarter of its side."""
    from medseg.grounding.projection import SegProjection
    from tests.medseg.grounding.small_decoders import small_sam_decoder

    model = tiny_medseg()
    decoder = small_sam_decoder()
    setattr(model, "decoder", decoder)  # noqa: B010
    model.projection = SegProjection(model.backbone.parts().language_width, decoder.prompt_width)
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    stage = MedSegStage(grounding="frozen_encoder", steps=2, learning_rate=1e-3)
    train_medseg(model, write_shapes(tmp_path / "data", 2), quick(stage), tmp_path / "run", progress=False)
    changed = {name for name, value in decoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith("image_encoder.") for name in changed)

"""Whole runs: what is frozen stays bit for bit, what learns is learned, and the folder holds what was promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.vlm_bridge.finetune.colours import (
    COLOURS,
    QUESTION,
    answered,
    colour_conversations,
    colour_dataset,
    picture,
    quick,
    tiny_backbone,
    write_colour_records,
)
from vlm_bridge.backbone.load import load_backbone, save_backbone
from vlm_bridge.connector.connector_file import load_connector
from vlm_bridge.connector.freeze_policy import PRESETS
from vlm_bridge.errors import BackboneError, InvalidInputError, RunFolderError
from vlm_bridge.finetune.config import Stage
from vlm_bridge.finetune.finetune import finetune_backbone, finetune_from_files
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.finetune.stage_data import StageData
from vlm_bridge.prompts.conversation import ask
from vlm_bridge.runs.run_folder import RunFolder

COLOUR_DATA = StageData(train=colour_dataset(), validation=colour_dataset())


def values_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in module.named_parameters())


def learning_policies() -> list[str]:
    return sorted(name for name in PRESETS if PRESETS[name] != PRESETS["nothing"])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("policy", learning_policies())
def test_a_policy_changes_its_parts_and_no_other(tmp_path: Path, policy: str, tied: bool) -> None:
    backbone = tiny_backbone(tied=tied)
    before = {part: values_of(getattr(backbone.parts(), part)) for part in ("vision", "connector", "language")}
    config = quick(Stage(policy=policy, steps=3, learning_rate=1e-2), weight_decay=0.1)
    (result,) = finetune_backbone(backbone, COLOUR_DATA, config, tmp_path, progress=False).stages
    for part, values in before.items():
        assert changed(getattr(backbone.parts(), part), values) == getattr(PRESETS[policy], part), part
    sizes = {part: sum(value.numel() for value in values.values()) for part, values in before.items()}
    assert result.learned_numbers == sum(size for part, size in sizes.items() if getattr(PRESETS[policy], part))
    assert result.learned_numbers + result.frozen_numbers == sum(sizes.values())
    assert backbone.model.lm_head.weight.data_ptr() == backbone.model.get_input_embeddings().weight.data_ptr() or (
        not tied
    )


@pytest.mark.parametrize("tied", [False, True])
def test_new_rows_learn_alone(tmp_path: Path, tied: bool) -> None:
    backbone = tiny_backbone(tied=tied)
    rows = sorted(backbone.tokenizer.convert_tokens_to_ids(list(backbone.tokens.grounding)))
    before = values_of(backbone.model)
    data = StageData(train=ConversationDataset([answered(QUESTION, "the <p>red</p> [SEG]", picture("red"))]))
    # Decay would shrink every row of a matrix that is in the optimiser.
    config = quick(Stage(policy="connector_only", new_rows=True, steps=3, learning_rate=1e-2), weight_decay=0.5)
    (result,) = finetune_backbone(backbone, data, config, tmp_path, progress=False).stages
    matrices = ["model.language_model.embed_tokens.weight"] + ([] if tied else ["lm_head.weight"])
    connector = sum(value.numel() for value in backbone.parts().connector.parameters())
    assert result.learned_numbers == connector + 3 * 32 * len(matrices)  # three tokens of width 32
    for name, value in backbone.model.named_parameters():
        if name in matrices:
            moved = (value != before[name]).any(dim=1).nonzero().flatten().tolist()
            assert moved == rows
        else:
            assert torch.equal(value, before[name]) == ("multi_modal_projector" not in name)
    backbone.model.lm_head.weight.requires_grad_(True).sum().backward()  # the masks are gone
    assert (backbone.model.lm_head.weight.grad == 1).all()


def test_eight_colours_are_learned(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    config = quick(Stage(policy="rl_all", epochs=80, learning_rate=1e-2), warmup_ratio=0.1, log_every=20)
    finetune_backbone(backbone, StageData(train=colour_dataset()), config, tmp_path, progress=False)
    questions = [ask(QUESTION, picture(colour)) for colour in COLOURS]
    ids = backbone.generate(backbone.encode(questions, to_answer=True), max_new_tokens=8, do_sample=False)
    answers = backbone.tokenizer.batch_decode(ids, skip_special_tokens=True)
    assert answers == list(COLOURS)
    # The saved model answers the same.
    saved = load_backbone(tmp_path / "stages" / "0_rl_all", device="cpu")
    again = saved.generate(saved.encode(questions, to_answer=True), max_new_tokens=8, do_sample=False)
    assert torch.equal(again, ids)


def test_connector_alone_is_saved_where_it_alone_learned(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    stages = (
        Stage(policy="connector_only", steps=2, learning_rate=1e-2),
        Stage(policy="sft_default", steps=2, learning_rate=1e-2),
    )
    first, second = finetune_backbone(backbone, COLOUR_DATA, quick(*stages), tmp_path, progress=False).stages
    assert [path.name for path in sorted((tmp_path / "stages").iterdir())] == ["0_connector_only", "1_sft_default"]
    assert not (second.folder / "connector.safetensors").exists()
    fresh = tiny_backbone()
    load_connector(first.folder / "connector.safetensors", fresh.parts().connector)
    save_backbone(fresh, tmp_path / "fresh")
    assert (first.folder / "config.json").read_text() == (tmp_path / "fresh" / "config.json").read_text()
    after_first = load_backbone(first.folder, device="cpu")
    for name, value in fresh.model.named_parameters():
        assert torch.equal(value, dict(after_first.model.named_parameters())[name]), name


def test_run_folder_tells_what_was_done(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    config = quick(Stage(policy="sft_default", epochs=2), Stage(policy="connector_only", steps=1), evaluate_every=2)
    result = finetune_backbone(backbone, COLOUR_DATA, config, tmp_path, progress=False)
    record = RunFolder(path=tmp_path).record()
    assert record["config"]["stages"][0]["policy"] == "sft_default"
    assert {"torch", "transformers"} <= record["versions"].keys()
    assert len(record["config"]["starting_weights"]) == len(record["config"]["data"][0]) == 64
    lines = RunFolder(path=tmp_path).metrics()
    # Eight records are one batch: two epochs are steps 1 and 2, and the second stage's is step 3.
    assert [(line["step"], line["stage"], "loss" in line) for line in lines] == [
        (1, 0, True), (2, 0, True), (2, 0, False), (3, 1, True), (3, 1, False),
    ]  # fmt: skip
    assert all(line["tokens_per_second"] > 0 for line in lines if "loss" in line)
    assert [stage["steps"] for stage in json.loads((tmp_path / "result.json").read_text())] == [2, 1]
    assert [stage.steps for stage in result.stages] == [2, 1]


def test_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finetune_backbone(tiny_backbone(), COLOUR_DATA, quick(Stage(steps=2)), tmp_path, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "stage 0 (connector_only)" in captured.err


def test_model_is_left_as_it_was_found(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    backbone.parts().vision.requires_grad_(False)
    wanted = {name: value.requires_grad for name, value in backbone.model.named_parameters()}
    settings = {"use_cache"} & vars(backbone.model.config).keys()
    config = quick(Stage(policy="rl_all", steps=1), gradient_checkpointing=True, precision="bfloat16")
    finetune_backbone(backbone, COLOUR_DATA, config, tmp_path, progress=False)
    assert {name: value.requires_grad for name, value in backbone.model.named_parameters()} == wanted
    assert "forward" not in vars(backbone.model)  # accelerate's, which computes in bfloat16
    embeddings = (part.get_input_embeddings() for part in (backbone.model, backbone.parts().vision))
    assert not any(module._forward_hooks for module in embeddings)  # transformers', for the older checkpointing
    assert not any(module.training for module in backbone.model.modules())
    assert not any(getattr(module, "gradient_checkpointing", False) for module in backbone.model.modules())
    assert {"use_cache"} & vars(backbone.model.config).keys() == settings
    assert all(value.grad is None for value in backbone.model.parameters())


@pytest.mark.parametrize("policy", ["connector_only", "sft_default", "vision_and_connector", "rl_all"])
def test_computing_activations_twice_changes_nothing(tmp_path: Path, policy: str) -> None:
    """The second time they are, and where vision is frozen it keeps none for gradients that nobody needs."""
    data = StageData(train=colour_dataset())
    ends = []
    for twice in (False, True):
        backbone = tiny_backbone()
        passes, kept = [], []
        decoder = backbone.model.model.language_model.layers[0]
        decoder.input_layernorm.register_forward_pre_hook(lambda *_, passes=passes: passes.append(1))
        backbone.parts().vision.register_forward_hook(
            lambda _, given, output, kept=kept: kept.append(output.last_hidden_state.requires_grad)
        )
        config = quick(Stage(policy=policy, steps=3, learning_rate=1e-3), gradient_checkpointing=twice)
        finetune_backbone(backbone, data, config, tmp_path / str(twice), progress=False)
        ends.append(torch.cat([value.flatten() for value in backbone.model.parameters()]))
        assert len(passes) == 3 * (1 + twice)
        assert kept == [PRESETS[policy].vision] * 3
    assert torch.equal(*ends)


@pytest.mark.parametrize("policy", ["connector_only", "sft_default", "rl_all"])
def test_frozen_parts_rest(tmp_path: Path, policy: str) -> None:
    backbone = tiny_backbone()
    modes = {}
    for name in ("vision", "connector"):
        part = getattr(backbone.parts(), name)
        part.register_forward_hook(lambda module, *_, name=name: modes.update({name: module.training}))
    decoder = backbone.model.model.language_model
    decoder.register_forward_hook(lambda module, *_: modes.update(language=module.training))
    data = StageData(train=colour_dataset())
    finetune_backbone(backbone, data, quick(Stage(policy=policy, steps=1)), tmp_path, progress=False)
    assert modes == {name: getattr(PRESETS[policy], name) for name in modes}
    assert len(modes) == 3


def test_small_steps_are_not_lost_in_bfloat16(tmp_path: Path) -> None:
    """Twenty steps of 4e-4 from 1, whose neighbours in bfloat16 are 4e-3 away, add up in float32."""
    backbone = tiny_backbone()
    backbone.model.to(torch.bfloat16)
    norm = backbone.parts().connector.layer_norm.weight
    norm.data.fill_(1.0)
    config = quick(Stage(policy="connector_only", steps=20, learning_rate=4e-4), schedule="constant_with_warmup")
    finetune_backbone(backbone, COLOUR_DATA, config, tmp_path, progress=False)
    assert norm.dtype == torch.bfloat16
    assert (norm != 1.0).any()
    stored = load_file(tmp_path / "stages" / "0_connector_only" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}


def test_stage_stops_early_and_ends_with_its_best_weights(tmp_path: Path) -> None:
    """Train on one colour and validate on the others: the validation gets worse soon."""
    backbone = tiny_backbone()
    train = ConversationDataset(colour_conversations()[:1])
    validation = ConversationDataset([answered(QUESTION, "zzzzzzzz", picture("red"))])
    config = quick(Stage(policy="rl_all", steps=60, learning_rate=1e-2), evaluate_every=2, patience=3)
    data = StageData(train=train, validation=validation)
    (result,) = finetune_backbone(backbone, data, config, tmp_path, progress=False).stages
    losses = {
        line["step"]: line["validation_loss"]
        for line in RunFolder(path=tmp_path).metrics()
        if "validation_loss" in line
    }
    assert result.best_step == min(losses, key=losses.__getitem__)
    assert result.validation_loss == min(losses.values())
    assert result.steps == result.best_step + 3 * 2 < 60
    batch = backbone.encode([validation[0]], to_answer=False)
    labels = batch.ids.masked_fill(~batch.answers, -100)
    kept = backbone.model(
        input_ids=batch.ids, attention_mask=batch.attention.long(), labels=labels, pixel_values=batch.tiles.pixels
    ).loss
    assert float(kept.detach()) == pytest.approx(result.validation_loss, abs=1e-6)
    assert not list((tmp_path / "best").iterdir())


def test_text_alone_teaches_a_connector_nothing(tmp_path: Path) -> None:
    texts = ConversationDataset([answered("a", "b"), answered("c", "d")])
    with pytest.raises(InvalidInputError, match="found 0 of 2"):
        finetune_backbone(tiny_backbone(), StageData(train=texts), quick(Stage()), tmp_path / "a", progress=False)
    mixed = ConversationDataset([*texts.records, colour_conversations()[0]])
    backbone = tiny_backbone()
    before = values_of(backbone.parts().connector)
    config = quick(Stage(steps=3, learning_rate=1e-2), batch_size=1)  # a batch of text alone has no gradient at all
    finetune_backbone(backbone, StageData(train=mixed), config, tmp_path / "b", progress=False)
    assert changed(backbone.parts().connector, before)


def test_long_conversations_are_refused_or_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = StageData(train=ConversationDataset([*colour_conversations(), answered("x" * 500, "y", picture("red"))]))
    with pytest.raises(InvalidInputError, match=r"found 1 of 9 longer, up to \d+ tokens \(conversation 8\)"):
        finetune_backbone(tiny_backbone(), data, quick(Stage(), max_length=100), tmp_path / "a", progress=False)
    assert not (tmp_path / "a").exists()
    config = quick(Stage(steps=1), max_length=100, too_long="drop")
    result = finetune_backbone(tiny_backbone(), data, config, tmp_path / "b", progress=False)
    assert result.stages[0].dropped == 1
    assert "1 of 9 conversations are longer than 100 tokens" in caplog.text


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    backbone.parts().connector.linear_2.bias.data.fill_(float("nan"))
    with pytest.raises(BackboneError, match="finite loss, found nan after 0 steps"):
        finetune_backbone(backbone, COLOUR_DATA, quick(Stage(steps=2)), tmp_path, progress=False)
    assert not list(tmp_path.glob("checkpoints/*"))


def test_a_run_is_not_started_twice_nor_resumed_under_other_settings(tmp_path: Path) -> None:
    config = quick(Stage(steps=1))
    finetune_backbone(tiny_backbone(), COLOUR_DATA, config, tmp_path, progress=False)
    with pytest.raises(RunFolderError, match="found one"):
        finetune_backbone(tiny_backbone(), COLOUR_DATA, config, tmp_path, progress=False)
    other = quick(Stage(steps=1, learning_rate=2e-5), save_every=7)
    with pytest.raises(RunFolderError, match="learning_rate") as caught:
        finetune_backbone(tiny_backbone(), COLOUR_DATA, other, tmp_path, resume=True, progress=False)
    assert "save_every" not in str(caught.value)
    with pytest.raises(RunFolderError, match="starting_weights"):
        finetune_backbone(tiny_backbone(seed=1), COLOUR_DATA, config, tmp_path, resume=True, progress=False)
    data = StageData(train=colour_dataset())
    with pytest.raises(RunFolderError, match="data"):
        finetune_backbone(tiny_backbone(), data, config, tmp_path, resume=True, progress=False)
    with pytest.raises(InvalidInputError, match="for 1 stages, found them for 2"):
        finetune_backbone(tiny_backbone(), [COLOUR_DATA] * 2, config, tmp_path, progress=False)


def test_files_are_enough(tmp_path: Path) -> None:
    save_backbone(tiny_backbone(), tmp_path / "model")
    records = write_colour_records(tmp_path / "data")
    other = tmp_path / "data" / "grounded.jsonl"
    turns = [{"role": "user", "text": "where?", "images": ["red.png"]}, {"role": "assistant", "text": "here [SEG]"}]
    other.write_text(json.dumps({"messages": turns}))
    config = quick(Stage(steps=1), Stage(policy="sft_default", steps=1, records=(other,)))
    arguments = (str(tmp_path / "model"), [records], config, tmp_path / "run")
    result = finetune_from_files(*arguments, validation=[records], device="cpu", progress=False)
    assert [stage.validation_loss is not None for stage in result.stages] == [True, True]
    again = finetune_from_files(*arguments, True, validation=[records], device="cpu", progress=False)
    assert again == result
    with pytest.raises(InvalidInputError, match="Stage 0: expected files of records"):
        finetune_from_files(str(tmp_path / "model"), [], config, tmp_path / "b", device="cpu")


def test_one_worker_prepares_the_same_batches(tmp_path: Path) -> None:
    ends = []
    for workers in (0, 1):
        backbone = tiny_backbone()
        config = quick(Stage(steps=4, learning_rate=1e-2), batch_size=3, workers=workers)
        finetune_backbone(backbone, COLOUR_DATA, config, tmp_path / str(workers), progress=False)
        ends.append(torch.cat([value.flatten() for value in backbone.model.parameters()]))
    assert torch.equal(*ends)

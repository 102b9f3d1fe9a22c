"""Runs with adapters and other optimisers: what learns, what is saved, what is logged, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.vlm_bridge.finetune.adapted_job import assert_same, data, run, settings
from tests.vlm_bridge.finetune.colours import quick, tiny_backbone
from vlm_bridge.adapters.adapt import adapt, load_adapter, merge_adapters
from vlm_bridge.adapters.whole_parts import WHOLE_PARTS_NAME
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.errors import BackboneError, InvalidInputError, RunFolderError
from vlm_bridge.finetune.adaptation import read_settings
from vlm_bridge.finetune.config import Stage
from vlm_bridge.finetune.finetune import finetune_backbone
from vlm_bridge.optim.probe_log import PROBE_LOG_NAME
from vlm_bridge.prompts.conversation import ask
from vlm_bridge.runs.metrics_log import read_metrics
from vlm_bridge.runs.run_folder import RunFolder


def _logits(backbone: InternVLBackbone) -> torch.Tensor:
    backbone.model.eval()
    with torch.no_grad():
        return backbone.forward(backbone.encode([ask("which colour?")], to_answer=True)).logits


def test_adapter_and_connector_learn_and_everything_else_stays(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    result = finetune_backbone(backbone, data(), settings("lora", "adamw"), tmp_path, progress=False)
    now = {
        name.removeprefix("base_model.model.").replace(".base_layer.", "."): value
        for name, value in backbone.model.state_dict().items()
    }
    moved = {name for name, value in before.items() if not torch.equal(now[name], value)}
    assert moved == {name for name in before if "multi_modal_projector" in name}
    lora = [value for name, value in now.items() if ".lora_" in name]
    connector = sum(value.numel() for value in backbone.parts().connector.parameters())
    assert result.stages[0].learned_numbers == connector + sum(value.numel() for value in lora)
    assert all(value.any() for value in lora), "B starts at 0 and has moved"


def test_metrics_say_how_much_learns_and_what_the_optimiser_keeps(tmp_path: Path) -> None:
    (found,) = run(tmp_path / "lora", "lora", "adamw", resume=False)[0].stages
    lines = [line for line in RunFolder(path=tmp_path / "lora").metrics() if "loss" in line]
    assert {line["learned_numbers"] for line in lines} == {found.learned_numbers}
    # Two numbers of four bytes for each that learns.
    assert {line["optimizer_bytes"] for line in lines} == {8 * found.learned_numbers} == {found.optimizer_bytes}
    (small,) = run(tmp_path / "mlorc", None, "mlorc_adamw", resume=False)[0].stages
    assert small.optimizer_bytes < 8 * small.learned_numbers


def test_the_saved_stage_answers_as_the_model_did(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    result = finetune_backbone(backbone, data(), settings("map", "muon"), tmp_path, progress=False)
    folder = result.stages[-1].folder
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", WHOLE_PARTS_NAME} <= names
    assert "model.safetensors" not in names
    loaded = load_adapter(tiny_backbone(), folder)
    torch.testing.assert_close(_logits(loaded), _logits(backbone), atol=1e-5, rtol=0)
    assert not torch.allclose(_logits(tiny_backbone()), _logits(backbone), atol=1e-3)
    torch.testing.assert_close(_logits(merge_adapters(loaded)), _logits(backbone), atol=2e-5, rtol=0)


def test_a_failed_load_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    result = finetune_backbone(tiny_backbone(), data(), settings("lora", "adamw"), tmp_path, progress=False)
    folder = result.stages[-1].folder
    plain = tiny_backbone()
    before = _logits(plain)
    (folder / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(Exception, match=r"."):  # whatever PEFT says
        load_adapter(plain, folder)
    assert torch.equal(_logits(plain), before)
    (folder / WHOLE_PARTS_NAME).write_bytes(b"")
    with pytest.raises(BackboneError, match="unreadable"):
        load_adapter(plain, folder)


def test_whole_parts_are_refused_beside_other_adapters(tmp_path: Path) -> None:
    result = finetune_backbone(tiny_backbone(), data(), settings("lora", "adamw"), tmp_path, progress=False)
    with pytest.raises(InvalidInputError, match="merge the others"):
        load_adapter(adapt(tiny_backbone(), "lora"), result.stages[-1].folder, adapter_name="second")


def test_an_adapter_can_wait_for_a_later_stage(tmp_path: Path) -> None:
    config = quick(
        Stage(policy="connector_only", steps=1, learning_rate=1e-3, adapter_learns=False),
        Stage(policy="nothing", steps=1, learning_rate=1e-3),
        adapter="lora",
        rank=2,
    )
    first, second = finetune_backbone(tiny_backbone(), data(), config, tmp_path, progress=False).stages
    one, two = (load_adapter(tiny_backbone(), stage.folder).model.state_dict() for stage in (first, second))
    changed = {name for name, value in one.items() if not torch.equal(two[name], value)}
    assert changed
    assert all(".lora_" in name for name in changed)
    assert all(not value.any() for name, value in one.items() if ".lora_B" in name)


def test_settings_reach_the_adapter(tmp_path: Path) -> None:
    config = quick(
        Stage(policy="nothing", steps=1),
        adapter="lora",
        rank=3,
        adapter_layers=("q_proj", "linear_1"),
        adapt_connector=True,
        adapter_settings=("lora_alpha=5", "use_rslora=true"),
    )
    backbone = tiny_backbone()
    finetune_backbone(backbone, data(), config, tmp_path, progress=False)
    found = backbone.model.peft_config["default"]
    assert (found.r, found.lora_alpha, found.use_rslora) == (3, 5, True)
    adapted = {name.split(".lora_")[0].rpartition(".")[2] for name in backbone.model.state_dict() if ".lora_" in name}
    assert adapted == {"q_proj", "linear_1"}


def test_rows_of_new_tokens_learn_beside_an_adapter(tmp_path: Path) -> None:
    config = quick(
        Stage(policy="nothing", new_rows=True, steps=2, learning_rate=1e-2), adapter="lora", weight_decay=0.5
    )
    backbone = tiny_backbone()
    finetune_backbone(backbone, data(), config, tmp_path, progress=False)
    folder = tmp_path / "stages" / "0_nothing"
    torch.testing.assert_close(_logits(load_adapter(tiny_backbone(), folder)), _logits(backbone), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "stage", "said"),
    [
        ({"adapter": "lora"}, {"policy": "sft_default"}, "either whole or by its adapter"),
        ({"adapter": "lora", "adapt_connector": True}, {"policy": "connector_only"}, "connector that learns either"),
        ({"rank": 3}, {}, "found settings alone"),
        ({}, {"policy": "nothing"}, "something to learn"),
        ({"adapter": "lora"}, {"policy": "nothing", "adapter_learns": False}, "something to learn"),
        ({"optimizer": "sgd"}, {}, "found 'sgd'"),
        ({"probe_every": -1}, {}, "probe_every"),
    ],
)
def test_what_cannot_be_is_refused_at_once(changes: dict, stage: dict, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        quick(Stage(**stage), **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adapter": "loraa"}, "expected one of lora"),
        ({"adapter": "lora", "adapter_settings": ("directions=8",)}, "found directions"),
        ({"adapter": "lora", "adapter_layers": ("nothing",)}, "found nothing"),
        ({"adapter": "lora", "adapter_settings": ("r",)}, "NAME=VALUE"),
    ],
)
def test_unknown_adapters_and_settings_are_refused(tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        finetune_backbone(tiny_backbone(), data(), quick(Stage(), **changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_an_adapted_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="plain model"):
        finetune_backbone(adapt(tiny_backbone(), "lora"), data(), quick(Stage()), tmp_path, progress=False)


def test_another_adapter_does_not_resume(tmp_path: Path) -> None:
    run(tmp_path, "lora", "adamw", resume=False)
    with pytest.raises(RunFolderError, match="adapter"):
        run(tmp_path, "dora", "adamw", resume=True)


def test_a_setting_named_twice() -> None:
    assert read_settings(["r=3"]) == {"r": 3}
    with pytest.raises(InvalidInputError, match="once"):
        read_settings(["r=3", "r=4"])


def test_a_probed_run_learns_the_same(tmp_path: Path) -> None:
    plain, probed = tiny_backbone(), tiny_backbone()
    stage = Stage(policy="connector_only", steps=3, learning_rate=1e-2)
    finetune_backbone(plain, data(), quick(stage, optimizer="muon"), tmp_path / "a", progress=False)
    config = quick(stage, optimizer="muon", probe_every=2, probe_matrices=("*linear_1*",))
    finetune_backbone(probed, data(), config, tmp_path / "b", progress=False)
    for name, value in plain.model.state_dict().items():
        assert torch.equal(probed.model.state_dict()[name], value), name
    lines = read_metrics(tmp_path / "b" / PROBE_LOG_NAME)
    assert [line["step"] for line in lines] == [0, 2, 3]
    assert all("linear_1" in str(line["matrix"]) for line in lines)
    assert all(float(line["norm_ratio"]) >= 1 for line in lines)


@pytest.mark.parametrize(
    ("adapter", "optimizer"), [pytest.param("lora", "muon", marks=pytest.mark.slow), ("map", "mlorc_adamw")]
)
def test_a_killed_run_ends_the_same(tmp_path: Path, checkout: Path, adapter: str, optimizer: str) -> None:
    """A real process and SIGKILL, a step after the last checkpoint."""
    command = [sys.executable, "-m", "tests.vlm_bridge.finetune.adapted_job", str(tmp_path / "a"), "3"]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums depend on their number
    done = subprocess.run(
        [*command, adapter, optimizer], cwd=checkout, env=os.environ | threads, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    saved = RunFolder(path=tmp_path / "a").latest_checkpoint()
    assert saved is not None
    assert saved.step == 2
    found = run(tmp_path / "a", adapter, optimizer, resume=True)[1]
    assert_same(found, run(tmp_path / "b", adapter, optimizer, resume=False)[1])

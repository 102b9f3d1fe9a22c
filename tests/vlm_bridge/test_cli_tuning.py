"""Commands around adapters and optimisers, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.vlm_bridge.adapters.tiny_adapted import tiny_backbone
from vlm_bridge.backbone.load import save_backbone
from vlm_bridge.cli import main
from vlm_bridge.errors import InvalidInputError, RunFolderError
from vlm_bridge.optim.lookup_run import LookupRunConfig, probe_lookup_run
from vlm_bridge.optim.probe_log import PROBE_LOG_NAME, probe_verdict

WORDS = ("--max-new-tokens", "3")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_backbone(tiny_backbone(), folder)
    return str(folder)


@pytest.fixture
def records(tmp_path: Path) -> str:
    Image.new("RGB", (28, 28), "red").save(tmp_path / "red.png")
    turns = [{"role": "user", "text": "which?", "images": ["red.png"]}, {"role": "assistant", "text": "red"}]
    (tmp_path / "records.jsonl").write_text("\n".join([json.dumps({"messages": turns})] * 4))
    return str(tmp_path / "records.jsonl")


def test_an_adapter_is_learned_asked_merged_and_studied(
    model: str, records: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    settings = ("--stages.0.steps", "2", "--stages.0.learning-rate", "0.01", "--accumulation", "1", "--device", "cpu")
    ways = ("--adapter", "speclora", "--rank", "2", "--adapter-settings", "directions=3", "--optimizer", "mlorc-adamw")
    assert main(["finetune", records, "-o", str(run), "--model", model, *settings, *ways, "--mlorc.rank", "1"]) == 0
    told = capsys.readouterr().out
    assert "numbers learned, the optimiser kept" in told
    folder = run / "stages" / "0_connector_only"
    assert f"--model {model} --adapter {folder}" in told
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["directions"]) == (2, 3)

    assert main(["generate", "well?", "--model", model, "--adapter", str(folder), *WORDS]) == 0
    adapted = capsys.readouterr().out
    merged = tmp_path / "merged"
    assert main(["merge", str(folder), "-o", str(merged), "--model", model]) == 0
    assert f"--model {merged}" in capsys.readouterr().out
    half = ["merge", str(folder), "-o", str(tmp_path / "half"), "--model", model, "--dtype", "bfloat16"]
    assert main(half) == 0
    capsys.readouterr()
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    assert main(["generate", "well?", "--model", str(merged), *WORDS]) == 0
    assert capsys.readouterr().out == adapted

    for tuned, name in ((folder, "a"), (merged, "b")):
        assert main(["spectra", model, str(tuned), "-o", str(tmp_path / name), "--top", "2"]) == 0
        assert "up_proj" in capsys.readouterr().out
    assert main(["spectra", model, str(tmp_path), "-o", str(tmp_path / "c")]) == 1
    assert "expected a folder with weights" in capsys.readouterr().err


def test_a_probe_of_records(model: str, records: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "probe"
    ways = ("--steps", "2", "--every", "1", "--matrices", "*layers.0.mlp.up_proj*", "--device", "cpu")
    assert main(["muon-probe", records, "-o", str(out), "--model", model, *ways]) == 0
    told = capsys.readouterr().out
    lines = [json.loads(line) for line in (out / PROBE_LOG_NAME).read_text().splitlines()]
    assert probe_verdict(lines) in told
    assert told.count("up_proj") == 3
    assert len(lines) == 3


def test_a_probe_without_records(tmp_path: Path) -> None:
    names = ("*layers.0.self_attn.q_proj*",)
    config = LookupRunConfig(steps=1, every=1, iterations=2, matrices=names, optimizer="adamw")
    lines = probe_lookup_run(tmp_path, config, progress=False)
    assert [line["step"] for line in lines] == [0, 1]
    assert all(1 <= float(line["norm_ratio"]) <= 128 for line in lines)
    with pytest.raises(RunFolderError, match="without measurements"):
        probe_lookup_run(tmp_path, config, progress=False)
    with pytest.raises(InvalidInputError, match="every"):
        LookupRunConfig(every=0)


def test_list_names_adapters_and_optimisers(capsys: pytest.CaptureFixture[str]) -> None:
    from vlm_bridge.adapters.catalogue import ADAPTERS
    from vlm_bridge.optim.catalogue import OPTIMIZERS

    assert main(["list"]) == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line}
    assert {*ADAPTERS, *OPTIMIZERS} <= names

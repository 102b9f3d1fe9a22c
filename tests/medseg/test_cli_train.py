"""`medseg train`: from the command line to a folder that is loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest

from medseg.cli import main
from medseg.cli_train import Train, train_config
from medseg.model import load_medseg, save_medseg
from medseg.training.config import STAGE_PRESETS
from medseg.training.records import write_qa_records
from tests.medseg.training.shapes import tiny_medseg, write_shapes


def test_a_model_is_trained_and_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_qa_records(write_shapes(tmp_path / "data", 1), tmp_path / "data" / "records.jsonl")
    save_medseg(tiny_medseg(), tmp_path / "start")
    arguments = ["train", str(path), "--model", str(tmp_path / "start"), "-o", str(tmp_path / "run")]
    arguments += ["--steps", "1", "--stages", "grounding", "--freeze-encoder", "--device", "cpu"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "stage 0: 1 steps, loss " in told
    assert "Research use only" in told
    assert load_medseg(tmp_path / "run" / "model").decoder.fit.side == 64
    assert main(arguments) == 1
    assert "expected a folder without a run" in capsys.readouterr().err


def test_a_file_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(tmp_path / "none.jsonl"), "--model", "embedded", "-o", str(tmp_path / "run")]) == 1
    assert "expected a file of records" in capsys.readouterr().err


@pytest.mark.parametrize("name", STAGE_PRESETS)
def test_options_become_settings(name: str, tmp_path: Path) -> None:
    command = Train(
        records=(), output=tmp_path, model="x", stages=name, steps=7, learning_rate=1e-3, rank=4,  # type: ignore[arg-type]
        adapter_settings=("lora_alpha=8",), freeze_encoder=True,
    )  # fmt: skip
    config = train_config(command)
    assert [stage.policy for stage in config.stages] == [stage.policy for stage in STAGE_PRESETS[name]]
    assert {(one.steps, one.learning_rate, one.grounding) for one in config.stages} == {(7, 1e-3, "frozen_encoder")}
    adapted = name in ("adapter", "staged")
    assert (config.adapter, config.rank) == (("lora", 4) if adapted else (None, None))

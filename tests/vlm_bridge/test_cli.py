"""The command `vlm-bridge`: each command does its job, and every error is one line on stderr."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.vlm_bridge.backbone.conversion.original_internvl import OriginalInternVL, OriginalSettings, write_original
from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge import cli
from vlm_bridge.backbone.catalogue import BACKBONES
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import load_backbone, save_backbone
from vlm_bridge.cli import main
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.conversation import ask

WORDS = ("--max-new-tokens", "6")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_backbone(InternVLBackbone(tiny_internvl(), tiny_tokenizer(), TilingConfig(tile_size=28, max_tiles=4)), folder)
    return str(folder)


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    for name, size in (("wide.png", (90, 40)), ("high.png", (40, 90))):
        Image.effect_noise(size, 50).save(tmp_path / name)
    return [str(tmp_path / "wide.png"), str(tmp_path / "high.png")]


def _failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command that must fail with exit code 1."""
    capsys.readouterr()
    assert main(list(arguments)) == 1
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in captured.err
    assert captured.out == ""
    return lines[0]


def test_an_answer_is_what_generate_gives(model: str, pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", *pictures, "what is it?", "--model", model, *WORDS]) == 0
    told = capsys.readouterr()
    question = ask("what is it?", *[Image.open(path) for path in pictures])
    (answer,) = generate(load_backbone(model), [question], DecodingConfig(max_new_tokens=6))
    assert told.out == f"{answer.text}\n"
    assert ("cut at" in told.err) == (answer.finished == "length")


def test_a_question_without_pictures_and_a_stream(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "well?", "--model", model, *WORDS]) == 0
    whole = capsys.readouterr().out
    assert main(["generate", "well?", "--model", model, *WORDS, "--stream"]) == 0
    assert capsys.readouterr().out == whole
    assert main(["generate", "well?", "--model", model, *WORDS, "--think"]) == 0
    assert capsys.readouterr().out == "\n", "six tokens of thoughts, and no answer yet"


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    Image.new("RGB", (90, 40)).save(tmp_path / "turned.jpg", exif=exif)
    assert cli._open_picture(tmp_path / "turned.jpg").size == (40, 90)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.png", "what?"], "nothing.png"),
        (["{tmp}/text.png", "what?"], "expected a picture"),
        (["{tmp}/text.png"], "expected a question last"),
        ([], "expected a question"),
    ],
)
def test_words_that_cannot_be_read(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    assert said in _failure(capsys, "generate", *[word.format(tmp=tmp_path) for word in words])


def test_models_and_settings_that_are_refused(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "vlm-bridge convert" in _failure(capsys, "generate", "hi", "--model", "Skywork-R1V3")
    assert "none of them" in _failure(capsys, "generate", "hi", "--model", str(tmp_path / "nothing here"))
    assert "one of greedy" in _failure(capsys, "generate", "hi", "--model", model, "--strategy", "nothing")
    with pytest.raises(SystemExit) as left:
        main(["generate", "hi", "--dtype", "float31"])
    assert left.value.code == 2


def test_convert_and_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    source = write_original(OriginalInternVL(OriginalSettings()), tmp_path / "source")
    target = tmp_path / "target"
    assert main(["convert", str(source), str(target), "--dtype", "bfloat16"]) == 0
    told = capsys.readouterr().out
    assert f"in {target}" in told
    assert "67 tensors" in told
    assert f"--model {target}" in told
    assert json.loads((target / "config.json").read_text())["dtype"] == "bfloat16"
    assert load_backbone(target, dtype="bfloat16").model.dtype == torch.bfloat16
    assert main(["generate", "well?", "--model", str(target), "--max-new-tokens", "2"]) == 0
    assert "new or empty" in _failure(capsys, "convert", str(source), str(target))
    assert "vlm-bridge convert" in _failure(capsys, "generate", "hi", "--model", str(source))


def test_list_names_every_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: lines.index("")]] == list(BACKBONES)


def test_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    find = importlib.util.find_spec
    missing = "accelerate"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "->  accelerate" in told
    assert "pip install 'vision3d-medseg[vlm]'" in told
    assert "ok  transformers" in told


def test_finetune_learns_and_can_be_asked(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (30, 30), "red").save(tmp_path / "red.png")
    turns = [{"role": "user", "text": "which?", "images": ["red.png"]}, {"role": "assistant", "text": "red"}]
    lines = [json.dumps({"messages": turns})] * 4
    (tmp_path / "records.jsonl").write_text("\n".join(lines))
    settings = ("--batch-size", "2", "--accumulation", "1", "--stages.0.steps", "2", "--stages.1.steps", "1")
    run = tmp_path / "run"
    command = ["finetune", str(tmp_path / "records.jsonl"), "-o", str(run), "--model", model, "--device", "cpu"]
    assert main([*command, *settings]) == 0
    told = capsys.readouterr().out
    assert "stage 0 (connector_only): 2 steps" in told
    assert "stage 1 (connector_only): 1 steps" in told
    folder = told.split("--model ")[1].split()[0]
    assert load_backbone(folder).tiling.tile_size == 28
    assert "records" in _failure(capsys, "finetune", str(tmp_path / "none.jsonl"), "-o", str(run), "--model", model)


def test_an_interruption_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert main(["list"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_missing_package_and_a_full_device_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [ModuleNotFoundError("no", name="transformers"), torch.OutOfMemoryError("full"), OSError("disk")]
    for error, said in zip(errors, ("vision3d-medseg[vlm]", "smaller --model", "disk"), strict=True):
        monkeypatch.setattr(cli, "_run", lambda _, error=error: (_ for _ in ()).throw(error))
        assert said in _failure(capsys, "list")


def test_help_waits_for_no_model_code() -> None:
    """Importing transformers and torch takes seconds."""
    command = "try: main(['generate', '--help'])\nfinally: print('torch' in sys.modules)"
    code = f"import sys; from vlm_bridge.cli import main\n{command}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"

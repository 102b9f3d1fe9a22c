"""The commands around LaGa: masks, train, query, evaluate, one after the other, and what they say when they cannot."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.jobs.small_tabletop import snapshot
from tests.vision3d.laga.ball_files import FLAGS, BallFiles, know_colours, write_ball_files
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.cli import main


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    know_colours(monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> BallFiles:
    return write_ball_files(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> BallFiles:
    written = write_ball_files(tmp_path_factory.mktemp("trained"))
    with pytest.MonkeyPatch.context() as patch:
        know_colours(patch)
        assert main(["train", str(written.run), "--data", str(written.data), *FLAGS]) == 0
    return written


def _failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The message of a command that must fail with exit code 1: expected, found, and a sentence of advice."""
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert "xpected" in line
    assert "found" in line
    assert len(re.split(r"(?<=[.!?)])\s+", line)) > 1, line
    return line


def test_from_photos_to_answers_and_scores(
    files: BallFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["masks", str(files.data), "--out", str(tmp_path / "masks"), "--proposer", "colours"]) == 0
    assert f"masks of 8 photos in {tmp_path / 'masks'}; on average per photo: m " in capsys.readouterr().out
    assert np.load(tmp_path / "masks" / "masks.npy").shape == (8, 1, 64, 64)

    assert main(["train", str(files.run), "--data", str(files.data), *FLAGS]) == 0
    told = capsys.readouterr().out
    assert "5 objects (m 5) of " in told
    assert "in 6 views" in told
    assert f"{files.laga} written in " in told

    out = tmp_path / "answers"
    assert main(["query", str(files.laga), "red", "dim light", "dim", "-o", str(out), "--data", str(files.data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"red: found, relevance 1\.00, 1\d\d Gaussians", lines[0])
    assert lines[1].startswith("dim light: not found")
    assert lines[1].endswith("(words the encoder never learned: light)")
    assert lines[2] == "dim: not found, relevance 0.00"
    assert lines[3] == f"pictures and answers.json in {out}"
    assert sorted(path.name for path in out.iterdir()) == [
        "01_red.png", "02_dim_light.png", "03_dim.png", "answers.json",
    ]  # fmt: skip

    assert (
        main(["evaluate", str(files.run), str(files.data), "--format", "instances", "--out", str(tmp_path / "e")]) == 0
    )
    told = capsys.readouterr().out
    assert re.search(r"mIoU \d\d\.\d % over 6 pairs of phrase and view; 100% of present", told)
    assert f"open {tmp_path / 'e' / 'evaluation.md'}" in told


def test_a_click_and_a_picture_on_the_command_line(trained: BallFiles, tmp_path: Path) -> None:
    rows, columns = np.nonzero(np.asarray(Image.open(trained.data / "masks" / "view_03.png")) == 1)
    # coordinates are those of the pictures, here of half the size
    place = ("--click", "view_03", str(columns.mean() / 2), str(rows.mean() / 2))
    crop = tmp_path / "crop.png"
    Image.new("RGB", (9, 9), (230, 0, 0)).save(crop)
    flags = ("--image", str(crop), "--save-masks", "--save-scores", "--level", "m", "--top", "1", "--max-side", "32")
    assert main(["query", str(trained.laga), "-o", str(tmp_path / "out"), *place, *flags, "--view-count", "2"]) == 0
    click, image = json.loads((tmp_path / "out" / "answers.json").read_text())["answers"]
    assert click["objects"] == image["objects"]
    assert next(iter(click["masks"])) == "view_03.png"
    assert (tmp_path / "out" / image["scores"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("query", "missing.laga.safetensors", "red"), "Run `vision3d train`"),
        (("query", "{laga}"), "no phrase, click, picture or request"),
        (("query", "{laga}", ""), "at least one word"),
        (("query", "{laga}", "red", "--level", "xl"), "a level of m, found 'xl'"),
        (("query", "{laga}", "red", "--views", "view_99"), "view_99"),
        (("query", "{laga}", "--click", "view_00", "64", "0"), "Click inside the image"),
        (("query", "{laga}", "--click", "view_99", "1", "1"), "view_99"),
        (("query", "{laga}", "--image", "missing.png"), "missing.png"),
        (("query", "{laga}", "red", "--data", "nowhere"), "nowhere"),
        (("query", "{laga}", "red", "--view-count", "-1"), "found -1"),
        (("query", "{laga}", "red", "--negatives", ""), "negative phrase"),
        (("query", "{run}/scene.ply", "red"), "Run `vision3d train`"),
        (("evaluate", "{laga}", "nowhere"), "objects.json"),
        (("evaluate", "{laga}", "{run}/laga_cache", "--format", "lerf-ovs"), "annotated frames"),
        (("evaluate", "{laga}", "{data}", "--format", "3d-ovs"), "list of classes"),
        (("evaluate", "{laga}", "{data}", "--format", "scannet"), "labels.ply"),
        (("evaluate", "{laga}", "{data}", "--opacity-threshold", "2"), "found 'instances' and 2.0"),
        (("masks", "nowhere"), "nowhere"),
        (("masks", "{data}", "--proposer", "crayons"), "found 'crayons'"),
        (("masks", "{data}", "--max-side", "0"), "found 0"),
        (("train", "nowhere", "--data", "{data}"), "Fit the scene first"),
        (("train", "{run}/scene.ply", "--data", "nowhere", "--masks", "colours", "--overwrite"), "nowhere"),
        (("train", "{run}", "--data", "{data}", *FLAGS), "--overwrite"),
        (("train", "{run}", "--data", "{data}", "--max-side", "0"), "found 0"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_leave_nothing_behind(
    arguments: tuple[str, ...], named: str, trained: BallFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    places = {"laga": trained.laga, "run": trained.run, "data": trained.data}
    given = [argument.format(**places) for argument in arguments]
    if given[0] != "train":
        given += ["-o", str(tmp_path / "out")]
    before = snapshot(trained.run)
    assert named in _failure(capsys, *given)
    assert snapshot(trained.run) == before
    assert not list(tmp_path.iterdir())


def test_another_encoder_is_refused(
    trained: BallFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    know_colours(monkeypatch, ColourWords("colour words 2"))
    message = _failure(capsys, "query", trained.laga, "red", "-o", tmp_path / "out")
    assert "expected vectors of encoder colour words 2, found vectors of colour words 1" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("masks", ("--out", "--proposer", "--max-side", "contours: borders seen")),
        ("train", ("--data", "--out", "--overwrite", "--masks", "--encoder", "--max-side", "--test-every", "--device",
                   "--laga.engine {lift,trained}", "--laga.lift.grouping", "--laga.crops.background",
                   "--laga.descriptors.aggregation", "MODEL/TAG")),
        ("query", ("--out", "--data", "--click VIEW X Y", "--image", "--negatives", "--views", "--level", "--top",
                   "--save-masks", "--save-scores", "--cosine-gate", "--encoder", "--max-side")),
        ("evaluate", ("--out", "--format {instances,lerf-ovs,3d-ovs,scannet}", "--data", "--views", "--encoder",
                      "--render-threshold")),
    ],
)  # fmt: skip
def test_help_names_every_setting(command: str, settings: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    for setting in settings:
        assert setting in text, setting


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "run"],
        ["train", "run", "--data", "photos", "--laga.engine", "magic"],
        ["query", "-o", "out"],
        ["query", "scene", "red"],
        ["query", "scene", "-o", "out", "--click", "view", "1"],
        ["evaluate", "scene", "bench", "-o", "out", "--format", "coco"],
        ["masks", "photos"],
    ],
)
def test_what_cannot_be_parsed_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err

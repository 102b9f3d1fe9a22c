"""export, edit and view on the command line: what they print, what they write, and what they say when they cannot."""

from __future__ import annotations

import importlib
import json
import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.jobs.small_tabletop import snapshot
from tests.vision3d.export.ball_laga import WHOLE, make_ball_laga, write_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from tests.vision3d.scene.random_scenes import same_bits
from vision3d.cli import main
from vision3d.scene.catalogue import read_splats
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import remove_gaussians, select_gaussians

LEVEL = ("--level", "m", "--neighbours", "1", "--device", "cpu")


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vision3d.export.open_scene.load_encoder", lambda name, device="cpu": ColourWords())


@pytest.fixture(scope="module")
def laga(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball_laga(tmp_path_factory.mktemp("balls") / "run")


@pytest.fixture(scope="module")
def made():
    return make_ball_laga()


def _run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_export_prints_what_it_found_and_where_it_is(laga: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert _run("export", laga, "red", "green", "-o", out, "--format", "ply", "boxes", *LEVEL) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "red: found, relevance 1.00, 160 Gaussians",
        "green: found, relevance 1.00, 480 Gaussians",
        f"01_red.ply, 02_green.ply, boxes.json, export.json in {out}",
    ]
    assert sorted(path.name for path in out.iterdir()) == ["01_red.ply", "02_green.ply", "boxes.json", "export.json"]


def test_an_edited_scene_can_be_asked_and_edited_again(laga: Path, made, tmp_path: Path, capsys) -> None:
    before = snapshot(laga.parent)
    first, second = tmp_path / "first.ply", tmp_path / "second.ply"
    assert _run("edit", laga, "red", "--remove", "-o", first, *LEVEL) == 0
    told = capsys.readouterr().out
    assert f"1,040 Gaussians before, 880 after, in {first} and {tmp_path / 'first.laga.safetensors'}" in told
    assert same_bits(read_splats(first), remove_gaussians(made.laga.scene, made.truth == 0))
    again = tmp_path / "first.laga.safetensors"
    assert _run("edit", again, "red", "--remove", "-o", second, *LEVEL) == 1
    assert "found nothing for 'red'" in capsys.readouterr().err
    assert _run("edit", again, "blue", "--duplicate", "--move", "0", "0", "2", "-o", second, *LEVEL) == 0
    assert len(read_splats(second)) == 880 + 400
    from vision3d.laga.laga_scene import load_laga_scene

    edits = load_laga_scene(tmp_path / "second.laga.safetensors").facts["edits"]
    assert [edit["edit"] for edit in edits] == ["remove", "duplicate"]
    assert snapshot(laga.parent) == before


def _has_only(after: GaussianScene, scene: GaussianScene, red: Tensor) -> bool:
    return same_bits(after, select_gaussians(scene, red))


def _is_blue(after: GaussianScene, scene: GaussianScene, red: Tensor) -> bool:
    return bool((after.sh[red][:, 0, 2] > 1.7).all()) and torch.equal(after.means, scene.means)


def _is_higher(after: GaussianScene, scene: GaussianScene, red: Tensor) -> bool:
    return torch.allclose(after.means[red, 2], scene.means[red, 2] + 1.5)


def _is_turned(after: GaussianScene, scene: GaussianScene, red: Tensor) -> bool:
    return torch.allclose(after.means[red, 1], scene.means[red, 0], atol=1e-5)


def _is_twice_as_large(after: GaussianScene, scene: GaussianScene, red: Tensor) -> bool:
    return torch.allclose(after.log_scales[red], scene.log_scales[red] + math.log(2))


@pytest.mark.parametrize(
    ("flags", "check"),
    [
        (("--isolate",), _has_only),
        (("--recolour", "0", "0", "1", "--no-keep-shading"), _is_blue),
        (("--move", "0", "0", "1.5"), _is_higher),
        (("--rotate", "0", "0", "1", "90", "--pivot", "0", "0", "0"), _is_turned),
        (("--scale", "2"), _is_twice_as_large),
    ],
)
def test_every_edit_does_what_it_says(laga: Path, made, tmp_path: Path, flags: tuple[str, ...], check) -> None:
    out = tmp_path / "edited.ply"
    assert _run("edit", laga, "--object", WHOLE, *flags, "-o", out, "--no-keep-objects") == 0
    assert check(read_splats(out), made.laga.scene, made.truth == 0)
    assert [path.name for path in tmp_path.iterdir()] == ["edited.ply"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("export", "{laga}"), "no phrase, click or object"),
        (("export", "missing.laga.safetensors", "red"), "Run `vision3d train`"),
        (("export", "{laga}", "dim"), "found nothing for 'dim'"),
        (("export", "{laga}", "--object", "77"), "found 77"),
        (("export", "{laga}", "red", "--level", "xl"), "a level of s, m, found 'xl'"),
        (("export", "{laga}", "red", "--frames", "0"), "found 0"),
        (("export", "{laga}", "--click", "view_99", "1", "1"), "view_99"),
        (("export", "{laga}", "red", "--cameras", "nowhere"), "nowhere"),
        (("export", "{laga}", "red", "--words", ""), "empty one"),
        (("export", "{laga}", "red", "--negatives", ""), "negative phrase"),
        (("edit", "{laga}", "red"), "one kind of edit"),
        (("edit", "{laga}", "red", "--remove", "--isolate"), "2 of them"),
        (("edit", "{laga}", "red", "--duplicate"), "without a place"),
        (("edit", "{laga}", "red", "--rotate", "0", "0", "0", "90"), "axis to rotate about"),
        (("edit", "{laga}", "red", "--recolour", "255", "0", "0"), "Divide by 255"),
        (("edit", "{laga}", "red", "--scale", "-1"), "positive scale"),
        (("edit", "{laga}", "--remove"), "no phrase, click or object"),
        (("edit", "{laga}", "red", "--remove", "-o", "{out}/edited.spz"), "found .spz"),
        (("edit", "{laga}", "red", "--remove", "-o", "{run}/scene.ply", "--overwrite"), "scene that is edited"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_leave_nothing_behind(
    arguments: tuple[str, ...], named: str, laga: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    given = [argument.format(laga=laga, run=laga.parent, out=out) for argument in arguments]
    if "-o" not in given:
        given += ["-o", str(out / "edited.ply") if given[0] == "edit" else str(out)]
    before = snapshot(laga.parent)
    assert _run(*given) == 1
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert named in line
    assert "xpected" in line
    assert "found" in line
    assert "Traceback" not in captured.err
    assert len(re.split(r"(?<=[.!?)])\s+", line)) > 1, line
    assert snapshot(laga.parent) == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "scene", "red"),
        ("export", "scene", "red", "-o", "out", "--format", "pdf"),
        ("export", "scene", "red", "-o", "out", "--mesh.resolution", "1"),
        ("edit", "scene", "red", "--remove"),
        ("edit", "scene", "red", "-o", "out.ply", "--move", "1", "2"),
        ("view",),
    ],
)
def test_what_cannot_be_parsed_exits_2(arguments: tuple[str, ...], capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_nothing_is_replaced_unasked(laga: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "edited.ply"
    out.write_text("mine")
    assert _run("edit", laga, "red", "--remove", "-o", out, *LEVEL) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert _run("edit", laga, "red", "--remove", "-o", out, "--overwrite", *LEVEL) == 0
    assert len(read_splats(out)) == 880


def test_view_names_the_line_that_installs_what_it_needs(laga: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.import_module

    def without_viser(name: str):
        if name == "viser":
            raise ModuleNotFoundError("No module named 'viser'", name="viser")
        return known(name)

    monkeypatch.setattr(importlib, "import_module", without_viser)
    assert _run("view", laga) == 1
    assert "pip install 'vision3d-medseg[view]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("export", ("--format", "{ply,splat,mesh,boxes,masks,table}", "--click VIEW X Y", "--object", "--overwrite",
                    "--cameras", "--path {views,orbit}", "--frames", "--mesh-format", "--mesh.resolution", "--words",
                    "--level", "--uncertain-relevance")),
        ("edit", ("--remove", "--isolate", "--recolour RED GREEN BLUE", "--move X Y Z", "--rotate X Y Z DEGREES",
                  "--scale", "--duplicate", "--pivot", "--keep-objects", "--overwrite", "--object")),
        ("view", ("--cameras", "--host", "--port", "--level", "--encoder")),
    ],
)  # fmt: skip
def test_help_names_every_setting(command: str, settings: tuple[str, ...], capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    for setting in settings:
        assert setting in text, setting


def test_the_record_is_json(laga: Path, tmp_path: Path) -> None:
    assert _run("export", laga, "--object", WHOLE, "-o", tmp_path / "out", "--format", "splat") == 0
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["files"] == [f"01_object_{WHOLE}.splat"]

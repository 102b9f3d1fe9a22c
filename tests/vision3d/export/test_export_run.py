"""Exports of a trained scene: every file against the Gaussians it was made of, read by other readers too."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from plyfile import PlyData

from tests.jobs.small_tabletop import snapshot
from tests.vision3d.export.ball_laga import WHOLE, make_ball_laga, write_ball_laga
from tests.vision3d.laga.colour_words import ColourWords
from tests.vision3d.scene.random_scenes import random_scene, same_bits
from vision3d.errors import InvalidInputError, RunFolderError, UnknownViewError, Vision3DError
from vision3d.export.ask_config import AskConfig, Targets
from vision3d.export.export_config import ExportConfig
from vision3d.export.export_run import export_run
from vision3d.export.mesh_config import MeshConfig
from vision3d.laga.query_config import QueryConfig
from vision3d.scene.catalogue import read_splats, write_splats
from vision3d.scene.selection import select_gaussians

ASK = AskConfig(device="cpu", query=QueryConfig(neighbours=1, level="m"))
RED = Targets(phrases=("red",))
MESH = MeshConfig(resolution=24, view_side=48, least_views=1)


@pytest.fixture(scope="module")
def laga(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball_laga(tmp_path_factory.mktemp("balls") / "run")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball_laga(tmp_path_factory.mktemp("bare") / "run", with_cameras=False)


@pytest.fixture(scope="module")
def made():
    return make_ball_laga()


def _export(laga: Path, out: Path, targets: Targets = RED, **config):
    settings = ExportConfig(ask=ASK, mesh=MESH, **config)
    return export_run(laga, targets, out, config=settings, encoder=ColourWords())


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_chosen_gaussians_come_back_bit_by_bit_and_plyfile_reads_them(tmp_path: Path, degree: int) -> None:
    scene = random_scene(300, sh_degree=degree)
    chosen = torch.rand(300) < 0.4
    part = select_gaussians(scene, chosen)
    write_splats(part, tmp_path / "part.ply")
    assert same_bits(read_splats(tmp_path / "part.ply"), part)
    vertex = PlyData.read(tmp_path / "part.ply")["vertex"]
    rest = 3 * ((degree + 1) ** 2 - 1)
    columns = {
        "means": np.stack([vertex[name] for name in "xyz"], 1),
        "quats": np.stack([vertex[f"rot_{axis}"] for axis in range(4)], 1),
        "log_scales": np.stack([vertex[f"scale_{axis}"] for axis in range(3)], 1),
        "opacity_logits": vertex["opacity"],
        "base": np.stack([vertex[f"f_dc_{axis}"] for axis in range(3)], 1),
    }
    truth = {name: getattr(part, name) for name in ("means", "quats", "log_scales", "opacity_logits")}
    for name, values in (truth | {"base": part.sh[:, 0]}).items():
        assert np.array_equal(columns[name].view(np.int32), values.numpy().view(np.int32)), name
    assert len([one for one in vertex.properties if one.name.startswith("f_rest_")]) == rest


def test_a_phrase_in_every_format(laga: Path, made, tmp_path: Path) -> None:
    report = _export(
        laga,
        tmp_path / "out",
        formats=("ply", "splat", "mesh", "boxes", "masks", "table"),
        views=("view_01", "view_03"),
    )
    out = tmp_path / "out"
    expected = select_gaussians(made.laga.scene, made.truth == 0)
    assert same_bits(read_splats(out / "01_red.ply"), expected)
    assert torch.equal(read_splats(out / "01_red.splat").means, expected.means)
    mesh = trimesh.load(out / "01_red_mesh.ply")
    assert np.linalg.norm(mesh.vertices.mean(0) - [0, 0, 0.35]) < 0.15
    (box,) = json.loads((out / "boxes.json").read_text())["objects"]
    assert box["centroid"] == pytest.approx(expected.means.mean(0).tolist(), abs=1e-4)
    mask = np.asarray(Image.open(out / "masks" / "01_red" / "02_view_03.png"))
    truth = make_ball_laga().balls.labels[3] == 0
    assert ((mask == 255) & truth).sum() / ((mask == 255) | truth).sum() > 0.85
    assert len(json.loads((out / "masks.json").read_text())["images"]) == 2
    rows = list(csv.DictReader((out / "objects.csv").open()))
    assert len(rows) == made.laga.object_count
    assert rows[WHOLE]["views"] == "8"
    record = json.loads((out / "export.json").read_text())
    assert record["things"] == [
        {"name": "red", "file": "01_red", "status": "found", "relevance": pytest.approx(1.0, abs=1e-3),
         "gaussians": 160, "objects": [WHOLE]}
    ]  # fmt: skip
    assert {path.name for path in report.files} == {path.name for path in out.iterdir()}


def test_objects_by_number_need_no_encoder_and_clicks_find_them(laga: Path, made, tmp_path: Path) -> None:
    settings = ExportConfig(ask=ASK)
    export_run(laga, Targets(objects=(WHOLE, 0)), tmp_path / "numbers", config=settings)
    assert len(read_splats(tmp_path / "numbers" / f"01_object_{WHOLE}.ply")) == 160
    assert len(read_splats(tmp_path / "numbers" / "02_object_0.ply")) == 80
    rows, columns = np.nonzero(made.balls.labels[2] == 0)
    place = ("view_02", float(columns.mean()), float(rows.mean()))
    report = _export(laga, tmp_path / "click", Targets(click=place))
    assert report.picked[0].objects == (WHOLE,)


def test_the_table_alone_needs_nothing_to_look_for(laga: Path, tmp_path: Path) -> None:
    report = _export(laga, tmp_path / "table", Targets(), formats=("table",), words=("green", "red"))
    assert report.picked == ()
    rows = json.loads((tmp_path / "table" / "objects.json").read_text())
    assert rows[WHOLE]["words"][0]["word"] == "red"


def test_bare_splats_are_seen_from_an_orbit_and_from_all_around(bare: Path, tmp_path: Path) -> None:
    _export(bare, tmp_path / "out", formats=("mesh", "masks", "table"), frames=3, max_side=32)
    assert len(json.loads((tmp_path / "out" / "masks.json").read_text())["images"]) == 3
    mesh = trimesh.load(tmp_path / "out" / "01_red_mesh.ply")
    assert np.linalg.norm(mesh.vertices.mean(0) - [0, 0, 0.35]) < 0.1
    rows = list(csv.DictReader((tmp_path / "out" / "objects.csv").open()))
    assert rows[0]["views"] == ""


def test_an_orbit_around_known_cameras_has_their_size(laga: Path, tmp_path: Path) -> None:
    _export(laga, tmp_path / "out", formats=("masks",), path="orbit", frames=2)
    images = json.loads((tmp_path / "out" / "masks.json").read_text())["images"]
    assert [(image["width"], image["height"]) for image in images] == [(64, 64)] * 2


@pytest.mark.parametrize(
    ("targets", "config", "error", "said"),
    [
        (Targets(), {}, InvalidInputError, "no phrase, click or object"),
        (Targets(phrases=("dim",)), {}, InvalidInputError, "found nothing for 'dim'"),
        (Targets(phrases=("sofa",)), {}, InvalidInputError, "never learned: sofa"),
        (Targets(phrases=("red", "red")), {}, InvalidInputError, "red several times"),
        (Targets(objects=(99,)), {}, InvalidInputError, "found 99"),
        (Targets(objects=(-1,)), {}, InvalidInputError, "found -1"),
        (Targets(click=("view_99", 1.0, 1.0)), {}, UnknownViewError, "view_99"),
        (Targets(click=("view_00", 64.0, 1.0)), {}, InvalidInputError, "inside the image"),
        (RED, {"formats": ("masks",), "views": ("view_99",)}, UnknownViewError, "view_99"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_leaves_nothing_behind(
    laga: Path, tmp_path: Path, targets: Targets, config: dict, error: type[Vision3DError], said: str
) -> None:
    before = snapshot(laga.parent)
    with pytest.raises(error, match=said):
        _export(laga, tmp_path / "out", targets, **config)
    assert not (tmp_path / "out").exists()
    assert snapshot(laga.parent) == before


def test_nothing_is_replaced_unasked(laga: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "01_red.ply").write_text("mine")
    with pytest.raises(RunFolderError, match="--overwrite"):
        _export(laga, out)
    assert snapshot(out) == {"01_red.ply": b"mine"}
    export_run(laga, RED, out, config=ExportConfig(ask=ASK), overwrite=True, encoder=ColourWords())
    assert len(read_splats(out / "01_red.ply")) == 160


def test_clicks_and_named_views_need_cameras(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="--cameras"):
        _export(bare, tmp_path / "out", Targets(click=("view_00", 1.0, 1.0)))
    with pytest.raises(InvalidInputError, match="--cameras"):
        _export(bare, tmp_path / "out", formats=("masks",), views=("view_00",))


def test_cameras_may_lie_elsewhere(laga: Path, bare: Path, tmp_path: Path) -> None:
    _export(bare, tmp_path / "out", formats=("masks",), cameras=laga.parent)
    assert len(json.loads((tmp_path / "out" / "masks.json").read_text())["images"]) == 8

"""A saved scene against benchmarks in their own layouts: scores, report, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.vision3d.laga.ball_files import CONFIG, HELD_OUT, BallFiles, know_colours, write_ball_files
from tests.vision3d.laga.ball_scene import SIZE
from tests.vision3d.laga.colour_words import ColourWords
from vision3d.errors import InvalidInputError, UnknownViewError
from vision3d.evaluation.evaluate_config import FORMATS, EvaluateConfig
from vision3d.evaluation.evaluate_run import evaluate_run
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.train_scene import train_scene

_CONFIG = EvaluateConfig(device="cpu", query=QueryConfig(neighbours=1))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BallFiles:
    written = write_ball_files(tmp_path_factory.mktemp("balls"))
    with pytest.MonkeyPatch.context() as patch:
        know_colours(patch)
        train_scene(written.run, written.data, config=CONFIG)
    return written


def _evaluate(files: BallFiles, benchmark: Path, out: Path, **changes) -> dict:
    evaluate_run(files.laga, benchmark, out, config=replace(_CONFIG, **changes), encoder=ColourWords())
    return json.loads((out / "evaluation.json").read_text(encoding="utf-8"))


def test_instances_are_scored_on_held_out_views(files: BallFiles, tmp_path: Path) -> None:
    content = _evaluate(files, files.data, tmp_path)
    assert content["views"] == list(HELD_OUT)
    assert content["views_in_training"] is False
    # three phrases in two views, all found where they are: only pixels along the borders differ
    assert content["pairs"] == 6
    assert content["macro"]["mIoU"] > 0.8
    assert content["macro"]["localisation"] == 1.0
    presence = content["presence"]
    assert (presence["answered"], presence["refused"]) == (1.0, 1.0)
    assert set(presence["kinds"]) == {"name", "category"}
    assert presence["wrongly_refused"] == presence["wrongly_answered"] == []
    assert content["thresholds"]["cosine gate"] == ColourWords.cosine_gate
    assert content["encoder_id"] == "colour words 1"
    text = (tmp_path / "evaluation.md").read_text(encoding="utf-8")
    assert "| absent phrases refused | 100.0 |" in text
    assert "| green | 2 |" in text


def test_the_scores_are_those_of_the_masks(files: BallFiles, tmp_path: Path) -> None:
    from vision3d.cameras.camera_files import load_cameras
    from vision3d.laga.laga_scene import load_laga_scene

    content = _evaluate(files, files.data, tmp_path, views=("view_03",))
    assert content["views_in_training"] is True
    queries = SceneQueries(load_laga_scene(files.laga), ColourWords(), config=_CONFIG.query)
    cameras = load_cameras(files.run / "cameras.json").cameras.select(["view_03.png"])
    mask = queries.masks(queries.text("green"), cameras)[0].numpy()
    truth = np.isin(np.asarray(Image.open(files.data / "masks" / "view_03.png")), (2, 3, 4))
    (query,) = [entry for entry in content["scenes"]["data"]["queries"] if entry["phrase"] == "green"]
    assert query["intersection"] == int((mask & truth).sum())
    assert query["union"] == int((mask | truth).sum())


def test_a_scene_that_sees_less_says_so(files: BallFiles, tmp_path: Path) -> None:
    # nothing reaches a cosine of 1, so everything is refused: the present phrases wrongly
    content = _evaluate(files, files.data, tmp_path, query=replace(_CONFIG.query, cosine_gate=1.1))
    assert content["macro"]["mIoU"] == 0.0
    assert content["presence"]["answered"] == 0.0
    assert content["presence"]["wrongly_refused"] == ["red", "green", "blue"]


def test_published_layouts_name_their_views_by_stem_and_have_their_own_size(files: BallFiles, tmp_path: Path) -> None:
    truth = np.asarray(Image.open(files.data / "masks" / "view_02.png")) == 1
    rows, columns = np.nonzero(truth)
    left, top, right, bottom = (int(edge) for edge in (columns.min(), rows.min(), columns.max(), rows.max()))
    lerf = tmp_path / "label"
    lerf.mkdir()
    # twice the size of the photos, as annotations of reduced photos are
    corners = [[2 * left, 2 * top], [2 * right, 2 * top], [2 * right, 2 * bottom], [2 * left, 2 * bottom]]
    entry = {"category": "red", "segmentation": corners, "bbox": [2 * left, 2 * top, 2 * right, 2 * bottom]}
    info = {"name": "view_02.jpg", "height": 2 * SIZE, "width": 2 * SIZE}
    (lerf / "frame_00002.json").write_text(json.dumps({"info": info, "objects": [entry]}))
    content = _evaluate(files, lerf, tmp_path / "lerf", format="lerf-ovs")
    (query,) = content["scenes"]["label"]["queries"]
    # a disc fills pi / 4 of its box
    assert query["iou"] == pytest.approx(np.pi / 4, abs=0.1)
    assert query["localised"] is True
    assert "presence" not in content

    ovs = tmp_path / "ovs"
    (ovs / "segmentations" / "view_02").mkdir(parents=True)
    (ovs / "segmentations" / "classes.txt").write_text("red\n")
    Image.fromarray(truth.astype(np.uint8) * 255).save(ovs / "segmentations" / "view_02" / "red.png")
    content = _evaluate(files, ovs, tmp_path / "out", format="3d-ovs", data=files.data)
    assert content["benchmark"] == "3D-OVS"
    assert content["macro"]["mIoU"] > 0.8


def test_scannet_labels_the_gaussians_on_the_vertices(
    files: BallFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vision3d.evaluation.scannet import CLASS_NAMES
    from vision3d.laga.laga_scene import load_laga_scene

    laga = load_laga_scene(files.laga)
    count = len(laga.scene)
    # the encoder has no words for furniture: wall is the word for red here, floor for blue
    monkeypatch.setitem(CLASS_NAMES, 1, "red")
    monkeypatch.setitem(CLASS_NAMES, 2, "blue")
    labels = torch.zeros(count, dtype=torch.long)
    labels[:160], labels[-400:] = 1, 2
    _write_scan(tmp_path / "scene0000_00_vh_clean_2.labels.ply", laga.scene.means.numpy(), labels.numpy())
    content = _evaluate(files, tmp_path, tmp_path / "out", format="scannet")
    classes = content["sets"]["10"]["scenes"]["scene0000_00"]["classes"]
    assert set(classes) == {"red", "blue"}
    # what is hidden from all views is in no object and stays unlabelled
    assert classes["red"]["accuracy"] > 0.85
    assert classes["red"]["IoU"] > 0.85
    assert content["thresholds"]["opacity"] == 0.1
    _write_scan(tmp_path / "scene0000_00_vh_clean_2.labels.ply", laga.scene.means.numpy()[:-1], labels.numpy()[:-1])
    with pytest.raises(InvalidInputError, match=f"each of the {count - 1} vertices, found {count} Gaussians"):
        _evaluate(files, tmp_path, tmp_path / "none", format="scannet")
    shifted = laga.scene.means.numpy() + np.float32(0.1)
    _write_scan(tmp_path / "scene0000_00_vh_clean_2.labels.ply", shifted, labels.numpy())
    with pytest.raises(InvalidInputError, match=r"one 0.17 m away"):  # 0.1 along each axis
        _evaluate(files, tmp_path, tmp_path / "none", format="scannet")
    assert not (tmp_path / "none").exists()


def _write_scan(path: Path, positions: np.ndarray, labels: np.ndarray) -> None:
    rows = np.zeros(len(positions), dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("label", "<u2")])
    for axis, name in enumerate("xyz"):
        rows[name] = positions[:, axis]
    rows["label"] = labels
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    lines += [f"property float {name}" for name in "xyz"] + ["property ushort label", "end_header"]
    path.write_bytes("\n".join(lines).encode() + b"\n" + rows.tobytes())


def test_what_cannot_be_evaluated_leaves_nothing_behind(files: BallFiles, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InvalidInputError, match=r"expected objects.json"):
        _evaluate(files, tmp_path, out)
    with pytest.raises(InvalidInputError, match=r"expected annotated frames"):
        _evaluate(files, tmp_path, out, format="lerf-ovs")
    with pytest.raises(UnknownViewError, match="found 'view_77'"):
        _evaluate(files, files.data, out, views=("view_77",))
    with pytest.raises(InvalidInputError, match="expected vectors of encoder other"):
        evaluate_run(files.laga, files.data, out, config=_CONFIG, encoder=ColourWords("other"))
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("scene.ply", "scene.laga.safetensors"):
        (bare / name).write_bytes((files.run / name).read_bytes())
    with pytest.raises(InvalidInputError, match="Pass --data PHOTOS"):
        evaluate_run(bare, files.data, out, config=_CONFIG, encoder=ColourWords())
    lerf = tmp_path / "label"
    lerf.mkdir()
    entry = {"category": "red", "segmentation": [[0, 0], [5, 0], [5, 5]], "bbox": [0, 0, 5, 5]}
    info = {"name": "view_02.jpg", "height": SIZE, "width": 2 * SIZE}
    (lerf / "frame_00002.json").write_text(json.dumps({"info": info, "objects": [entry]}))
    with pytest.raises(InvalidInputError, match="64 x 64, found 128 x 64"):
        _evaluate(files, lerf, out, format="lerf-ovs")
    assert not out.exists()


def test_every_format_of_the_type_is_listed(unchecked_shapes: None) -> None:
    from typing import get_args, get_type_hints

    assert get_args(get_type_hints(EvaluateConfig)["format"]) == tuple(FORMATS)
    with pytest.raises(InvalidInputError, match="found 'coco'"):
        EvaluateConfig(format="coco")  # type: ignore[arg-type]

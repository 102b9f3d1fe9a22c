"""`ns-train laga` on what other tools left: runs of splatfacto in their true layout, COLMAP models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("nerfstudio", reason="needs nerfstudio: pip install 'vision3d-medseg[nerfstudio]'")

from tests.vision3d.laga.ball_files import BallFiles, write_ball_files
from tests.vision3d.laga.colour_words import ColourWords
from tests.vision3d.nerfstudio_plugin.small_run import know_colours, small_config, train
from tests.vision3d.nerfstudio_plugin.splatfacto_runs import (
    name_applied_transform,
    nerfstudio_parser,
    write_checkpoint,
    write_colmap_model,
    write_splatfacto_run,
)
from vision3d.laga.laga_scene import LagaScene, load_laga_scene
from vision3d.laga.query_scene import SceneQueries, query_scene
from vision3d.laga.scene_files import find_scene_files, read_views
from vision3d.scene.selection import select_gaussians


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BallFiles:
    know_colours(monkeypatch)
    return write_ball_files(tmp_path)


def _laga_of(config: Any) -> LagaScene:
    return load_laga_scene(config.get_base_dir() / "scene.laga.safetensors")


@pytest.mark.parametrize("processed", [False, True], ids=["plain", "ns-process-data"])
@pytest.mark.parametrize("named", ["folder", "nerfstudio_models", "checkpoint"])
def test_a_run_of_splatfacto_comes_back_to_the_cameras(
    files: BallFiles, tmp_path: Path, named: str, processed: bool
) -> None:
    if processed:
        name_applied_transform(files)
    run = write_splatfacto_run(files, tmp_path / "data/splatfacto/2025-01-31_101112")
    start = {"folder": run.folder, "nerfstudio_models": run.checkpoint.parent, "checkpoint": run.checkpoint}[named]
    config = small_config(files, tmp_path / "out", start=start)
    train(config)
    laga = _laga_of(config)
    torch.testing.assert_close(laga.scene.means, run.world.means, atol=1e-5, rtol=0)
    torch.testing.assert_close(laga.scene.log_scales, run.world.log_scales, atol=1e-5, rtol=0)
    red, missing = query_scene(laga, ["red", "zebra"], ColourWords())
    assert red.status == "found"
    assert missing.status == "not found"


@pytest.mark.parametrize("start", ["splatfacto", "ply"])
def test_the_training_frame_of_another_parser_is_kept(files: BallFiles, tmp_path: Path, start: str) -> None:
    name_applied_transform(files)
    run = write_splatfacto_run(files, tmp_path / "splatfacto")
    config = small_config(
        files, tmp_path / "out", start=run.folder if start == "splatfacto" else files.run / "scene.ply"
    )
    config.pipeline.datamanager.dataparser = nerfstudio_parser(files.data)
    metrics, _ = train(config).pipeline.get_eval_image_metrics_and_images(0)
    assert metrics["psnr"] > 30


def test_a_run_of_ours_on_a_processed_data_set_can_be_the_start_again(files: BallFiles, tmp_path: Path) -> None:
    name_applied_transform(files)
    first = small_config(files, tmp_path / "first", start=files.run / "scene.ply")
    train(first)
    second = small_config(files, tmp_path / "second", start=first.get_base_dir())
    train(second)
    torch.testing.assert_close(_laga_of(second).scene.means, _laga_of(first).scene.means, atol=1e-5, rtol=0)


def test_the_checkpoint_that_is_named_is_the_start(files: BallFiles, tmp_path: Path) -> None:
    run = write_splatfacto_run(files, tmp_path / "splatfacto")
    write_checkpoint(select_gaussians(run.world, torch.arange(7)), run.checkpoint.with_name("step-000040000.ckpt"))
    config = small_config(files, tmp_path / "out", start=run.checkpoint)
    train(config)
    assert len(_laga_of(config).scene) == len(run.world)


def test_a_colmap_model_is_trained_and_can_be_asked(files: BallFiles, tmp_path: Path) -> None:
    write_colmap_model(files)
    config = small_config(files, tmp_path / "out")
    train(config)
    laga = _laga_of(config)
    posed = read_views(files.data, find_scene_files(config.get_base_dir()))
    assert posed.source == "colmap"
    queries = SceneQueries(laga, ColourWords())
    assert queries.text("zebra").status == "not found"
    camera = posed.cameras.select(posed.cameras.names[1:2])
    width, height = camera.uniform_size
    assert queries.click(camera, x=width / 2, y=height / 2).status == "found"
    assert int(queries.click(camera, x=width / 2, y=height / 2).chosen.sum()) > 0

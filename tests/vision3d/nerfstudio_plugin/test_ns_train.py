"""`ns-train laga` from photos to an answer, in this process: train, resume, start from splats, export, render."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

pytest.importorskip("nerfstudio", reason="needs nerfstudio: pip install 'vision3d-medseg[nerfstudio]'")

from nerfstudio.scripts.exporter import ExportGaussianSplat
from nerfstudio.utils.eval_utils import eval_setup

from tests.vision3d.laga.ball_files import BallFiles, write_ball_files
from tests.vision3d.laga.colour_words import ColourWords
from tests.vision3d.nerfstudio_plugin.small_run import FIT, STEPS, know_colours, small_config, train
from vision3d.cameras.camera_files import load_cameras
from vision3d.errors import InvalidInputError
from vision3d.laga.laga_scene import load_laga_scene
from vision3d.laga.query_scene import query_scene
from vision3d.laga.scene_files import find_scene_files, read_views
from vision3d.reconstruction.densification.default import DefaultConfig
from vision3d.rendering.render_views import render_views
from vision3d.scene.catalogue import read_splats
from vision3d.scene.checkpoints import newest_nerfstudio_checkpoint, read_nerfstudio_run
from vision3d.scene.gaussian_scene import GaussianScene


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BallFiles:
    know_colours(monkeypatch)
    return write_ball_files(tmp_path)


def _same(one: GaussianScene, other: GaussianScene) -> bool:
    return all(torch.equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))


def test_a_run_ends_in_a_scene_that_can_be_asked(files: BallFiles, tmp_path: Path) -> None:
    config = small_config(files, tmp_path / "out")
    trainer = train(config)
    run = config.get_base_dir()
    laga = load_laga_scene(run / "scene.laga.safetensors")
    assert laga.facts["step"] == STEPS
    assert len(laga.scene) == 330
    assert trainer.pipeline.model.answers.shown.laga.facts["step"] == STEPS
    assert _same(laga.scene, read_nerfstudio_run(run))
    assert {path.name for path in run.iterdir()} >= {"scene.ply", "cameras.json", "report.json", "config.yml"}
    assert read_views(files.data, find_scene_files(run)).cameras.names
    (answer,) = query_scene(laga, ["zebra"], ColourWords())
    assert answer.status == "not found"


def test_a_run_that_was_cut_ends_where_it_would_have_ended(files: BallFiles, tmp_path: Path) -> None:
    whole = small_config(files, tmp_path / "whole")
    train(whole)
    cut = small_config(files, tmp_path / "cut")
    cut.steps_per_save = 10
    trainer = cut.setup()
    trainer.setup()
    trainer.config.max_num_iterations = 11
    trainer.config.viewer.quit_on_train_completion = True
    trainer.train()
    rest = small_config(files, tmp_path / "rest")
    rest.load_dir = cut.get_checkpoint_dir()
    resumed = train(rest)
    assert resumed.step == STEPS - 1
    assert newest_nerfstudio_checkpoint(rest.get_base_dir()).name == f"step-{STEPS - 1:09d}.ckpt"
    assert _same(read_nerfstudio_run(rest.get_base_dir()), read_nerfstudio_run(whole.get_base_dir()))


def test_a_finished_run_is_not_trained_on(files: BallFiles, tmp_path: Path) -> None:
    first = small_config(files, tmp_path / "one")
    train(first)
    again = small_config(files, tmp_path / "two")
    again.load_dir = first.get_checkpoint_dir()
    train(again)
    assert _same(read_nerfstudio_run(again.get_base_dir()), read_nerfstudio_run(first.get_base_dir()))


def test_given_splats_are_not_trained_and_can_be_asked(files: BallFiles, tmp_path: Path) -> None:
    config = small_config(files, tmp_path / "out", start=files.run / "scene.ply")
    train(config)
    laga = load_laga_scene(config.get_base_dir() / "scene.laga.safetensors")
    given = read_splats(files.run / "scene.ply")
    assert torch.equal(laga.scene.means, given.means)
    red, missing = query_scene(laga, ["red", "zebra"], ColourWords())
    assert red.status == "found"
    assert missing.status == "not found"
    colours = render_views(laga.scene, load_cameras(config.get_base_dir() / "cameras.json").cameras).colour
    expected = render_views(given, load_cameras(config.get_base_dir() / "cameras.json").cameras).colour
    assert float((colours - expected).abs().max()) < 1e-6


def test_a_nerfstudio_run_can_be_the_start(files: BallFiles, tmp_path: Path) -> None:
    first = small_config(files, tmp_path / "first")
    train(first)
    run = first.get_base_dir()
    # a run of splatfacto lies in a frame of its own
    (run / "dataparser_transforms.json").write_text(
        json.dumps({"transform": [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0]], "scale": 2.0})
    )
    second = small_config(files, tmp_path / "second", start=run)
    train(second)
    means = read_nerfstudio_run(second.get_base_dir()).means
    torch.testing.assert_close(means, read_nerfstudio_run(run, undo_dataparser=True).means)


def test_the_export_looks_like_the_model(files: BallFiles, tmp_path: Path) -> None:
    config = small_config(files, tmp_path / "out", start=files.run / "scene.ply")
    train(config)
    run = config.get_base_dir()
    ExportGaussianSplat(load_config=run / "config.yml", output_dir=tmp_path / "export").main()
    cameras = load_cameras(run / "cameras.json").cameras
    exported = render_views(read_splats(tmp_path / "export/splat.ply"), cameras).colour
    assert float((exported - render_views(read_splats(run / "scene.ply"), cameras).colour).abs().max()) < 1e-3


def test_a_configuration_loads_and_renders(files: BallFiles, tmp_path: Path) -> None:
    config = small_config(files, tmp_path / "out", start=files.run / "scene.ply")
    train(config)
    _, pipeline, _, _ = eval_setup(config.get_base_dir() / "config.yml", test_mode="test")
    camera, _ = pipeline.datamanager.next_eval_image(0)
    outputs = pipeline.model.get_outputs_for_camera(camera)
    assert set(outputs) == {"rgb", "accumulation", "depth"}
    metrics, images = pipeline.get_eval_image_metrics_and_images(0)
    assert set(metrics) == {"psnr", "ssim", "num_rays"}
    assert metrics["psnr"] > 30
    assert images["img"].shape == (64, 128, 3)


def test_gradient_driven_densification_runs_too(files: BallFiles, tmp_path: Path) -> None:
    fit = replace(FIT, densifier="default", default=DefaultConfig(start=0.2, stop=0.9, every=5, grow_gradient=1e-7))
    config = small_config(files, tmp_path / "out", fit=fit)
    trainer = train(config)
    assert len(trainer.pipeline.model.splats["means"]) > FIT.initial_count


def test_photos_with_alpha_stand_on_white_after_loading_too(files: BallFiles, tmp_path: Path) -> None:
    for path in sorted((files.data / "images").iterdir()):
        picture = Image.open(path).convert("RGBA")
        picture.putpixel((0, 0), (0, 0, 0, 0))
        picture.save(path)
    config = small_config(files, tmp_path / "out", start=files.run / "scene.ply")
    train(config)
    _, pipeline, _, _ = eval_setup(config.get_base_dir() / "config.yml", test_mode="test")
    assert pipeline.model.background.tolist() == [1.0, 1.0, 1.0]


def test_what_goes_wrong_beside_the_training_stops_it(files: BallFiles, tmp_path: Path) -> None:
    config = small_config(files, tmp_path / "out")
    objects = config.pipeline.model.objects
    config.pipeline.model.objects = type(objects)(masks="no such proposer", encoder="colour words")
    with pytest.raises(InvalidInputError, match="no such proposer"):
        train(config)


def test_another_data_parser_trains_in_its_own_frame(files: BallFiles, tmp_path: Path) -> None:
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

    config = small_config(files, tmp_path / "out", start=files.run / "scene.ply")
    config.pipeline.datamanager.dataparser = NerfstudioDataParserConfig(
        data=files.data, downscale_factor=1, eval_mode="interval", eval_interval=4
    )
    trainer = train(config)
    metrics, _ = trainer.pipeline.get_eval_image_metrics_and_images(0)
    assert metrics["psnr"] > 30

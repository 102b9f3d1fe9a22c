"""From a folder of photos to a scene on disk: every file, every figure, cuts, repeats and refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.jobs.small_tabletop import FLAGS, SIDE, small_tabletop, snapshot, tiny_config
from tests.vision3d.reconstruction.test_report_page import outline
from vision3d.cameras.camera_files import load_cameras
from vision3d.cameras.catalogue import read_posed_photos
from vision3d.cameras.load_photos import load_photos
from vision3d.errors import InvalidInputError, RunFolderError
from vision3d.reconstruction.evaluate_views import photo_of
from vision3d.reconstruction.fit_scene import FitReport, choose_device, fit_scene
from vision3d.reconstruction.image_metrics import psnr, ssim
from vision3d.rendering.render_views import render_views
from vision3d.scene.catalogue import read_splats
from vlm_bridge.errors import RunFolderError as VlmRunFolderError
from vlm_bridge.runs.checkpoints import read_checkpoint

RESULTS = {"scene.ply", "cameras.json", "report.json", "index.html", "config.json", "metrics.jsonl"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tabletop(tmp_path_factory.mktemp("tabletop") / "scene")


@pytest.fixture(scope="module")
def fitted(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FitReport, Path]:
    """A finished fit; tests that change anything copy it."""
    output = tmp_path_factory.mktemp("fitted") / "run"
    return fit_scene(scene, output, tiny_config()), output


@pytest.fixture
def copied(fitted: tuple[FitReport, Path], tmp_path: Path) -> Path:
    """The finished fit once more, free to be changed."""
    for name, content in snapshot(fitted[1]).items():
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_bytes(content)
    return tmp_path / "run"


def test_every_file_is_written_whole(fitted: tuple[FitReport, Path]) -> None:
    report, output = fitted
    names = {path.name for path in output.iterdir() if path.is_file()}
    assert names == RESULTS
    assert not list(output.rglob("*.partial"))
    assert report.scene_path == output / "scene.ply"
    page = outline((output / "index.html").read_text(encoding="utf-8"))
    linked = [image["src"] for image in page.images]
    assert len(linked) == 1 + 2  # the orbit and two held-out views
    for source in linked:
        assert source is not None
        with Image.open(output / source) as picture:
            assert picture.size[1] == SIDE
    record = json.loads((output / "config.json").read_text())
    assert record["config"]["fit"]["steps"] == 60
    assert len(record["inputs"]) == 8
    assert torch.__version__.startswith(record["versions"]["torch"])


def test_figures_agree_with_the_files(fitted: tuple[FitReport, Path], scene: Path) -> None:
    report, output = fitted
    told = json.loads((output / "report.json").read_text())
    splats, stored = read_splats(output / "scene.ply"), load_cameras(output / "cameras.json")
    assert len(splats) == report.gaussians == told["gaussians"]
    assert 500 < report.gaussians <= 600
    assert report.train_views == 6
    assert len(stored.cameras) == 8
    assert [score["name"] for score in told["scores"]] == list(stored.test)
    assert stored.test == (stored.cameras.names[0], stored.cameras.names[4])  # every fourth
    photos = load_photos(read_posed_photos(scene), max_side=SIDE)
    for score in told["scores"]:
        image = render_views(splats, stored.cameras.select([score["name"]])).colour.clamp(0, 1)
        truth = photo_of(photos, score["name"])
        assert score["psnr"] == pytest.approx(psnr(image, truth), abs=1e-6)
        assert score["ssim"] == pytest.approx(float(ssim(image, truth)), abs=1e-6)
    assert told["mean_psnr"] == pytest.approx(sum(score["psnr"] for score in told["scores"]) / 2)
    assert told["mean_psnr"] == report.mean_psnr


def test_more_steps_score_higher(fitted: tuple[FitReport, Path], scene: Path, tmp_path: Path) -> None:
    assert fitted[0].mean_psnr > fit_scene(scene, tmp_path / "start", tiny_config(steps=1)).mean_psnr + 0.5


def test_the_same_command_gives_the_same_files(fitted: tuple[FitReport, Path], scene: Path, tmp_path: Path) -> None:
    fit_scene(scene, tmp_path / "again", tiny_config())
    first, second = snapshot(fitted[1]), snapshot(tmp_path / "again")
    assert first.keys() == second.keys()
    timed = {"report.json", "index.html"}  # seconds and memory
    alike = {name for name in first if name not in timed and not name.startswith("checkpoints")}
    assert all(first[name] == second[name] for name in alike)
    assert _without_time(first["report.json"]) == _without_time(second["report.json"])
    _assert_same_checkpoints(fitted[1], tmp_path / "again")


def _assert_same_checkpoints(first: Path, second: Path) -> None:
    """By content: safetensors writes the entries of its header in any order."""
    for path in sorted((first / "checkpoints").iterdir()):
        one, other = read_checkpoint(path), read_checkpoint(second / "checkpoints" / path.name)
        assert one.tensors.keys() == other.tensors.keys()
        assert all(torch.equal(value, other.tensors[name]) for name, value in one.tensors.items())


def _without_time(report: bytes) -> dict:
    return {k: v for k, v in json.loads(report).items() if k not in ("seconds", "peak_memory_gb")}


def test_a_killed_fit_goes_on_and_ends_the_same(fitted: tuple[FitReport, Path], scene: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    command = [sys.executable, "-m", "vision3d.cli", "fit", str(scene), "-o", str(output), *FLAGS]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    try:
        _wait_for(lambda: list((output / "checkpoints").glob("*.safetensors")), process)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not (output / "scene.ply").exists()
    (output / "checkpoints" / ".step_00000060.safetensors.0123abcd.partial").write_bytes(b"half")  # a torn write
    report = fit_scene(scene, output, tiny_config())
    first, second = snapshot(fitted[1]), snapshot(output)
    assert first.keys() == second.keys()
    same = {name for name in first if name.startswith(("scene", "cameras", "previews", "config"))}
    assert len(same) == 6
    assert [name for name in same if first[name] != second[name]] == []
    _assert_same_checkpoints(fitted[1], output)
    assert _without_time(first["report.json"]) == _without_time(second["report.json"])
    assert report.mean_psnr == fitted[0].mean_psnr
    steps = [json.loads(line)["step"] for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert steps == [50, 60]


def _wait_for(ready: Callable[[], object], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120  # a first run also compiles the kernels
    while not ready():
        assert process.poll() is None, "the fit ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint within two minutes"
        time.sleep(0.002)


@pytest.mark.parametrize("missing", ["report.json", "index.html"])
def test_a_cut_while_results_are_written_is_not_finished(copied: Path, scene: Path, missing: str) -> None:
    # report.json is written last: without it the run goes on from its checkpoint and writes everything again
    before = snapshot(copied)
    (copied / "report.json").unlink()
    (copied / missing).unlink(missing_ok=True)
    fit_scene(scene, copied, tiny_config())
    after = snapshot(copied)
    assert before.keys() == after.keys()
    assert before["scene.ply"] == after["scene.ply"]


def test_a_finished_run_is_left_alone(copied: Path, scene: Path) -> None:
    before = snapshot(copied)
    with pytest.raises(RunFolderError, match=r"expected an empty folder .* found a finished one.*--overwrite"):
        fit_scene(scene, copied, tiny_config())
    with pytest.raises(RunFolderError, match="finished"):
        fit_scene(scene, copied, tiny_config(steps=61))
    assert snapshot(copied) == before


def test_overwrite_replaces_it_and_leaves_nothing_of_it(copied: Path, scene: Path) -> None:
    (copied / "notes.txt").write_text("mine")
    (copied / "previews" / "view_009.png").write_bytes(b"stale")
    report = fit_scene(scene, copied, tiny_config(steps=30, test_every=0), overwrite=True)
    assert report.scores == ()
    told = json.loads((copied / "report.json").read_text(), parse_constant=_refuse)
    assert told["mean_psnr"] is None
    assert "none held out" in (copied / "index.html").read_text()
    names = set(snapshot(copied))
    assert names - {f"previews/view_{row:03d}.png" for row in range(4)} == RESULTS | {
        "notes.txt", "previews/orbit.webp", "checkpoints/step_00000020.safetensors",
    }  # fmt: skip
    assert json.loads((copied / "config.json").read_text())["config"]["fit"]["steps"] == 30


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_overwrite_destroys_nothing_when_the_scene_cannot_be_read(copied: Path, scene: Path, tmp_path: Path) -> None:
    broken = small_tabletop(tmp_path / "broken")
    next((broken / "images").iterdir()).write_bytes(b"no photo")
    before = snapshot(copied)
    with pytest.raises(Exception, match="expected"):
        fit_scene(broken, copied, tiny_config(), overwrite=True)
    assert snapshot(copied) == before


def test_an_interrupted_run_goes_on_also_with_overwrite(
    copied: Path, scene: Path, capfd: pytest.CaptureFixture
) -> None:
    (copied / "report.json").unlink()
    newest = (copied / "checkpoints" / "step_00000040.safetensors").stat().st_mtime_ns
    fit_scene(scene, copied, tiny_config(), overwrite=True)
    assert (copied / "checkpoints" / "step_00000040.safetensors").stat().st_mtime_ns == newest


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": 61}, r"fit\.steps \(stored 60, asked for 61\)"),
        ({"seed": 7}, r"fit\.seed \(stored 0, asked for 7\)"),
        ({"max_side": 40}, r"max_side \(stored 48, asked for 40\)"),
        ({"mcmc_every": 16}, r"fit\.mcmc\.every \(stored 15, asked for 16\)"),
    ],
)
def test_another_configuration_is_not_resumed(copied: Path, scene: Path, changes: dict, named: str) -> None:
    (copied / "report.json").unlink()
    before = snapshot(copied)
    if "mcmc_every" in changes:
        from vision3d.reconstruction.densification.mcmc import McmcConfig

        changes = {"mcmc": McmcConfig(gaussian_cap=600, every=changes["mcmc_every"])}
    with pytest.raises(VlmRunFolderError, match=named):
        fit_scene(scene, copied, tiny_config(**changes))
    assert snapshot(copied) == before
    fit_scene(scene, copied, tiny_config(**changes), overwrite=True)
    assert (copied / "report.json").exists()


def test_other_poses_or_photos_are_not_resumed(copied: Path, tmp_path: Path) -> None:
    (copied / "report.json").unlink()
    moved = small_tabletop(tmp_path / "moved")
    content = json.loads((moved / "transforms.json").read_text())
    content["frames"][3]["transform_matrix"][0][3] += 0.01
    (moved / "transforms.json").write_text(json.dumps(content))
    with pytest.raises(VlmRunFolderError, match="cameras_sha256"):
        fit_scene(moved, copied, tiny_config())
    painted = small_tabletop(tmp_path / "painted")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(sorted((painted / "images").iterdir())[2])
    with pytest.raises(VlmRunFolderError, match="inputs"):
        fit_scene(painted, copied, tiny_config())


@pytest.mark.parametrize("name", ["scene.ply", "cameras.json", "report.json", "index.html"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_no_fit_wrote_are_never_replaced(scene: Path, tmp_path: Path, name: str, overwrite: bool) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunFolderError, match=f"found {name} without a config.json"):
        fit_scene(scene, tmp_path, tiny_config(), overwrite=overwrite)
    assert snapshot(tmp_path) == {name: b"mine"}


def test_a_config_of_something_else_is_never_replaced(scene: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(VlmRunFolderError, match="found other JSON"):
        fit_scene(scene, tmp_path, tiny_config(), overwrite=True)
    assert list(snapshot(tmp_path)) == ["config.json"]


def test_a_random_start_ignores_the_points(scene: Path, tmp_path: Path) -> None:
    without = small_tabletop(tmp_path / "bare")
    (without / "points3D.ply").unlink()
    content = json.loads((without / "transforms.json").read_text())
    del content["ply_file_path"]
    (without / "transforms.json").write_text(json.dumps(content))
    config = tiny_config(steps=10, test_every=0)
    fit_scene(without, tmp_path / "one", config)
    fit_scene(scene, tmp_path / "two", tiny_config(steps=10, test_every=0, start="random"))
    assert (tmp_path / "one" / "scene.ply").read_bytes() == (tmp_path / "two" / "scene.ply").read_bytes()


def test_photos_below_the_window_are_refused_before_anything_is_written(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"at least 11x11 pixels, found 8x8 with max_side 8"):
        fit_scene(scene, tmp_path / "run", tiny_config(max_side=8))
    assert not (tmp_path / "run").exists()


def test_choosing_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(InvalidInputError, match="Expected a CUDA device, found none"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"
    assert choose_device("cpu") == "cpu"


def test_a_scene_without_points_is_said_to_start_at_random(
    scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = tmp_path / "scene"
    shutil.copytree(scene, bare)
    transforms = json.loads((bare / "transforms.json").read_text())
    (bare / transforms.pop("ply_file_path")).unlink()
    (bare / "transforms.json").write_text(json.dumps(transforms))
    with caplog.at_level("INFO"):
        fit_scene(bare, tmp_path / "run", tiny_config(steps=1))
    assert "no point cloud: Gaussians start at random" in caplog.text

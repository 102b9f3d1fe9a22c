"""Pictures of a fitted scene or of bare splats: which files, from which cameras, of what size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.jobs.small_tabletop import SIDE, small_tabletop, tiny_config
from tests.vision3d.reconstruction.known_scenes import known_scene, ring_cameras
from vision3d.cameras.camera_batch import CameraBatch
from vision3d.cameras.camera_files import StoredCameras, load_cameras, save_cameras
from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.reconstruction.fit_scene import fit_scene
from vision3d.reconstruction.render_config import RenderConfig
from vision3d.reconstruction.render_run import orbit_around, render_run
from vision3d.rendering.image_files import to_bytes
from vision3d.rendering.render_views import render_views
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.catalogue import read_splats, write_splats


@pytest.fixture(scope="module")
def photos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tabletop(tmp_path_factory.mktemp("tabletop") / "scene")


@pytest.fixture(scope="module")
def run(photos_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("fitted") / "run"
    fit_scene(photos_folder, output, tiny_config(steps=5))
    return output


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "bare" / "known.ply"
    path.parent.mkdir()
    write_splats(known_scene(), path)
    return path


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_render_looks_as_the_fit_did_unless_told_otherwise(photos_folder: Path, tmp_path: Path) -> None:
    sea = (0.0, 0.2, 1.0)
    fit_scene(photos_folder, tmp_path / "run", tiny_config(steps=2, background=sea, antialiased=True))
    scene, stored = read_splats(tmp_path / "run/scene.ply"), load_cameras(tmp_path / "run/cameras.json")

    def expected(background: tuple[float, float, float], *, antialiased: bool) -> np.ndarray:
        behind, options = torch.tensor(background), RasterOptions(antialiased=antialiased)
        view = stored.cameras.select(stored.cameras.names[:1])
        return to_bytes(render_views(scene, view, background=behind, options=options).colour[0])

    first = render_run(tmp_path / "run", tmp_path / "fit", RenderConfig(path="views"))[0]
    assert np.array_equal(_pixels(first), expected(sea, antialiased=True))
    config = RenderConfig(path="views", background=(0.0, 0.0, 0.0), antialiased=False)
    first = render_run(tmp_path / "run", tmp_path / "own", config)[0]
    assert np.array_equal(_pixels(first), expected((0.0, 0.0, 0.0), antialiased=False))


@pytest.mark.parametrize("text", ["{cut", "[1, 2]", '{"background": 7}'])
def test_a_report_of_something_else_beside_a_splat_file_is_passed_over(bare: Path, tmp_path: Path, text: str) -> None:
    (bare.parent / "report.json").write_text(text)
    first = render_run(bare, tmp_path / "out", RenderConfig(frames=1, max_side=16))[0]
    assert tuple(_pixels(first)[0, 0]) == (0, 0, 0)


def test_an_orbit_of_a_run(run: Path, tmp_path: Path) -> None:
    written = render_run(run, tmp_path / "out", RenderConfig(frames=5))
    assert [path.name for path in written] == [*(f"orbit_{row:03d}.png" for row in range(5)), "orbit.webp"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in written}
    with Image.open(written[-1]) as animation:
        assert (animation.n_frames, animation.size) == (5, (SIDE, SIDE))
    frames = [_pixels(path) for path in written[:-1]]
    assert all(frame.any() for frame in frames)
    assert not np.array_equal(frames[0], frames[2])


def test_the_views_of_a_run_are_the_renders_of_its_cameras(run: Path, tmp_path: Path) -> None:
    written = render_run(run, tmp_path / "out", RenderConfig(path="views", background=(0.0, 1.0, 0.0)))
    stored, scene = load_cameras(run / "cameras.json"), read_splats(run / "scene.ply")
    assert [path.name for path in written] == [Path(name).stem + ".png" for name in stored.cameras.names]
    for path, name in zip(written, stored.cameras.names, strict=True):
        image = render_views(scene, stored.cameras.select([name]), background=torch.tensor([0.0, 1.0, 0.0])).colour[0]
        assert np.array_equal(_pixels(path), to_bytes(image))


def test_the_ply_of_a_run_finds_the_cameras_beside_it(run: Path, tmp_path: Path) -> None:
    first = render_run(run, tmp_path / "one", RenderConfig(path="views", max_side=20))
    second = render_run(run / "scene.ply", tmp_path / "two", RenderConfig(path="views", max_side=20))
    assert [_pixels(path).tolist() for path in first] == [_pixels(path).tolist() for path in second]
    assert _pixels(first[0]).shape == (20, 20, 3)


def test_a_bare_ply_has_an_orbit_of_its_own(bare: Path, tmp_path: Path) -> None:
    written = render_run(bare, tmp_path / "out", RenderConfig(frames=4, max_side=32))
    frames = [_pixels(path) for path in written[:-1]]
    assert all(frame.shape == (32, 32, 3) for frame in frames)
    for frame in frames:  # the scene stands in the middle and hardly touches the border
        border = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
        assert frame[12:20, 12:20].mean() > 5 * border.mean()
    with pytest.raises(InvalidInputError, match=r"expected cameras for --path views, found none .* --cameras"):
        render_run(bare, tmp_path / "views", RenderConfig(path="views"))
    assert not (tmp_path / "views").exists()


@pytest.mark.parametrize("source", ["scene folder", "fitted folder", "camera file"])
def test_cameras_may_come_from_elsewhere(
    source: str, bare: Path, run: Path, photos_folder: Path, tmp_path: Path
) -> None:
    places = {"scene folder": photos_folder, "fitted folder": run, "camera file": run / "cameras.json"}
    config = RenderConfig(path="views", cameras=places[source], max_side=16)
    written = render_run(bare, tmp_path / "out", config)
    assert len(written) == 8
    assert _pixels(written[0]).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("views", "files"),
    [
        (("a.png", "b.JPG", "frame.0001", "frame.0002"), ("a", "b", "frame.0001", "frame.0002")),
        (("left/a.png", "right/a.png"), ("left_a", "right_a")),
        (("a.png", "a.jpg"), ("a.png", "a.jpg")),
        (("a/b.png", "a_b.png"), ("0000_a_b.png", "0001_a_b.png")),
        (("A.png", "a.png"), ("0000_A.png", "0001_a.png")),
    ],
)
def test_no_two_views_share_a_file(views: tuple[str, ...], files: tuple[str, ...], bare: Path, tmp_path: Path) -> None:
    ring = ring_cameras(len(views), side=12)
    cameras = CameraBatch(
        world_to_camera=ring.world_to_camera, intrinsics=ring.intrinsics, image_sizes=ring.image_sizes, names=views
    )
    save_cameras(StoredCameras(cameras=cameras, test=()), bare.parent / "cameras.json")
    written = render_run(bare, tmp_path / "out", RenderConfig(path="views"))
    assert [path.name for path in written] == [f"{name}.png" for name in files]
    assert len(list((tmp_path / "out").iterdir())) == len(views)


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    with pytest.raises(
        SplatFileError, match=r"run: expected scene\.ply .* found \['metrics\.jsonl'\]\. Finish the fit"
    ):
        render_run(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_orbit_around_looks_at_the_box_and_keeps_off_strays() -> None:
    scene = known_scene(200)
    scene.means[0] = torch.tensor([500.0, 0, 0])  # one stray of 200 is within the 2 % left out
    cameras = orbit_around(scene, view_count=8, side=64)
    centres = cameras.camera_centres
    middle = torch.tensor([0.0, 0, 0])
    assert float((centres - middle).norm(dim=1).max()) < 5
    ahead = torch.einsum("vij,j->vi", cameras.world_to_camera[:, :3, :3], middle) + cameras.world_to_camera[:, :3, 3]
    assert (ahead[:, 2] > 0).all()
    assert (ahead[:, :2].norm(dim=1) < 0.1 * ahead[:, 2]).all()
    assert (centres[:, 1] < 0).all()  # seen from above: -y is up


@pytest.mark.parametrize(
    "changes", [{"frames": 0}, {"max_side": 0}, {"background": (0.0, 0.0, 2.0)}, {"background": (float("nan"), 0, 0)}]
)
def test_settings_out_of_range_are_refused(changes: dict) -> None:
    with pytest.raises(InvalidInputError, match=r"(?s)RenderConfig: expected .* found"):
        RenderConfig(**changes)

"""Scenes that cannot be fitted, and outputs that cannot be written, as commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.vision3d.bad_input_table import case
from tests.vision3d.cameras.small_scenes import frame, write_colmap_text, write_photo, write_transforms


def _fit(source: Path, *flags: str) -> list[str]:
    return ["fit", str(source), "-o", str(source.parent / "out"), "--steps", "2", "--initial-count", "20", *flags]


def _scene(folder: Path, *frames: dict[str, Any], **shared: Any) -> Path:
    scene = folder / "scene"
    for number in range(3):
        write_photo(scene / f"{number}.png")
    write_transforms(scene, frames or [frame(f"{number}.png", _pose(number)) for number in range(3)], **shared)
    return scene


def _pose(number: int) -> list[list[float]]:
    pose = np.eye(4)
    pose[0, 3] = number
    return pose.tolist()


@case("a folder that does not exist", r"found nothing there")
def _missing_folder(folder: Path) -> list[str]:
    return _fit(folder / "nowhere")


@case("an empty folder", r"found \[\]")
def _empty_folder(folder: Path) -> list[str]:
    (folder / "scene").mkdir()
    return _fit(folder / "scene")


@case("photos without a camera file", r"found \['0\.png'\]")
def _no_cameras(folder: Path) -> list[str]:
    write_photo(folder / "scene" / "0.png")
    return _fit(folder / "scene")


@case("broken JSON", r"transforms\.json.*line 1|transforms\.json.*Expecting")
def _broken_json(folder: Path) -> list[str]:
    scene = _scene(folder)
    (scene / "transforms.json").write_text('{"frames": [')
    return _fit(scene)


@case("JSON of another kind", r"transforms\.json")
def _other_json(folder: Path) -> list[str]:
    scene = _scene(folder)
    (scene / "transforms.json").write_text("[1, 2]")
    return _fit(scene)


@case("no frames", r"found \[\]")
def _no_frames(folder: Path) -> list[str]:
    scene = _scene(folder)
    write_transforms(scene, [])
    return _fit(scene)


@case("a missing pose", r"1\.png")
def _missing_pose(folder: Path) -> list[str]:
    return _fit(_scene(folder, frame("0.png"), {"file_path": "1.png"}))


@case("a pose with NaN", r"1\.png.*NaN")
def _nan_pose(folder: Path) -> list[str]:
    pose = _pose(1)
    pose[0][3] = float("nan")
    return _fit(_scene(folder, frame("0.png"), frame("1.png", pose)))


@case("a pose of the wrong shape", r"1\.png.*(3x3|\(3, 3\)|\[3, 3\])")
def _wrong_shape(folder: Path) -> list[str]:
    return _fit(_scene(folder, frame("0.png"), frame("1.png", np.eye(3).tolist())))


@case("a pose that cannot be inverted", r"1\.png")
def _singular_pose(folder: Path) -> list[str]:
    return _fit(_scene(folder, frame("0.png"), frame("1.png", np.zeros((4, 4)).tolist())))


@case("a pose that is not rigid", r"1\.png")
def _scaled_pose(folder: Path) -> list[str]:
    return _fit(_scene(folder, frame("0.png"), frame("1.png", np.diag([2.0, 1, 1, 1]).tolist())))


@case("two views of one name", r"0\.png")
def _duplicate_names(folder: Path) -> list[str]:
    return _fit(_scene(folder, frame("0.png"), frame("0.png", _pose(1))))


@case("a focal length of zero", r"found.*\b0(\.0)?\b")
def _zero_focal(folder: Path) -> list[str]:
    return _fit(_scene(folder, fl_x=0.0, fl_y=0.0, w=32, h=24))


@case("no focal length", r"transforms\.json")
def _no_focal(folder: Path) -> list[str]:
    return _fit(_scene(folder, w=32, h=24))


@case("an image size below zero", r"found.*-32")
def _negative_size(folder: Path) -> list[str]:
    return _fit(_scene(folder, fl_x=40.0, w=-32, h=24))


@case("an image size of zero", r"found.*\b0\b")
def _zero_size(folder: Path) -> list[str]:
    scene = folder / "scene"
    write_photo(scene / "images" / "0.png")
    write_colmap_text(scene / "sparse" / "0", ["1 PINHOLE 0 24 40 40 16 12"], ["1 1 0 0 0 0 0 0 1 0.png", ""])
    return _fit(scene)


@case("photos of another shape than the camera says", r"0\.png.*found 32x24")
def _other_size(folder: Path) -> list[str]:
    return _fit(_scene(folder, fl_x=40.0, w=32, h=32))


@case("an unknown camera model", r"found.*FULL_SPHERE")
def _unknown_model(folder: Path) -> list[str]:
    return _fit(_scene(folder, fl_x=40.0, w=32, h=24, camera_model="FULL_SPHERE"))


@case("an unknown COLMAP camera model", r"found.*MAGIC")
def _unknown_colmap_model(folder: Path) -> list[str]:
    scene = folder / "scene"
    write_photo(scene / "images" / "0.png")
    write_colmap_text(scene / "sparse" / "0", ["1 MAGIC 32 24 40 16 12"], ["1 1 0 0 0 0 0 0 1 0.png", ""])
    return _fit(scene)


@case("a COLMAP model that is cut", r"cameras\.bin")
def _cut_colmap(folder: Path) -> list[str]:
    scene = folder / "scene"
    write_photo(scene / "images" / "0.png")
    (scene / "sparse" / "0").mkdir(parents=True)
    for name in ("cameras", "images", "points3D"):
        (scene / "sparse" / "0" / f"{name}.bin").write_bytes(b"\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00")
    return _fit(scene)


@case("no photo of any view", r"found none of them \(first: .*8\.png\)")
def _missing_photos(folder: Path) -> list[str]:
    return _fit(_scene(folder, frame("8.png"), frame("9.png", _pose(1))))


@case("a photo that is no image", r"1\.png")
def _unreadable_photo(folder: Path) -> list[str]:
    scene = _scene(folder)
    (scene / "1.png").write_text("not a picture")
    return _fit(scene)


@case("a photo that is cut", r"1\.png")
def _cut_photo(folder: Path) -> list[str]:
    scene = _scene(folder)
    (scene / "1.png").write_bytes((scene / "1.png").read_bytes()[:60])
    return _fit(scene)


@case("a photo of zero bytes", r"1\.png")
def _empty_photo(folder: Path) -> list[str]:
    scene = _scene(folder)
    (scene / "1.png").write_bytes(b"")
    return _fit(scene)


@case("photos smaller than the SSIM window", r"found 8x6")
def _tiny_photos(folder: Path) -> list[str]:
    return _fit(_scene(folder), "--max-side", "8")


@case("every view held out", r"found 1 views with 1 held out")
def _all_held_out(folder: Path) -> list[str]:
    return _fit(_scene(folder, frame("0.png")))


@case("an output that is a file", r"found.*(File exists|Not a directory)")
def _output_is_a_file(folder: Path) -> list[str]:
    (folder / "out").write_text("mine")
    return _fit(_scene(folder))


@case("an output that cannot be written", r"found.*(No such file|Permission|Not a directory)")
def _unwritable_output(folder: Path) -> list[str]:
    return ["fit", str(_scene(folder)), "-o", "/proc/nowhere/out", "--steps", "2", "--initial-count", "20"]


@case("an output whose name is too long", r"found.*too long")
def _long_output(folder: Path) -> list[str]:
    return ["fit", str(_scene(folder)), "-o", str(folder / ("x" * 300)), "--steps", "2", "--initial-count", "20"]

"""Bad input from the user's door: one line that says what was expected, what was found and what to do; nothing written.

Each case builds its input in a folder and returns the command. Rooms test their own readers in depth; this table counts
the kinds of bad input and holds all of them to the same promise.
"""

from __future__ import annotations

import gzip
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.jobs.small_tabletop import snapshot
from tests.vision3d.cameras.small_scenes import IDENTITY, frame, write_colmap_text, write_photo, write_transforms
from tests.vision3d.reconstruction.known_scenes import known_scene
from vision3d.cli import main
from vision3d.scene.catalogue import write_splats

Case = Callable[[Path], list[str]]
CASES: dict[str, tuple[Case, str]] = {}
ADVICE = re.compile(
    r"\b(check|add|give|use|run|write|copy|export|convert|remove|rename|correct|choose|raise|lower|hold|repair|"
    r"restore|drop|pass|finish|fit|crop|move|delete|replace|undistort|list|put|set|keep|ask|save|make|download|"
    r"re-export|open|name|point|divide|change)\b",
    re.IGNORECASE,
)


def case(name: str, found: str) -> Callable[[Case], Case]:
    """Puts a builder into the table; `found` is a pattern for what the message must say was found."""

    def listed(build: Case) -> Case:
        CASES[name] = (build, found)
        return build

    return listed


def _fit(source: Path, *flags: str) -> list[str]:
    return ["fit", str(source), "-o", str(source.parent / "out"), "--steps", "2", "--initial-count", "20", *flags]


def _convert(source: Path) -> list[str]:
    return ["convert", str(source), str(source.parent / "out" / "copy.ply")]


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


def _ply(folder: Path, name: str = "scene.ply") -> Path:
    write_splats(known_scene(30), folder / name)
    return folder / name


# --- scenes


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


# --- splats


@case("a splat file that does not exist", r"found nothing there")
def _missing_splats(folder: Path) -> list[str]:
    return _convert(folder / "nowhere.ply")


@case("a PLY of zero bytes", r"found an empty file \(0 bytes\)")
def _empty_ply(folder: Path) -> list[str]:
    (folder / "scene.ply").write_bytes(b"")
    return _convert(folder / "scene.ply")


@case("a PLY without Gaussians", r"found (0|none)")
def _no_gaussians(folder: Path) -> list[str]:
    path = _ply(folder)
    header = path.read_bytes().split(b"end_header\n")[0].replace(b"vertex 30", b"vertex 0")
    path.write_bytes(header + b"end_header\n")
    return _convert(path)


@case("a PLY that is cut", r"scene\.ply.*\d")
def _cut_ply(folder: Path) -> list[str]:
    path = _ply(folder)
    path.write_bytes(path.read_bytes()[:-7])
    return _convert(path)


@case("a PLY whose header is cut", r"scene\.ply")
def _cut_header(folder: Path) -> list[str]:
    path = _ply(folder)
    path.write_bytes(path.read_bytes()[:40])
    return _convert(path)


@case("a wrong magic number", r"scene\.ply")
def _wrong_magic(folder: Path) -> list[str]:
    (folder / "scene.ply").write_bytes(b"glTF" + bytes(100))
    return _convert(folder / "scene.ply")


@case("a PLY of plain points", r"scene\.ply")
def _points_only(folder: Path) -> list[str]:
    header = "ply\nformat ascii 1.0\nelement vertex 1\n" + "".join(f"property float {a}\n" for a in "xyz")
    (folder / "scene.ply").write_text(header + "end_header\n0 0 0\n")
    return _convert(folder / "scene.ply")


@case("Gaussians with NaN", r"found 2 ")
def _nan_gaussians(folder: Path) -> list[str]:
    path = _ply(folder)
    content = bytearray(path.read_bytes())
    start = content.index(b"end_header\n") + len(b"end_header\n")
    row = (len(content) - start) // 30
    for number in (4, 7):
        content[start + number * row : start + number * row + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(bytes(content))
    return _convert(path)


@case("an .spz that is cut", r"scene\.spz")
def _cut_spz(folder: Path) -> list[str]:
    packed = gzip.compress(b"NGSP" + (2).to_bytes(4, "little") + (30).to_bytes(4, "little") + bytes(50))
    (folder / "scene.spz").write_bytes(packed[:-12])
    return _convert(folder / "scene.spz")


@case("a .splat of a broken length", r"scene\.splat.*33")
def _odd_splat(folder: Path) -> list[str]:
    (folder / "scene.splat").write_bytes(bytes(33))
    return _convert(folder / "scene.splat")


@case("a .ksplat", r"found \.ksplat")
def _ksplat(folder: Path) -> list[str]:
    (folder / "scene.ksplat").write_bytes(bytes(64))
    return _convert(folder / "scene.ksplat")


@case("a file without a suffix", r"found none")
def _no_suffix(folder: Path) -> list[str]:
    (folder / "scene").write_bytes(bytes(64))
    return _convert(folder / "scene")


class _Explosive:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("exploded"),))


@case("a checkpoint with a foreign object", r"to run \([\w.]+\)")
def _foreign_object(folder: Path) -> list[str]:
    torch.save({"pipeline": _Explosive()}, folder / "scene.ckpt")
    return _convert(folder / "scene.ckpt")


@case("a bare pickle as a checkpoint", r"scene\.pt.*found a file that torch did not write")
def _bare_pickle(folder: Path) -> list[str]:
    (folder / "scene.pt").write_bytes(pickle.dumps(_Explosive()))
    return _convert(folder / "scene.pt")


@case("a checkpoint of another trainer", r"found the keys \['state_dict'\]")
def _other_checkpoint(folder: Path) -> list[str]:
    torch.save({"state_dict": {}}, folder / "scene.pt")
    return _convert(folder / "scene.pt")


@case("a folder that is no run", r"found \['notes\.txt'\]")
def _no_run(folder: Path) -> list[str]:
    (folder / "run").mkdir()
    (folder / "run" / "notes.txt").write_text("mine")
    return ["render", str(folder / "run"), "-o", str(folder / "out")]


@case("views asked for and no cameras", r"found none beside the splats")
def _no_views(folder: Path) -> list[str]:
    return ["render", str(_ply(folder)), "-o", str(folder / "out"), "--path", "views"]


@case("cameras of another program", r"cameras\.json.*found no 'format'")
def _foreign_cameras(folder: Path) -> list[str]:
    (folder / "cameras.json").write_text(json.dumps({"cameras": [IDENTITY]}))
    return ["render", str(_ply(folder)), "-o", str(folder / "out")]


@case("a conversion onto a folder", r"found a folder")
def _target_is_a_folder(folder: Path) -> list[str]:
    (folder / "copy.ply").mkdir()
    return ["convert", str(_ply(folder)), str(folder / "copy.ply")]


@pytest.mark.parametrize("name", CASES)
def test_the_message_helps_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build, found = CASES[name]
    command = build(tmp_path)
    before = snapshot(tmp_path)
    folders = {path for path in tmp_path.rglob("*") if path.is_dir()}
    assert main(command) == 1
    captured = capsys.readouterr()
    (message,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in captured.err
    assert "xpected" in message, message
    assert message.isprintable(), repr(message)
    assert re.search(found, message), message
    sentences = re.split(r"(?<=[.!?)])\s+", message)
    assert len(sentences) > 1, message
    assert ADVICE.search(sentences[-1]), message
    assert snapshot(tmp_path) == before
    assert {path for path in tmp_path.rglob("*") if path.is_dir()} == folders
    assert not Path("exploded").exists()


def test_the_table_is_long() -> None:
    assert len(CASES) >= 40

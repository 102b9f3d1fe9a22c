"""Splat files, checkpoints and cameras that cannot be read, as commands."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import torch

from tests.vision3d.bad_input_table import case
from tests.vision3d.cameras.small_scenes import IDENTITY
from tests.vision3d.reconstruction.known_scenes import known_scene
from vision3d.scene.catalogue import write_splats


def _convert(source: Path) -> list[str]:
    return ["convert", str(source), str(source.parent / "out" / "copy.ply")]


def _ply(folder: Path, name: str = "scene.ply") -> Path:
    write_splats(known_scene(30), folder / name)
    return folder / name


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


@case("a .sog", r"found \.sog")
def _sog(folder: Path) -> list[str]:
    (folder / "scene.sog").write_bytes(bytes(64))
    return _convert(folder / "scene.sog")


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

"""Splat files by suffix: `read_splats` and `write_splats` pick the format, and check what every format must hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.scene.checkpoints import read_checkpoint, read_nerfstudio_run
from vision3d.scene.gaussian_scene import GaussianScene, check_finite
from vision3d.scene.ksplat_file import read_ksplat
from vision3d.scene.ply import read_ply, write_ply
from vision3d.scene.splat_file import read_splat, write_splat
from vision3d.scene.spz import read_spz

READERS: dict[str, Callable[[Path], GaussianScene]] = {
    ".ply": read_ply,
    ".splat": read_splat,
    ".spz": read_spz,
    ".ksplat": read_ksplat,
    ".ckpt": read_checkpoint,
    ".pt": read_checkpoint,
}
"""Suffix -> reader. `.ply` is standard or compressed, as its header says."""

WRITERS: dict[str, Callable[[GaussianScene, Path], None]] = {".ply": write_ply, ".splat": write_splat}
"""Suffix -> writer."""

_SIGNATURES = {
    b"ply": (".ply", "a PLY"),
    b"\x1f\x8b\x08": (".spz", "gzip, as .spz uses"),
    b"NGSP": (".spz", "an .spz"),
    b"PK\x03\x04": (".pt", "a zip archive, as torch checkpoints use"),
}
_ELSEWHERE = {".sog", ".lcc", ".usdz"}


def read_splats(path: str | Path) -> GaussianScene:
    """The Gaussians of a splat file, checkpoint or nerfstudio run folder, checked to be usable.

    A run folder is read in nerfstudio's training frame; `read_nerfstudio_run` can take it back.

    Raises:
        SplatFileError: missing, empty, cut, of an unknown or other format than its suffix says, without Gaussians, or
            with values that cannot be drawn (NaN, infinite, a rotation of length zero).
        MissingDependencyError: a format that needs an optional package.
    """
    source = Path(path)
    if not os.path.exists(source):
        raise SplatFileError(
            f"{source}: expected a splat file or nerfstudio run folder, found nothing there. Check the path."
        )
    scene = read_nerfstudio_run(source) if source.is_dir() else _reader_of(source)(source)
    _check_drawable(scene, source)
    return scene


def write_splats(scene: GaussianScene, path: str | Path) -> None:
    """Write `scene` in the format its suffix names (`.ply` exact, `.splat` lossy); whole or not at all.

    Raises:
        SplatFileError: a suffix no writer knows, or a file that cannot be written.
        InvalidInputError: an empty scene, or NaN and infinite values.
    """
    target = Path(path)
    if target.name.lower().endswith(".compressed.ply") or target.suffix.lower() not in WRITERS:
        raise SplatFileError(
            f"{target}: expected a suffix of {', '.join(WRITERS)} to write, found "
            f"{''.join(target.suffixes[-2:]) or 'none'}. Write .ply and convert it with another tool."
        )
    if len(scene) == 0:
        raise InvalidInputError(f"{target}: expected at least one Gaussian to write, found 0. Widen the selection.")
    check_finite(scene, str(target))
    WRITERS[target.suffix.lower()](scene, target)


def _reader_of(source: Path) -> Callable[[Path], GaussianScene]:
    suffix = source.suffix.lower()
    if suffix not in READERS:
        advice = "Convert it to .ply with SuperSplat or splat-transform." if suffix in _ELSEWHERE else "Check the path."
        raise SplatFileError(
            f"{source}: expected a suffix of {', '.join(READERS)}, or a nerfstudio run folder, found "
            f"{suffix or 'none'}. {advice}"
        )
    try:
        with source.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise SplatFileError(f"{source}: expected a readable file, found: {error}. Check the path.") from error
    if not start:
        raise SplatFileError(f"{source}: expected a scene, found an empty file (0 bytes). Copy or export it again.")
    for signature, (true_suffix, name) in _SIGNATURES.items():
        if start.startswith(signature) and READERS[true_suffix] is not READERS[suffix]:
            raise SplatFileError(
                f"{source}: expected the content of a {suffix} file, found {name}. Rename it to {true_suffix}."
            )
    return READERS[suffix]


def _check_drawable(scene: GaussianScene, source: Path) -> None:
    try:
        check_finite(scene, str(source))
    except InvalidInputError as error:
        raise SplatFileError(str(error)) from error
    flat = int((torch.linalg.vector_norm(scene.quats, dim=1) == 0).sum())
    if flat:
        raise SplatFileError(
            f"{source}: expected rotations of non-zero length, found {flat} of {len(scene)} Gaussians without one. "
            "Remove these Gaussians in the tool that wrote the scene."
        )

"""Gaussians out of training checkpoints: nerfstudio's splatfacto and gsplat's simple_trainer.

Checkpoints are pickles. They are loaded with torch's weights-only unpickler, which builds tensors, plain containers and
numpy numbers and runs no code from the file; anything else is refused.
"""

from __future__ import annotations

import json
import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vision3d.errors import InvalidInputError, SplatFileError
from vision3d.scene.gaussian_scene import SH_C0, SH_COUNTS, GaussianScene
from vision3d.scene.selection import concatenate_scenes
from vision3d.scene.transforms import apply_similarity, inverse_similarity

_LOGGER = logging.getLogger(__name__)
_SPLATFACTO_FIELDS = ("means", "quats", "scales", "opacities", "features_dc", "features_rest")
_SPLATFACTO_PREFIXES = ("_model.gauss_params.", "_model.module.gauss_params.", "_model.")
"""Where the parameters lie: now, in models wrapped for several GPUs, and in nerfstudio before 1.0.3."""
_GSPLAT_FIELDS = ("means", "quats", "scales", "opacities", "sh0", "shN")
_RANK = re.compile(r"(?P<stem>.*_rank)(?P<rank>\d+)$")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_STEP = re.compile(r"step-(\d+)\.ckpt$")


def read_checkpoint(path: str | Path) -> GaussianScene:
    """The Gaussians of a splatfacto (`step-*.ckpt`) or gsplat (`ckpt_*_rank*.pt`) checkpoint, told apart by content.

    Splatfacto checkpoints come in nerfstudio's training frame (see `read_nerfstudio_run` for the way back).
    A gsplat run on several GPUs writes one part per rank: all parts beside `path` are read and joined in rank order.

    Raises:
        SplatFileError: unreadable, needs unpickling of code, or holds no Gaussians of these two trainers.
    """
    file_path = Path(path)
    content = _load_safely(file_path)
    if "pipeline" in content:
        return _splatfacto_scene(content["pipeline"], file_path)
    if "splats" in content:
        parts = _rank_files(file_path)
        scenes = [_gsplat_scene(_load_safely(part).get("splats"), part) for part in parts]
        if len(parts) > 1:
            _LOGGER.info("%s: joined %d ranks of one gsplat run", file_path, len(parts))
        return concatenate_scenes(scenes)
    raise SplatFileError(
        f"{file_path}: expected a checkpoint of nerfstudio ('pipeline') or gsplat ('splats'), found the keys "
        f"{sorted(map(str, content))[:8]}. Export the scene as PLY in the tool that trained it."
    )


def read_nerfstudio_run(
    folder: str | Path, *, undo_dataparser: bool = False, checkpoint: Path | None = None
) -> GaussianScene:
    """The Gaussians of a splatfacto checkpoint in a nerfstudio run folder.

    nerfstudio trains in a frame of its own: it turns, centres and scales the cameras, and writes the way there to
    `dataparser_transforms.json`. With `undo_dataparser` the scene is taken back to the frame of the camera file (that
    of COLMAP where `transforms.json` names its `applied_transform`).

    Args:
        folder: the run folder, which holds `config.yml` and `nerfstudio_models/`.
        undo_dataparser: True for the frame of the camera file, False for nerfstudio's training frame.
        checkpoint: one checkpoint of the run; None takes the newest.

    Raises:
        SplatFileError: no run folder, no checkpoint, or no usable `dataparser_transforms.json` when it is needed.
    """
    run = Path(folder)
    scene = read_checkpoint(checkpoint or newest_nerfstudio_checkpoint(run))
    if not undo_dataparser:
        return scene
    path = run / "dataparser_transforms.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        transform = torch.tensor(content["transform"], dtype=torch.float64)
        if transform.shape != (3, 4):
            raise ValueError(f"a transform of shape {tuple(transform.shape)}")
        return apply_similarity(scene, *inverse_similarity(transform, float(content["scale"])))
    except (OSError, KeyError, TypeError, ValueError, InvalidInputError) as error:
        raise SplatFileError(
            f"{path}: expected nerfstudio's `transform` (3x4) and `scale`, found: {error}. "
            "Read the run without undo_dataparser to stay in the training frame."
        ) from error


def newest_nerfstudio_checkpoint(folder: str | Path) -> Path:
    """The checkpoint with the highest step in `folder`/nerfstudio_models.

    Raises:
        SplatFileError: `folder` is no nerfstudio run, or has no checkpoint yet.
    """
    run = Path(folder)
    steps = {
        int(match[1]): path for path in (run / "nerfstudio_models").glob("*.ckpt") if (match := _STEP.search(path.name))
    }
    if not (run / "config.yml").is_file() or not steps:
        found = "config.yml but no nerfstudio_models/step-*.ckpt" if (run / "config.yml").is_file() else "no config.yml"
        raise SplatFileError(
            f"{run}: expected a nerfstudio run folder (config.yml and nerfstudio_models/step-*.ckpt), found {found}. "
            "Give the folder named after the date inside outputs/<scene>/splatfacto/."
        )
    return steps[max(steps)]


def _refused_content(error: Exception) -> str:
    """What the unpickler stopped at; the rest of its message advises to switch the check off, which nobody should."""
    named = _GLOBAL.search(str(error))
    return f"objects that need code from the file to run ({named[1]})" if named else "a file that torch did not write"


def _load_safely(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_numpy_numbers()):
            # mapped, so that the optimiser state beside the Gaussians is never read
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise SplatFileError(
            f"{path}: expected a checkpoint of tensors and numbers only, found {_refused_content(error)}. "
            "Export the scene as PLY in the tool that trained it."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise SplatFileError(
            f"{path}: expected a readable torch checkpoint, found: {str(error)[:200]}. Check the path; "
            "if it is right, the file is cut: copy it again."
        ) from error
    if not isinstance(content, dict):
        raise SplatFileError(f"{path}: expected a checkpoint with named entries, found {type(content).__name__}.")
    return content


def _numpy_numbers() -> list[Any]:
    """What rebuilds numpy scalars: nerfstudio's learning-rate schedules leave some in the optimiser state."""
    rebuild = np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "bool")]
    return [np.dtype, *dtypes, (rebuild, "numpy.core.multiarray.scalar"), (rebuild, "numpy._core.multiarray.scalar")]


def _splatfacto_scene(pipeline: Any, path: Path) -> GaussianScene:
    entries = pipeline if isinstance(pipeline, dict) else {}
    prefix = next((prefix for prefix in _SPLATFACTO_PREFIXES if f"{prefix}means" in entries), None)
    if prefix is None:
        raise SplatFileError(
            f"{path}: expected a splatfacto model (_model.gauss_params.means), found {len(entries)} other entries, "
            f"e.g. {sorted(map(str, entries))[:3]}. Only Gaussian models of nerfstudio can be read."
        )
    fields = _tensors(entries, prefix, _SPLATFACTO_FIELDS, path)
    base, rest = fields["features_dc"], fields["features_rest"]
    if rest.numel() == 0:
        # trained with sh_degree 0: splatfacto then keeps colour as a logit
        base = (torch.sigmoid(base) - 0.5) / SH_C0
    return _scene(fields, base, rest, path)


def _gsplat_scene(splats: Any, path: Path) -> GaussianScene:
    entries = splats if isinstance(splats, dict) else {}
    if "means" in entries and "features" in entries and "sh0" not in entries:
        raise SplatFileError(
            f"{path}: expected spherical harmonics (sh0, shN), found appearance features whose colours need the "
            "network they were trained with. Train without app_opt, or export PLY with gsplat."
        )
    fields = _tensors(entries, "", _GSPLAT_FIELDS, path)
    return _scene(fields, fields["sh0"], fields["shN"], path)


def _tensors(entries: dict[str, Any], prefix: str, names: tuple[str, ...], path: Path) -> dict[str, Tensor]:
    missing = [name for name in names if not isinstance(entries.get(prefix + name), Tensor)]
    if missing:
        raise SplatFileError(
            f"{path}: expected the tensors {', '.join(names)}, found no {', '.join(missing)} among "
            f"{sorted(map(str, entries))[:8]}. The checkpoint is of another model or version; export PLY instead."
        )
    return {name: entries[prefix + name].detach().float().clone() for name in names}


def _scene(fields: dict[str, Tensor], base_sh: Tensor, higher_sh: Tensor, path: Path) -> GaussianScene:
    count = len(fields["means"])
    shapes = {"means": (count, 3), "quats": (count, 4), "scales": (count, 3)}
    wrong = {name: tuple(fields[name].shape) for name, shape in shapes.items() if fields[name].shape != shape}
    if higher_sh.numel() == 0:
        higher_sh = higher_sh.new_zeros(count, 0, 3)
    if not wrong and (fields["opacities"].numel(), base_sh.numel()) != (count, 3 * count):
        wrong = {"opacities": tuple(fields["opacities"].shape), "base colours": tuple(base_sh.shape)}
    coefficients = 1 + higher_sh.shape[1] if higher_sh.ndim == 3 else 0
    if not wrong and (coefficients not in SH_COUNTS or higher_sh.shape != (count, coefficients - 1, 3)):
        wrong = {"higher SH": tuple(higher_sh.shape)}
    if wrong:
        raise SplatFileError(
            f"{path}: expected one row for each of {count} Gaussians and SH of degree 0-3, found the shapes {wrong}. "
            "The checkpoint is of another model or version; export PLY instead."
        )
    return GaussianScene(
        means=fields["means"],
        quats=fields["quats"],
        log_scales=fields["scales"],
        opacity_logits=fields["opacities"].reshape(count),
        sh=torch.cat([base_sh.reshape(count, 1, 3), higher_sh], dim=1),
    )


def _rank_files(path: Path) -> list[Path]:
    """All parts of a gsplat checkpoint in rank order; only `path` itself where its name has no rank."""
    match = _RANK.match(path.stem)
    if match is None:
        return [path]
    ranks = {
        int(part["rank"]): other for other in path.parent.glob(f"*{path.suffix}") if (part := _same_run(other, match))
    }
    if sorted(ranks) != list(range(len(ranks))):
        raise SplatFileError(
            f"{path}: expected the parts of all ranks from 0, found ranks {sorted(ranks)}. "
            "Copy the missing files beside it."
        )
    return [ranks[rank] for rank in sorted(ranks)]


def _same_run(other: Path, match: re.Match[str]) -> re.Match[str] | None:
    part = _RANK.match(other.stem)
    return part if part is not None and part["stem"] == match["stem"] else None

"""Splats under the names and in the shapes of nerfstudio's splatfacto, so that its checkpoints and exports stay usable.

splatfacto keeps opacities as a column and the constant colour without the coefficient axis; values are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import Parameter

from vision3d.errors import SplatFileError

PREFIX = "gauss_params."
_NAMES = {
    "means": "means", "scales": "scales", "quats": "quats", "opacities": "opacities",
    "sh0": "features_dc", "shN": "features_rest",
}  # fmt: skip


def to_splatfacto(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters as splatfacto names and shapes them; views of the same memory."""
    found = {theirs: parameters[ours] for ours, theirs in _NAMES.items()}
    count = len(found["means"])
    return found | {
        "opacities": found["opacities"].reshape(count, 1),
        "features_dc": found["features_dc"].reshape(count, 3),
    }


def from_splatfacto(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """splatfacto's parameters as we name and shape them."""
    found = {ours: entries[theirs] for ours, theirs in _NAMES.items()}
    count = len(found["means"])
    return found | {"opacities": found["opacities"].reshape(count), "sh0": found["sh0"].reshape(count, 1, 3)}


def rename_saved(state: dict[str, Tensor], *, folder: str, prefix: str) -> None:
    """Rename what a module saved under `prefix` + `folder` to splatfacto's entries, in place."""
    ours = {name: state.pop(f"{prefix}{folder}{name}") for name in _NAMES}
    state |= {f"{prefix}{PREFIX}{name}": value for name, value in to_splatfacto(ours).items()}


def fill(parameters: Mapping[str, Parameter], entries: Mapping[str, Tensor]) -> None:
    """Put the splatfacto entries of a checkpoint into parameters, which take their sizes and stay the same objects.

    Raises:
        SplatFileError: entries are missing.
    """
    theirs = {name.removeprefix(PREFIX): value for name, value in entries.items() if name.startswith(PREFIX)}
    missing = sorted(set(_NAMES.values()) - set(theirs))
    if missing:
        raise SplatFileError(
            f"Expected a checkpoint with the entries {PREFIX}*, found none for {', '.join(missing)}. "
            "Load a checkpoint of laga, or give other splats by --pipeline.model.start."
        )
    for name, value in from_splatfacto(theirs).items():
        parameters[name].data = value.detach().to(parameters[name].device, copy=True).contiguous()
        parameters[name].grad = None

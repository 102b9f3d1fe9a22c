"""The makers of masks by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.masks.mask_proposer import MaskProposer


def _contours(weights: Path | None) -> MaskProposer:
    from vision3d.masks.contours import ContourProposer

    return ContourProposer(weights)


def _hierarchy(weights: Path | None) -> MaskProposer:
    from vision3d.masks.hierarchy import HierarchyProposer

    if weights is not None:
        raise InvalidInputError(f"Expected no weights for hierarchy, found {weights}. Leave out what follows the name.")
    return HierarchyProposer()


def _sam(weights: Path | None) -> MaskProposer:
    from vision3d.masks.sam_proposer import SamProposer

    return SamProposer(_given("sam", weights, "checkpoint, e.g. sam=sam_vit_b_01ec64.pth"))


def _sam2(weights: Path | None) -> MaskProposer:
    from vision3d.masks.sam_proposer import Sam2Proposer

    return Sam2Proposer(_given("sam2", weights, "folder of its model, e.g. sam2=sam2.1-hiera-tiny"))


def _given(name: str, weights: Path | None, what: str) -> Path:
    if weights is None:
        raise ModelFileError(f"Expected weights for {name}, found none. Name the {what}.")
    return weights


PROPOSERS: dict[str, tuple[str, Callable[[Path | None], MaskProposer]]] = {
    "contours": ("borders seen by a small network that comes along, no download; the default", _contours),
    "hierarchy": ("regions of like colour, without weights, for pictures unlike household scenes", _hierarchy),
    "sam": ("Segment Anything ViT-B, -L or -H, with a checkpoint of yours: sam=FILE", _sam),
    "sam2": ("Segment Anything 2 in transformers' layout: sam2=FOLDER", _sam2),
}
"""Name -> (what it is, how it is made from a file or folder of weights, None = its own)."""


def load_proposer(name: str) -> MaskProposer:
    """The maker of masks called `name`, or `NAME=PATH` with the file or folder of its weights.

    Raises:
        InvalidInputError: the name is unknown.
        ModelFileError: its weights are missing or of something else.
        MissingDependencyError: a library it needs is not installed.
    """
    kind, _, path = name.partition("=")
    if kind not in PROPOSERS:
        known = "; ".join(f"{entry}: {what}" for entry, (what, _) in PROPOSERS.items())
        raise InvalidInputError(f"Expected a maker of masks, found {name!r}. Choose one of: {known}.")
    return PROPOSERS[kind][1](Path(path) if path else None)

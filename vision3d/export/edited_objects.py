"""`follow_objects`: the objects of a scene after its Gaussians were edited, so that it can be asked again."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from vision3d.errors import InvalidInputError
from vision3d.export.edits import EditedScene
from vision3d.laga.laga_scene import LagaScene


def follow_objects(laga: LagaScene, edited: EditedScene) -> LagaScene:
    """The scene with the edited Gaussians; `laga` is the scene before any edit.

    Gaussians stay in their objects wherever they are moved; what was removed is in none, and an object without any
    Gaussian left is gone. A copy is an object of its own with the descriptors of the one it was copied from.

    Raises:
        InvalidInputError: the edits are of another scene.
    """
    count = laga.gaussian_object.shape[1]
    if len(edited.source) and int(edited.source.max()) >= count:
        raise InvalidInputError(
            f"Expected edits of the scene with {count} Gaussians, found one of row {int(edited.source.max())}. "
            "Give the objects of the scene that was edited."
        )
    followed = laga.gaussian_object[:, edited.source.cpu()]
    copies = int(edited.copy.max()) + 1 if len(edited.copy) else 1
    # level first, so that the new objects are sorted by level; then the objects that were there before their copies
    level = torch.arange(followed.shape[0])[:, None]
    key = (level * copies + edited.copy.cpu()) * laga.object_count + followed
    known = followed >= 0
    names, numbers = key[known].unique(return_inverse=True)
    renumbered = torch.full_like(followed, -1)
    renumbered[known] = numbers
    origin = names % max(laga.object_count, 1)
    rows, owner = _descriptor_rows(laga, origin)
    descriptors = replace(
        laga.descriptors,
        vectors=laga.descriptors.vectors[rows],
        object=owner,
        weights=laga.descriptors.weights[rows],
    )
    return replace(
        laga,
        scene=edited.scene,
        gaussian_object=renumbered,
        object_level=laga.object_level[origin],
        object_masks=laga.object_masks[origin],
        descriptors=descriptors,
    )


def _descriptor_rows(laga: LagaScene, origin: Int[Tensor, " object"]) -> tuple[Tensor, Tensor]:
    """Rows of the descriptors that the new objects take over, and the new object of each."""
    counts = torch.bincount(laga.descriptors.object, minlength=laga.object_count)
    starts = torch.cumsum(counts, 0) - counts
    taken = counts[origin]
    owner = torch.arange(len(origin)).repeat_interleave(taken)
    first = (torch.cumsum(taken, 0) - taken)[owner]
    return starts[origin][owner] + torch.arange(len(owner)) - first, owner

"""The Gaussians of every true instance of a fitted scene, and the true meshes: what exports are measured with.

A Gaussian belongs to the instance whose pixels it paints most, over the training views, if that is more than half of
all it paints. So no model has a say; what is measured is the export alone.
"""

from __future__ import annotations

import torch
import trimesh
from jaxtyping import Int
from torch import Tensor

from benchmarks.language_queries import Prepared
from vision3d.evaluation.instance_scene import read_instance_ids
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of

_MAJORITY = 0.5
_HOUSEHOLD_THINGS = 18
"""As many as `data.recipes.household.test_scenes` puts into a scene."""


def true_owners(prepared: Prepared) -> Int[Tensor, " gaussian"]:
    """Instance of each Gaussian, 0 = the surroundings, -1 = none paints most of its pixels."""
    ids = torch.stack([read_instance_ids(prepared.folder, view) for view in prepared.train])
    painted = choose_renderer("cpu").label_weights(
        splats_of(prepared.scene), prepared.photos.cameras.select(prepared.train), ids, label_count=int(ids.max()) + 1
    )
    share = painted.per_label / painted.total.clamp_min(1e-9)[:, None]
    return torch.where(share.amax(1) > _MAJORITY, share.argmax(1), -1)


def true_meshes(name: str) -> tuple[dict[int, trimesh.Trimesh], dict[int, str], trimesh.Trimesh]:
    """Mesh and name of each instance, and everything there is as one mesh, which hides and is hidden."""
    if name == "tabletop":
        from data.recipes.tabletop.scene import everything, tabletop_objects

        things = tabletop_objects()
        parts = everything(things)[0]
        placed = [(thing.number, thing.name, thing.parts) for thing in things]
    else:
        from data.recipes.household.random_scene import random_scene

        scene = random_scene(int(name), count=_HOUSEHOLD_THINGS)
        parts = scene.parts()[0]
        placed = [(one.number, one.thing.name, one.parts) for one in scene.placed]
    meshes = {number: trimesh.util.concatenate([part.mesh for part in pieces]) for number, _, pieces in placed}
    return meshes, {number: label for number, label, _ in placed}, trimesh.util.concatenate([p.mesh for p in parts])

"""Prototypes against a plain mean over each mask's pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize

from tests.vision3d.laga.ball_scene import make_ball_scene, masks_of, table_of
from vision3d.laga.affinity_field import AffinityField
from vision3d.laga.frozen_views import FrozenViews
from vision3d.laga.prototypes import mask_prototypes
from vision3d.language.mask_features import MaskFeatures
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of

_BLOCKS = (4, 3)


def test_prototypes_are_the_unit_means_of_normalised_pixels() -> None:
    balls = make_ball_scene(3)
    coarse = np.where(balls.labels >= 0, balls.labels // 2, -1)
    masks = masks_of(balls.cameras, np.stack([balls.labels, coarse], 1))
    features = torch.randn(len(balls.scene), 7)
    field = AffinityField(features=features, block_dims=_BLOCKS, opacity_logits=balls.scene.opacity_logits)
    table = table_of(masks)
    shuffled = torch.randperm(len(table))
    rows = MaskFeatures(
        vectors=table.vectors, view=table.view[shuffled], level=table.level[shuffled], number=table.number[shuffled],
        encoder_id="none",
    )  # fmt: skip
    views = FrozenViews(balls.scene, balls.cameras, minimum_weight=0.0)
    found = mask_prototypes(field, views, masks, rows, minimum_pixels=100)

    blocks = torch.cat([normalize(part, dim=-1) for part in features.split(_BLOCKS, dim=-1)], -1)
    images = CpuRenderer().rasterize(splats_of(balls.scene), balls.cameras, blocks).channels
    images = torch.cat([normalize(part, dim=-1) for part in images.split(_BLOCKS, dim=-1)], -1)
    for row in range(len(rows)):
        view, level, number = int(rows.view[row]), int(rows.level[row]), int(rows.number[row])
        inside = torch.from_numpy(masks.labels[view, level] == number)
        dim = 7 if level == 0 else 4
        mean = normalize(images[view][inside][:, :dim].mean(0), dim=0)
        torch.testing.assert_close(found.vectors[row, :dim], mean, rtol=0, atol=1e-4)
        assert bool((found.vectors[row, dim:] == 0).all())
        assert bool(found.usable[row]) == (int(inside.sum()) > 100)


def test_numbers_that_no_pixel_shows_are_not_usable() -> None:
    balls = make_ball_scene(1)
    masks = masks_of(balls.cameras, balls.labels[:, None])
    field = AffinityField(
        features=torch.randn(len(balls.scene), 4), block_dims=(4,), opacity_logits=balls.scene.opacity_logits
    )
    zero = torch.zeros(2, dtype=torch.long)
    table = MaskFeatures(
        vectors=torch.ones(2, 1), view=zero, level=zero, number=torch.tensor([99, 4]), encoder_id="none"
    )
    views = FrozenViews(balls.scene, balls.cameras)
    assert mask_prototypes(field, views, masks, table, minimum_pixels=0).usable.tolist() == [False, True]

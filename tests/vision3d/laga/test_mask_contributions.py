"""Who painted what: against the renderer's own label weights, and against the dense matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.vision3d.laga.ball_scene import OBJECT_COUNT, BallScene, make_ball_scene, masks_of, table_of
from vision3d.errors import InvalidInputError, UnknownViewError
from vision3d.laga.mask_contributions import as_sparse, contributions_of_masks
from vision3d.language.mask_features import MaskFeatures
from vision3d.rendering.cpu_renderer import CpuRenderer
from vision3d.rendering.render_views import splats_of


@pytest.fixture(scope="module")
def balls() -> BallScene:
    return make_ball_scene(view_count=3)


def _picked(table: MaskFeatures, rows: torch.Tensor) -> MaskFeatures:
    parts = {name: getattr(table, name)[rows] for name in ("vectors", "view", "level", "number")}
    return replace(table, **parts)


def _two_levels(balls: BallScene) -> np.ndarray:
    merged = np.where(balls.labels >= 0, np.array([0, 0, 7, 7, 3])[balls.labels], -1)  # numbers need not be close
    return np.stack([balls.labels, merged], 1)


def test_rows_are_the_renderers_label_weights_in_any_order_of_the_table(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, _two_levels(balls))
    table = table_of(masks)
    table = _picked(table, torch.randperm(len(table))[:-3])  # shuffled, and three masks not listed
    found = contributions_of_masks(balls.scene, balls.cameras, masks, table, minimum_weight=0.3)
    for view, name in enumerate(balls.cameras.names):
        for level in (0, 1):
            labels = torch.from_numpy(masks.labels[view, level][None].astype(np.int64))
            expected = CpuRenderer().label_weights(
                splats_of(balls.scene), balls.cameras.select([name]), labels, label_count=8
            )
            rows = ((table.view == view) & (table.level == level)).nonzero().flatten()
            own = torch.from_numpy(found.masks[rows.numpy()].toarray()).T
            torch.testing.assert_close(own, expected.per_label[:, table.number[rows]], atol=1e-4, rtol=1e-4)
            total = torch.from_numpy(found.views[[view]].toarray()[0])
            torch.testing.assert_close(total, expected.total, atol=1e-4, rtol=1e-4)


def test_strong_rows_and_peak_are_those_of_the_dense_matrix(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, balls.labels[:, None])
    table = table_of(masks)
    found = contributions_of_masks(balls.scene, balls.cameras, masks, table, minimum_weight=0.3)
    peak = np.zeros(len(balls.scene))
    for view, name in enumerate(balls.cameras.names):
        blending = CpuRenderer().blending_weights(splats_of(balls.scene), balls.cameras.select([name]))[0]
        dense = as_sparse(blending).toarray()
        peak = np.maximum(peak, dense.max(0))
        strong = np.where(dense >= 0.3, dense, 0)
        labels = balls.labels[view].reshape(-1)
        for row in (table.view == view).nonzero().flatten().tolist():
            expected = strong[labels == int(table.number[row])].sum(0)
            np.testing.assert_allclose(found.strong_masks[[row]].toarray()[0], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found.strong_views[[view]].toarray()[0], strong.sum(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found.peak, peak.astype(np.float32))


def test_masks_that_share_all_pixels_share_all_weight(balls: BallScene) -> None:
    everywhere = np.where(balls.labels >= 0, balls.labels, OBJECT_COUNT)[:, None]
    masks = masks_of(balls.cameras, everywhere)
    table = table_of(masks)
    found = contributions_of_masks(balls.scene, balls.cameras, masks, table)
    for view in range(3):
        rows = (table.view == view).numpy().nonzero()[0]
        np.testing.assert_allclose(
            found.masks[rows].toarray().sum(0), found.views[[view]].toarray()[0], rtol=1e-4, atol=1e-4
        )


def test_an_empty_table_has_no_rows(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, balls.labels[:, None])
    table = _picked(table_of(masks), torch.zeros(0, dtype=torch.long))
    found = contributions_of_masks(balls.scene, balls.cameras, masks, table)
    assert found.masks.shape == found.strong_masks.shape == (0, len(balls.scene))
    assert found.views.shape == (3, len(balls.scene))


def test_masks_of_another_size_or_of_no_camera_are_refused(balls: BallScene) -> None:
    masks = masks_of(balls.cameras, balls.labels[:, None])
    small = masks_of(balls.cameras, balls.labels[:, None, :-1])
    with pytest.raises(InvalidInputError, match="size 64 x 64, found 64 x 63"):
        contributions_of_masks(balls.scene, balls.cameras, small, table_of(small))
    two = balls.cameras.select(balls.cameras.names[:2])
    with pytest.raises(UnknownViewError, match="view_02"):
        contributions_of_masks(balls.scene, two, masks, table_of(masks))


@pytest.mark.parametrize(("column", "highest"), [("view", 3), ("level", 1)])
def test_a_table_of_other_masks_is_refused(balls: BallScene, column: str, highest: int) -> None:
    masks = masks_of(balls.cameras, balls.labels[:, None])
    table = table_of(masks)
    wrong = replace(table, **{column: torch.where(table.view == 2, highest, getattr(table, column))})
    with pytest.raises(InvalidInputError, match=f"{column}s 0 to {highest - 1}, found 0 to {highest}"):
        contributions_of_masks(balls.scene, balls.cameras, masks, wrong)

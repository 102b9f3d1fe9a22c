"""The sparse facts of a mask graph, against the same facts worked out densely, mask by mask and pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from numpy import ndarray
from scipy.sparse import csr_array

from vision3d.laga import mask_relations
from vision3d.laga.mask_relations import (
    Relations,
    agreeing_pairs,
    common_view_counts,
    mask_level,
    relations_of,
    views_that_hold,
)

_VIEWS, _GAUSSIANS, _PER_VIEW = 19, 40, 4  # more views than the 16 of one packed word


@pytest.fixture(params=[1, 2, 3])
def masks(request: pytest.FixtureRequest) -> tuple[ndarray, ndarray, ndarray]:
    """Weights of masks, their views, and weights of views that see a little more than their masks."""
    random = np.random.default_rng(request.param)
    view_of = np.repeat(np.arange(_VIEWS), _PER_VIEW)
    rows = np.zeros((len(view_of), _GAUSSIANS))
    group = np.arange(_GAUSSIANS) * _PER_VIEW // _GAUSSIANS
    for mask in range(len(view_of)):
        inside = (group == mask % _PER_VIEW) ^ (random.random(_GAUSSIANS) < 0.05)
        rows[mask] = inside * (0.2 + random.random(_GAUSSIANS)) * (random.random(_GAUSSIANS) < 0.8)
    seen = np.stack([rows[view_of == view].sum(0) for view in range(_VIEWS)])
    return rows, view_of, seen + (seen > 0) * 0.05


def _dense(rows: ndarray, view_of: ndarray, seen: ndarray, visible: float, contained: float) -> tuple[ndarray, ndarray]:
    sees = np.zeros((len(rows), len(seen)), bool)
    holds = np.zeros((len(rows), len(rows)), bool)
    for row, weights in enumerate(rows):
        for view in range(len(seen)):
            share = weights[seen[view] > 0].sum() / max(weights.sum(), 1e-12)
            sees[row, view] = share >= visible
            for mask in np.flatnonzero(view_of == view):
                inside = sum(
                    weights[g] / weights.sum() * min(rows[mask, g] / seen[view, g], 1)
                    for g in np.flatnonzero(rows[mask])
                    if weights.sum() > 0
                )
                holds[row, mask] = sees[row, view] and inside > 0 and inside >= contained * share
    return sees, holds


def test_relations_are_those_of_the_dense_sums(masks: tuple[ndarray, ndarray, ndarray]) -> None:
    rows, view_of, seen = masks
    level = mask_level(csr_array(rows), view_of, csr_array(seen))
    found = relations_of(csr_array(rows), level, visible_share=0.5, contained_share=0.7)
    sees, holds = _dense(rows, view_of, seen, 0.5, 0.7)
    np.testing.assert_array_equal(found.sees, sees)
    np.testing.assert_array_equal(found.holds.toarray() > 0, holds)
    assert 0.1 < holds.mean() < 0.9
    assert 0.1 < sees.mean() < 0.99
    expected = np.stack([holds[:, view_of == view].any(1) for view in range(_VIEWS)], 1)
    np.testing.assert_array_equal(views_that_hold(found, level), expected)
    per_view = np.stack([holds[:, view_of == view].sum(1) for view in range(_VIEWS)], 1)
    assert per_view.max() == 1, "more than half can lie in one mask of a view alone"


def test_pairs_are_those_of_the_plain_loop_whatever_the_blocks(
    masks: tuple[ndarray, ndarray, ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, view_of, seen = masks
    sees, holds = _dense(rows, view_of, seen, 0.5, 0.7)
    relations = Relations(sees=sees, holds=csr_array(holds.astype(np.float32)))
    expected = np.zeros((len(rows), len(rows)), bool)
    for left in range(len(rows)):
        for right in range(left + 1, len(rows)):
            common = int((sees[left] & sees[right]).sum())
            support = int((holds[left] & holds[right]).sum())
            expected[left, right] = common >= 3 and support > 0 and 10 * support >= 6 * common
    assert expected.any()
    for size in (7, 512):
        monkeypatch.setattr(mask_relations, "_BLOCK_ROWS", size)
        monkeypatch.setattr(mask_relations, "_BLOCK_PAIRS", 5 * size)
        np.testing.assert_array_equal(agreeing_pairs(relations, least=3, consensus=0.6).toarray(), expected)
        level = mask_level(csr_array(rows), view_of, csr_array(seen))
        found = relations_of(csr_array(rows), level, visible_share=0.5, contained_share=0.7)
        np.testing.assert_array_equal(found.holds.toarray() > 0, holds)


def test_nine_views_of_ten_are_nine_tenths() -> None:
    # for every number of views, exactly the share asked for agrees
    for tens in range(1, 30):
        sees = np.ones((2, 10 * tens), bool)
        holds = np.ones((2, 10 * tens), np.float32)
        holds[1, :tens] = 0
        relations = Relations(sees=sees, holds=csr_array(holds))
        assert agreeing_pairs(relations, least=1, consensus=0.9).nnz == 1
        holds[1, tens] = 0
        assert agreeing_pairs(Relations(sees=sees, holds=csr_array(holds)), least=1, consensus=0.9).nnz == 0


def test_common_views_of_all_pairs_and_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    sees = np.random.default_rng(0).random((50, 9)) < 0.3
    counts = [int((sees[a] & sees[b]).sum()) for a in range(50) for b in range(a + 1, 50)]
    expected = sorted(count for count in counts if count)
    monkeypatch.setattr(mask_relations, "_BLOCK_ROWS", 16)
    assert common_view_counts(sees, most_rows=50).tolist() == expected
    # of four rows the even sample of two are the first and the last
    rows = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
    assert common_view_counts(rows, most_rows=2).tolist() == [3]

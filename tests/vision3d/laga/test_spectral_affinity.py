"""The spectral embedding of masks: exact where masks fall apart into blocks, against a full decomposition elsewhere."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, random_array

from vision3d.laga.spectral_affinity import mask_embedding


def test_masks_of_one_thing_share_a_direction_and_others_are_square_to_it() -> None:
    # two blocks, within which all masks have one pattern: an operator of rank two
    rows = np.zeros((5, 6))
    rows[:3, :4] = np.outer([1, 2, 5], [1, 2, 1, 3])
    rows[3:, 4:] = np.outer([4, 1], [2, 1])
    vectors = mask_embedding(csr_array(rows), dim=2)
    same = (np.arange(5)[:, None] < 3) == (np.arange(5)[None] < 3)
    np.testing.assert_allclose(vectors @ vectors.T, same, atol=1e-5)


def test_cosines_are_those_of_the_singular_vectors() -> None:
    rows = random_array((12, 20), density=0.4, rng=np.random.default_rng(1)).toarray() + 0.02
    scaled = rows / np.sqrt(rows.sum(1, keepdims=True)) / np.sqrt(rows.sum(0, keepdims=True))
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    expected = (left * values)[:, :4] / np.sqrt(rows.sum(1, keepdims=True))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = mask_embedding(csr_array(rows), dim=4, sweeps=400)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)


def test_the_seed_decides_and_sizes_are_cut_to_what_there_is() -> None:
    rows = csr_array(np.eye(3, 5) + 0.1)
    np.testing.assert_array_equal(mask_embedding(rows, seed=4), mask_embedding(rows, seed=4))
    assert mask_embedding(rows, dim=64).shape == (3, 3)
    assert mask_embedding(csr_array((2, 0))).shape == (2, 0)

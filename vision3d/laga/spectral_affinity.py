"""Affinity of Gaussians without training: leading vectors of the operator that averages over masks and back.

Each sweep replaces the vectors of the Gaussians inside a mask by their mean and gives every Gaussian the mean of the
masks that hold it. The vectors that survive are constant on objects: the embedding of a normalised cut.

Source: power (subspace) iteration on D_g^-1 W^T D_m^-1 W with W the contributions of Gaussians to masks.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_array, diags_array

from vision3d.laga.mask_relations import matrix_shape


def mask_embedding(rows: csr_array, *, dim: int = 64, sweeps: int = 15, seed: int = 0) -> Float[ndarray, "mask dim"]:
    """Unit vectors of the masks of one level: near where the masks hold the same Gaussians, directly or by others.

    Args:
        rows: [mask gaussian] contributions.
        dim: vectors kept; more than there are objects.
        sweeps: rounds of averaging.
        seed: of the random start.
    """
    masks, gaussians = matrix_shape(rows)
    dim = min(dim, masks, gaussians)
    if not dim:
        return np.zeros((masks, 0), np.float32)
    mask_weight = np.asarray(rows.sum(axis=1)).ravel()
    gaussian_weight = np.asarray(rows.sum(axis=0)).ravel()
    # the symmetric form has the same spectrum, and its vectors stay orthogonal
    left = diags_array(1.0 / np.sqrt(np.maximum(mask_weight, 1e-12)))
    right = diags_array(1.0 / np.sqrt(np.maximum(gaussian_weight, 1e-12)))
    operator = csr_array(left @ rows @ right).astype(np.float32)
    vectors = np.random.default_rng(seed).standard_normal((gaussians, dim)).astype(np.float32)
    for _ in range(sweeps):
        vectors, _ = np.linalg.qr(operator.T @ (operator @ vectors))
    embedded = left @ (operator @ vectors)
    return embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)

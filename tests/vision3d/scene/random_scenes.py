"""Gaussian scenes for the tests of this room: any size, any degree, with the odd values real files hold."""

from __future__ import annotations

from dataclasses import fields

import torch
from hypothesis import strategies as st

from vision3d.scene.gaussian_scene import GaussianScene


def random_scene(count: int, *, sh_degree: int = 0, seed: int = 0) -> GaussianScene:
    """Gaussians with values in the range trained scenes have."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return GaussianScene(
        means=10 * normal(count, 3),
        quats=normal(count, 4),
        log_scales=normal(count, 3) - 4,
        opacity_logits=3 * normal(count),
        sh=normal(count, (sh_degree + 1) ** 2, 3),
    )


def scenes(max_count: int = 600) -> st.SearchStrategy[GaussianScene]:
    """Hypothesis strategy over sizes (past one chunk of 256), degrees and seeds."""
    return st.builds(
        lambda count, degree, seed: random_scene(count, sh_degree=degree, seed=seed),
        st.integers(1, max_count),
        st.integers(0, 3),
        st.integers(0, 2**31),
    )


def same_bits(first: GaussianScene, second: GaussianScene) -> bool:
    """True where every float32 of two scenes has the same bits."""
    return all(
        torch.equal(getattr(first, field.name).view(torch.int32), getattr(second, field.name).view(torch.int32))
        for field in fields(GaussianScene)
    )

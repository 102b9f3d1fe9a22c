"""Without densification a fit moves Gaussians but never adds, removes or re-orders any."""

from __future__ import annotations

import torch

from tests.vision3d.reconstruction.known_scenes import known_photos, quick_fit
from vision3d.reconstruction.fit_gaussians import fit_gaussians


def test_the_count_stays_and_every_row_stays_itself() -> None:
    start = fit_gaussians(known_photos(), config=quick_fit(densifier="fixed", steps=1))
    end = fit_gaussians(known_photos(), config=quick_fit(densifier="fixed", steps=30))
    assert len(start) == len(end) == 200
    travelled = (end.means - start.means).norm(dim=1)
    # Adam moves a centre by at most its rate per step and axis: 30 steps x 1.6e-4 x scene scale (1.1 x 3) x sqrt 3
    assert 0 < float(travelled.max()) < 30 * 1.6e-4 * 3.3 * 3**0.5
    assert torch.isfinite(end.opacity_logits).all()

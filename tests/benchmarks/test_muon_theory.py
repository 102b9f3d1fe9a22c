"""The problems of the benchmark on Muon's theory: their spectra, and the two ends of what it compares."""

from __future__ import annotations

import pytest
import torch

from benchmarks.muon_theory import descent_advance, generated_quadratic, muon_advance, quadratic, steps_needed


def _falling(decay: float) -> torch.Tensor:
    return decay ** torch.arange(32, dtype=torch.float64)


def test_a_quadratic_has_the_spectrum_asked_for() -> None:
    problem = quadratic((32, 5), _falling(0.5), seed=1)
    assert problem.spectral == pytest.approx(1)
    assert problem.nuclear == pytest.approx(2, rel=1e-8)  # the geometric series
    assert problem.start.shape == (32, 5)
    assert float(problem.loss(torch.zeros(32, 5, dtype=torch.float64))) == 0


def test_muon_wins_where_the_spectrum_falls_fast() -> None:
    problem = quadratic((32, 32), _falling(0.5), seed=0)
    muon, said = steps_needed(problem, muon_advance)
    descent, _ = steps_needed(problem, descent_advance)
    assert muon[1e-2] <= 4
    assert 35 <= descent[1e-2] <= 55
    assert all(advantage >= 1 for advantage in said)


def test_gradient_descent_wins_where_the_spectrum_is_flat() -> None:
    problem = quadratic((32, 32), _falling(1.0), seed=0)
    muon, said = steps_needed(problem, muon_advance)
    descent, _ = steps_needed(problem, descent_advance)
    assert descent == {1e-2: 1, 1e-3: 1}
    assert muon[1e-2] > 1
    assert all(advantage < 1 for advantage in said)


def test_generated_problems_are_of_both_kinds_and_always_the_same() -> None:
    first, second = generated_quadratic(3), generated_quadratic(3)
    assert torch.equal(first.start, second.start)
    levels = torch.linalg.eigvalsh(generated_quadratic(4).curvature)
    assert len({round(float(value), 6) for value in levels}) <= 2
    assert len({round(float(value), 9) for value in torch.linalg.eigvalsh(first.curvature)}) > 2

"""Does the theory of Muon say when it is faster than gradient descent?

`python -m benchmarks.muon_theory` prints three tables, in float64, in some seconds:

1. Quadratics 1/2 <W, Q W> whose spectrum falls by a factor, with the step sizes of the theory: along U V^T the nuclear
   norm of G over that of Q for Muon (exact, without momentum), and 1 over the spectral norm of Q for gradient descent.
   Spectra that fall fast favour Muon; the flat one is the control, where gradient descent is right at once.
2. Whether J / L <= K, as `probe_muon` measures it, foretells the faster one on generated quadratics: seen at the first
   step alone, and on the geometric mean over Muon's way.
3. The probe on a small network of three layers, before and after 40 steps of Muon.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vlm_bridge.optim.muon_probe import MatrixProbe, probe_muon, probe_table
from vlm_bridge.optim.polar_factor import polar_factor

_TARGETS = (1e-2, 1e-3)
_MOST = 4000
_PROBLEMS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadratic:
    """The loss 1/2 <W, Q W>, whose minimum is at 0."""

    curvature: Tensor
    """Q."""
    start: Tensor
    """W at first."""

    @property
    def spectral(self) -> float:
        """Largest eigenvalue of Q."""
        return float(torch.linalg.eigvalsh(self.curvature)[-1])

    @property
    def nuclear(self) -> float:
        """Sum of the eigenvalues of Q."""
        return float(self.curvature.trace())

    def loss(self, weights: Tensor) -> Tensor:
        """At some W."""
        return 0.5 * (weights * (self.curvature @ weights)).sum()


def quadratic(shape: tuple[int, int], spectrum: Tensor, seed: int) -> Quadratic:
    """One with these eigenvalues, in a random basis, from a random start."""
    generator = torch.Generator().manual_seed(seed)
    rows = shape[0]
    basis = torch.linalg.qr(torch.randn(rows, rows, generator=generator, dtype=torch.float64)).Q
    start = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Quadratic(curvature=basis @ torch.diag(spectrum) @ basis.T, start=start)


def muon_advance(problem: Quadratic, weights: Tensor) -> tuple[Tensor, float]:
    """Weights after a step of Muon, and K / (J / L) before it."""
    polar = polar_factor(problem.curvature @ weights)
    along = float((polar.direction * (problem.curvature @ polar.direction)).sum())
    advantage = (polar.nuclear / polar.frobenius) ** 2 / (along / problem.spectral)
    return weights - polar.nuclear / problem.nuclear * polar.direction, advantage


def descent_advance(problem: Quadratic, weights: Tensor) -> tuple[Tensor, float]:
    """Weights after a step of gradient descent."""
    return weights - problem.curvature @ weights / problem.spectral, math.nan


def steps_needed(
    problem: Quadratic, advance: Callable[[Quadratic, Tensor], tuple[Tensor, float]]
) -> tuple[dict[float, int], list[float]]:
    """Steps until the loss is down to each target share, `_MOST` + 1 where it is not; and what each step said."""
    weights, first = problem.start, float(problem.loss(problem.start))
    said, reached = [], dict.fromkeys(_TARGETS, _MOST + 1)
    for step in range(1, _MOST + 1):
        weights, words = advance(problem, weights)
        said.append(words)
        share = float(problem.loss(weights)) / first
        for target in _TARGETS:
            if share <= target:
                reached[target] = min(reached[target], step)
        if share <= min(_TARGETS):
            break
    return reached, said


def _print_quadratics() -> None:
    print("| W | spectrum | nuclear / (r spectral) of Q | Muon, steps to 1e-2 / 1e-3 | GD | J/L <= K in |")
    print("|---|---|---|---|---|---|")
    for shape, decay in (((32, 32), 0.5), ((32, 32), 0.8), ((64, 16), 0.7), ((32, 32), 1.0)):
        problem = quadratic(shape, decay ** torch.arange(shape[0], dtype=torch.float64), seed=0)
        muon, said = steps_needed(problem, muon_advance)
        descent, _ = steps_needed(problem, descent_advance)
        ratio = problem.nuclear / (min(shape) * problem.spectral)
        held = statistics.mean(advantage >= 1 for advantage in said)
        steps = " | ".join(f"{found[1e-2]} / {found[1e-3]}" for found in (muon, descent))
        print(f"| {shape[0]} x {shape[1]} | {decay}^i | {ratio:.3f} | {steps} | {held:.0%} of Muon's steps |")


def generated_quadratic(number: int) -> Quadratic:
    """Sides of 8 to 32; the spectrum falls by a factor of 0.5 to 1, or has a high and a low level, by turns."""
    draw = random.Random(number)
    shape = (draw.choice((8, 16, 24, 32)), draw.choice((8, 16, 24, 32)))
    if number % 2:
        spectrum = draw.uniform(0.5, 1.0) ** torch.arange(shape[0], dtype=torch.float64)
    else:
        spectrum = torch.full((shape[0],), draw.uniform(0.0, 1.0), dtype=torch.float64)
        spectrum[: draw.randint(1, shape[0])] = 1.0
    return quadratic(shape, spectrum, seed=number)


def _print_predictions() -> None:
    rows = []
    for number in range(_PROBLEMS):
        problem = generated_quadratic(number)
        muon, said = steps_needed(problem, muon_advance)
        rows.append((muon, steps_needed(problem, descent_advance)[0], said))
    print(f"\n{_PROBLEMS} generated quadratics\n")
    print("| until | Muon faster | GD faster | as many steps | right at the first step | right over Muon's way |")
    print("|---|---|---|---|---|---|")
    for target in _TARGETS:
        decided = [row for row in rows if row[0][target] != row[1][target]]
        wins = [muon[target] < descent[target] for muon, descent, _ in decided]
        first = [said[0] >= 1 for _, _, said in decided]
        way = [statistics.geometric_mean(said[: muon[target]]) >= 1 for muon, _, said in decided]
        right = [sum(map(bool.__eq__, guess, wins)) for guess in (first, way)]
        shares = " | ".join(f"{count} of {len(wins)} ({count / len(wins):.0%})" for count in right)
        counts = f"{sum(wins)} | {len(wins) - sum(wins)} | {len(rows) - len(wins)}"
        print(f"| {target:g} | {counts} | {shares} |")


def probe_network(steps: int) -> list[list[MatrixProbe]]:
    """Probes of a network of 32-64-64-10 on 512 labelled points, before and after `steps` steps of Muon."""
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10)).double()
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).double()
    points = torch.randn(512, 32, dtype=torch.float64)
    labels = teacher(points).argmax(dim=1)

    def loss() -> Tensor:
        return cross_entropy(model(points), labels)

    found = [probe_muon(model, loss)]
    for _ in range(steps):
        gradients = torch.autograd.grad(loss(), list(model.parameters()))
        with torch.no_grad():
            for value, gradient in zip(model.parameters(), gradients, strict=True):
                value -= 0.01 * (polar_factor(gradient).direction if value.ndim == 2 else gradient)
    return [*found, probe_muon(model, loss)]


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, float64\n")
    _print_quadratics()
    _print_predictions()
    for name, probes in zip(("before", "after 40 steps of Muon"), probe_network(40), strict=True):
        print(f"\nNetwork 32-64-64-10, {name}\n\n{probe_table(probes)}")


if __name__ == "__main__":
    main()

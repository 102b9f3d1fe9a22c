"""`probe_muon`: whether Muon should beat gradient descent on a model where it stands now, matrix by matrix.

With the direction O = U V^T of a gradient G, the curvature J along O and the largest curvature L of the loss, the best
step along O lowers a quadratic loss by |G|_nuclear^2 / 2J, and the step 1 / L along G by at least |G|_frobenius^2 / 2L.
Muon promises more where J / L <= K = |G|_nuclear^2 / |G|_frobenius^2, which lies between 1 and the rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vlm_bridge.errors import InvalidInputError
from vlm_bridge.optim.parameter_roles import sort_parameters
from vlm_bridge.optim.polar_factor import PolarFactor, polar_factor

Product = Callable[[Tensor], Tensor]
"""A vector times the Hessian of one matrix; both have the matrix's shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixProbe:
    """What was measured on one matrix; NaN for ratios of which both sides are 0."""

    name: str
    """Of the parameter."""
    shape: tuple[int, int]
    """Rows and columns."""
    curvature_along_step: float
    """J: <O, H O>. Not above 0 where the loss is concave along O; the criterion then says nothing."""
    curvature_along_gradient: float
    """<G, H G> / <G, G>, which gradient descent with the best step meets."""
    largest_curvature: float
    """L: largest absolute eigenvalue of the Hessian H, from below."""
    gradient: PolarFactor
    """Its direction and norms."""

    @property
    def curvature_ratio(self) -> float:
        """J / L."""
        return _ratio(self.curvature_along_step, self.largest_curvature)

    @property
    def norm_ratio(self) -> float:
        """K: squared nuclear over squared Frobenius norm of the gradient."""
        return _ratio(self.gradient.nuclear**2, self.gradient.frobenius**2)

    @property
    def stable_rank(self) -> float:
        """Squared Frobenius over squared spectral norm of the gradient."""
        return _ratio(self.gradient.frobenius**2, self.gradient.spectral**2)

    @property
    def advantage(self) -> float:
        """K / (J / L): so many times what gradient descent promises; above 1 where Muon should be faster."""
        return _ratio(self.norm_ratio, self.curvature_ratio)

    @property
    def muon_is_better(self) -> bool:
        """J / L <= K."""
        return self.curvature_ratio <= self.norm_ratio


def probe_muon(
    model: nn.Module,
    loss: Callable[[], Tensor],
    *,
    names: Collection[str] | None = None,
    iterations: int = 100,
    seed: int = 0,
) -> list[MatrixProbe]:
    """J, L and K of each matrix at the model's present weights; gradients, weights and random state stay as they are.

    Each product with a Hessian costs about two passes of gradients, and a matrix takes two of them and as many as the
    power iteration needs. On large models name a few matrices.

    Example:
        >>> model = nn.Linear(3, 2, bias=False)
        >>> (probe,) = probe_muon(model, lambda: 2 * model.weight.square().sum())
        >>> round(probe.largest_curvature, 4), round(probe.curvature_along_step, 4)
        (4.0, 8.0)

    Args:
        model: In the mode and precision it trains in; half precision blurs curvature.
        loss: The loss of one fixed batch; it must be the same whenever it is called, so without dropout.
        names: Parameters to look at; None: the weights of all linear layers that learn, heads left out.
        iterations: Most power iterations for L; fewer where it has settled to a thousandth.
        seed: Of their start.

    Raises:
        InvalidInputError: no such matrix, or the loss reaches none.
    """
    chosen = _chosen(model, names)
    generator = torch.Generator().manual_seed(seed)
    # Other kernels of attention have no second derivative.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        values = list(chosen.values())
        gradients = torch.autograd.grad(loss(), values, create_graph=True, allow_unused=True)
        reached = [row for row in zip(chosen, values, gradients, strict=True) if row[2] is not None]
        if not reached:
            raise InvalidInputError(
                f"Muon probe: expected a loss that depends on one of {len(chosen)} matrices, found one that depends on "
                "none of them. Compute it with the model that is probed."
            )
        return [
            _probe(name, gradient.detach(), _hessian_product(gradient, value), iterations, generator)
            for name, value, gradient in reached
        ]


def largest_curvature(
    product: Product, like: Tensor, *, generator: torch.Generator, iterations: int = 100, tolerance: float = 1e-3
) -> float:
    """Largest absolute eigenvalue of a symmetric operator, from below, by power iteration.

    The length of the image is taken, so that eigenvalues of either sign count.

    Example:
        >>> weights = torch.tensor([[1.0, -5.0]])
        >>> round(largest_curvature(lambda v: weights * v, weights, generator=torch.Generator().manual_seed(0)), 3)
        5.0
    """
    vector = torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)
    length = 0.0
    for _ in range(iterations):
        vector = product(vector / torch.linalg.vector_norm(vector))
        before, length = length, float(torch.linalg.vector_norm(vector))
        if length == 0 or abs(length - before) <= tolerance * length / 10:
            break
    return length


def probe_table(probes: Sequence[MatrixProbe]) -> str:
    """A table to print, one matrix to a line, and what it comes to."""
    lines = [
        "| matrix | shape | J | L | J/L | K | K / (J/L) | rank | stable rank | Muon |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in probes:
        shape = " x ".join(str(side) for side in one.shape)
        numbers = (
            one.curvature_along_step, one.largest_curvature, one.curvature_ratio, one.norm_ratio, one.advantage
        )  # fmt: skip
        cells = " | ".join(f"{number:.3g}" for number in numbers)
        verdict = "concave" if one.curvature_along_step <= 0 else "better" if one.muon_is_better else "worse"
        lines.append(f"| {one.name} | {shape} | {cells} | {one.gradient.rank} | {one.stable_rank:.1f} | {verdict} |")
    better = sum(one.muon_is_better for one in probes)
    return "\n".join([*lines, "", f"J/L <= K in {better} of {len(probes)} matrices"])


def probe_metrics(probes: Sequence[MatrixProbe]) -> dict[str, float]:
    """A few numbers for the log of a run: share of matrices where Muon should win, and medians of the ratios."""
    ratios = {
        "muon_curvature_ratio": [one.curvature_ratio for one in probes],
        "muon_norm_ratio": [one.norm_ratio for one in probes],
        "muon_stable_rank": [one.stable_rank for one in probes],
    }
    medians = {name: float(torch.tensor(values).nanmedian()) for name, values in ratios.items()}
    return {"muon_better_share": sum(one.muon_is_better for one in probes) / max(len(probes), 1), **medians}


def _chosen(model: nn.Module, names: Collection[str] | None) -> dict[str, nn.Parameter]:
    known = {one.name: one for one in sort_parameters(model)}
    wanted = [name for name, one in known.items() if one.role == "matrix"] if names is None else list(names)
    faults = [name for name in wanted if name not in known or known[name].parameter.ndim != 2]
    if faults or not wanted:
        raise InvalidInputError(
            f"Muon probe: expected names of matrices that learn, found {faults or 'none'}. Choose among "
            f"{', '.join(list(known)[:8])}, ..."
        )
    return {name: known[name].parameter for name in wanted}


def _hessian_product(gradient: Tensor, value: nn.Parameter) -> Product:
    def product(vector: Tensor) -> Tensor:
        if not gradient.requires_grad:  # of a loss that is linear in the matrix
            return torch.zeros_like(vector)
        (image,) = torch.autograd.grad(
            gradient, value, vector.to(gradient), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return image

    return product


def _probe(name: str, gradient: Tensor, product: Product, iterations: int, generator: torch.Generator) -> MatrixProbe:
    polar = polar_factor(gradient)
    step = polar.direction.to(gradient)
    rows, columns = gradient.shape
    return MatrixProbe(
        name=name,
        shape=(rows, columns),
        curvature_along_step=float((step * product(step)).sum()),
        curvature_along_gradient=_ratio(float((gradient * product(gradient)).sum()), polar.frobenius**2),
        largest_curvature=largest_curvature(product, gradient, generator=generator, iterations=iterations),
        gradient=polar,
    )


def _ratio(above: float, below: float) -> float:
    if below == 0:
        return math.copysign(math.inf, above) if above else math.nan
    return above / below

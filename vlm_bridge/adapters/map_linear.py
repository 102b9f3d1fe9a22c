"""MAP (LoMAP) as a PEFT method: two lengths and two directions in the place of weight and increment.

    W' = alpha W / |W| + beta BA / |BA|

with Frobenius norms; alpha, beta, A and B learn, W does not. In the code a layer's output is that of the frozen layer
plus small corrections, which keeps half precision exact where alpha is close to |W|. The norm of BA comes from two
matrices of the size of the rank, and gradients go through it, so a scaling of A or B changes nothing and gradients are
orthogonal to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vlm_bridge.adapters.additive_linear import AdditiveLinear, drop_layer, kaiming_matrix
from vlm_bridge.adapters.map_config import MapConfig
from vlm_bridge.adapters.peft_door import BufferDict, Tuner, register_tuner, to_float
from vlm_bridge.errors import BackboneError

_LEAST_KEPT = 1e-4
"""Share of the norm of a weight that must be left over by what BA starts from: less is rounding."""
_TINY = 1e-12
"""Added under the root of the norm of BA, so that its gradient is finite where BA = 0."""


class MapLinear(AdditiveLinear):
    """A linear layer under MAP.

    Source:
        "Revisiting Weight Decomposition for Low-Rank Adaptation" (arXiv:2505.23094), known here from its abstract, its
        figure and a summary; the text could not be read. From there: the formula, and what learns. Decided here, the
        paper's choice being unknown: where A, B and beta start, gradients through the norm, what alpha and beta do to
        a bias (nothing), several adapters (their changes add up), and the learning rate of alpha and beta.
    """

    adapter_layer_names = ("lomap_A", "lomap_B", "lomap_alpha", "lomap_beta")
    other_param_names = ("r", "lomap_dropout", "lomap_start_A", "lomap_start_B", "kept_norm", "scalars", "scalar_rate")

    def __init__(self, base_layer: nn.Linear, active: list[str]) -> None:
        """Wrap the layer."""
        super().__init__(base_layer, active)
        self.lomap_A: Any = nn.ParameterDict()
        self.lomap_B: Any = nn.ParameterDict()
        self.lomap_alpha: Any = nn.ParameterDict()
        self.lomap_beta: Any = nn.ParameterDict()
        self.lomap_start_A: Any = BufferDict(persistent=True)
        self.lomap_start_B: Any = BufferDict(persistent=True)
        self.lomap_dropout: Any = nn.ModuleDict()
        self.kept_norm: dict[str, float] = {}
        self.scalars: dict[str, str] = {}
        self.scalar_rate: dict[str, float] = {}

    def add_adapter(self, name: str, config: MapConfig, key: str) -> None:
        """Add an adapter that changes no output yet."""
        # taking more than half of the directions would leave too little of the weight to have a direction of its own
        side = min(self.in_features, self.out_features)
        rank = min(config.rank_of(key), side if config.host == "lora" else max(side // 2, 1))
        self.r[name] = rank
        self.scalars[name], self.scalar_rate[name] = config.scalars, config.scalar_rate or 1.0
        self.lomap_dropout[name] = drop_layer(config.dropout)
        weight = self.pretrained_weight()
        if config.host == "lora":
            # The size of B changes no output, only how fast an optimiser turns it: drawn as a layer of `rank` inputs,
            # its entries would be large and turn slowly.
            up = nn.Parameter(kaiming_matrix(rank, self.out_features, weight.device).detach().T.contiguous())
            down, kept, length = kaiming_matrix(rank, self.in_features, weight.device), weight, 0.0
        else:
            start_up, start_down = _principal(weight, rank, config.host)
            up, down = nn.Parameter(start_up.clone()), nn.Parameter(start_down.clone())
            kept, length = weight - start_up @ start_down, float(product_norm(start_up, start_down))
            self.lomap_start_B[name], self.lomap_start_A[name] = start_up, start_down
        self.lomap_B[name], self.lomap_A[name] = up, down
        norm = torch.linalg.vector_norm(kept).float()
        if not _LEAST_KEPT * float(torch.linalg.vector_norm(weight)) < float(norm) < math.inf:
            raise BackboneError(
                f"{key}: expected finite weights of which something is left over, found norm {float(norm):g} without "
                "what BA starts from. Leave this layer out of target_modules, or take host='lora'."
            )
        self.kept_norm[name] = float(norm)
        start = torch.tensor([[float(norm)], [length]], dtype=torch.float32, device=weight.device)
        if config.scalars == "relative":
            start = torch.tensor([[0.0], [length / float(norm)]], dtype=torch.float32, device=weight.device)
        self.lomap_alpha[name], self.lomap_beta[name] = nn.Parameter(start[0].clone()), nn.Parameter(start[1].clone())

    def own_rates(self) -> Iterator[tuple[nn.Parameter, float]]:
        """Alpha and beta."""
        for scalars in (self.lomap_alpha, self.lomap_beta):
            for name, value in scalars.items():
                yield value, self.scalar_rate[name]

    def excess(self, name: str) -> Float[Tensor, ""]:
        """alpha / |W| - 1: how much longer the kept weight is made; exactly 0 at the start."""
        alpha, norm = self.lomap_alpha[name].squeeze(), self.kept_norm[name]
        return alpha if self.scalars[name] == "relative" else (alpha - norm) / norm

    def length(self, name: str) -> Float[Tensor, ""]:
        """beta: the Frobenius norm of what the low-rank part adds; it may become negative."""
        beta = self.lomap_beta[name].squeeze()
        return beta * self.kept_norm[name] if self.scalars[name] == "relative" else beta

    def add_output(self, name: str, inputs: Tensor, plain: Tensor, output: Tensor) -> Tensor:
        """The output without forming W': one pass over it more than the plain layer, and products of the rank."""
        up, down, bias = self.lomap_B[name], self.lomap_A[name], self.base_layer.bias
        with torch.autocast(inputs.device.type, enabled=False):
            excess = self.excess(name)
            scale = self.length(name) / product_norm(up, down)
            # `plain` holds the bias, which is not to be made longer
            offset = None if bias is None else (-excess * to_float(bias)).to(up.dtype)
        inputs = inputs.to(down.dtype)
        inner = F.linear(self.lomap_dropout[name](inputs), down)
        added = F.linear(_scaled(inner, scale).to(up.dtype), up, offset)
        if name in self.lomap_start_A:
            start = F.linear(inputs, self.lomap_start_A[name].to(up.dtype))
            start = _scaled(start, 1 + excess).to(up.dtype)
            added = added - F.linear(start, self.lomap_start_B[name].to(up.dtype))
        return torch.addcmul(output + added, plain, excess.to(plain.dtype))

    def get_delta_weight(self, name: str) -> Float[Tensor, "out_width in_width"]:
        """W' - W."""
        up, down = self.lomap_B[name], self.lomap_A[name]
        kept, taken = self.pretrained_weight(), None
        if name in self.lomap_start_A:
            taken = to_float(self.lomap_start_B[name]) @ to_float(self.lomap_start_A[name])
            kept = kept - taken
        delta = self.excess(name) * kept + self.length(name) / product_norm(up, down) * (up @ down)
        return delta if taken is None else delta - taken

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """No: unless alpha is |W|, the change has full rank."""
        return False


class MapTuner(Tuner):
    """PEFT's way to adapt a model by MAP."""

    prefix = "lomap_"
    tuner_layer_cls = MapLinear


MAP_TYPE = register_tuner(MapConfig, MapTuner)


def product_norm(up: Float[Tensor, "out_width rank"], down: Float[Tensor, "rank in_width"]) -> Float[Tensor, ""]:
    """Frobenius norm of `up @ down` without forming it: |BA|^2 is the sum of (B^T B) * (A A^T).

    Example:
        >>> product_norm(torch.tensor([[3.0], [0.0]]), torch.tensor([[0.0, 2.0, 0.0]]))
        tensor(6.)
    """
    up = up if up.dtype == torch.float64 else up.float()
    down = down if down.dtype == torch.float64 else down.float()
    return (((up.T @ up) * (down @ down.T)).sum().clamp(min=0) + _TINY).sqrt()


def _scaled(inner: Tensor, factor: Tensor) -> Tensor:
    """`inner * factor` in float32 at least: rounded to bfloat16 the factor would be off by up to 0.4 percent."""
    return inner.to(torch.promote_types(inner.dtype, torch.float32)) * factor


@torch.no_grad()
def _principal(weight: Tensor, rank: int, host: str) -> tuple[Any, Any]:
    """B and A that take the principal part of the weight."""
    if host == "olora":
        orthogonal, triangle = torch.linalg.qr(weight)
        return orthogonal[:, :rank].float().contiguous(), triangle[:rank].float().contiguous()
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    roots = values[:rank].sqrt()
    return (left[:, :rank] * roots).float().contiguous(), (roots[:, None] * right[:rank]).float().contiguous()

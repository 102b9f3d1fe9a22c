"""SpecLoRA as a PEFT method: factors of the largest singular values beside a low-rank increment.

    W' = W + U diag(sigma s) V^T + (lora_alpha / r) BA

where U, sigma and V are the leading singular directions and values of W, taken once and kept; s, A and B learn, from
s = 0 and B = 0. The kept directions are saved with the adapter: where singular values are nearly equal, another machine
would find other directions, and the same s would be another change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vlm_bridge.adapters.additive_linear import AdditiveLinear, drop_layer, kaiming_matrix
from vlm_bridge.adapters.peft_door import BufferDict, Tuner, register_tuner
from vlm_bridge.adapters.speclora_config import SpecLoraConfig
from vlm_bridge.adapters.spectrum import leading_directions


class SpecLoraLinear(AdditiveLinear):
    """A linear layer under SpecLoRA.

    Source:
        "Weight Spectra Induced Efficient Model Adaptation" (arXiv:2505.23099), known here from its abstract, one figure
        and a summary; the text could not be read. From there: a learned rescaling of the leading singular directions by
        a mask on the spectrum, beside LoRA. Decided here, the paper's choice being unknown: the mask is 1 + s on the
        leading values and 1 elsewhere, their number, their learning rate, dropout on the low-rank part alone, and that
        the directions are saved.
    """

    adapter_layer_names = ("speclo_scale", "speclo_A", "speclo_B")
    other_param_names = ("r", "speclo_left", "speclo_right", "speclo_dropout", "scaling", "spectral_rate")

    def __init__(self, base_layer: nn.Linear, active: list[str]) -> None:
        """Wrap the layer."""
        super().__init__(base_layer, active)
        self.speclo_scale: Any = nn.ParameterDict()
        self.speclo_A: Any = nn.ParameterDict()
        self.speclo_B: Any = nn.ParameterDict()
        self.speclo_left: Any = BufferDict(persistent=True)
        self.speclo_right: Any = BufferDict(persistent=True)
        self.speclo_dropout: Any = nn.ModuleDict()
        self.scaling: dict[str, float] = {}
        self.spectral_rate: dict[str, float] = {}

    def add_adapter(self, name: str, config: SpecLoraConfig, key: str) -> None:
        """Add an adapter that changes no output yet."""
        rank, device = config.rank_of(key), self.base_layer.weight.device
        self.r[name], self.spectral_rate[name] = rank, config.spectral_rate
        self.scaling[name] = config.lora_alpha / max(rank, 1)
        self.speclo_dropout[name] = drop_layer(config.dropout)
        if rank:
            self.speclo_A[name] = kaiming_matrix(rank, self.in_features, device)
            self.speclo_B[name] = nn.Parameter(torch.zeros(self.out_features, rank, device=device))
        count = min(config.directions, self.in_features, self.out_features)
        if not count:
            return
        self.speclo_scale[name] = nn.Parameter(torch.zeros(count, device=device))
        if self.speclo_scale[name].device.type == "meta":  # a saved adapter follows, with its directions
            left, right = torch.empty(self.out_features, count), torch.empty(count, self.in_features)
        else:
            left, values, right = leading_directions(self.pretrained_weight(), count)
            left = left * values
        self.speclo_left[name], self.speclo_right[name] = left.float().to(device), right.float().to(device)

    def own_rates(self) -> Iterator[tuple[nn.Parameter, float]]:
        """The factors s."""
        for name, scale in self.speclo_scale.items():
            yield scale, self.spectral_rate[name]

    def low_rank(self, name: str) -> tuple[Float[Tensor, "out_width rank"], Float[Tensor, "rank in_width"]]:
        """The whole change as one product `up @ down` of rank k + r, exactly."""
        ups, downs = [], []
        if name in self.speclo_scale:
            ups.append(self.speclo_left[name] * self.speclo_scale[name])
            downs.append(self.speclo_right[name])
        if name in self.speclo_A:
            ups.append(self.speclo_B[name] * self.scaling[name])
            downs.append(self.speclo_A[name])
        return torch.cat(ups, 1), torch.cat(downs, 0)

    def add_output(self, name: str, inputs: Tensor, plain: Tensor, output: Tensor) -> Tensor:
        """The output without forming W'; both parts go up in one product."""
        inners, ups = [], []
        if name in self.speclo_scale:
            scale, right = self.speclo_scale[name], self.speclo_right[name]
            inner = F.linear(inputs.to(right.dtype), right)
            inners.append((inner.to(torch.promote_types(inner.dtype, torch.float32)) * scale).to(inner.dtype))
            ups.append(self.speclo_left[name])
        if name in self.speclo_A:
            down = self.speclo_A[name]
            inners.append(F.linear(self.speclo_dropout[name](inputs.to(down.dtype)), down) * self.scaling[name])
            ups.append(self.speclo_B[name])
        return output + F.linear(torch.cat(inners, -1), torch.cat(ups, 1))

    def get_delta_weight(self, name: str) -> Float[Tensor, "out_width in_width"]:
        """W' - W."""
        up, down = self.low_rank(name)
        return up @ down

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """Yes: the change has rank k + r."""
        return True


class SpecLoraTuner(Tuner):
    """PEFT's way to adapt a model by SpecLoRA."""

    prefix = "speclo_"
    tuner_layer_cls = SpecLoraLinear


SPECLORA_TYPE = register_tuner(SpecLoraConfig, SpecLoraTuner)

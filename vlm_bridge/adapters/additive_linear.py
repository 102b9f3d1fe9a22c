"""`AdditiveLinear`: a linear layer to whose output each active adapter adds something of its own.

Every change is relative to the pretrained weight, never to what another adapter made of it, so several adapters add up
in any order. While adapters are merged a copy of the pretrained weight is kept in the memory of the host: unmerging
gives back the very same bits, after any number of turns.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vlm_bridge.adapters.peft_door import TunerLayer, to_float
from vlm_bridge.errors import InvalidInputError


class AdditiveLinear(TunerLayer):
    """What the layers of our methods share; a method says what it adds to output and weight."""

    r: dict[str, int]
    """Rank by adapter; a layer has the adapters that are in here."""

    def __init__(self, base_layer: nn.Linear, active: list[str]) -> None:
        """Wrap the layer."""
        super().__init__(base_layer, active)
        self.r = {}
        self.in_features, self.out_features = base_layer.in_features, base_layer.out_features
        self._pretrained: Tensor | None = None

    def add_output(self, name: str, inputs: Tensor, plain: Tensor, output: Tensor) -> Tensor:
        """`output` with what this adapter adds; `plain` is what the layer gives without adapters, bias included."""
        raise NotImplementedError

    def get_delta_weight(self, name: str) -> Float[Tensor, "out_width in_width"]:
        """What this adapter adds to the pretrained weight, in float32 or finer."""
        raise NotImplementedError

    def pretrained_weight(self) -> Float[Tensor, "out_width in_width"]:
        """Weight without any adapter, merged or not, in float32 or finer."""
        weight = self.base_layer.weight
        return to_float(weight if self._pretrained is None else self._pretrained.to(weight.device))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Output with the active adapters; the plain one where they are disabled."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        plain = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return plain
        output = plain
        for name in self.active_adapters:
            if name in self.r:
                output = self.add_output(name, x, plain, output)
        return output.to(plain.dtype)

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add adapters to the weight itself, so that they cost nothing.

        Raises:
            InvalidInputError: with `safe_merge`, the sum is not finite; nothing was changed.
        """
        new = [name for name in self.adapters_to_merge(adapter_names) if name in self.r]
        if not new:
            return
        weight = self.base_layer.weight
        merged = self.pretrained_weight().clone()
        for name in (*self.merged_adapters, *new):
            merged += self.get_delta_weight(name)
        if safe_merge and not bool(torch.isfinite(merged).all()):
            raise InvalidInputError(
                f"Merging {', '.join(new)}: expected finite weights, found NaN or infinity. The adapter is broken: "
                "take an earlier checkpoint."
            )
        if self._pretrained is None:
            self._pretrained = weight.detach().to("cpu", copy=True)
        weight.data.copy_(merged)
        self.merged_adapters.extend(new)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Give the pretrained weight back, bit by bit."""
        if self._pretrained is not None:
            self.base_layer.weight.data.copy_(self._pretrained)
        self._pretrained = None
        self.merged_adapters.clear()


def kaiming_matrix(rows: int, columns: int, device: torch.device) -> nn.Parameter:
    """A matrix drawn as the weight of a new linear layer is; LoRA starts its A so."""
    matrix = nn.Parameter(torch.empty(rows, columns, dtype=torch.float32, device=device))
    nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))
    return matrix


def drop_layer(probability: float) -> nn.Module:
    """Dropout, or nothing."""
    return nn.Dropout(probability) if probability > 0 else nn.Identity()

"""How closely adapters come to a known change of one layer, by learning rate and by the rate of MAP's scalars.

`python -m benchmarks.adapter_fit` teaches one linear layer of 256x256 a change of rank 8 and of 5 percent of its norm:
600 steps of Adam on fresh inputs. The table shows the squared error at the end over that at the start, medians of four
seeds. It is a toy: it shows what the settings do, not which method is better on real data.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from peft import get_peft_model
from torch import Tensor, nn

from vlm_bridge.adapters.catalogue import make_adapter_config
from vlm_bridge.adapters.parameter_groups import adapter_parameter_groups

_WIDTH, _RANK, _SHARE = 256, 8, 0.05
_STEPS, _BATCH, _SEEDS = 600, 64, 4
_RATES = (1e-4, 3e-4, 1e-3, 3e-3)
_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {}),
    "dora": ("dora", {}),
    "map, raw, scalar rate 1": ("map", {"scalar_rate": 1.0}),
    "map, raw, scalar rate 10": ("map", {"scalar_rate": 10.0}),
    "map, raw, scalar rate 100": ("map", {"scalar_rate": 100.0}),
    "map, relative, scalar rate 1": ("map", {"scalars": "relative", "scalar_rate": 1.0}),
    "speclora": ("speclora", {}),
}


def final_error(method: str, settings: dict[str, Any], learning_rate: float, seed: int) -> float:
    """Squared error of the weight after learning, over that before."""
    torch.manual_seed(seed)
    layer = nn.Linear(_WIDTH, _WIDTH)
    weight = layer.weight.detach().clone()
    change = torch.randn(_WIDTH, _RANK) @ torch.randn(_RANK, _WIDTH)
    change *= _SHARE * weight.norm() / change.norm()
    model: Any = get_peft_model(
        nn.Sequential(layer), make_adapter_config(method, r=_RANK, target_modules=["0"], **settings)
    )
    optimizer = torch.optim.Adam(adapter_parameter_groups(model, learning_rate=learning_rate), lr=learning_rate)
    for _ in range(_STEPS):
        inputs = torch.randn(_BATCH, _WIDTH)
        optimizer.zero_grad()
        error = model(inputs) - inputs @ (weight + change).T - layer.bias
        error.square().mean().backward()
        optimizer.step()
    return float((_weight(model, layer) - weight - change).square().sum() / change.square().sum())


@torch.no_grad()
def _weight(model: Any, layer: nn.Linear) -> Tensor:
    return (model(torch.eye(_WIDTH)) - layer.bias).T


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| method | " + " | ".join(f"{rate:g}" for rate in _RATES) + " |")
    print("|---|" + "---|" * len(_RATES))
    for name, (method, settings) in _WAYS.items():
        cells = [
            statistics.median(final_error(method, settings, rate, seed) for seed in range(_SEEDS)) for rate in _RATES
        ]
        print(f"| {name} | " + " | ".join(f"{cell:.1e}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()

"""What a training step costs under MAP and SpecLoRA, against LoRA of rank 16 in the same run.

`python -m benchmarks.adapter_cost` takes steps (pass, gradients, AdamW) of a Qwen2 of 12 million random weights (4
layers of width 512, all linear layers but the head adapted) on 512 tokens, on one thread. The methods take turns, and
who begins changes from round to round; times are of the processor, so that other work on the machine counts little.
Each round gives one ratio, and the table shows the median and the middle half.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from peft import get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from vlm_bridge.adapters.catalogue import make_adapter_config

_TOKENS, _ROUNDS = 512, 21
_BAR = 1.15
_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora, rank 16": ("lora", {"r": 16}),
    "lora, rank 32": ("lora", {"r": 32}),
    "dora, rank 16": ("dora", {"r": 16}),
    "map, rank 16": ("map", {"r": 16}),
    "map, relative, rank 16": ("map", {"r": 16, "scalars": "relative"}),
    "map over pissa, rank 16": ("map", {"r": 16, "host": "pissa"}),
    "speclora, 16 directions + rank 16": ("speclora", {"r": 16, "directions": 16}),
    "speclora, 8 directions + rank 8": ("speclora", {"r": 8, "directions": 8}),
}


def _make_step(method: str, settings: dict[str, Any]) -> Callable[[], None]:
    """A training step of a model of its own; all models have the same weights."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=2048,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model: Any = get_peft_model(
        Qwen2ForCausalLM(config), make_adapter_config(method, target_modules=_LAYERS, **settings)
    )
    ids = torch.randint(0, 2048, (1, _TOKENS), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()

    return step


def measure(steps: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Milliseconds of a step of each method, one per round."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for number in range(_ROUNDS):
        for name in _turned(list(steps), number):
            start = time.process_time()
            steps[name]()
            found[name].append(1e3 * (time.process_time() - start))
    return found


def _turned(names: list[str], number: int) -> list[str]:
    first = number % len(names)
    return names[first:] + names[:first]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    found = measure({name: _make_step(*method) for name, method in _METHODS.items()})
    base = found["lora, rank 16"]
    print(f"torch {torch.__version__}, 1 thread, float32, {_TOKENS} tokens, {_ROUNDS} rounds in turn\n")
    print("| method | a step, ms | times lora, rank 16 | middle half |")
    print("|---|---|---|---|")
    for name, times in found.items():
        ratios = [own / other for own, other in zip(times, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"| {name} | {statistics.median(times):.0f} | {middle:.3f} | {low:.3f} to {high:.3f} |")
    print(f"\nbar: MAP of rank 16 at most {_BAR} times LoRA of rank 16")


if __name__ == "__main__":
    main()

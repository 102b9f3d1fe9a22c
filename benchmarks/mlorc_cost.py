"""What MLorc costs and saves on the backbone of the embedded size: optimiser memory, and time of a training step.

`python -m benchmarks.mlorc_cost` builds the InternVL of the embedded size with random weights (vision 7 layers of width
256, language 4 layers of width 256) and trains it on 1,024 tokens to a step, four conversations of 256 tokens of which
64 are a picture's, on one thread. The optimisers take turns, each on a copy of the model; a step is the pass forth and
back and the optimiser's part. Times are of the processor, so that other work on the machine counts little; each round
gives one ratio, and the table shows the median.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from data.recipes.vlm_tiny.exchange import SIDE
from data.recipes.vlm_tiny.network import TOKENS_PER_TILE, build
from data.recipes.vlm_tiny.tokenizer import WORDS
from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.mlorc import MLorcConfig
from vlm_bridge.optim.parameter_roles import sort_parameters
from vlm_bridge.optim.state_size import factor_numbers, state_bytes

_ROWS, _LENGTH, _ROUNDS = 4, 256, 9
_BAR_TIME, _BAR_MEMORY = 1.35, 0.02
_NAMES = ("adamw", "mlorc_adamw", "mlorc_lion", "muon")
_KEPT: tuple[tuple[int, Literal["float32", "bfloat16"]], ...] = (
    (1, "float32"), (2, "float32"), (3, "float32"), (4, "float32"), (4, "bfloat16"), (8, "float32"),
)  # fmt: skip
"""Rank, and what factors are kept in."""


def _batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, WORDS, (_ROWS, _LENGTH), generator=generator)
    ids[:, 1 : 1 + TOKENS_PER_TILE] = 1
    pixels = torch.randn(_ROWS, 3, SIDE, SIDE, generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone(), "pixel_values": pixels}


def matrices_of(model: nn.Module) -> list[nn.Parameter]:
    """Weights of linear layers and of the patch embedding: what MLorc compresses by itself."""
    return [one.parameter for one in sort_parameters(model) if one.role in ("matrix", "kernel")]


def held_bytes(model: nn.Module, name: str, mlorc: MLorcConfig) -> int:
    """Bytes that an optimiser of the catalogue holds for these matrices after a step."""
    chosen = {id(value) for value in matrices_of(model)}
    shapes = copy.deepcopy(model)
    for value, copied in zip(model.parameters(), shapes.parameters(), strict=True):
        copied.requires_grad_(id(value) in chosen)
    optimizer = make_optimizer(shapes, name, OptimizerConfig(mlorc=mlorc))
    for copied in shapes.parameters():
        copied.grad = torch.randn_like(copied) if copied.requires_grad else None
    optimizer.step()
    return state_bytes(optimizer)


def _print_memory(model: nn.Module) -> None:
    matrices = [(len(value), value.numel() // len(value)) for value in matrices_of(model)]
    whole = sum(2 * rows * columns for rows, columns in matrices)
    held = held_bytes(model, "adamw", MLorcConfig())
    print(f"\n{len(matrices)} matrices; AdamW keeps {whole:,} numbers of them, measured {held:,} bytes\n")
    print("| rank | state | MLorc-AdamW by formula | measured bytes | share of AdamW | MLorc-Lion, bytes | share |")
    print("|---|---|---|---|---|---|---|")
    for rank, dtype in _KEPT:
        formula = sum(factor_numbers(rows, columns, rank) for rows, columns in matrices)
        config = MLorcConfig(rank=rank, state_dtype=dtype)
        adamw, lion = (held_bytes(model, name, config) for name in ("mlorc_adamw", "mlorc_lion"))
        cells = f"{formula:,} | {adamw:,} | {adamw / held:.2%} | {lion:,} | {lion / held:.2%}"
        print(f"| {rank} | {dtype} | {cells} |")
    print(f"\nbar: {_BAR_MEMORY:.0%} at rank 4. By shape, at rank 4:")
    for shape in sorted(set(matrices)):
        share = factor_numbers(*shape, 4) / (2 * shape[0] * shape[1])
        print(f"  {shape[0]:>4} x {shape[1]:<4} x{matrices.count(shape):<3} {share:.2%}")


def _stepper(model: Any, name: str, batch: dict[str, torch.Tensor]) -> Callable[[], tuple[float, float]]:
    """One training step: seconds in all, and of them the optimiser's."""
    model = copy.deepcopy(model).train()
    optimizer = make_optimizer(model, name, OptimizerConfig(learning_rate=1e-5))

    def step() -> tuple[float, float]:
        start = time.process_time()
        model(**batch).loss.backward()
        middle = time.process_time()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        end = time.process_time()
        return end - start, end - middle

    return step


def _print_times(model: Any) -> None:
    batch = _batch()
    steppers = {name: _stepper(model, name, batch) for name in _NAMES}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in _NAMES}
    for number in range(_ROUNDS + 1):
        for name, step in steppers.items():
            times = step()
            if number:  # the first round warms up
                found[name].append(times)
    print(f"\n{_ROWS * _LENGTH:,} tokens to a step, {_ROUNDS} rounds in turn\n")
    print("| optimiser | step, ms | of it the optimiser, ms | step: times AdamW's | least and most |")
    print("|---|---|---|---|---|")
    for name, rows in found.items():
        ratios = [own[0] / other[0] for own, other in zip(rows, found["adamw"], strict=True)]
        whole, part = (1e3 * statistics.median(row[place] for row in rows) for place in (0, 1))
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {name} | {whole:.0f} | {part:.0f} | {statistics.median(ratios):.2f} | {spread} |")
    print(f"\nbar: a step with MLorc at most {_BAR_TIME} times one with AdamW")


def main() -> None:
    """Print memory and times."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build(WORDS, image_token=1, end=2, pad=3)
    count = sum(value.numel() for value in model.parameters())
    print(f"torch {torch.__version__}, 1 thread, float32, InternVL of {count:,} random weights, {WORDS} words")
    _print_memory(model)
    _print_times(model)


if __name__ == "__main__":
    main()

"""Steps and time to a fixed validation loss: Muon against tuned AdamW, in the training of the embedded backbone.

`python -m benchmarks.backbone_optimizers` trains the backbone of `data.recipes.vlm_tiny` from scratch, by the losses
of that recipe, on its pictures of shapes (4 pictures with 8 questions each to a step), for a few minutes of one core.
The learning rate rises for 15 steps and then stays. Each optimiser's rate is swept by half powers of ten until the
loss is a tenth higher on both sides of the best one; then five other starts are made at that rate, with other
pictures each. All are validated on the same 16 pictures every 5 steps; what counts is the loss of the words. The loss
to be reached is the one at which the last of tuned AdamW's starts ended, rounded up to a tenth.

Results are appended to a file as they come, so that the work can be stopped, continued and done in pieces, also by
several processes that take one optimiser each (`--share 0/2`). One thread each; times are of the processor.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoTokenizer

from benchmarks.adapter_comparison import SWEEP_SEED, Results, Run, best_rate, interval, plan
from benchmarks.comparison_plots import draw_curves
from data.recipes.vlm_tiny.batches import PackedBatch, Writer, draw_exchanges, pack
from data.recipes.vlm_tiny.network import build
from data.recipes.vlm_tiny.shape_questions import shape_picture
from data.recipes.vlm_tiny.train import TrainConfig, Trained, batch_losses
from vlm_bridge.assets import asset_path
from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig

TASK = "vlm_tiny"
WAYS = (("full", "adamw"), ("full", "muon"))
STEPS, EVERY, WARM_UP = 60, 5, 15
PICTURES, QUESTIONS, VALIDATED = 4, 8, 16
_VALIDATION_SEED = 10**6


class Source:
    """Pictures of shapes with questions, by number."""

    def __init__(self) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(asset_path("vlm_tiny"))
        self._writer = Writer(self.tokenizer)

    def batch(self, seed: int, number: int, pictures: int = PICTURES) -> PackedBatch:
        """Always the same one for a seed and a number."""
        rng = np.random.default_rng([seed, number])
        drawn = [shape_picture(rng) for _ in range(pictures)]
        return pack(drawn, [draw_exchanges(one, QUESTIONS, rng) for one in drawn], self._writer)

    def backbone(self) -> Trained:
        """An untrained one, with the heads that help it learn to see."""
        words = self.tokenizer
        context = words.convert_tokens_to_ids("<IMG_CONTEXT>")
        model = build(len(words), context, words.eos_token_id, words.pad_token_id)
        model.set_attn_implementation("eager")
        return Trained(model)


def train(source: Source, run: Run) -> dict[str, Any]:
    """Validation losses along a run, and what its steps cost; an infinite loss at the end where it diverged."""
    torch.manual_seed(run.seed)
    trained = source.backbone()
    config = OptimizerConfig(
        learning_rate=run.rate, weight_decay=TrainConfig().weight_decay, betas=(0.9, 0.98), roles=(("heads.*", "head"),)
    )
    optimizer = make_optimizer(trained, run.optimizer, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))
    held_out = [source.batch(_VALIDATION_SEED, number, 8) for number in range(VALIDATED // 8)]
    curve, times, moving = [], [], []
    for step in range(STEPS):
        batch = source.batch(run.seed, step)
        start = time.process_time()
        losses = batch_losses(trained.train(), batch)
        loss = losses["words"] + TrainConfig().dense_weight * (losses["what"] + 0.5 * losses["colour"])
        loss.backward()
        if not math.isfinite(float(nn.utils.clip_grad_norm_(trained.parameters(), 1.0))):
            return {"validation_loss": math.inf, "curve": curve}
        moves = time.process_time()
        optimizer.step()
        now = time.process_time()
        optimizer.zero_grad()
        schedule.step()
        times.append(now - start)
        moving.append(now - moves)
        if (step + 1) % EVERY == 0:
            curve.append(validation_loss(trained, held_out))
    return {
        "validation_loss": curve[-1], "loss": curve[-1], "curve": curve,
        "step_ms": 1e3 * statistics.median(times), "optimizer_ms": 1e3 * statistics.median(moving),
    }  # fmt: skip


@torch.no_grad()
def validation_loss(trained: Trained, held_out: list[PackedBatch]) -> float:
    """Mean cross-entropy of the words of the answers."""
    trained.eval()
    return float(np.mean([float(batch_losses(trained, batch)["words"]) for batch in held_out]))


def steps_to(curve: list[float], target: float) -> int | None:
    """The first validated step at which the loss is no higher; None: it never was.

    Example:
        >>> steps_to([3.0, 1.9, 2.1], 2.0)
        10
    """
    return next((EVERY * (place + 1) for place, loss in enumerate(curve) if loss <= target), None)


def target_loss(results: Results) -> float:
    """Where the last of tuned AdamW's starts ended, rounded up to a tenth: all of them come there."""
    ends = [found["validation_loss"] for found in chosen_runs(results, "adamw").values()]
    return math.ceil(10 * max(ends)) / 10


def table(results: Results) -> str:
    """Both optimisers, and how many steps fewer Muon needs with the same starts and pictures."""
    target = target_loss(results)
    head = (
        f"| optimiser | rate | steps to {target:.1f}, each start | mean ± deviation | loss after {STEPS} | step, ms | "
        "of it the optimiser |"
    )
    rows, reached = [], {}
    for _, optimizer in WAYS:
        rate, runs = best_rate(results, TASK, "full", optimizer), chosen_runs(results, optimizer)
        counts = {seed: steps_to(found["curve"], target) for seed, found in runs.items()}
        known = [count for count in counts.values() if count is not None]
        reached[optimizer] = {seed: count for seed, count in counts.items() if count is not None}
        each = ", ".join(f"> {STEPS}" if count is None else str(count) for count in counts.values())
        ends = [found["curve"][-1] for found in runs.values()]
        costs = [statistics.median(found[name] for found in runs.values()) for name in ("step_ms", "optimizer_ms")]
        cells = [optimizer, f"{rate:g}", each, _spread(known, 0), _spread(ends, 3), *(f"{cost:.0f}" for cost in costs)]
        rows.append(f"| {' | '.join(cells)} |")
    both = reached["adamw"].keys() & reached["muon"].keys()
    fewer = interval([float(reached["muon"][seed] - reached["adamw"][seed]) for seed in sorted(both)])
    note = f"steps of Muon less those of AdamW, where both came there ({len(both)} starts), 95 %: {fewer}"
    return "\n".join([head, "|---" * 7 + "|", *rows, "", note])


def chosen_runs(results: Results, optimizer: str) -> dict[int, dict[str, Any]]:
    """Runs at the best rate, by seed, without that of the sweep."""
    rate = best_rate(results, TASK, "full", optimizer)
    return {
        run.seed: found for run, found in sorted(results.done.items(), key=lambda one: one[0].seed)
        if (run.optimizer, run.rate) == (optimizer, rate) and run.seed != SWEEP_SEED
    }  # fmt: skip


def _spread(values: list[Any], digits: int) -> str:
    if len(values) < 2:
        return "?"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def _share(text: str) -> tuple[tuple[str, str], ...]:
    number, of = (int(part) for part in text.split("/"))
    return WAYS[number::of]


def main() -> None:
    """Go on with the work, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("out") / "backbone_optimizers.jsonl")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many; 0 prints the table")
    parser.add_argument("--share", type=_share, default=WAYS, metavar="I/N", help="every Nth optimiser from the Ith on")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the losses too, as PNG")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    source = Source()
    until = time.monotonic() + 60 * asked.minutes
    while time.monotonic() < until:
        run = plan(Results(asked.results), TASK, asked.seeds, asked.share)
        if run is None:
            break
        found = train(source, run)
        Results(asked.results).add(run, found)
        print(
            f"{run.optimizer} {run.rate:g} seed {run.seed}: {[round(loss, 2) for loss in found['curve']]}", flush=True
        )
    print(f"\ntorch {torch.__version__}, 1 thread; {STEPS} steps of {PICTURES} pictures, {QUESTIONS} questions each\n")
    results = Results(asked.results)
    print(table(results))
    if asked.plot:
        chosen = {optimizer: list(chosen_runs(results, optimizer).values()) for _, optimizer in WAYS}
        curves = {name: np.array([found["curve"] for found in runs]) for name, runs in chosen.items()}
        costs = {name: statistics.median(found["step_ms"] for found in runs) for name, runs in chosen.items()}
        draw_curves(curves, EVERY, target_loss(results), costs, asked.plot)


if __name__ == "__main__":
    main()

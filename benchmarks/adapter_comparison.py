"""Ways of adapting a small model to a task it does not know, each at its own best learning rate.

`python -m benchmarks.adapter_comparison [--task NAME]` takes full fine-tuning, LoRA, DoRA, PiSSA, MAP and SpecLoRA,
each with AdamW and Muon, and full fine-tuning with MLorc-AdamW too (with momenta kept in float32, and in bfloat16), on
a task of `benchmarks.adaptation_tasks`. (MLorc makes no sense for adapters: momenta of a matrix of four rows are hardly
larger than factors of them.) Adapters have rank 4 and otherwise the settings of the catalogue, so that about as many
numbers learn in each. Every way gets the same batches, steps and schedule. Its learning rate is swept by half powers of
ten on validation examples, with a seed of its own, until the loss is a tenth higher on both sides of the best one; then
five other seeds are run at that rate and scored on test examples. Where their mean on validation examples is clearly
worse than another rate of the sweep, that rate is run with them too, and the better mean chosen.

Results are appended to a file as they come (`--results`, default `out/adapter_task_NAME.jsonl`), so that the work can
be stopped, continued and done in pieces (`--minutes`), also by several processes that take a share of the ways each
(`--share 0/2`); the table is printed from what is there. One thread each; times are of the processor.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import get_peft_model
from torch import nn
from transformers.utils.logging import disable_progress_bar

from benchmarks.adaptation_tasks import TASKS, AdaptationTask
from benchmarks.comparison_plots import draw_scores
from vlm_bridge.adapters.catalogue import make_adapter_config
from vlm_bridge.adapters.parameter_groups import adapter_traits
from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.mlorc import MLorcConfig
from vlm_bridge.optim.parameter_roles import ParameterHints
from vlm_bridge.optim.state_size import state_bytes

METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "layers": {},
    "lora": {"r": 4},
    "dora": {"r": 4},
    "pissa": {"r": 4},
    "map": {"r": 4},
    "speclora": {"r": 4, "directions": 4},
}
"""Name in the catalogue of adapters, and settings; `full`: everything that the task lets learn; `layers`: the weights
that adapters adapt, whole."""
WHOLE = ("full", "layers")
Way = tuple[str, str, float]
"""Method, optimiser and rate."""
WAYS = (
    ("full", "adamw"),
    ("full", "mlorc_adamw"),
    ("full", "mlorc_adamw_bf16"),
    *((method, optimizer) for method in METHODS if method not in WHOLE for optimizer in ("adamw", "muon")),
    ("layers", "adamw"),
    ("full", "muon"),
)
"""Method and optimiser; the dear one comes last."""
LAST = ("full", "muon")
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FIRST_RATES = {"adamw": 3e-3, "mlorc_adamw": 3e-3, "mlorc_adamw_bf16": 3e-3, "muon": 1e-2}
"""Where sweeps begin."""
IN_BFLOAT16 = "_bf16"
"""End of the name of an optimiser whose state is kept in bfloat16."""
SWEEP_SEED = 100
CLEARLY = 1.1
"""Times the lowest loss: from there on a loss counts as higher. Where nothing is learned yet, all rates look alike."""
_T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training; its fields name it."""

    task: str
    method: str
    optimizer: str
    rate: float
    seed: int


def learn(task: AdaptationTask, run: Run) -> tuple[Any, dict[str, float]]:
    """The model after a run, and what the run cost; no cost where it diverged."""
    torch.manual_seed(run.seed)
    model: Any = task.start()
    hints = ParameterHints()
    if run.method == "layers":
        adapted = [model.get_submodule(name).weight for name in layer_names(model, task.targets)]
        model.requires_grad_(False)
        for weight in adapted:
            weight.requires_grad_(True)
    elif run.method != "full":
        config = make_adapter_config(run.method, target_modules=list(task.targets), **METHODS[run.method])
        model = get_peft_model(model, config)
        traits = adapter_traits(model)
        hints = ParameterHints(roles=traits.roles, rates=traits.rates)
    kept = MLorcConfig(state_dtype="bfloat16" if run.optimizer.endswith(IN_BFLOAT16) else None)
    settings = OptimizerConfig(learning_rate=run.rate, mlorc=kept)
    optimizer = make_optimizer(model, run.optimizer.removesuffix(IN_BFLOAT16), settings, hints=hints)
    warm_up = max(1, task.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (task.steps - step) / (task.steps - warm_up))
    )
    learned = [value for value in model.parameters() if value.requires_grad]
    times = []
    for step in range(task.steps):
        start = time.process_time()
        task.loss(model.train(), run.seed, step).backward()
        norm = nn.utils.clip_grad_norm_(learned, 1.0)
        if not math.isfinite(float(norm)):
            return model, {}
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        times.append(time.process_time() - start)
    costs = {
        "learned": sum(value.numel() for value in learned),
        "optimizer_bytes": state_bytes(optimizer),
        "step_ms": 1e3 * statistics.median(times),
    }
    return model, costs


def layer_names(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """Whole names of the linear layers that PEFT takes for `target_modules`: equal names, or ends after a dot."""
    return [
        name for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(name == one or name.endswith(f".{one}") for one in targets)
    ]  # fmt: skip


def train(task: AdaptationTask, run: Run) -> dict[str, Any]:
    """Scores and costs of a run; an infinite loss where it diverged. Runs of a sweep are not tested."""
    model, costs = learn(task, run)
    if not costs:
        return {"loss": math.inf, "accuracy": 0.0, "validation_loss": math.inf}
    tested = {} if run.seed == SWEEP_SEED else task.score(model, "test")
    return {"validation_loss": task.score(model, "validation")["loss"], **tested, **costs}


class Results:
    """Runs that were done, in a file to which each is appended as it ends."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self.path = path
        self.done: dict[Run, dict[str, Any]] = {}
        *lines, torn = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
        if torn:  # stopped while it wrote
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for line in lines:
            values = json.loads(line)
            self.done[Run(**values["run"])] = values["found"]

    def add(self, run: Run, found: dict[str, Any]) -> None:
        """Keep one more."""
        self.done[run] = found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"run": asdict(run), "found": found}) + "\n")


def next_sweep(results: Results, task: str, method: str, optimizer: str) -> Run | None:
    """The next run of a sweep; None once the loss is clearly higher on both sides of the best rate."""

    def run(place: int) -> Run:
        return Run(task=task, method=method, optimizer=optimizer, rate=RATES[place], seed=SWEEP_SEED)

    first = RATES.index(FIRST_RATES[optimizer])
    losses = {
        place: results.done[run(place)]["validation_loss"] for place in range(len(RATES)) if run(place) in results.done
    }
    if first not in losses:
        return run(first)
    best = min(losses, key=lambda place: losses[place])
    for aside in (-1, 1):
        place = best + aside
        while 0 <= place < len(RATES):
            if place not in losses:
                return run(place)
            if losses[place] >= CLEARLY * losses[best]:
                break
            place += aside
    return None


def swept_losses(results: Results, task: str, method: str, optimizer: str) -> dict[float, float]:
    """Validation loss by rate, of the sweep."""
    wanted = (task, method, optimizer, SWEEP_SEED)
    return {
        run.rate: found["validation_loss"]
        for run, found in results.done.items()
        if (run.task, run.method, run.optimizer, run.seed) == wanted
    }


def seed_losses(results: Results, way: Way, task: str, seeds: int) -> dict[int, float]:
    """Validation loss by seed, at a rate."""
    runs = {seed: Run(task=task, method=way[0], optimizer=way[1], rate=way[2], seed=seed) for seed in range(seeds)}
    return {seed: results.done[run]["validation_loss"] for seed, run in runs.items() if run in results.done}


def rates_to_run(results: Results, task: str, method: str, optimizer: str, seeds: int) -> list[float]:
    """Rates that are run with all seeds: the best of the sweep, and others as long as the seeds contradict it.

    A rate may have been best with the sweep's seed by luck. Where the mean over the seeds is clearly higher than
    another rate's loss in the sweep, that rate is run too.
    """
    swept = swept_losses(results, task, method, optimizer)
    rates: list[float] = []
    while len(rates) < len(swept):
        rates.append(min((rate for rate in swept if rate not in rates), key=lambda rate: swept[rate]))
        losses = [seed_losses(results, (method, optimizer, rate), task, seeds) for rate in rates]
        if len(losses[-1]) < seeds:
            break
        least = min(statistics.mean(one.values()) for one in losses)
        others = [loss for rate, loss in swept.items() if rate not in rates]
        if not others or least < CLEARLY * min(others):
            break
    return rates


def best_rate(results: Results, task: str, method: str, optimizer: str, seeds: int = 5) -> float | None:
    """The rate of the lowest validation loss: mean of the seeds where they are done, else of the sweep."""
    rates = rates_to_run(results, task, method, optimizer, seeds)
    if not rates:
        return None
    done = {rate: seed_losses(results, (method, optimizer, rate), task, seeds) for rate in rates}
    means = {rate: statistics.mean(losses.values()) for rate, losses in done.items() if len(losses) == seeds}
    return min(means, key=lambda rate: means[rate]) if means else rates[0]


def plan(results: Results, task: str, seeds: int, ways: Sequence[tuple[str, str]] = WAYS) -> Run | None:
    """What to do next: sweeps first, then one seed after the other of all ways."""
    for group in ([way for way in ways if way != LAST], [way for way in ways if way == LAST]):
        for way in group:
            run = next_sweep(results, task, *way)
            if run is not None:
                return run
        for seed in range(seeds):
            for method, optimizer in group:
                for rate in rates_to_run(results, task, method, optimizer, seeds):
                    run = Run(task=task, method=method, optimizer=optimizer, rate=rate, seed=seed)
                    if run not in results.done:
                        return run
    return None


def table(results: Results, task: str) -> str:
    """Ways by mean test loss, with the difference to LoRA with AdamW of the same seeds.

    Where there are patients, the score is their Dice, with its interval over patients (bootstrap, mean of the seeds).
    """
    rows = []
    chosen = {(*way, best_rate(results, task, *way) or math.nan) for way in WAYS}
    scored = {way: _seeds(results, task, *way) for way in chosen}
    yardstick = next(found for way, found in scored.items() if way[:2] == ("lora", "adamw"))
    of_patients = any("patients" in found for by_seed in scored.values() for found in by_seed.values())
    for (method, optimizer, rate), by_seed in scored.items():
        if not by_seed:
            continue
        name = "accuracy" if of_patients else "loss"
        common = [by_seed[seed][name] - yardstick[seed][name] for seed in by_seed.keys() & yardstick.keys()]
        one = next(iter(by_seed.values()))
        step = statistics.median(found.get("step_ms", math.nan) for found in by_seed.values())
        cells = [
            method,
            optimizer,
            f"{rate:g}",
            *(_dice_cells(by_seed) if of_patients else _loss_cells(by_seed)),
            "" if (method, optimizer) == ("lora", "adamw") else interval(common),
            f"{one['learned']:,}",
            f"{one['optimizer_bytes']:,}",
            f"{step:.0f}",
        ]
        loss = statistics.mean(found["loss"] for found in by_seed.values())
        rows.append((loss, f"| {' | '.join(cells)} | {len(by_seed)} |"))
    measures = "Dice | 95 % over patients | Dice" if of_patients else "test loss | right, % | loss"
    head = (
        f"| method | optimiser | rate | {measures} less LoRA with AdamW, 95 % | numbers that learn | "
        "optimiser, bytes | step, ms | seeds |"
    )
    return "\n".join([head, "|---" * 10 + "|", *(row for _, row in sorted(rows))])


def scores(results: Results, task: str) -> dict[str, list[float]]:
    """Accuracy of each seed by way, of ways that have more than one."""
    rates = {way: best_rate(results, task, *way) or math.nan for way in WAYS}
    found = {way: [one["accuracy"] for one in _seeds(results, task, *way, rates[way]).values()] for way in WAYS}
    return {f"{method}, {optimizer}": values for (method, optimizer), values in found.items() if len(values) > 1}


def _loss_cells(by_seed: dict[int, dict[str, Any]]) -> list[str]:
    losses, rights = ([found[name] for found in by_seed.values()] for name in ("loss", "accuracy"))
    return [_spread(losses), _spread([100 * right for right in rights], 1)]


def _dice_cells(by_seed: dict[int, dict[str, Any]]) -> list[str]:
    """Mean and deviation over seeds; interval of the mean over patients of 2,000 drawn with replacement."""
    means = np.mean([found["patients"] for found in by_seed.values()], axis=0)
    drawn = np.random.default_rng(0).integers(len(means), size=(2_000, len(means)))
    low, high = np.percentile(means[drawn].mean(1), (2.5, 97.5))
    return [_spread([found["accuracy"] for found in by_seed.values()]), f"{low:.3f} to {high:.3f}"]


def _seeds(results: Results, task: str, method: str, optimizer: str, rate: float) -> dict[int, dict[str, Any]]:
    return {
        run.seed: values
        for run, values in results.done.items()
        if (run.task, run.method, run.optimizer, run.rate) == (task, method, optimizer, rate)
        and run.seed != SWEEP_SEED
        and "loss" in values
    }


def _spread(values: list[float], digits: int = 3) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def interval(differences: list[float]) -> str:
    """The 95 % interval of a mean of paired differences, by Student's t; `?` for less than two or more than ten."""
    count = len(differences)
    if count < 2 or count - 1 not in _T_975:
        return "?"
    half = _T_975[count - 1] * statistics.stdev(differences) / math.sqrt(count)
    middle = statistics.mean(differences)
    return f"{middle - half:+.3f} to {middle + half:+.3f}"


def _share(text: str) -> tuple[tuple[str, str], ...]:
    number, of = (int(part) for part in text.split("/"))
    return WAYS[number::of]


def main() -> None:
    """Go on with the work, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(TASKS), default="reversed_keys")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"), help="of medical sets")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many; 0 prints the table")
    parser.add_argument(
        "--share", type=_share, default=WAYS, metavar="I/N", help="every Nth way from the Ith on, from 0"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the table too, as PNG")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="peft")
    disable_progress_bar()
    task = TASKS[asked.task](asked.shared, Path("out") / f"adapter_task_{asked.task}")
    path = asked.results or Path("out") / f"adapter_task_{asked.task}.jsonl"
    until = time.monotonic() + 60 * asked.minutes
    while time.monotonic() < until and (run := plan(Results(path), asked.task, asked.seeds, asked.share)) is not None:
        found = train(task, run)
        Results(path).add(run, found)
        print(f"{run.method} {run.optimizer} {run.rate:g} seed {run.seed}: {found['validation_loss']:.3f}", flush=True)
    before = task.score(task.start(), "test")
    print(f"\ntorch {torch.__version__}, 1 thread; {asked.task}, {task.steps} steps")
    print(f"before: loss {before['loss']:.2f}, {before['accuracy']:.1%} right\n")
    print(table(Results(path), asked.task))
    if asked.plot:
        of_patients = "patients" in before
        draw_scores(
            scores(Results(path), asked.task), "Dice" if of_patients else "right, share", before["accuracy"], asked.plot
        )


if __name__ == "__main__":
    main()

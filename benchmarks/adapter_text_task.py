"""Ways of adapting a small language model to a task it does not know, each at its own best learning rate.

`python -m benchmarks.adapter_text_task` takes full fine-tuning, LoRA, DoRA, PiSSA, MAP and SpecLoRA, each with AdamW
and Muon, and full fine-tuning with MLorc-AdamW too, on a task of `benchmarks.adaptation_tasks`. (MLorc makes no sense
for adapters: momenta of a matrix of four rows are hardly larger than factors of them.) Adapters have rank 4 and
otherwise the settings of the catalogue, so that about as many numbers learn in each. Every way gets the same batches,
steps and schedule. Its learning rate is swept by half powers of ten on validation examples, with a seed of its own,
until the best lies between two others; then five other seeds are run at that rate and scored on test examples.

Results are appended to a file as they come (`--results`, default `out/adapter_task_NAME.jsonl`), so that the work can
be stopped, continued and done in pieces (`--minutes`); the table is printed from what is there. One thread; times are
of the processor. Full fine-tuning with Muon comes last: its steps take bfloat16, which is slow on many processors.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from torch import nn

from benchmarks.adaptation_tasks import TASKS, AdaptationTask
from vlm_bridge.adapters.catalogue import make_adapter_config
from vlm_bridge.adapters.parameter_groups import adapter_traits
from vlm_bridge.optim.catalogue import make_optimizer
from vlm_bridge.optim.config import OptimizerConfig
from vlm_bridge.optim.parameter_roles import ParameterHints
from vlm_bridge.optim.state_size import state_bytes

METHODS: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {"r": 4},
    "dora": {"r": 4},
    "pissa": {"r": 4},
    "map": {"r": 4},
    "speclora": {"r": 4, "directions": 4},
}
"""Name in the catalogue of adapters, or `full`; settings."""
WAYS = (
    ("full", "adamw"),
    ("full", "mlorc_adamw"),
    *((method, optimizer) for method in METHODS if method != "full" for optimizer in ("adamw", "muon")),
    ("full", "muon"),
)
"""Method and optimiser, the dear one last."""
LAST = ("full", "muon")
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FIRST_RATES = {"adamw": 3e-3, "mlorc_adamw": 3e-3, "muon": 1e-2}
"""Where sweeps begin."""
SWEEP_SEED = 100
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
    if run.method != "full":
        targets = task.targets if isinstance(task.targets, str) else list(task.targets)
        model = get_peft_model(model, make_adapter_config(run.method, target_modules=targets, **METHODS[run.method]))
        traits = adapter_traits(model)
        hints = ParameterHints(roles=traits.roles, rates=traits.rates)
    optimizer = make_optimizer(model, run.optimizer, OptimizerConfig(learning_rate=run.rate), hints=hints)
    warm_up = task.steps // 10
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


def train(task: AdaptationTask, run: Run) -> dict[str, float]:
    """Scores and costs of a run; an infinite loss where it diverged."""
    model, costs = learn(task, run)
    if not costs:
        return {"loss": math.inf, "accuracy": 0.0, "validation_loss": math.inf}
    return {"validation_loss": task.score(model, "validation")["loss"], **task.score(model, "test"), **costs}


class Results:
    """Runs that were done, in a file to which each is appended as it ends."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self.path = path
        self.done: dict[Run, dict[str, float]] = {}
        *lines, torn = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
        if torn:  # stopped while it wrote
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for line in lines:
            values = json.loads(line)
            self.done[Run(**values["run"])] = values["found"]

    def add(self, run: Run, found: dict[str, float]) -> None:
        """Keep one more."""
        self.done[run] = found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"run": asdict(run), "found": found}) + "\n")


def next_sweep(results: Results, task: str, method: str, optimizer: str) -> Run | None:
    """The next run of a sweep; None once its best rate lies between two others."""

    def run(place: int) -> Run:
        return Run(task=task, method=method, optimizer=optimizer, rate=RATES[place], seed=SWEEP_SEED)

    first = RATES.index(FIRST_RATES[optimizer])
    if run(first) not in results.done:
        return run(first)
    done = [place for place in range(len(RATES)) if run(place) in results.done]
    best = min(done, key=lambda place: results.done[run(place)]["validation_loss"])
    for place in (best - 1, best + 1):
        if 0 <= place < len(RATES) and place not in done:
            return run(place)
    return None


def best_rate(results: Results, task: str, method: str, optimizer: str) -> float | None:
    """The rate of the lowest validation loss of the sweep."""
    wanted = (task, method, optimizer, SWEEP_SEED)
    swept = {
        run.rate: found
        for run, found in results.done.items()
        if (run.task, run.method, run.optimizer, run.seed) == wanted
    }
    return min(swept, key=lambda rate: swept[rate]["validation_loss"]) if swept else None


def plan(results: Results, task: str, seeds: int) -> Run | None:
    """What to do next: sweeps first, then one seed after the other of all ways."""
    for group in ([way for way in WAYS if way != LAST], [LAST]):
        for way in group:
            run = next_sweep(results, task, *way)
            if run is not None:
                return run
        for seed in range(seeds):
            for method, optimizer in group:
                rate = best_rate(results, task, method, optimizer) or FIRST_RATES[optimizer]
                run = Run(task=task, method=method, optimizer=optimizer, rate=rate, seed=seed)
                if run not in results.done:
                    return run
    return None


def table(results: Results, task: str) -> str:
    """Ways by mean test loss, with the difference to LoRA with AdamW of the same seeds."""
    rows = []
    scored = {way: _seeds(results, task, *way) for way in WAYS}
    yardstick = scored["lora", "adamw"][1]
    for (method, optimizer), (rate, by_seed) in scored.items():
        if not by_seed:
            continue
        losses, rights = ([found[name] for found in by_seed.values()] for name in ("loss", "accuracy"))
        common = [by_seed[seed]["loss"] - yardstick[seed]["loss"] for seed in by_seed.keys() & yardstick.keys()]
        one = next(iter(by_seed.values()))
        step = statistics.median(found.get("step_ms", math.nan) for found in by_seed.values())
        cells = [
            method,
            optimizer,
            f"{rate:g}",
            _spread(losses),
            _spread([100 * right for right in rights], 1),
            "" if (method, optimizer) == ("lora", "adamw") else _interval(common),
            f"{one['learned']:,}",
            f"{one['optimizer_bytes']:,}",
            f"{step:.0f}",
        ]
        rows.append((statistics.mean(losses), f"| {' | '.join(cells)} | {len(by_seed)} |"))
    head = (
        "| method | optimiser | rate | test loss | right, % | loss less LoRA with AdamW, 95 % | numbers that learn | "
        "optimiser, bytes | step, ms | seeds |"
    )
    return "\n".join([head, "|---" * 10 + "|", *(row for _, row in sorted(rows))])


def _seeds(results: Results, task: str, method: str, optimizer: str) -> tuple[float, dict[int, dict[str, float]]]:
    rate = best_rate(results, task, method, optimizer)
    found = {
        run.seed: values
        for run, values in results.done.items()
        if (run.task, run.method, run.optimizer, run.rate) == (task, method, optimizer, rate) and run.seed != SWEEP_SEED
    }
    return rate or math.nan, found


def _spread(values: list[float], digits: int = 3) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def _interval(differences: list[float]) -> str:
    count = len(differences)
    if count < 2 or count - 1 not in _T_975:
        return "?"
    half = _T_975[count - 1] * statistics.stdev(differences) / math.sqrt(count)
    middle = statistics.mean(differences)
    return f"{middle - half:+.3f} to {middle + half:+.3f}"


def main() -> None:
    """Go on with the work, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(TASKS), default="reversed_keys")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many; 0 prints the table")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="peft")
    task = TASKS[asked.task]()
    results = Results(asked.results or Path("out") / f"adapter_task_{asked.task}.jsonl")
    until = time.monotonic() + 60 * asked.minutes
    while time.monotonic() < until and (run := plan(results, asked.task, asked.seeds)) is not None:
        found = train(task, run)
        results.add(run, found)
        print(f"{run.method} {run.optimizer} {run.rate:g} seed {run.seed}: {found['validation_loss']:.3f}", flush=True)
    before = task.score(task.start(), "test")
    print(f"\ntorch {torch.__version__}, 1 thread; {asked.task}, {task.steps} steps")
    print(f"before: loss {before['loss']:.2f}, {before['accuracy']:.1%} right\n")
    print(table(results, asked.task))


if __name__ == "__main__":
    main()

"""What the table of Muon against AdamW says of given runs, and that its training is one of the recipe's backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import backbone_optimizers
from benchmarks.adapter_comparison import RATES, SWEEP_SEED, Results, Run
from benchmarks.backbone_optimizers import EVERY, TASK, Source, steps_to, table, target_loss, train
from benchmarks.comparison_plots import draw_curves


def _curve(optimizer: str, rate: float, seed: int) -> list[float]:
    """Falls from 3; Muon twice as fast, each start a little slower, and a rate of 1e-3 best."""
    speed = (0.22 if optimizer == "muon" else 0.11) * (1.0 if rate == 1e-3 else 0.5)
    return [3.0 - speed * (place + 1) + 0.1 * (seed % 100) for place in range(8)]


def _results(path: Path) -> Results:
    results = Results(path)
    for optimizer in ("adamw", "muon"):
        sweep = [(rate, SWEEP_SEED) for rate in RATES if 3e-4 <= rate <= 3e-3]
        for rate, seed in [*sweep, *((1e-3, seed) for seed in range(3))]:
            curve = _curve(optimizer, rate, seed)
            found: dict[str, Any] = {"validation_loss": curve[-1], "loss": curve[-1], "curve": curve}
            found |= {"step_ms": 10.0, "optimizer_ms": 2.0}
            results.add(Run(task=TASK, method="full", optimizer=optimizer, rate=rate, seed=seed), found)
    return results


def test_the_target_is_where_adamws_last_start_ended_rounded_up(tmp_path: Path) -> None:
    # the last of its starts ends at 3 - 0.88 + 0.2
    assert target_loss(_results(tmp_path / "r.jsonl")) == pytest.approx(2.4)


def test_the_table_counts_steps_to_the_target(tmp_path: Path) -> None:
    lines = table(_results(tmp_path / "r.jsonl")).splitlines()
    # 2.4 is reached by AdamW at the sixth, seventh and eighth look, by Muon at the third, fourth and fourth
    slow, fast = (", ".join(str(look * EVERY) for look in looks) for looks in ((6, 7, 8), (3, 4, 4)))
    assert f"| adamw | 0.001 | {slow} |" in lines[2]
    assert f"| muon | 0.001 | {fast} |" in lines[3]
    assert lines[-1].startswith("steps of Muon less those of AdamW, where both came there (3 starts)")


def test_a_loss_that_is_never_reached_has_no_step() -> None:
    assert steps_to([3.0, 2.5], 2.0) is None
    assert steps_to([1.0], 2.0) == EVERY


def test_curves_are_drawn(tmp_path: Path) -> None:
    curves = {"adamw": np.ones((3, 5)), "muon": np.zeros((3, 5))}
    draw_curves(curves, 10, 0.5, {"adamw": 10.0, "muon": 20.0}, tmp_path / "deep" / "plot.png")
    assert (tmp_path / "deep" / "plot.png").stat().st_size > 5_000


def test_batches_come_again_and_a_run_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    first, again, other = source.batch(3, 4, 2), source.batch(3, 4, 2), source.batch(3, 5, 2)
    assert first.ids.equal(again.ids)
    assert first.pixels.equal(again.pixels)
    assert not first.pixels.equal(other.pixels)
    for name, value in {"STEPS": 2, "EVERY": 1, "WARM_UP": 1, "PICTURES": 1, "VALIDATED": 8}.items():
        monkeypatch.setattr(backbone_optimizers, name, value)
    found = train(source, Run(task=TASK, method="full", optimizer="muon", rate=1e-3, seed=0))
    assert len(found["curve"]) == 2
    assert found["curve"][1] < found["curve"][0] < 9.0  # ln of 4,000 words is 8.3
    assert 0 < found["optimizer_ms"] < found["step_ms"]

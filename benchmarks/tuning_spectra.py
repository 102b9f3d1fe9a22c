"""What tuning does to the weights of a small language model, by way of tuning: values, directions, rank of the change.

`python -m benchmarks.tuning_spectra` teaches the embedded model that looks values up to take keys in reverse (see
`adapter_comparison`), fully, by LoRA, MAP and SpecLoRA, each with AdamW at the rate that was best there, and compares
the matrices of its layers before and after as `vlm-bridge spectra` does. Beside full tuning stands its control: noise
as large as each matrix's change.
"""

from __future__ import annotations

import statistics
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.adaptation_tasks import ReversedKeys
from benchmarks.adapter_comparison import Run, learn
from vlm_bridge.assets import asset_path
from vlm_bridge.spectra.compare_matrix import MatrixSpectra
from vlm_bridge.spectra.compare_models import SpectraConfig, compare_models

_RATES = {"full": 3e-3, "lora": 3e-3, "map": 3e-2, "speclora": 3e-3}
_TOP = 8


def _row(name: str, right: str, found: Sequence[MatrixSpectra]) -> str:
    def median(values: Sequence[float]) -> float:
        return statistics.median(values)

    cells = [
        right,
        f"{median([one.relative_change for one in found]):.1%}",
        f"{median([one.value_share for one in found]):.1%}",
        f"{median([one.leading_ratio for one in found]):.3f}",
        f"{median([one.overlaps[-1].left for one in found]):.3f}",
        f"{median([one.overlaps[-1].right for one in found]):.3f}",
        f"{median([one.leading_energy / one.expected_energy for one in found]):.1f}",
        f"{median([one.effective_rank for one in found]):.0f}",
        f"{sum(one.intruders for one in found)}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="peft")
    task, base = ReversedKeys(), asset_path("key_value_tiny")
    print(f"medians over the matrices of the layers, {_TOP} leading directions; torch {torch.__version__}\n")
    print(
        "| way | right | change | of it values | leading values, ratio | left overlap | right overlap | energy in the "
        "leading block, times chance | effective rank | intruders |"
    )
    print("|---" * 10 + "|")
    for method, rate in _RATES.items():
        model, _ = learn(task, Run(task=task.name, method=method, optimizer="adamw", rate=rate, seed=0))
        right = f"{task.score(model, 'test')['accuracy']:.0%}"
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            config = SpectraConfig(top=_TOP, include=("*layers*",), control=method == "full")
            study = compare_models(base, Path(folder), config, progress=False)
        print(_row(method, right, study.changed), flush=True)
        if study.control:
            print(_row("noise as large", "", study.control), flush=True)


if __name__ == "__main__":
    main()

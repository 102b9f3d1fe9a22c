"""Whether positional contrastive decoding helps a small model to find a value in a list longer than it was trained on.

`python -m benchmarks.pcd_retrieval MODEL MODEL ...` takes folders that `python -m data.recipes.key_value` made, with
different seeds. Each model is asked for single values in lists of 0.5 to 4 times its training length; an answer is one
token. The tables show means over models and seeds of the questions, and the standard deviation over them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, Qwen2ForCausalLM

from data.recipes.key_value.task import prompts
from vlm_bridge.decoding.branches import Branches, BranchLogits
from vlm_bridge.decoding.config import PcdConfig
from vlm_bridge.decoding.contrast import candidates, contrast_logits
from vlm_bridge.decoding.pcd import pcd_generate
from vlm_bridge.decoding.prompt_inputs import prompt_inputs
from vlm_bridge.decoding.salience import salience_score

_FACTORS = (0.5, 1, 2, 3, 4)
_SEEDS = (0, 1, 2)
_ROWS = 20
_GAMMA = PcdConfig().gamma


def contrasted(logits: BranchLogits, beta: float) -> torch.Tensor:
    """Scores that PCD chooses by."""
    return contrast_logits(logits.plain, logits.local, beta=beta, allowed=candidates(logits.plain, _GAMMA))


def _drawn(scores: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.multinomial(scores.softmax(-1), 1, generator=generator)[:, 0]


def _right(said: torch.Tensor, gold: torch.Tensor) -> float:
    return 100 * float((said == gold).float().mean())


def ask(model: Any, pairs: int, count: int, seed: int) -> dict[str, float]:
    """Accuracies in percent and salience scores of one model on one set of questions."""
    ids, gold = prompts(count, pairs, seed=10_000 * (seed + 1) + pairs)
    parts = [_read(model, part) for part in ids.split(_ROWS)]
    _check_generate(model, ids[:_ROWS], parts[0])
    logits = BranchLogits(
        plain=torch.cat([part.plain for part in parts]), local=torch.cat([part.local for part in parts])
    )
    generator = torch.Generator().manual_seed(seed)
    without, strong, mild = (contrasted(logits, beta) for beta in (0.0, 2.5, 1.5))
    return {
        "greedy": _right(logits.plain.argmax(-1), gold),
        "PCD": _right(strong.argmax(-1), gold),
        "PCD, beta 1.5": _right(mild.argmax(-1), gold),
        "no contrast (beta 0)": _right(without.argmax(-1), gold),
        "drawn": _right(_drawn(logits.plain, generator), gold),
        "drawn, no contrast": _right(_drawn(without, generator), gold),
        "drawn, PCD": _right(_drawn(strong, generator), gold),
        "S plain": salience_score(logits.plain, gold),
        "S local branch": salience_score(logits.local, gold),
        "S PCD": salience_score(strong, gold),
        "gold among candidates": _right(
            candidates(logits.plain, _GAMMA).long().gather(1, gold[:, None]), torch.ones(1)
        ),
    }


@torch.inference_mode()
def _read(model: Any, ids: torch.Tensor) -> BranchLogits:
    return Branches(model, prompt_inputs(model, ids, {}), PcdConfig()).read_prompt()


def _check_generate(model: Any, ids: torch.Tensor, logits: BranchLogits) -> None:
    """The product's own loop must say what is scored here."""
    said = pcd_generate(model, ids, generation_config=GenerationConfig(max_new_tokens=1))
    if not torch.equal(said[:, -1], contrasted(logits, PcdConfig().beta).argmax(-1)):  # type: ignore[index]
        raise RuntimeError("pcd_generate says other words than those that are scored")


def _table(rows: dict[str, dict[float, list[float]]], names: dict[str, str], digits: int) -> None:
    print(f"\n| | {' | '.join(f'{factor:g}x' for factor in _FACTORS)} |")
    print("|---|" + "---|" * len(_FACTORS))
    for name, shown in names.items():
        cells = [
            f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"
            for values in rows[name].values()
        ]
        print(f"| {shown} | {' | '.join(cells)} |")


def main() -> None:
    """Ask, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=200, help="questions per length and seed")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[float, list[float]]] = {}
    for folder in asked.models:
        model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        trained = json.loads((folder / "training.json").read_text(encoding="utf-8"))["training_pairs"]
        for factor in _FACTORS:
            for seed in _SEEDS:
                for name, value in ask(model, int(factor * trained), asked.count, seed).items():
                    rows.setdefault(name, {}).setdefault(factor, []).append(value)
    print(f"{len(asked.models)} models, {len(_SEEDS)} seeds of {asked.count} questions each; 1x is {trained} pairs")
    print("\nAccuracy, %")
    _table(
        rows,
        {
            "greedy": "greedy",
            "no contrast (beta 0)": "30 candidates, no contrast",
            "PCD, beta 1.5": "PCD, beta 1.5",
            "PCD": "PCD (defaults)",
            "drawn": "drawn, temperature 1",
            "drawn, no contrast": "drawn among 30 candidates, no contrast",
            "drawn, PCD": "drawn, PCD (defaults)",
            "gold among candidates": "right value among the 30 candidates",
        },
        1,
    )
    print("\nSalience S(L)")
    _table(rows, {"S plain": "plain", "S local branch": "local branch", "S PCD": "PCD (defaults)"}, 3)


if __name__ == "__main__":
    main()

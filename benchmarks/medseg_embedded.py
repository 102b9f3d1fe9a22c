"""The embedded medical model on patients nobody learned from.

`python -m benchmarks.medseg_embedded WORK --shared FOLDER`. Questions are written by the rules of the question writer
about held-out patients of every 2D set and of the hippocampus volumes, some of them in wordings kept out of training;
then 100 rule-made dialogues. Answers are generated, and masks are drawn for the reference answers beside that (teacher-
forced). `--per-set` pictures of each set are asked. With `--specialists FILE` (of the recipe `specialists`)
each set's U-Net stands beside. A run goes on where it was interrupted; reports with every figure are in WORK.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.recipes.medseg_tiny.pictures import ETIS, SETS
from medseg.evaluation.dialogues import build_dialogues
from medseg.evaluation.evaluate import EvaluateConfig, evaluate
from medseg.evaluation.report import EvaluationReport
from medseg.inference.catalogue import load_segmenter
from medseg.inference.segmenter import Segmenter
from medseg.training.picture_sets import PictureSet, RecordsConfig, records_from_sets
from medseg.training.records import QARecord

_RESEARCH = "LicenseRef-research"
HIPPOCAMPUS = PictureSet(
    folder="vol_mr_hippocampus", modality="MRI", body_part="brain", licence=_RESEARCH,
    structures={"1": "anterior hippocampus", "2": "posterior hippocampus"},
)  # fmt: skip


def held_out_records(shared: Path, per_set: int, seed: int = 0) -> list[QARecord]:
    """Records of patients kept for tests, at most `per_set` pictures of each set, evenly spread."""
    sets = [
        PictureSet(
            folder=one.folder, modality=one.modality, body_part=one.body_part, structures=one.structures,
            licence=_RESEARCH, complete=one.complete,
        )
        for one in (*SETS, ETIS)
    ]  # fmt: skip
    found = []
    for one in (*sets, HIPPOCAMPUS):
        config = RecordsConfig(per_kind=1, seed=seed, test=0.5 if one.folder == ETIS.folder else 0.2)
        records = [record for record in records_from_sets(shared, [one], config) if record.split == "test"]
        kept = np.unique(np.linspace(0, len(records) - 1, min(per_set, len(records))).round().astype(int))
        found += [records[number] for number in kept]
    return found


def set_table(report: EvaluationReport, specialists: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """Dice per set, generated and forced, beside the specialist's where there is one."""
    lines = ["| set | patients | questions | generated | forced | specialist |", "|---|---|---|---|---|---|"]
    for name, modes in report.groups["set"].items():
        generated, forced = modes["generated"].get("dice"), modes["forced"].get("dice")
        if generated is None:
            continue
        beside = ""
        folder = Path(name).name
        if folder in specialists:
            beside = f"{np.mean([np.mean(list(one.values())) for one in specialists[folder]['dice'].values()]):.3f}"
        lines.append(
            f"| {name} | {generated.patients} | {generated.turns} | {generated.value:.3f} ({generated.low:.3f}-"
            f"{generated.high:.3f}) | {forced.value if forced else float('nan'):.3f} | {beside} |"
        )
    return "\n".join(lines)


def _questions(
    segmenter: Segmenter, records: list[QARecord], asked: argparse.Namespace, config: EvaluateConfig
) -> None:
    started = time.perf_counter()
    report = evaluate(segmenter, records, asked.work / "questions", config=config)
    specialists = json.loads(asked.specialists.read_text()) if asked.specialists else {}
    print(set_table(report, specialists))
    for axis in ("kind", "wording", "turn"):
        for name, modes in report.groups[axis].items():
            said = ", ".join(
                f"{key} {value.value:.3f}" for key, value in modes["generated"].items() if key != "seconds"
            )
            print(f"{axis} {name}: {said}")
    print(f"{len(records)} pictures in {time.perf_counter() - started:.0f} s; {report.seconds}")


def main() -> None:
    """Ask, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--per-set", type=int, default=8, help="pictures of each set")
    parser.add_argument("--dialogues", type=int, default=100)
    parser.add_argument("--dialogues-only", action="store_true", help="leave the questions out")
    parser.add_argument("--segmenter", default="medsegr-tiny")
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--specialists", type=Path, default=None)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    segmenter = load_segmenter(asked.segmenter, weights=asked.weights)
    records = held_out_records(asked.shared, asked.per_set)
    config = EvaluateConfig(progress=True)
    if not asked.dialogues_only:
        _questions(segmenter, records, asked, config)
    if not asked.dialogues:
        return
    flat = [replace(one, conversations=()) for one in records if not one.image.is_volume]
    talks = evaluate(segmenter, build_dialogues(flat, asked.dialogues), asked.work / "dialogues", config=config)
    for name, modes in talks.groups["turn"].items():
        said = ", ".join(f"{key} {value.value:.3f}" for key, value in modes["generated"].items() if key != "seconds")
        print(f"dialogues, turn {name}: {said}")


if __name__ == "__main__":
    main()

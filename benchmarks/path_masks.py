"""How well exported masks fit the pixels: `python -m benchmarks.path_masks [--scenes tabletop 900001 ...]`.

The Gaussians of each true instance (see `true_selections`; chosen by the training views alone) are masked along a path
of cameras that neither the fit nor the choice saw (`vision3d.export.path_masks`), and compared with the true pixels of
the instance. Every (thing, view) pair with at least 30 true pixels counts. Bar: a mean IoU of 0.85.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from benchmarks.language_queries import prepare
from benchmarks.true_selections import true_meshes, true_owners
from vision3d.evaluation.instance_scene import LEAST_PIXELS, read_instance_ids
from vision3d.export.path_masks import path_masks


def main() -> None:
    """Print one row per scene, and the worst things."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", default=["tabletop"])
    asked = parser.parse_args()
    print("| scene | views | pairs | mean IoU | median | pairs from 0.85 | least thing (mean IoU) | ms per view |")
    print("|---" * 8 + "|")
    for name in asked.scenes:
        prepared = prepare(name)
        labels = true_meshes(name)[1]
        owners = true_owners(prepared)
        chosen = {str(number): owners == number for number in labels}
        ious: dict[str, list[float]] = {}
        started = time.perf_counter()
        seen = list(path_masks(prepared.scene, chosen, prepared.photos.cameras.select(prepared.test)))
        milliseconds = 1000 * (time.perf_counter() - started) / len(prepared.test)
        for one in seen:
            ids = read_instance_ids(prepared.folder, one.view).numpy()
            for number, label in labels.items():
                truth, mask = ids == number, one.masks[str(number)]
                if truth.sum() >= LEAST_PIXELS:
                    ious.setdefault(label, []).append(float((mask & truth).sum() / (mask | truth).sum()))
        pairs = np.concatenate([np.array(values) for values in ious.values()])
        least = min(ious, key=lambda label: float(np.mean(ious[label])))
        print(
            f"| {name} | {len(seen)} | {len(pairs)} | {pairs.mean():.3f} | {np.median(pairs):.3f} "
            f"| {np.mean(pairs >= 0.85):.0%} | {least} ({np.mean(ious[least]):.3f}) | {milliseconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    torch.manual_seed(0)
    main()

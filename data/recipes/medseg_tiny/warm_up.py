"""`python -m data.recipes.medseg_tiny.warm_up WORK --shared FOLDER [--minutes N]`: grounding learns from a table."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader

from data.recipes.medseg_tiny.batches import GroundingBatches
from data.recipes.medseg_tiny.grounding import Grounding, GroundingConfig, settle_norms, side_shares, train_grounding
from data.recipes.medseg_tiny.phantoms import PHANTOMS, chest_phantom
from data.recipes.medseg_tiny.pictures import read_pictures


def main() -> None:
    """Train and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="settled.safetensors of an earlier training to begin with")
    parser.add_argument("--minutes", type=float, default=GroundingConfig().minutes)
    parser.add_argument("--sides-from", type=float, default=0.0, help="0-1: how far towards large squares it begins")
    parser.add_argument("--fall", type=float, default=GroundingConfig().fall)
    parser.add_argument("--learning-rate", type=float, default=GroundingConfig().learning_rate)
    parser.add_argument("--pictures", type=int, default=10, help="squares of a batch at 256 pixels")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(asked.seed)
    torch.set_num_threads(asked.threads)
    pictures = [*read_pictures(asked.shared, held_out=False), *(chest_phantom(seed) for seed in range(PHANTOMS))]
    sides = torch.tensor(side_shares(asked.sides_from), dtype=torch.float64).share_memory_()
    dataset = GroundingBatches(pictures, asked.pictures, asked.seed, sides)
    batches = iter(DataLoader(dataset, batch_size=None, num_workers=asked.workers, prefetch_factor=4))
    grounding = Grounding().to(asked.device)
    if asked.start:
        left_out = grounding.load_state_dict(load_file(asked.start), strict=False).missing_keys
        print(f"new: {', '.join(left_out) or 'nothing'}", flush=True)
    print(
        f"{len(pictures)} pictures, {sum(p.numel() for p in grounding.parameters()) / 1e6:.2f} M parameters", flush=True
    )
    config = GroundingConfig(
        minutes=asked.minutes, fall=asked.fall, learning_rate=asked.learning_rate, sides_from=asked.sides_from
    )  # fmt: skip
    train_grounding(
        grounding, batches, config, asked.work / "grounding.safetensors", sides, lambda line: print(line, flush=True)
    )
    settle_norms(grounding, batches)
    kept = {name: value.cpu().contiguous() for name, value in grounding.state_dict().items()}
    save_file(kept, asked.work / "settled.safetensors")


if __name__ == "__main__":
    main()

"""`python -m data.recipes.medseg_tiny.blend OUT PART [PART ...] --shared FOLDER`: the mean of trainings of one descent.

Weights of trainings that began with one another lie in one valley, and their mean lies lower than any of them: it is
better on patients nobody learned from. PARTs are `settled.safetensors` of `warm_up`; what only some of them have is the
mean of those. Statistics of batch normalisation are measured anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from data.recipes.medseg_tiny.batches import GroundingBatches
from data.recipes.medseg_tiny.grounding import Grounding, settle_norms, side_shares
from data.recipes.medseg_tiny.pictures import read_pictures


def mean_of(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of every tensor over the parts that have it.

    Example:
        >>> {name: float(one) for name, one in mean_of([{"a": torch.tensor(1.0)},
        ...     {"a": torch.tensor(3.0), "b": torch.tensor(5.0)}]).items()}
        {'a': 2.0, 'b': 5.0}
    """
    found = {}
    for name in sorted({name for part in parts for name in part}):
        own = [part[name] for part in parts if name in part]
        found[name] = torch.stack([one.double() for one in own]).mean(0).to(own[0].dtype)
    return found


def main() -> None:
    """Blend and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the new settled.safetensors")
    parser.add_argument("parts", type=Path, nargs="+")
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    grounding = Grounding()
    grounding.load_state_dict(mean_of([load_file(part) for part in asked.parts]))
    pictures = list(read_pictures(asked.shared, held_out=False))
    sides = torch.tensor(side_shares(1.0), dtype=torch.float64)
    settle_norms(grounding, iter(GroundingBatches(pictures, 6, 1, sides)), 50)
    asked.out.mkdir(parents=True, exist_ok=True)
    kept = {name: value.contiguous() for name, value in grounding.state_dict().items()}
    save_file(kept, asked.out / "settled.safetensors")


if __name__ == "__main__":
    main()

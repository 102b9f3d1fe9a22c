"""Half way between two encoders, the weights of one training and of another that went on from them.

`python -m data.recipes.clip_tiny.average OLD NEW CROPS`: the average of a model and its own fine-tuning
keeps what either does well (Wortsman et al., CVPR 2022). Statistics of normalisations are taken anew from crops.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from data.recipes.clip_tiny.train import normalised
from vision3d.language.open_clip_encoder import build_model

_TARGET = Path(__file__).resolve().parents[2] / "clip_tiny"
_CROPS, _BATCH = 6_144, 256


def average(old: Path, new: Path, crops: Path, share: float = 0.5) -> dict[str, torch.Tensor]:
    """Weights in half precision: `share` of the new ones, the rest of the old ones."""
    first, second = (load_file(folder / "open_clip_model.safetensors") for folder in (old, new))
    mixed = {
        name: torch.lerp(first[name].float(), value.float(), share) if value.is_floating_point() else value
        for name, value in second.items()
    }
    model = build_model(json.loads((new / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"])
    model.load_state_dict(mixed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    model.train()
    with safe_open(crops, framework="pt") as file:
        pictures = file.get_tensor("pictures")
    with torch.no_grad():
        for rows in torch.randperm(len(pictures))[:_CROPS].split(_BATCH):
            model.encode_image(normalised(pictures[rows].float() / 255))
    state = model.state_dict()
    return {name: (state[name].half() if state[name].is_floating_point() else state[name]) for name in second}


def main() -> None:
    """Write the weights of the asset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("crops", type=Path, help="crops.safetensors beside the scenes of the training")
    parser.add_argument("--share", type=float, default=0.5)
    asked = parser.parse_args()
    torch.manual_seed(0)
    state = average(asked.old, asked.new, asked.crops, asked.share)
    contents = {name: value.contiguous() for name, value in state.items()}
    save_file(contents, _TARGET / "open_clip_model.safetensors")


if __name__ == "__main__":
    main()

"""`python -m data.recipes.medseg_tiny.assemble WORK OUT`: backbone, grounding, volumes and language become one model.

`--half` stores 16 bits per number, `--asset` puts the folder into the manifest of embedded assets it lies in.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from data.recipes.medseg_tiny.batches import NAMES
from data.recipes.medseg_tiny.grounding import DECODER
from data.recipes.medseg_tiny.pictures import MIRRORED
from data.recipes.medseg_tiny.volumes import STRUCTURES
from medseg.grounding.volume_decoder import VolumeDecoderConfig
from medseg.model import MedSegConfig, MedSegModel, save_medseg
from vlm_bridge.assets import write_manifest_entry
from vlm_bridge.backbone.load import load_backbone


def under(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def assemble(grounding: Path, volumes: Path, language: Path) -> MedSegModel:
    """The model of three checkpoints."""
    config = MedSegConfig(
        earlier="cut", decoder=DECODER, structures=NAMES, mirrored=MIRRORED, volume=VolumeDecoderConfig(),
        volume_structures=tuple(STRUCTURES),
    )  # fmt: skip
    backbone = load_backbone("embedded", dtype=torch.float32)
    model = MedSegModel(backbone, config)
    spoken = load_file(language)
    missing = backbone.model.load_state_dict(under(spoken, "model."), strict=False).missing_keys
    left_out = [name for name in missing if ".vision_tower." not in name and not name.startswith("lm_head.")]
    if left_out:
        raise RuntimeError(f"Language checkpoint: expected all but the vision tower, found {left_out[:3]} missing.")
    for name in ("projection", "volume_projection", "heads"):
        getattr(model, name).load_state_dict(under(spoken, f"{name}."))
    model.decoder.load_state_dict(under(load_file(grounding), "decoder."))
    if model.volume_decoder is not None:
        model.volume_decoder.load_state_dict(under(load_file(volumes), "decoder."))
    return model.eval()


def main() -> None:
    """Put together and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder with settled, volumes and language .safetensors")
    parser.add_argument("out", type=Path, help="folder of the model")
    parser.add_argument("--half", action="store_true", help="store numbers in 16 bits")
    parser.add_argument("--asset", action="store_true", help="enter it into the manifest beside it")
    asked = parser.parse_args()
    model = assemble(*(asked.work / f"{name}.safetensors" for name in ("settled", "volumes", "language")))
    if asked.half:
        model.backbone.model.to(torch.bfloat16)  # type: ignore[union-attr]
    save_medseg(model, asked.out, half=asked.half)
    if asked.asset:
        write_manifest_entry(
            asked.out.name, sorted(path for path in asked.out.rglob("*") if path.is_file()),
            source="trained by data/recipes/medseg_tiny from data/vlm_tiny on public image sets (data/README.md)",
            licence="weights: research use only, several training sets are non-commercial",
            made_by="python -m data.recipes.medseg_tiny.warm_up, .volumes, .language and .assemble, in this order",
            root=asked.out.parent,
        )  # fmt: skip


if __name__ == "__main__":
    main()

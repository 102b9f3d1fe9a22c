"""Sixteen pictures of shapes, dialogues about them, and a tiny model to learn them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray

from medseg.grounding.embedded_decoder import EmbeddedDecoderConfig
from medseg.grounding.mask_parts import part_of
from medseg.model import MedSegConfig, MedSegModel
from medseg.training.config import MedSegStage, MedSegTrainConfig
from medseg.training.records import ImageFacts, MaskFacts, QARecord, QATurn, TargetFacts
from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.decoding.seg_states import SegState
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.new_rows import add_tokens_to_model
from vlm_bridge.prompts.special_tokens import SpecialTokens

SIDE = 64
LARGER, LEFT = "The larger?", "The one on the left?"
BOTH, ABSENT, PART, TEXT = "Both, larger first.", "A square?", "Upper half?", "What is this?"


def tiny_medseg(seed: int = 0, *, seg_state: SegState = "predicting") -> MedSegModel:
    """Random weights: an InternVL of two layers, and a mask decoder for squares of 64 pixels."""
    tokenizer, tokens = tiny_tokenizer(), SpecialTokens()
    model = tiny_internvl(seed=seed, image_size=56)
    add_tokens_to_model(model, tokenizer, tokens)
    backbone = InternVLBackbone(model, tokenizer, TilingConfig(tile_size=56, max_tiles=1), tokens)
    decoder = EmbeddedDecoderConfig(side=SIDE, width=32, channels=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1, 1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MedSegModel(backbone, MedSegConfig(seg_state=seg_state, decoder=decoder)).eval()


def quick(*stages: MedSegStage, **changes: object) -> MedSegTrainConfig:
    """Settings for a short run."""
    settings = {"batch_size": 4, "warmup_ratio": 0.0, "log_every": 1, "average": 0.9, **changes}
    return MedSegTrainConfig(stages=stages, **settings)


def shapes(number: int) -> tuple[UInt8[ndarray, "h w 3"], dict[str, Bool[ndarray, "h w"]]]:
    """A big and a small disc on both sides of a line, with their masks; every picture has them elsewhere."""
    rng = np.random.default_rng(number)
    swapped = number % 2
    canvas = np.full((SIDE, SIDE, 3), 40, np.uint8)
    canvas[:, SIDE // 2 - 1 : SIDE // 2 + 1] = 90
    masks = {}
    for place, (name, radius) in enumerate((("big", 12), ("small", 7))):
        column = SIDE // 4 if (place + swapped) % 2 == 0 else 3 * SIDE // 4
        row = int(rng.integers(14, SIDE - 14))
        drawn = np.zeros((SIDE, SIDE), np.uint8)
        cv2.circle(drawn, (column, row), radius, (1,), -1)
        masks[name] = drawn > 0
        canvas[drawn > 0] = (230, 200, 120)
    return canvas, masks


def write_shapes(folder: Path, count: int = 16) -> list[QARecord]:
    """Records with their pictures and masks on disk; every fourth picture belongs to another patient."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_record(folder, number) for number in range(count)]


def turns(question: str, answer: str, targets: tuple[str, ...] = (), **facts: object) -> tuple[QATurn, QATurn]:
    return (
        QATurn(role="user", text=question, **facts),  # type: ignore[arg-type]
        QATurn(role="assistant", text=answer, targets=targets),
    )


def _record(folder: Path, number: int) -> QARecord:
    picture, masks = shapes(number)
    masks["half"] = part_of(masks["big"], "upper half")
    cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    for name, mask in masks.items():
        cv2.imwrite(str(folder / f"{number}_{name}.png"), mask.astype(np.uint8) * 255)
    left = "big" if number % 2 == 0 else "small"
    dialogues = (
        (*turns(LARGER, "<p>big</p> [SEG]", ("big",), kind="explicit"),
         *turns(PART, "<p>half</p> [SEG]", ("half",), kind="history", refers_to=("big",))),
        turns(LEFT, f"<p>{left}</p> [SEG]", (left,), kind="spatial"),
        turns(BOTH, "<p>big</p> [SEG]<p>small</p> [SEG]", ("big", "small"), kind="multi"),
        turns(ABSENT, "No.", kind="absent", asked=("square",)),
        turns(TEXT, "Discs.", kind="text"),
    )  # fmt: skip
    return QARecord(
        id=f"shapes-{number}",
        patient=f"p{number % 4}",
        image=ImageFacts(path=f"{number}.png"),
        targets={key: TargetFacts(label=key, mask=MaskFacts(path=f"{number}_{key}.png")) for key in masks},
        conversations=dialogues,
        folder=folder,
    )

"""Eight pictures of one colour each, the question what it is, and a tiny backbone to learn the answers."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.finetune.config import FinetuneConfig, Stage
from vlm_bridge.finetune.records import ConversationDataset
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.conversation import Conversation, Message
from vlm_bridge.prompts.new_rows import add_tokens_to_model
from vlm_bridge.prompts.special_tokens import SpecialTokens

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "cyan": (0, 255, 255),
    "pink": (255, 100, 180),
    "gold": (255, 215, 0),
}
QUESTION = "which colour?"


def tiny_backbone(seed: int = 0, *, tied: bool = False, image_size: int = 28) -> InternVLBackbone:
    """A backbone of random weights that knows the tokens of grounded answers."""
    tokenizer, tokens = tiny_tokenizer(), SpecialTokens()
    model = tiny_internvl(seed=seed, tied=tied, image_size=image_size)
    add_tokens_to_model(model, tokenizer, tokens)
    return InternVLBackbone(model, tokenizer, TilingConfig(tile_size=image_size, max_tiles=4), tokens)


def picture(colour: str, size: tuple[int, int] = (28, 28)) -> Image.Image:
    return Image.new("RGB", size, COLOURS[colour])


def answered(question: str, answer: str, *images: Image.Image) -> Conversation:
    return Conversation(
        messages=(Message(role="user", text=question, images=images), Message(role="assistant", text=answer))
    )


def colour_conversations() -> list[Conversation]:
    return [answered(QUESTION, colour, picture(colour)) for colour in COLOURS]


def colour_dataset() -> ConversationDataset:
    return ConversationDataset(colour_conversations())


def write_colour_records(folder: Path) -> Path:
    """The same as a file of records, with its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for colour in COLOURS:
        picture(colour).save(folder / f"{colour}.png")
        turns = [
            {"role": "user", "text": QUESTION, "images": [f"{colour}.png"]},
            {"role": "assistant", "text": colour},
        ]
        lines.append(json.dumps({"messages": turns}))
    path = folder / "records.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def quick(*stages: Stage, **changes: object) -> FinetuneConfig:
    """Settings under which all of the eight pictures are one batch."""
    settings = {"batch_size": 8, "accumulation": 1, "warmup_ratio": 0.0, "log_every": 1, **changes}
    return FinetuneConfig(stages=stages, **settings)

"""What a model answers and marks by itself, for a test of what it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from numpy import ndarray
from PIL import Image

from medseg.grounding.decode_picture import PictureDecoder
from medseg.model import MedSegModel
from medseg.training.answer_items import load_answer
from medseg.training.decoder_views import EARLIER_LOGIT
from medseg.training.taught_answers import TaughtAnswer
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.decoding.seg_states import read_seg_states
from vlm_bridge.prompts.conversation import Conversation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """An answer that was generated, beside the true one."""

    taught: TaughtAnswer
    said: str
    phrases: tuple[str, ...]
    masks: tuple[Bool[ndarray, "h w"], ...]
    """In the order of mention."""
    overlaps: tuple[float, ...]
    """IoU of each true mask with the mask at its place; 0 where there is none."""


@torch.no_grad()
def ask_all(model: MedSegModel, answers: Sequence[TaughtAnswer], together: int = 48) -> list[Asked]:
    found = []
    for start in range(0, len(answers), together):
        some = answers[start : start + together]
        loaded = [load_answer(one) for one in some]
        talks = [_asked(one, Image.fromarray(seen.picture)) for one, seen in zip(some, loaded, strict=True)]
        said = generate(model.backbone, talks, DecodingConfig(max_new_tokens=64))
        states = read_seg_states(model.backbone, talks, [one.ids for one in said], seg_state=model.config.seg_state)
        for taught, seen, state in zip(some, loaded, states, strict=True):
            masks: list[Bool[ndarray, "h w"]] = []
            if len(state.hidden):
                previous = None
                if seen.earlier is not None:
                    logits = (torch.from_numpy(seen.earlier).float() * 2 - 1) * EARLIER_LOGIT
                    previous = logits.expand(len(state.hidden), -1, -1)
                fine = (model.heads.say(state.hidden).fine > 0).numpy()
                decoder = PictureDecoder(model.decoder, seen.picture)
                drawn = decoder.decode(model.projection(state.hidden), fine, previous).logits
                masks = list((drawn > 0).numpy())
            overlaps = tuple(
                float((masks[place] & true).sum() / (masks[place] | true).sum()) if place < len(masks) else 0.0
                for place, true in enumerate(seen.masks)
            )
            phrases = tuple(one.text if one else "" for one in state.phrases)
            found.append(
                Asked(taught=taught, said=state.answer, phrases=phrases, masks=tuple(masks), overlaps=overlaps)
            )
    return found


def _asked(one: TaughtAnswer, picture: Image.Image) -> Conversation:
    return Conversation(messages=one.conversation(picture).messages[:-1])

"""`MedSegRSegmenter`: a MedSeg-R-style model as a `Segmenter`: it reads picture and question, answers, and marks.

The answer is generated first; then question and answer are read once more, and the states at [SEG] become prompts of
the mask decoder (two passes, so the states are those of training). Unpublished details follow the LISA family. Research
use only; not a medical device.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from medseg.errors import InvalidInputError
from medseg.grounding.decode_picture import PictureDecoder
from medseg.grounding.mask_parts import PARTS, Part, part_of
from medseg.grounding.seg_tokens import SegTokens, plain_answer, tokens_of
from medseg.inference.medsegr_volume import VolumeGrounder
from medseg.inference.segmenter import Answer, AnsweredTarget, SegmenterFacts, Turn
from medseg.inference.shown_slice import shown_square
from medseg.model import MedSegModel, load_medseg
from medseg.study.slice_plan import SlicePlan, plan_slices
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow, choose_window
from vlm_bridge.assets import asset_path
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.decoding.seg_states import read_seg_states
from vlm_bridge.file_hashes import file_sha256
from vlm_bridge.prompts.conversation import Conversation, Message

EMBEDDED = "medsegr_tiny"
"""Asset of the embedded model."""
_ANSWER_TOKENS_MAX = 160
_PICTURES_KEPT = 4
_UNNAMED = "target"
_NOTHING_MARKED = "The answer refers to what was marked before, and nothing was."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """A volume as the model sees it: one picture of it for the language model."""

    volume: Volume
    plan: SlicePlan
    number: int
    """The slice that is shown."""
    picture: UInt8[ndarray, "height width 3"]
    """In its window, pixels square."""
    window: IntensityWindow


class MedSegRSegmenter:
    """A loaded model; keeps what it has encoded of the last pictures, for the next question about them."""

    def __init__(self, model: MedSegModel, *, name: str, weights_sha256: str) -> None:
        """`name` is that of the catalogue; the hash goes into every result."""
        self.model = model
        versions = {package: version(package) for package in ("torch", "transformers", "segment-anything")}
        self._facts = SegmenterFacts(name=name, weights_sha256=weights_sha256, versions=versions)
        self._kept: OrderedDict[str, PictureDecoder] = OrderedDict()

    @property
    def facts(self) -> SegmenterFacts:
        """Name, hash of the weights, versions."""
        return self._facts

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        """What the model says and marks.

        Raises:
            InvalidInputError: the volume has channels that are neither grey nor RGB.
        """
        return self.answers(volume, [(question, history)], window)[0]

    def answers(
        self,
        volume: Volume,
        asked: Sequence[tuple[str, Sequence[Turn]]],
        window: IntensityWindow | None = None,
    ) -> list[Answer]:
        """Answers to several questions about one volume, generated in one batch; each as if asked alone."""
        if not asked:
            return []
        seen = [_look(volume, question, window) for question, _ in asked]
        conversations = [
            _conversation(one.picture, question, history) for one, (question, history) in zip(seen, asked, strict=True)
        ]
        said = generate(self.model.backbone, conversations, DecodingConfig(max_new_tokens=_ANSWER_TOKENS_MAX))
        return self._grounded(seen, conversations, [answer.ids for answer in said], [one for _, one in asked])

    def ground_answer(
        self, volume: Volume, question: str, history: Sequence[Turn], said: str, window: IntensityWindow | None = None
    ) -> Answer:
        """Masks for an answer that is given, with its `<p>..</p> [SEG]` marks (teacher forcing)."""
        seen = _look(volume, question, window)
        return self._grounded([seen], [_conversation(seen.picture, question, history)], [said], [history])[0]

    def _grounded(
        self,
        seen: Sequence[_Seen],
        conversations: Sequence[Conversation],
        said: Sequence[str | Tensor],
        histories: Sequence[Sequence[Turn]],
    ) -> list[Answer]:
        state = self.model.config.seg_state
        states = read_seg_states(self.model.backbone, conversations, said, seg_state=state)
        return [
            self._marked(one, tokens_of(found, state, self.model.backbone.tokens), history)
            for one, found, history in zip(seen, states, histories, strict=True)
        ]

    @torch.no_grad()
    def _marked(self, seen: _Seen, tokens: SegTokens, history: Sequence[Turn]) -> Answer:
        hidden = tokens.hidden.float()
        says = self.model.heads.say(hidden)
        fine = (says.fine > 0).cpu().numpy()
        earlier = _last_marked(history)
        refers = (says.of_previous > 0).cpu().numpy()
        warnings = [_NOTHING_MARKED] if refers.any() and not _anything_marked(history) else []
        drawn = self.model.config.earlier == "drawn"
        grounder = VolumeGrounder(
            model=self.model, volume=seen.volume, plan=seen.plan, window=seen.window,
            picture_decoder=self._picture_decoder, earlier=earlier if drawn else None, of_earlier=refers,
        )  # fmt: skip
        found = grounder.ground(tokens, fine)
        masks = list(found.masks)
        if not drawn:
            parts: list[Part] = [PARTS[int(number)] for number in says.part.argmax(1)]
            masks = [
                _cut(earlier if refer and earlier is not None else mask, part, seen.plan)
                for mask, part, refer in zip(masks, parts, refers, strict=True)
            ]
        present = torch.minimum(says.present.cpu(), found.object_logits.cpu()).sigmoid().numpy()
        targets = tuple(
            AnsweredTarget(
                label=phrase or _UNNAMED,
                span=span,
                mask=masks[number],
                presence=float(present[number]),
                quality=float(found.overlap[number]),
                claimed=span is not None,
            )
            for number, (phrase, span) in enumerate(zip(tokens.phrases, tokens.spans, strict=True))
        )
        return Answer(
            text=tokens.text,
            targets=targets,
            preprocessing=_record(seen, found.how, fine),
            warnings=tuple(warnings),
        )

    def _picture_decoder(self, picture: UInt8[ndarray, "height width 3"]) -> PictureDecoder:
        key = hashlib.sha256(picture.tobytes() + str(picture.shape).encode()).hexdigest()
        if key not in self._kept:
            self._kept[key] = PictureDecoder(self.model.decoder, picture)
            while len(self._kept) > _PICTURES_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def load_medsegr(weights: Path | None, device: str) -> MedSegRSegmenter:
    """The segmenter of a folder that `medseg train` or `save_medseg` wrote.

    Raises:
        InvalidInputError: no folder is given.
        CheckpointError: it holds no such model.
    """
    if weights is None:
        raise InvalidInputError("Segmenter 'medsegr': expected a folder of weights, found none. Give --weights FOLDER.")
    return _loaded(weights, device, "medsegr")


def load_embedded(weights: Path | None, device: str) -> MedSegRSegmenter:
    """The embedded model.

    Raises:
        InvalidInputError: weights are given.
        AssetError: the installation lacks it, or its files are damaged.
    """
    if weights is not None:
        raise InvalidInputError("Segmenter 'medsegr-tiny': expected no weights, it has its own. Use 'medsegr'.")
    return _loaded(asset_path(EMBEDDED), device, "medsegr-tiny")


def _loaded(folder: Path, device: str, name: str) -> MedSegRSegmenter:
    model = load_medseg(folder, device=device)
    return MedSegRSegmenter(model, name=name, weights_sha256=_folder_sha256(folder))


def _folder_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(f"{path.relative_to(folder).as_posix()} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _look(volume: Volume, question: str, window: IntensityWindow | None) -> _Seen:
    channels = volume.voxels.shape[3:]
    if channels not in ((), (1,), (3,)):
        raise InvalidInputError(f"Volume: expected grey values or RGB, found {channels[0]} channels. Choose three.")
    plan = plan_slices(volume)
    chosen = window or choose_window(volume, question)
    number = plan.shape[0] // 2
    return _Seen(
        volume=volume, plan=plan, number=number, window=chosen, picture=shown_square(volume, plan, number, chosen)
    )


def _conversation(picture: UInt8[ndarray, "height width 3"], question: str, history: Sequence[Turn]) -> Conversation:
    shown = (Image.fromarray(picture),)
    messages = []
    for number, turn in enumerate(history):
        messages.append(Message(role="user", text=turn.question, images=shown if number == 0 else ()))
        messages.append(Message(role="assistant", text=plain_answer(turn.answer)[0] or "..."))
    messages.append(Message(role="user", text=question, images=() if history else shown))
    return Conversation(messages=tuple(messages))


def _last_marked(history: Sequence[Turn]) -> Bool[ndarray, "i j k"] | None:
    """The one mask of the latest answer that marked anything; None where it marked several: those are drawn anew."""
    for turn in reversed(history):
        masks = [mask for mask in turn.masks if mask.any()]
        if masks:
            return masks[0] if len(masks) == 1 else None
    return None


def _anything_marked(history: Sequence[Turn]) -> bool:
    return any(mask.any() for turn in history for mask in turn.masks)


def _cut(mask: Bool[ndarray, "i j k"], part: Part, plan: SlicePlan) -> Bool[ndarray, "i j k"]:
    if part == "whole":
        return mask
    return plan.volume_of(part_of(plan.pictures(mask), part))


def _record(seen: _Seen, how: str, fine: Bool[ndarray, " token"]) -> Mapping[str, str]:
    window = seen.window
    record = {
        "window": f"{window.name} ({window.low:g}..{window.high:g} {seen.volume.unit}), chosen by {window.chosen_by}",
        "picture for the language model": f"{seen.plan.plane} slice {seen.number + 1} of {seen.plan.shape[0]}",
        "masks": how,
    }
    if fine.any():
        record["thin structures"] = "decoded in windows at twice the resolution"
    return record

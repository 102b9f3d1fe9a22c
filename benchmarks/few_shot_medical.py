"""`FewShotHippocampus`: the embedded medical model learns to mark in slices what it has never marked in pictures.

Sagittal slices of real MR volumes of the hippocampus (the set `vol_mr_hippocampus` of the shared data): the model is
asked for its anterior and its posterior part, and given eight patients to learn from. No picture of this set was ever
seen by what draws masks in pictures; the language model knows the words (the 3D decoder, which is not used here, was
taught by them), and the frozen vision tower has seen slices of these patients, but of none of those scored here.

What runs is the product's own pass: question, answer with [SEG], states, projection, mask decoder, and its losses.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import nibabel
import numpy as np
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from data.recipes.vlm_tiny.medical_sets import held_out_patients
from medseg.model import MedSegModel, load_medseg
from medseg.training.answer_batch import AnswerBatch, make_batch
from medseg.training.answer_items import AnswerItems, ItemSettings
from medseg.training.answer_pass import answer_pass, read_answers
from medseg.training.decoder_views import Rng, decoder_grid
from medseg.training.losses import LossWeights
from medseg.training.records import ImageFacts, MaskFacts, QARecord, QATurn, TargetFacts, load_picture
from medseg.training.run_length import encode_mask
from medseg.training.taught_answers import TaughtAnswer, taught_answers
from vlm_bridge.assets import asset_path

FOLDER = "vol_mr_hippocampus"
PARTS = {"anterior hippocampus": 1, "posterior hippocampus": 2}
"""Phrase -> value of the label volume."""
QUESTION = "Mark the anterior hippocampus and the posterior hippocampus."
ANSWER = "Here are the <p>anterior hippocampus</p> [SEG] and the <p>posterior hippocampus</p> [SEG]."
LEARNED_FROM = 8
"""Patients, drawn by the seed of a run among those that are not held out."""
SLICES = 2
"""Of each patient: those in which the smaller part is largest, a few millimetres apart."""
_APART = 3
_ENLARGED = 4
"""Pixels along a millimetre."""
_VALIDATED_ON = 8

HeldOut = Literal["validation", "test"]


class AskedModel(nn.Module):
    """The medical model without a `config`, which PEFT would take for one of transformers.

    Norms of batches in the picture encoder keep what they know: nothing learns that is not counted.
    """

    def __init__(self, medseg: MedSegModel) -> None:
        super().__init__()
        self.medseg = medseg

    def train(self, mode: bool = True) -> AskedModel:
        """All but the picture encoder and the vision tower."""
        super().train(mode)
        self.medseg.decoder.encoder.eval()
        self.medseg.backbone.parts().vision.eval()
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One picture of one patient."""

    patient: str
    path: str
    targets: dict[str, np.ndarray]
    """Phrase -> bool [height width]."""


@dataclass(kw_only=True)
class FewShotHippocampus:
    """The task; see `AdaptationTask`."""

    shared: Path
    """Folder of the shared data."""
    work: Path
    """Where pictures are written."""
    name: str = "few_shot_hippocampus"
    steps: int = 80
    batch: int = 2
    model: Path = field(default_factory=lambda: asset_path("medsegr_tiny"))
    _features: dict[bytes, Tensor] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Linear layers of the language model, of the projection and of the mask decoder, by their whole names."""
        return self._layers

    def start(self) -> AskedModel:
        """The embedded model in float32; vision, connector and what is not used are frozen, words learn as the head."""
        model = load_medseg(self.model)
        model.language.float()
        model.requires_grad_(False)
        learned: list[nn.Module] = [
            *model.backbone.parts().language.modules(), *model.decoder.modules(), *model.projection.modules(),
        ]  # fmt: skip
        for module in learned:
            if not isinstance(module, nn.Embedding):
                for value in module.parameters(recurse=False):
                    value.requires_grad_(True)
        remember_features(model.backbone.parts().vision, self._features)
        return AskedModel(model)

    def loss(self, model: Any, seed: int, step: int) -> Tensor:
        """That of `medseg train`: words, masks and what is said of them."""
        medseg = _inside(model)
        whole = medseg.decoder.encoder.parameters().__next__().requires_grad
        batch = self._batch(medseg, self._learned_from(seed), step, seed)
        return answer_pass(medseg, batch, LossWeights(), backbone_learns=True, encoder_learns=whole)[0]

    @torch.no_grad()
    def score(self, model: Any, held_out: HeldOut) -> dict[str, Any]:
        """`accuracy`: Dice, the mean over patients of the mean over their masks; `loss`: 1 less that."""
        medseg = _inside(model)
        model.eval()
        dices: dict[str, list[float]] = defaultdict(list)
        answers = self._validation if held_out == "validation" else self._test
        for start in range(0, len(answers), 8):
            some = answers[start : start + 8]
            batch = self._items(medseg, some, seed=0, vary=False, places=range(len(some)))
            said = read_answers(medseg, batch)
            found = medseg.ground(medseg.decoder.encode(batch.views), batch.view, said.hidden).masks.logits > 0
            true = batch.truth.masks
            inside, seen = (true > 0.5) & (true <= 1), true <= 1
            for row, mask, wanted, of in zip(batch.row.tolist(), found, inside, seen, strict=True):
                both = float((mask & wanted).sum())
                dices[some[row].record.patient].append(2 * both / float((mask & of).sum() + wanted.sum()))
        by_patient = [float(np.mean(values)) for values in dices.values()]
        return {"loss": 1 - float(np.mean(by_patient)), "accuracy": float(np.mean(by_patient)), "patients": by_patient}

    @cached_property
    def _layers(self) -> list[str]:
        asked = self.start()
        wanted = {id(value) for value in asked.parameters() if value.requires_grad}
        return [
            name for name, module in asked.named_modules()
            if isinstance(module, nn.Linear) and id(module.weight) in wanted and "lm_head" not in name
        ]  # fmt: skip

    @cached_property
    def _by_patient(self) -> dict[str, tuple[TaughtAnswer, ...]]:
        found: dict[str, list[QARecord]] = defaultdict(list)
        for one in read_slices(self.shared, self.work):
            found[one.patient].append(_record(one, self.work))
        return {patient: taught_answers(records) for patient, records in sorted(found.items())}

    @cached_property
    def _groups(self) -> tuple[list[str], list[str]]:
        """Patients to learn from or validate on, in an order of chance that is always the same; and those of tests."""
        patients = list(self._by_patient)
        kept = held_out_patients(FOLDER, set(_patients(self.shared)))
        others = [one for one in patients if one not in kept]
        np.random.default_rng(0).shuffle(others)
        return others, [one for one in patients if one in kept]

    @cached_property
    def _validation(self) -> list[TaughtAnswer]:
        return [answer for patient in self._groups[0][:_VALIDATED_ON] for answer in self._by_patient[patient]]

    @cached_property
    def _test(self) -> list[TaughtAnswer]:
        return [answer for patient in self._groups[1] for answer in self._by_patient[patient]]

    def _learned_from(self, seed: int) -> list[TaughtAnswer]:
        patients = np.random.default_rng(seed).permutation(self._groups[0][_VALIDATED_ON:])[:LEARNED_FROM]
        return [answer for patient in patients for answer in self._by_patient[str(patient)]]

    def _batch(self, medseg: MedSegModel, answers: Sequence[TaughtAnswer], step: int, seed: int) -> AnswerBatch:
        """The answers of a step: all are seen before one is seen again."""
        first, order = step * self.batch, []
        while len(order) < first + self.batch:
            order += np.random.default_rng([seed, len(order)]).permutation(len(answers)).tolist()
        places = range(first, first + self.batch)
        return self._items(medseg, [answers[order[at]] for at in places], seed=seed, vary=True, places=places)

    def _items(
        self, medseg: MedSegModel, answers: Sequence[TaughtAnswer], *, seed: int, vary: bool, places: range
    ) -> AnswerBatch:
        settings = ItemSettings(
            fit=medseg.decoder.fit, grid=self._grid, seed=seed, fine_share=0.0, fine_labels=(),
        )  # fmt: skip
        made = AnswerItems(answers, settings, moved if vary else None)
        items = [made[place, number] for number, place in enumerate(places)]
        as_it_is = [replace(item, picture=load_picture(item.answer.record)) for item in items]
        return make_batch(medseg.backbone, as_it_is, seg_state=medseg.config.seg_state)

    @cached_property
    def _grid(self) -> int:
        return decoder_grid(load_medseg(self.model).decoder)


def read_slices(shared: Path, work: Path) -> list[Slice]:
    """Slices of all patients, their pictures written to `work`."""
    work.mkdir(parents=True, exist_ok=True)
    found = []
    for entry in json.loads((shared / FOLDER / "meta.json").read_text(encoding="utf-8"))["items"]:
        image, label = (_canonical(shared / FOLDER / entry[name]) for name in ("image", "label"))
        low, high = np.percentile(image, (1, 99.5))
        grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
        for place in _places(label):
            masks = {phrase: _plane(label == value, place) for phrase, value in PARTS.items()}
            path = f"{entry['patient']}_{place}.png"
            plane = cv2.resize(
                np.rot90(grey[place]).astype(np.uint8), None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC
            )
            cv2.imwrite(str(work / path), plane)
            found.append(Slice(patient=entry["patient"], path=path, targets=masks))
    return found


def remember_features(vision: nn.Module, features: dict[bytes, Tensor]) -> None:
    """Let a frozen vision tower keep in `features` what it makes of each picture, in evaluation mode.

    The language model is shown the pictures as they are, so that they come again; what the mask decoder is shown
    varies.
    """
    compute = vision.forward
    device = next(vision.parameters()).device

    def forward(pixel_values: Tensor, **_: Any) -> BaseModelOutput:
        keys = [hashlib.sha256(one.cpu().numpy().tobytes()).digest() for one in pixel_values]
        new = [number for number, key in enumerate(keys) if key not in features]
        if new:
            with torch.no_grad():
                made = compute(pixel_values=pixel_values[new]).last_hidden_state
            features.update({keys[number]: one for number, one in zip(new, made, strict=True)})
        return BaseModelOutput(last_hidden_state=torch.stack([features[key] for key in keys]).to(device))

    vision.forward = forward  # type: ignore[method-assign]


def moved(
    picture: np.ndarray, masks: dict[str, np.ndarray], record: QARecord, rng: Rng
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Turned by up to 15 degrees, enlarged or reduced by up to 15 percent, shifted, and of another brightness."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-15, 15), rng.uniform(0.85, 1.15))
    turn[:, 2] += rng.uniform(-0.08, 0.08, 2) * (width, height)
    bright = 255 * (picture / 255.0) ** float(np.exp(rng.uniform(-0.3, 0.3)))
    turned = cv2.warpAffine(bright.astype(np.uint8), turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return turned, {
        key: cv2.warpAffine(mask.astype(np.uint8), turn, (width, height), flags=cv2.INTER_NEAREST) > 0
        for key, mask in masks.items()
    }


def _patients(shared: Path) -> list[str]:
    return [one["patient"] for one in json.loads((shared / FOLDER / "meta.json").read_text(encoding="utf-8"))["items"]]


def _canonical(path: Path) -> np.ndarray:
    loaded: Any = nibabel.load(path)  # type: ignore[attr-defined]
    return np.asarray(nibabel.as_closest_canonical(loaded).dataobj, np.float32)  # type: ignore[attr-defined]


def _places(label: np.ndarray) -> list[int]:
    smaller = np.min([(label == value).sum((1, 2)) for value in PARTS.values()], axis=0)
    chosen: list[int] = []
    for place in np.argsort(-smaller, kind="stable").tolist():
        if smaller[place] > 0 and all(abs(place - one) >= _APART for one in chosen):
            chosen.append(place)
        if len(chosen) == SLICES:
            break
    return sorted(chosen)


def _plane(mask: np.ndarray, place: int) -> np.ndarray:
    flat = np.ascontiguousarray(np.rot90(mask[place])).astype(np.float32)
    return cv2.resize(flat, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_LINEAR) > 0.5


def _record(one: Slice, work: Path) -> QARecord:
    targets = {}
    for number, (phrase, mask) in enumerate(one.targets.items(), 1):
        facts = MaskFacts(rle=encode_mask(mask), size=(int(mask.shape[0]), int(mask.shape[1])))
        targets[f"t{number}"] = TargetFacts(label=phrase, mask=facts)
    talk = (
        QATurn(role="user", text=QUESTION, kind="multi", asked=tuple(PARTS)),
        QATurn(role="assistant", text=ANSWER, targets=tuple(targets)),
    )
    return QARecord(
        id=one.path, patient=one.patient, image=ImageFacts(path=one.path, modality="MRI", body_part="brain"),
        targets=targets, conversations=(talk,), folder=work,
    )  # fmt: skip


def _inside(model: Any) -> MedSegModel:
    """The medical model, whether PEFT has wrapped it or not."""
    found = getattr(model, "base_model", model)
    return getattr(found, "model", found).medseg

"""`ClassicalSegmenter`: a stand-in of fixed rules, without learned weights, until a model is loaded in its place.

It knows a short list of English words: tissues of CT by ranges of HU and connected parts, and the bright and the dark
region of any image by Otsu's threshold. It says so where it is asked for anything else. Its estimates of overlap are
fixed guesses. Research use only; not a medical device.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medseg.errors import InvalidInputError
from medseg.inference.asked_phrases import AskedPhrase, read_phrases
from medseg.inference.segmenter import Answer, AnsweredTarget, SegmenterFacts, Turn
from medseg.inference.voxel_rules import (
    body_of,
    brighter,
    half,
    one_part,
    otsu_threshold,
    parts_by_size,
    share_below,
    within,
    without_specks,
)
from medseg.study.volume import Volume
from medseg.study.windows import IntensityWindow

_PHRASES_MAX = 16
"""Most structures of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tissue:
    """A rule of CT."""

    words: str
    """Regular expression of the words for it."""
    low: float
    """Smallest value, HU."""
    high: float
    """Value from which on it is something else, HU."""
    part_ml: float = 0.0
    """Connected parts below this volume are left out."""
    sure_ml: float
    """Volume from which on it counts as certainly there; presence falls in proportion below."""
    quality: float
    """A guess of the overlap with the truth."""
    caveat: str = ""
    """What a person should know."""


_BODY_HU = -300.0
_GAS_HU = -930.0
_GAS_SHARE = 0.4
"""An enclosed space is gas of the bowel, not lung, from this share of voxels below `_GAS_HU` on."""
TISSUES: dict[str, _Tissue] = {
    "body": _Tissue(words="body", low=_BODY_HU, high=np.inf, sure_ml=50.0, quality=0.9),
    "lungs": _Tissue(
        words="lungs?", low=-np.inf, high=-400.0, part_ml=20.0, sure_ml=50.0, quality=0.8,
        caveat="Lungs: windpipe and bronchi are included; dense parts are not, nor lungs with much emphysema.",
    ),
    "bone": _Tissue(
        words="bones?|skeleton", low=150.0, high=np.inf, part_ml=0.5, sure_ml=2.0, quality=0.4,
        caveat="Bone: all from 150 HU on, so contrast medium, calcifications and metal count too and marrow does not.",
    ),
    "fat": _Tissue(words="fat|fatty tissue", low=-150.0, high=-30.0, part_ml=0.1, sure_ml=2.0, quality=0.6),
    "soft tissue": _Tissue(words="soft tissues?", low=-30.0, high=150.0, part_ml=0.1, sure_ml=2.0, quality=0.6),
    "metal": _Tissue(words="metal|metal implants?", low=2500.0, high=np.inf, part_ml=0.02, sure_ml=0.1, quality=0.5),
    "air": _Tissue(
        words="air", low=-np.inf, high=-400.0, sure_ml=1.0, quality=0.8, caveat="Air: the air around the body included."
    ),
}  # fmt: skip
"""Structure of CT -> its rule."""
_PRONOUN = re.compile(r"(?:it|that|this|them|those|these|what)\b", re.IGNORECASE)
_MARKED = ("I marked the {label}.", "I marked {label}.")
_STAND_IN = "The classical segmenter is a stand-in of fixed rules without learned weights; check every mask."
_NO_WINDOW = "The intensity window was not used: the rules have ranges of their own."
_SIDES = "Left and right were told apart by a straight cut through the middle."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A mask, or the reason why there is none."""

    mask: Bool[ndarray, "i j k"] | None
    presence: float = 1.0
    quality: float = 0.5
    reason: str = "I find no {label} here."
    """Sentence for an absent one."""


@dataclass(slots=True, kw_only=True)
class _Work:
    """What one question needs, made once: the masks of tissues, the record and the warnings."""

    volume: Volume
    history: Sequence[Turn]
    tissues: dict[str, Bool[ndarray, "i j k"]] = field(default_factory=dict)
    preprocessing: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class ClassicalSegmenter:
    """Rules for CT in HU (body, lungs, bone, fat, soft tissue, metal, air) and bright or dark regions of any image."""

    @property
    def facts(self) -> SegmenterFacts:
        """Its name and what computes; it has no weights."""
        versions = {name: version(name) for name in ("numpy", "scipy")}
        return SegmenterFacts(name="classical", weights_sha256="", versions=versions)

    def answer(
        self, volume: Volume, question: str, history: Sequence[Turn], window: IntensityWindow | None = None
    ) -> Answer:
        """Masks of the known words of the question in the order of mention; the unknown ones are named as such."""
        phrases = read_phrases(question, {name: tissue.words for name, tissue in TISSUES.items()})
        work = _Work(volume=volume, history=history, warnings=[_STAND_IN, *([_NO_WINDOW] if window else [])])
        if len(phrases) > _PHRASES_MAX:
            work.warnings.append(f"{len(phrases)} structures were asked for; the first {_PHRASES_MAX} were taken.")
        if not phrases:
            text = f"I mark structures. {_known_words()}"
            return Answer(text=text, targets=(), preprocessing={}, warnings=tuple(work.warnings))
        sentences: list[str] = []
        targets: list[AnsweredTarget] = []
        for phrase in phrases[:_PHRASES_MAX]:
            found = _find(phrase, work)
            there = found.mask is not None and bool(found.mask.any())
            pattern = found.reason if not there else _MARKED[bool(_PRONOUN.match(phrase.text))]
            first = sum(len(sentence) + 1 for sentence in sentences) + pattern.index("{label}")
            sentences.append(pattern.replace("{label}", phrase.text))
            targets.append(
                AnsweredTarget(
                    label=phrase.text,
                    span=(first, first + len(phrase.text)),
                    mask=found.mask if found.mask is not None else np.broadcast_to(np.False_, volume.shape),
                    presence=found.presence if there else 0.0,
                    quality=found.quality if there else 0.0,
                )
            )
        if not all(phrase.known for phrase in phrases):
            sentences.append(_known_words())
        return Answer(
            text=" ".join(sentences),
            targets=tuple(targets),
            preprocessing=work.preprocessing,
            warnings=tuple(dict.fromkeys(work.warnings)),
        )


def load_classical(weights: Path | None, device: str) -> ClassicalSegmenter:
    """The stand-in.

    Raises:
        InvalidInputError: weights are given, or a device other than the CPU.
    """
    if weights is not None or device != "cpu":
        raise InvalidInputError(
            f"Segmenter 'classical': expected no weights and the device cpu, found {'weights' if weights else device}. "
            "Leave them out."
        )
    return ClassicalSegmenter()


def _known_words() -> str:
    return (
        f"I know these words: {', '.join(TISSUES)} (in CT), bright region, dark region, and the largest, smallest, "
        "bright, dark, left or right part of what is marked."
    )


def _find(phrase: AskedPhrase, work: _Work) -> _Found:
    if not phrase.known:
        return _Found(mask=None, reason="I do not know what {label} is.")
    if phrase.structure:
        base = _tissue_found(phrase.structure, work)
        if base.mask is not None and phrase.marked:
            marked = _marked(work)
            base = _Found(
                mask=None if marked is None else base.mask & marked, presence=base.presence, quality=base.quality
            )
    elif phrase.marked:
        base = _Found(mask=_marked(work), reason="Nothing is marked yet, so I do not know what {label} means.")
    else:
        return _contrast(None, phrase.part == "bright", work)
    if base.mask is None or not base.mask.any() or not phrase.part:
        return base
    return _part(base, phrase, work)


def _part(base: _Found, phrase: AskedPhrase, work: _Work) -> _Found:
    mask = base.mask
    if mask is None:
        return base
    if phrase.part in ("bright", "dark"):
        return _contrast(mask, phrase.part == "bright", work)
    if phrase.part in ("largest", "smallest"):
        work.preprocessing[f"{phrase.part} part"] = "connected part by number of voxels, 26 neighbours"
        chosen = one_part(mask, largest=phrase.part == "largest")
    elif work.volume.space != "patient":
        return _Found(mask=None, reason="I cannot tell left from right in a picture, so I find no {label}.")
    else:
        about = _tissue("body", work) if phrase.structure else mask
        work.preprocessing["side"] = f"straight cut at the centroid of the {'body' if phrase.structure else 'mask'}"
        work.warnings.append(_SIDES)
        chosen = half(work.volume, mask, about if about.any() else mask, left=phrase.part == "left")
    return _Found(mask=chosen, presence=base.presence, quality=min(base.quality, 0.5))


def _contrast(inside: Bool[ndarray, "i j k"] | None, bright: bool, work: _Work) -> _Found:
    """The bright or the dark region of a mask, or of everything."""
    threshold = otsu_threshold(work.volume, inside)
    if threshold is None:
        return _Found(mask=None, reason="All values are equal here, so there is no {label}.")
    where = "volume" if inside is None else "what was marked"
    work.preprocessing[f"Otsu's threshold of the {where}"] = f"{threshold:.6g} {work.volume.unit}"
    over = brighter(work.volume, threshold, inside)
    if bright:
        return _Found(mask=over)
    return _Found(mask=~over if inside is None else inside & ~over)


def _marked(work: _Work) -> Bool[ndarray, "i j k"] | None:
    """What the latest answer with a mask marked, all of it."""
    for turn in reversed(work.history):
        masks = [mask for mask in turn.masks if mask.any()]
        if masks:
            return np.logical_or.reduce(masks)
    return None


def _tissue_found(name: str, work: _Work) -> _Found:
    tissue = TISSUES[name]
    if work.volume.unit != "HU" or work.volume.voxels.ndim != 3:
        return _Found(mask=None, reason="I tell {label} in CT alone, by its Hounsfield units.")
    mask = _tissue(name, work)
    if tissue.caveat:
        work.warnings.append(tissue.caveat)
    millilitres = int(np.count_nonzero(mask)) * work.volume.voxel_ml
    presence = min(1.0, millilitres / tissue.sure_ml) if work.volume.spacing_known else float(mask.any())
    return _Found(mask=mask, presence=presence, quality=tissue.quality)


def _tissue(name: str, work: _Work) -> Bool[ndarray, "i j k"]:
    """The mask of a rule, made once per question."""
    if name in work.tissues:
        return work.tissues[name]
    tissue, volume = TISSUES[name], work.volume
    work.preprocessing[name] = f"{tissue.low:g} to {tissue.high:g} HU, connected parts from {tissue.part_ml:g} ml"
    if name == "body":
        mask = body_of(volume, tissue.low)
    else:
        mask = within(volume, tissue.low, tissue.high)
        if name != "air":
            mask &= _tissue("body", work)
        if name == "lungs":
            mask = _lungs(mask, tissue.part_ml / volume.voxel_ml, volume)
        elif tissue.part_ml:
            mask = without_specks(mask, tissue.part_ml / volume.voxel_ml)
    work.tissues[name] = mask
    return mask


def _lungs(air: Bool[ndarray, "i j k"], voxels_min: float, volume: Volume) -> Bool[ndarray, "i j k"]:
    names, sizes = parts_by_size(air)
    kept = (sizes >= voxels_min) & (share_below(volume, names, len(sizes), _GAS_HU) < _GAS_SHARE)
    kept[0] = False
    return kept[names]

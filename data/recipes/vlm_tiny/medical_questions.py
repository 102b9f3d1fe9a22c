"""What can be asked of a medical picture: modality, body part, what is visible, where it is, its mask."""

from __future__ import annotations

import numpy as np

from data.recipes.vlm_tiny.exchange import SIDE, Exchange, Picture, Rng, one_of, place_words, with_article
from data.recipes.vlm_tiny.medical_sets import SETS, MedicalItem, varied, what_map
from data.recipes.vlm_tiny.requests import MEDICAL

SHORT = {"CT": "CT slice", "MRI": "MRI slice", "X-ray": "X-ray image", "ultrasound": "ultrasound image",
         "endoscopy": "endoscopy image", "histology": "histology image", "microscopy": "microscopy image",
         "electron microscopy": "electron microscopy image", "fundus photograph": "fundus photograph",
         "photograph": "photograph"}  # fmt: skip
"""What a picture of a modality is called."""
_PLURAL = ("lungs", "airways", "ground glass opacities", "blood vessels")
_SPREAD_OUT = ("cell membrane", "nucleus", "blood vessels", "cytoplasm")
"""Structures that lie all over a picture: nobody asks where."""
_SEEN_SHARE = 0.002
"""A structure counts as visible from this share of the picture on."""
NOT_THERE = ("tumour", "polyp", "fetal head", "wound", "liver", "lungs", "glioma", "left ventricle", "kidney stone",
             "gallbladder", "fracture", "pacemaker", "tooth", "appendix")  # fmt: skip
"""Structures asked for in vain; some of them nobody ever shows the model."""


def medical_picture(item: MedicalItem, rng: Rng, *, vary: bool = True) -> Picture:
    """A medical picture with its questions."""
    image, masks = varied(item, rng if vary else None)
    exchanges = [*_kind(item, rng), *_visible(item, masks, rng), *_absent(item, rng)]
    return Picture(
        image=image, what=what_map(item.of, masks), colour=np.full((SIDE, SIDE), -1, np.int16),
        exchanges=tuple(exchanges), source="medical",
    )  # fmt: skip


def _kind(item: MedicalItem, rng: Rng) -> list[Exchange]:
    modality = ("What kind of image is this?", "Which modality is this?", "How was this image taken?",
                "What imaging modality was used?")  # fmt: skip
    part = ("Which part of the body is shown?", "What body part is this?", "Which organ or region do you see?",
            "What does the image show, which body part?")  # fmt: skip
    called = SHORT[item.of.modality]
    return [
        Exchange(kind="modality", question=one_of(rng, modality), answer=f"This is {with_article(called)}."),
        Exchange(kind="body part", question=one_of(rng, part), answer=f"It shows the {item.of.body_part}."),
        Exchange(
            kind="description", question=one_of(rng, ("What do you see?", "Describe the picture.")),
            answer=f"This is {with_article(called)} of the {item.of.body_part}.",
        ),
    ]  # fmt: skip


def _be(name: str) -> str:
    return "are" if name in _PLURAL else "is"


def _visible(item: MedicalItem, masks: dict[str, np.ndarray], rng: Rng) -> list[Exchange]:
    exchanges = []
    visible = ("Is there {} in the image?", "Can you see {}?", "Is {} visible?")
    ask = ("Segment {}.", "Show me {}.", "Outline {}.", "Where exactly is {}? Mark it.", "Delineate {}.")
    for name, mask in masks.items():
        share, be = mask.mean(), _be(name)
        asked = name if name in _PLURAL else f"a {name}"
        if share == 0:
            no = f"No, there {be} no {name}."
            exchanges.append(Exchange(kind="presence", question=one_of(rng, visible).format(asked), answer=no))
            none = f"There {be} no {name} in the image."
            exchanges.append(Exchange(kind="mask", question=one_of(rng, ask).format(f"the {name}"), answer=none))
        elif share > _SEEN_SHARE:
            yes = f"Yes, the {name} {be} visible."
            exchanges.append(Exchange(kind="presence", question=one_of(rng, visible).format(asked), answer=yes))
            here = f"Here {be} the <p>{name}</p> [SEG]."
            exchanges.append(Exchange(kind="mask", question=one_of(rng, ask).format(f"the {name}"), answer=here))
            for request in MEDICAL.get(name, ()):
                here = f"That {be} the <p>{name}</p> [SEG]."
                exchanges.append(Exchange(kind="request", question=request, answer=here))
            words = _where(mask)
            if words and name not in _SPREAD_OUT:
                where = one_of(rng, ("Where {} the {}?", "Where in the image {} the {}?")).format(be, name)
                exchanges.append(Exchange(kind="where", question=where, answer=f"The {name} {be} {words}."))
    return exchanges


def _where(mask: np.ndarray) -> str | None:
    rows, columns = np.nonzero(mask)
    return place_words(columns.mean() / SIDE, rows.mean() / SIDE)


def _absent(item: MedicalItem, rng: Rng) -> list[Exchange]:
    own = {name for one in SETS if one.body_part == item.of.body_part for name in one.structures.values()}
    unsure = {"CT": {"tumour", "gallbladder", "kidney stone", "appendix", "lungs"}, "X-ray": {"fracture", "pacemaker"}}
    sure = [name for name in NOT_THERE if name not in own and name not in unsure.get(item.of.modality, set())]
    name = one_of(rng, sure)
    be = _be(name)
    asked = name if name in _PLURAL else f"a {name}"
    visible = ("Is there {} in the image?", "Can you see {}?", "Is {} visible?")
    ask = ("Segment {}.", "Show me {}.", "Outline {}.", "Where exactly is {}? Mark it.", "Delineate {}.")
    return [
        Exchange(
            kind="presence", question=one_of(rng, visible).format(asked), answer=f"No, there {be} no {name}."
        ),
        Exchange(
            kind="mask", question=one_of(rng, ask).format(f"the {name}"), answer=f"There {be} no {name} in the image."
        ),
    ]  # fmt: skip

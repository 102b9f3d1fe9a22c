"""The backbone that comes along: small, loaded by name, and able to say what its recipe taught it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.recipes.vlm_tiny.exchange import Exchange, Picture
from data.recipes.vlm_tiny.medical_questions import medical_picture
from data.recipes.vlm_tiny.medical_sets import SETS, read_items
from data.recipes.vlm_tiny.shape_questions import shape_picture
from vlm_bridge.assets import asset_path
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import load_backbone
from vlm_bridge.cli import main
from vlm_bridge.decoding.config import DecodingConfig
from vlm_bridge.decoding.generate import generate
from vlm_bridge.decoding.seg_states import seg_states
from vlm_bridge.prompts.conversation import ask

_SEED = 940_001
"""No recipe and no benchmark draws from it."""


@pytest.fixture(scope="module")
def backbone() -> InternVLBackbone:
    return load_backbone("embedded", device="cpu")


def _exact(backbone: InternVLBackbone, asked: list[tuple[Picture, Exchange]]) -> float:
    right = 0
    for first in range(0, len(asked), 32):
        some = asked[first : first + 32]
        given = generate(
            backbone,
            [ask(one.question, Image.fromarray(picture.image)) for picture, one in some],
            DecodingConfig(max_new_tokens=48),
        )
        right += sum(answer.text == one.answer for (_, one), answer in zip(some, given, strict=True))
    return right / len(asked)


def test_it_is_a_small_internvl(backbone: InternVLBackbone) -> None:
    folder = asset_path("vlm_tiny")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 20_000_000
    assert type(backbone.model).__name__ == "InternVLForConditionalGeneration"
    assert 6_000_000 < sum(value.numel() for value in backbone.model.parameters()) < 12_000_000
    assert (backbone.tiling.tile_size, backbone.parts().tokens_per_tile) == (256, 64)


def test_it_knows_modality_and_body_part_of_patients_it_never_saw(
    backbone: InternVLBackbone, shared_data: Path
) -> None:
    rng = np.random.default_rng(_SEED)
    items = read_items(shared_data, held_out=True)
    assert {item.of.folder for item in items} == {one.folder for one in SETS}
    some = items[::4]
    pictures = [medical_picture(item, rng, vary=False) for item in some]
    asked = [
        (picture, one) for picture in pictures for one in picture.exchanges if one.kind in ("modality", "body part")
    ]
    assert len(asked) > 100
    assert _exact(backbone, asked) >= 0.95


def test_it_sees_colours_and_says_where_there_is_nothing(backbone: InternVLBackbone) -> None:
    rng = np.random.default_rng(_SEED)
    pictures = [shape_picture(rng, easy=True) for _ in range(40)]
    colours = [(picture, one) for picture in pictures for one in picture.exchanges if one.kind == "colour"]
    share = _exact(backbone, colours)
    assert share >= 0.5, "guessing gives one in twelve"


def test_a_masks_answer_has_its_state_and_phrase(backbone: InternVLBackbone) -> None:
    picture = Image.fromarray(shape_picture(np.random.default_rng(_SEED), easy=True).image)
    states = seg_states(backbone, ask("Segment the star.", picture), "Here is the <p>star</p> [SEG].")
    assert states.hidden.shape == (1, backbone.parts().language_width)
    assert [phrase.text for phrase in states.phrases] == ["star"]


def test_the_command_answers_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(shape_picture(np.random.default_rng(_SEED), easy=True).image).save(path)
    assert main(["generate", str(path), "How many shapes are there?", "--max-new-tokens", "16"]) == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith("There "), said
    assert said.endswith(".")

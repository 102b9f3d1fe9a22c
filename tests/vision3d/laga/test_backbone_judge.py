"""A backbone as the judge of objects: yes against no, the same for a picture whatever is asked beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vision3d.laga.backbone_judge import NO, QUESTION, YES, BackboneJudge
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.conversation import ask


@pytest.fixture(scope="module")
def backbone() -> InternVLBackbone:
    return InternVLBackbone(tiny_internvl(), tiny_tokenizer(), TilingConfig(tile_size=28, max_tiles=1))


def _picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (28, 28, 3), dtype=np.uint8))


def test_the_probability_of_yes_is_that_of_spelling_it(backbone: InternVLBackbone) -> None:
    picture, request = _picture(0), "what is round?"
    found = BackboneJudge(backbone)([picture], request)
    spelled = []
    for answer in (YES, NO):
        start = backbone.encode([ask(QUESTION.format(request), picture)], to_answer=True)
        words = backbone.tokenizer(answer, add_special_tokens=False)["input_ids"]
        words.append(backbone.tokenizer.convert_tokens_to_ids(backbone.tokens.turn_end))
        ids = torch.cat([start.ids, torch.tensor([words])], 1)
        with torch.no_grad():
            logits = backbone.model(
                input_ids=ids, pixel_values=start.tiles.pixels, attention_mask=torch.ones_like(ids)  # type: ignore[union-attr]
            ).logits[0]  # fmt: skip
        likely = logits.float().log_softmax(-1)[start.ids.shape[1] - 1 : -1]
        spelled.append(float(likely[torch.arange(len(words)), torch.tensor(words)].sum()))
    expected = torch.tensor(spelled).softmax(0)[0]
    torch.testing.assert_close(found, expected[None], atol=1e-5, rtol=1e-5)


def test_each_picture_is_judged_by_itself(backbone: InternVLBackbone) -> None:
    judge, pictures = BackboneJudge(backbone), [_picture(seed) for seed in range(20)]
    together = judge(pictures, "what is round?")
    assert together.shape == (20,)
    assert bool(((together > 0) & (together < 1)).all())
    assert len(together.unique()) > 1, "pictures matter"
    alone = torch.cat([judge([picture], "what is round?") for picture in (pictures[0], pictures[19])])
    torch.testing.assert_close(alone, together[[0, 19]], atol=1e-5, rtol=1e-4)


def test_no_pictures_have_no_judgement(backbone: InternVLBackbone) -> None:
    assert BackboneJudge(backbone)([], "what is round?").shape == (0,)

"""Every backbone, over each language model it may have, keeps what the protocol promises: what transformers' own
processor and model give is what it gives, and rows of a batch do not see each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    GotOcr2ImageProcessorPil,
    InternVLProcessor,
    InternVLVideoProcessor,
)

from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import load_backbone, save_backbone
from vlm_bridge.backbone.protocol import VisionLanguageBackbone
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.conversation import Conversation, Message, ask

GREEDY = {"do_sample": False, "max_new_tokens": 12}


@pytest.fixture(params=["qwen2", "qwen3", "llama"])
def backbone(request: pytest.FixtureRequest) -> InternVLBackbone:
    """Tiles of 56 pixels are four visual tokens; at most four tiles."""
    model = tiny_internvl(request.param, image_size=56)
    return InternVLBackbone(model, tiny_tokenizer(), TilingConfig(tile_size=56, max_tiles=4))


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    noise = torch.Generator().manual_seed(seed)
    return Image.fromarray(torch.randint(0, 256, (height, width, 3), generator=noise, dtype=torch.uint8).numpy())


def conversations() -> list[Conversation]:
    """Of unlike lengths, with three tiles, none, one, and two pictures with a system message."""
    return [
        ask("what is this?", picture(90, 40)),
        ask("no picture here, only a rather long question"),
        ask("so?", picture(50, 50, seed=1)),
        Conversation(
            messages=(
                Message(role="system", text="Be short."),
                Message(role="user", text="compare them", images=(picture(40, 90, seed=2), picture(60, 60, seed=3))),
                Message(role="assistant", text="They differ."),
                Message(role="user", text="how?"),
            )
        ),
    ]


def test_it_is_a_backbone(backbone: InternVLBackbone) -> None:
    assert isinstance(backbone, VisionLanguageBackbone)


def test_prompt_and_logits_are_those_of_transformers_own_processor(backbone: InternVLBackbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path / "saved")
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessorPil.from_pretrained(tmp_path / "saved"),
        tokenizer=AutoTokenizer.from_pretrained(tmp_path / "saved"),
        video_processor=InternVLVideoProcessor.from_pretrained(tmp_path / "saved"),
        image_seq_length=4,
    )
    template = (tmp_path / "saved" / "chat_template.jinja").read_text(encoding="utf-8")
    said = [{"type": "image", "image": picture(90, 40)}, {"type": "text", "text": "what is this in the lung?"}]
    theirs = processor.apply_chat_template(
        [{"role": "user", "content": said}],
        chat_template=template,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    ours = backbone.encode([ask("what is this in the lung?", picture(90, 40))], to_answer=True)
    assert ours.ids.tolist() == theirs["input_ids"].tolist()
    assert ours.tiles is not None
    torch.testing.assert_close(ours.tiles.pixels, theirs["pixel_values"], atol=1e-5, rtol=0)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "saved")
    with torch.no_grad():
        expected = model(**theirs).logits
        found = backbone.forward(ours)
    torch.testing.assert_close(found.logits, expected, atol=1e-5, rtol=0)
    ids = backbone.generate(ours, **GREEDY)
    whole = model.generate(**theirs, **GREEDY)
    assert ids.tolist() == whole[:, ours.ids.shape[1] :].tolist()


def test_a_batch_equals_one_by_one(backbone: InternVLBackbone) -> None:
    batch = backbone.encode(conversations(), to_answer=True)
    assert not batch.attention.all()
    assert bool(batch.attention[:, -1].all()), "padding is on the left"
    with torch.no_grad():
        together = backbone.forward(batch, hidden=True)
        for row, conversation in enumerate(conversations()):
            single = backbone.encode([conversation], to_answer=True)
            alone = backbone.forward(single, hidden=True)
            length = single.ids.shape[1]
            assert batch.ids[row, -length:].tolist() == single.ids[0].tolist()
            # Sums of float32 in another order: about 1e-6 of logits near 0.5.
            torch.testing.assert_close(together.logits[row, -length:], alone.logits[0], atol=1e-4, rtol=0)
            assert together.hidden is not None
            assert alone.hidden is not None
            torch.testing.assert_close(together.hidden[row, -length:], alone.hidden[0], atol=1e-4, rtol=0)


def test_answers_in_a_batch_are_those_given_one_by_one(backbone: InternVLBackbone) -> None:
    together = backbone.generate(backbone.encode(conversations(), to_answer=True), **GREEDY)
    end = backbone.tokenizer.convert_tokens_to_ids("<|im_end|>")
    for row, conversation in enumerate(conversations()):
        alone = backbone.generate(backbone.encode([conversation], to_answer=True), **GREEDY)[0].tolist()
        expected = alone[: alone.index(end) + 1] if end in alone else alone
        assert together[row].tolist()[: len(expected)] == expected


def test_padding_on_the_right_changes_nothing_either(backbone: InternVLBackbone) -> None:
    learned = [
        Conversation(messages=(*conversation.messages, Message(role="assistant", text="a thing.")))
        for conversation in conversations()
    ]
    batch = backbone.encode(learned, to_answer=False)
    assert bool(batch.attention[:, 0].all()), "padding is on the right"
    with torch.no_grad():
        together = backbone.forward(batch).logits
        for row, conversation in enumerate(learned):
            single = backbone.encode([conversation], to_answer=False)
            length = single.ids.shape[1]
            alone = backbone.forward(single).logits
            torch.testing.assert_close(together[row, :length], alone[0], atol=1e-4, rtol=0)


def test_hidden_states_are_what_the_head_reads(backbone: InternVLBackbone) -> None:
    batch = backbone.encode(conversations()[:2], to_answer=True)
    with torch.no_grad():
        output = backbone.forward(batch, hidden=True)
        assert output.hidden is not None
        assert torch.equal(backbone.model.lm_head(output.hidden), output.logits)
        assert backbone.forward(batch).hidden is None
    first = backbone.generate(batch, do_sample=False, max_new_tokens=1)
    assert first[:, 0].tolist() == output.logits[:, -1].argmax(-1).tolist()


def test_visual_tokens_are_what_the_language_model_is_given(backbone: InternVLBackbone) -> None:
    batch = backbone.encode([conversations()[0]], to_answer=True)
    assert batch.tiles is not None
    with torch.no_grad():
        visual = backbone.encode_images(batch.tiles)
        assert visual.shape == (3, 4, 32)
        embedded = backbone.model.get_input_embeddings()(batch.ids)
        embedded[batch.ids == backbone.model.config.image_token_id] = visual.reshape(-1, 32)
        expected = backbone.model(inputs_embeds=embedded, attention_mask=batch.attention.long()).logits
        found = backbone.forward(batch).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_reading_what_was_saved(backbone: InternVLBackbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path / "saved")
    loaded = load_backbone(tmp_path / "saved", device="cpu")
    assert loaded.tiling == backbone.tiling
    batch = backbone.encode(conversations(), to_answer=True)
    again = loaded.encode(conversations(), to_answer=True)
    assert torch.equal(batch.ids, again.ids)
    with torch.no_grad():
        assert torch.equal(loaded.forward(again).logits, backbone.forward(batch).logits)

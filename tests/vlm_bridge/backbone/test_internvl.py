"""`InternVLBackbone`: its parts, its encoding, and what it refuses to be put together from."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from tests.vlm_bridge.backbone.conversion.original_internvl import write_tokenizer
from tests.vlm_bridge.tiny_models import tiny_internvl, tiny_tokenizer
from vlm_bridge.backbone.internvl import InternVLBackbone, known_tokens
from vlm_bridge.errors import BackboneError, InvalidInputError
from vlm_bridge.images.tile_batch import TilingConfig
from vlm_bridge.prompts.conversation import Conversation, Message, ask
from vlm_bridge.prompts.special_tokens import SpecialTokens

TILING = TilingConfig(tile_size=28, max_tiles=4)
WIDE = Image.new("RGB", (90, 40), "red")


@pytest.fixture
def backbone() -> InternVLBackbone:
    return InternVLBackbone(tiny_internvl(), tiny_tokenizer(), TILING)


@pytest.mark.parametrize("tied", [False, True])
def test_parts_share_nothing_and_leave_nothing_out(tied: bool) -> None:
    backbone = InternVLBackbone(tiny_internvl(tied=tied), tiny_tokenizer(), TILING)
    parts = backbone.parts()
    owned = [{id(value) for value in part.parameters()} for part in (parts.vision, parts.connector, parts.language)]
    together = set().union(*owned)
    assert sum(map(len, owned)) == len(together)
    assert together == {id(value) for value in backbone.model.parameters()}
    assert len(owned[1]) == 6, "a norm and two linear layers, each with weight and bias"
    assert (parts.vision_width, parts.language_width, parts.tokens_per_tile) == (16, 32, 1)


def test_head_and_embeddings_learn_with_the_language(backbone: InternVLBackbone) -> None:
    owned = {id(value) for value in backbone.parts().language.parameters()}
    assert id(backbone.model.get_output_embeddings().weight) in owned
    assert id(backbone.model.get_input_embeddings().weight) in owned


def test_tiles_can_be_fewer_than_the_backbones_own(backbone: InternVLBackbone) -> None:
    def counts(**options: Any) -> tuple[int, ...]:
        tiles = backbone.encode([ask("what?", WIDE)], to_answer=True, **options).tiles
        assert tiles is not None
        return tiles.counts

    assert counts() == (3,)  # 90 by 40 is nearest to 2 by 1; the thumbnail is the third
    assert counts(max_tiles=1) == (1,)
    with pytest.raises(InvalidInputError):
        counts(max_tiles=0)


def test_fewest_tiles_give_way_to_most() -> None:
    backbone = InternVLBackbone(tiny_internvl(), tiny_tokenizer(), TilingConfig(tile_size=28, min_tiles=2, max_tiles=4))
    tiles = backbone.encode([ask("what?", WIDE)], to_answer=True, max_tiles=1).tiles
    assert tiles is not None
    assert tiles.counts == (1,)


def test_a_batch_is_where_the_model_is_and_in_its_precision() -> None:
    backbone = InternVLBackbone(tiny_internvl().bfloat16(), tiny_tokenizer(), TILING)
    batch = backbone.encode([ask("what?", WIDE)], to_answer=True)
    assert batch.tiles is not None
    assert batch.tiles.pixels.dtype == torch.bfloat16
    assert batch.ids.device == backbone.device == torch.device("cpu")
    assert backbone.forward(batch).logits.dtype == torch.bfloat16


def test_no_conversation_is_refused(backbone: InternVLBackbone) -> None:
    with pytest.raises(InvalidInputError, match="at least one conversation"):
        backbone.encode([], to_answer=True)


def test_thinking_is_opened_with_its_token(backbone: InternVLBackbone) -> None:
    plain = backbone.encode([ask("why?")], to_answer=True).ids[0].tolist()
    opened = backbone.encode([ask("why?")], to_answer=True, think=True).ids[0].tolist()
    assert opened[: len(plain)] == plain
    assert backbone.tokenizer.decode(opened[len(plain) :]) == "<think>\n"
    assert len(opened) == len(plain) + 2


def test_thinking_is_spelled_where_the_tokenizer_has_no_token_for_it(tmp_path) -> None:
    """Skywork-R1V3 learned to think with a mark of ordinary words."""
    from transformers import AutoTokenizer

    write_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = tiny_internvl()
    model.config.image_token_id = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    backbone = InternVLBackbone(model, tokenizer, TILING)
    plain = backbone.encode([ask("why?")], to_answer=True).ids[0].tolist()
    opened = backbone.encode([ask("why?")], to_answer=True, think=True).ids[0].tolist()
    assert opened == tokenizer(tokenizer.decode(plain) + "<think>\n").input_ids
    said = Message(role="assistant", text="<think>as</think>so")
    learned = backbone.encode([Conversation(messages=(*ask("why?").messages, said))], to_answer=False)
    assert tokenizer.decode(learned.ids[0][learned.answers[0]]) == "<think>as</think>so<|im_end|>"
    with pytest.raises(InvalidInputError, match="without to_answer"):
        backbone.encode([Conversation(messages=(*ask("why?").messages, said))], to_answer=False, think=True)


def test_tokens_of_thinking_count_where_they_are_known() -> None:
    assert known_tokens(tiny_tokenizer(), SpecialTokens()) == SpecialTokens()


def test_generation_ends_with_the_turn(backbone: InternVLBackbone) -> None:
    end = backbone.tokenizer.convert_tokens_to_ids("<|im_end|>")
    backbone.model.generation_config.eos_token_id = None
    batch = backbone.encode([ask("why?"), ask("a longer question")], to_answer=True)
    with torch.no_grad():
        # The head reads a state of norm about sqrt(32): this one says the end whatever it reads.
        state = backbone.forward(batch, hidden=True).hidden
        assert state is not None
        backbone.model.lm_head.weight.zero_()
        backbone.model.lm_head.weight[end] = state[:, -1].mean(0)
    said = backbone.generate(batch, max_new_tokens=9, do_sample=False)
    assert said.tolist() == [[end], [end]]


def test_only_ids_are_given(backbone: InternVLBackbone) -> None:
    batch = backbone.encode([ask("why?")], to_answer=True)
    with pytest.raises(InvalidInputError, match="return_dict_in_generate"):
        backbone.generate(batch, return_dict_in_generate=True)


def test_a_wrapped_model_does_as_well(backbone: InternVLBackbone) -> None:
    class Wrapper(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, **inputs: Any) -> Any:
            return self.inner(**inputs)

    batch = backbone.encode([ask("what?", WIDE)], to_answer=True)
    wrapped = InternVLBackbone(Wrapper(backbone.model), backbone.tokenizer, TILING)
    with torch.no_grad():
        expected, found = backbone.forward(batch, hidden=True), wrapped.forward(batch, hidden=True)
    assert torch.equal(found.logits, expected.logits)
    assert found.hidden is not None
    assert expected.hidden is not None
    assert torch.equal(found.hidden, expected.hidden)
    assert wrapped.parts().language_width == 32


def test_threads_do_not_hear_each_others_states(backbone: InternVLBackbone) -> None:
    batches = [backbone.encode([ask("why? " * length)], to_answer=True) for length in (1, 9)]
    lengths: dict[int, set[int]] = {0: set(), 1: set()}

    def work(number: int) -> None:
        for _ in range(20):
            with torch.no_grad():
                hidden = backbone.forward(batches[number], hidden=True).hidden
            assert hidden is not None
            lengths[number].add(hidden.shape[1])

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == {number: {batches[number].ids.shape[1]} for number in (0, 1)}


def test_gradients_reach_every_part(backbone: InternVLBackbone) -> None:
    batch = backbone.encode([ask("what?", WIDE)], to_answer=True)
    backbone.forward(batch).logits.square().mean().backward()
    parts = backbone.parts()
    for part in (parts.vision, parts.connector, parts.language):
        assert any(value.grad is not None and bool(value.grad.any()) for value in part.parameters())


def test_parts_of_two_backbones_are_refused() -> None:
    model, tokenizer = tiny_internvl(), tiny_tokenizer()
    with pytest.raises(BackboneError, match="tiles of side 28"):
        InternVLBackbone(model, tokenizer, TilingConfig(tile_size=56))
    model.config.image_seq_length = 4
    with pytest.raises(BackboneError, match="1 visual tokens per tile"):
        InternVLBackbone(model, tokenizer, TILING)
    model.config.image_token_id = 7
    with pytest.raises(BackboneError, match="two backbones"):
        InternVLBackbone(model, tokenizer, TILING)
    with pytest.raises(BackboneError, match="'<picture>'"):
        InternVLBackbone(tiny_internvl(), tokenizer, TILING, SpecialTokens(image_context="<picture>"))
    with pytest.raises(BackboneError, match="Linear"):
        InternVLBackbone(nn.Linear(2, 2), tokenizer, TILING)

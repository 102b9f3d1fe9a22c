"""How the recipe of the small backbone packs pictures and exchanges, and what it learns from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy

from data.recipes.vlm_tiny.batches import IGNORED, Writer, draw_exchanges, pack
from data.recipes.vlm_tiny.evaluate import exact_answers
from data.recipes.vlm_tiny.exchange import SIDE, Exchange, Picture
from data.recipes.vlm_tiny.network import TOKENS_PER_TILE, build, coarse_labels, patch_features
from data.recipes.vlm_tiny.shape_questions import shape_picture
from data.recipes.vlm_tiny.tokenizer import train_tokenizer
from data.recipes.vlm_tiny.train import TrainConfig, Trained, answer_logits, batch_losses, optimizers
from vlm_bridge.prompts.conversation import Conversation, Message
from vlm_bridge.prompts.encode_conversation import encode_conversation
from vlm_bridge.prompts.special_tokens import SpecialTokens


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    rng = np.random.default_rng(4)
    return [shape_picture(rng) for _ in range(3)]


@pytest.fixture(scope="module")
def tokenizer(pictures: list[Picture]) -> Any:
    texts = [f"{one.question}\n{one.answer}" for picture in pictures for one in picture.exchanges]
    return train_tokenizer(texts, SpecialTokens())


@pytest.fixture(scope="module")
def trained(tokenizer: Any) -> Trained:
    torch.manual_seed(0)
    ids = tokenizer.convert_tokens_to_ids(["<IMG_CONTEXT>", "<|im_end|>", "<|endoftext|>"])
    return Trained(build(len(tokenizer), *ids)).eval()


def test_the_tokenizer_writes_any_text(tokenizer: Any) -> None:
    for text in ("naïve Ünïcode 茶壶 🫖", "left-right 1234", "tab\tand\nnewline", "[SEG]"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("2048")["input_ids"]) == 4, "digits stand alone"
    assert len(tokenizer("[SEG]")["input_ids"]) == 1


def test_an_exchange_is_written_as_the_chat_template_writes_it(tokenizer: Any) -> None:
    writer = Writer(tokenizer)
    one = Exchange(kind="mask", question="Show me [SEG] the star.", answer="Here is the <p>star</p> [SEG].")
    question = Exchange(kind="mask", question="Show me the star.", answer=one.answer)
    image = Image.new("RGB", (SIDE, SIDE))
    turns = (Message(role="user", text=question.question, images=(image,)), Message(role="assistant", text=one.answer))
    encoded = encode_conversation(
        Conversation(messages=turns), tokenizer, SpecialTokens(), [1], TOKENS_PER_TILE, to_answer=False
    )  # fmt: skip
    said, asked = writer.exchange(question)
    written = [*writer.picture, *said]
    assert encoded.ids[: len(written)] == written
    assert encoded.answers[: len(written)] == [False] * (len(writer.picture) + asked) + [True] * (len(said) - asked)


def test_packed_exchanges_are_read_as_if_each_were_alone(
    pictures: list[Picture], tokenizer: Any, trained: Trained
) -> None:
    writer = Writer(tokenizer)
    chosen = [draw_exchanges(picture, 5, np.random.default_rng(0)) for picture in pictures]
    together = pack(pictures, chosen, writer)
    with torch.no_grad():
        all_of_them = answer_logits(trained.model, patch_features(trained.model, together.pixels), together)
        alone = []
        for picture, exchanges in zip(pictures, chosen, strict=True):
            for one in exchanges:
                single = pack([picture], [[one]], writer)
                alone.append(answer_logits(trained.model, patch_features(trained.model, single.pixels), single))
    assert sum(map(len, chosen)) == 15
    torch.testing.assert_close(all_of_them, torch.cat(alone), atol=2e-4, rtol=2e-4)


def test_the_loss_is_of_the_answers_alone(pictures: list[Picture], tokenizer: Any, trained: Trained) -> None:
    writer = Writer(tokenizer)
    one = next(one for one in pictures[0].exchanges if one.kind == "count")
    batch = pack(pictures[:1], [[one]], writer)
    said, asked = writer.exchange(one)
    due = batch.labels[0][batch.labels[0] != IGNORED].tolist()
    assert due == said[asked:]
    with torch.no_grad():
        losses = batch_losses(trained, batch)
        output = trained.model(
            input_ids=batch.ids, pixel_values=batch.pixels, attention_mask=torch.ones_like(batch.ids), use_cache=False
        ).logits[0]
    start = len(writer.picture) + asked
    by_hand = cross_entropy(output[start - 1 : -1].float(), torch.tensor(said[asked:]))
    assert float(losses["words"]) == pytest.approx(float(by_hand), rel=0.02), "bfloat16 against float32"


def test_coarse_labels_keep_their_places() -> None:
    labels = torch.zeros(1, SIDE, SIDE, dtype=torch.int16)
    labels[0, :4, -4:] = 7
    coarse = coarse_labels(labels)
    assert coarse.shape == (1, SIDE // 4, SIDE // 4)
    assert coarse[0, 0, -1] == 7
    assert int((coarse == 7).sum()) == 1


def test_every_weight_has_one_optimiser(trained: Trained) -> None:
    held = [
        id(value)
        for one in optimizers(trained, TrainConfig())
        for group in one.param_groups
        for value in group["params"]
    ]
    assert sorted(held) == sorted(id(value) for value in trained.parameters())


def test_a_few_steps_learn_one_picture_by_heart(pictures: list[Picture], tokenizer: Any) -> None:
    torch.manual_seed(1)
    ids = tokenizer.convert_tokens_to_ids(["<IMG_CONTEXT>", "<|im_end|>", "<|endoftext|>"])
    learner, writer = Trained(build(len(tokenizer), *ids)), Writer(tokenizer)
    chosen = [[one for one in pictures[0].exchanges if one.kind in ("colour", "count")][:3]]
    batch = pack(pictures[:1], chosen, writer)
    both = optimizers(learner, TrainConfig(learning_rate=1e-3))
    first = last = 0.0
    for step in range(25):
        losses = batch_losses(learner, batch)
        learner.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        for one in both:
            one.step()
        last = float(losses["words"].detach())
        first = last if step == 0 else first
    assert last < 0.2 * first
    shown = Picture(
        image=pictures[0].image, what=pictures[0].what, colour=pictures[0].colour, exchanges=tuple(chosen[0]),
        source="shapes",
    )  # fmt: skip
    scores = exact_answers(learner, [shown], writer, np.random.default_rng(0))
    assert sum(asked for _, asked in scores.values()) == len(chosen[0])
    assert sum(right for right, _ in scores.values()) >= len(chosen[0]) - 1

"""Lessons of the medical recipe: token by token those the backbone will read, and what each [SEG] stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from data.recipes.medseg_tiny.batches import NAMES
from data.recipes.medseg_tiny.language import Speaking, losses, pack
from data.recipes.medseg_tiny.phantoms import chest_phantom
from data.recipes.medseg_tiny.seen_pictures import SeenPicture
from data.recipes.medseg_tiny.talk import lessons, meanings_of, read_label, table_row, volume_row
from data.recipes.vlm_tiny.batches import IGNORED, Writer
from medseg.grounding.mask_parts import PARTS
from medseg.grounding.seg_tokens import plain_answer
from medseg.training.question_writer.picture_facts import PictureFacts
from medseg.training.question_writer.write_questions import write_questions
from vlm_bridge.backbone.load import load_backbone
from vlm_bridge.prompts.conversation import Conversation, Message


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("embedded", dtype=torch.float32)


@pytest.fixture(scope="module")
def facts() -> PictureFacts:
    masks = chest_phantom(5, side=128).masks
    return PictureFacts(modality="X-ray", body_part="chest", masks=masks)


def seen(facts: PictureFacts, tokens: int, channels: int) -> SeenPicture:
    features = np.random.default_rng(0).normal(size=(2, tokens, channels)).astype(np.float16)
    return SeenPicture(
        facts=facts, features=features, swapped=(False, False), source="made", fine=False, gone=frozenset()
    )


def test_labels_are_structures_and_parts() -> None:
    assert read_label("lungs") == ("lungs", 0)
    assert read_label("image-right half of the left lung") == ("left lung", PARTS.index("right half"))
    assert read_label("largest piece of the nucleus") == ("nucleus", PARTS.index("largest piece"))
    assert table_row("liver") == NAMES.index("liver")
    assert table_row("hippocampus") == -1
    assert volume_row("posterior hippocampus") == 2
    assert volume_row("liver") == -1


def test_a_dialogue_is_written_as_the_backbone_reads_it(backbone, facts: PictureFacts) -> None:
    writer = Writer(backbone.tokenizer)
    found = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        written = lessons(facts, writer, rng, "train")
        talks = write_questions(facts, np.random.default_rng(seed), "train", per_kind=2)
        numbered = [(talk, number) for talk in talks for number in range(len(talk))]
        assert len(numbered) == len(written)
        for (talk, number), lesson in zip(numbered, written, strict=True):
            messages = []
            for place, exchange in enumerate(talk[: number + 1]):
                picture = (Image.new("RGB", (300, 200)),) if place == 0 else ()
                messages.append(Message(role="user", text=exchange.question, images=picture))
                if place < number:
                    messages.append(Message(role="assistant", text=plain_answer(exchange.answer)[0]))
            batch = backbone.encode([Conversation(messages=tuple(messages))], to_answer=True)
            assert batch.ids[0].tolist() == [*writer.picture, *lesson.ids[: lesson.asked]]
            found += number > 0
    assert found > 3


def test_only_what_the_last_answer_marked_alone_is_cut_from(facts: PictureFacts) -> None:
    checked = 0
    for seed in range(12):
        for talk in write_questions(facts, np.random.default_rng(seed), "train"):
            for number, exchange in enumerate(talk):
                meant = meanings_of(talk, number)
                assert len(meant) == len(exchange.targets) == exchange.answer.count("[SEG]")
                for meaning in meant:
                    if meaning.of_previous:
                        assert exchange.kind == "history"
                        marked = [one for one in talk[:number] if one.targets][-1]
                        assert len(marked.targets) == 1
                        assert read_label(marked.targets[0].label)[0] == meaning.structure
                        checked += 1
    assert checked > 5


def test_a_mirrored_picture_is_told_mirrored(facts: PictureFacts) -> None:
    turned = seen(facts, 64, 8).other_way_round
    for name, mask in facts.masks.items():
        assert (turned.facts.masks[name] == mask[:, ::-1]).all()
    talks = [write_questions(turned.facts, np.random.default_rng(seed), "train") for seed in range(6)]
    told = {target.label for some in talks for talk in some for exchange in talk for target in exchange.targets}
    assert told
    assert not any("left lung" in label or "right lung" in label for label in told)


def test_a_row_learns_its_answers_and_nothing_else(backbone, facts: PictureFacts) -> None:
    writer = Writer(backbone.tokenizer)
    seg = backbone.tokenizer.convert_tokens_to_ids("[SEG]")
    shuffled = backbone.parts().connector.linear_1.in_features
    picture = seen(facts, 64, shuffled)
    batch = pack([picture] * 3, writer, seg, np.random.default_rng(0))
    due = batch.labels != IGNORED
    assert (batch.ids[:, 1:][due[:, :-1]] == batch.labels[due]).all()  # a label is the token that follows
    assert int((batch.labels == seg).sum()) == len(batch.meant)
    assert not due[:, : len(writer.picture)].any()


def test_lessons_of_a_row_do_not_see_each_other(backbone, facts: PictureFacts) -> None:
    writer = Writer(backbone.tokenizer)
    seg = backbone.tokenizer.convert_tokens_to_ids("[SEG]")
    picture = seen(facts, 64, backbone.parts().connector.linear_1.in_features)
    batch = pack([picture], writer, seg, np.random.default_rng(2))
    backbone.model.set_attn_implementation("eager")
    torch.manual_seed(0)
    speaking = Speaking(backbone.model, 8, 8).eval()
    tables = (torch.zeros(40, 8), torch.zeros(8, 8))
    first = losses(speaking, batch, seg, tables)
    places = (batch.places[0, 1:] < batch.places[0, :-1]).nonzero()[0, 0] + 1  # where the second lesson begins
    due = (batch.labels[0, :places] != IGNORED).nonzero()[:, 0]
    changed = batch.ids.clone()
    changed[0, places:] = changed[0, places:].flip(0)
    labels = batch.labels.clone()
    labels[0, places:] = IGNORED
    kept = batch.meant[: int((labels == seg).sum())]
    alone = [
        losses(speaking, type(batch)(features=batch.features, ids=ids, places=batch.places, labels=labels,
                                     sees=batch.sees, marks=batch.marks, meant=kept), seg, tables)["words"]
        for ids in (batch.ids, changed)
    ]  # fmt: skip
    assert len(due) > 3
    assert float(first["words"]) > 0
    assert torch.allclose(alone[0], alone[1], atol=1e-5)

"""Crops of the encoder's recipe: what a mask shows of a thing decides which facts are true, open or hidden of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.recipes.clip_tiny.__main__ import scene_files
from data.recipes.clip_tiny.crop_set import CropSet, PhraseTable, cut_crops, kept_crops, phrase_table, truth
from data.recipes.clip_tiny.train import near_misses

_SIDE = 48
_BOOK = {
    "number": 1, "group": 1, "kind": "book", "name": "book", "facts": ["book", "red"], "telling": ["figure:star"],
    "phrases": [["book", ["book"], "name"], ["star book", ["book", "figure:star"], "name"], ["red", ["red"], "colour"]],
}  # fmt: skip
_BALL = {
    "number": 2, "group": 2, "kind": "ball", "name": "ball", "facts": ["ball"], "telling": [],
    "phrases": [["ball", ["ball"], "name"]],
}  # fmt: skip


def _write_scene(path: Path, *, told: bool) -> None:
    """One view: a book on the left, of which the picture is seen or not, and a ball on the right."""
    ids = np.zeros((1, _SIDE, _SIDE), np.uint8)
    ids[0, 8:40, 6:22], ids[0, 20:34, 30:44] = 1, 2
    telling = np.zeros_like(ids, dtype=bool)
    telling[0, 12:36, 9:19] = told
    images = np.full((1, _SIDE, _SIDE, 3), 90, np.uint8)
    images[ids == 1], images[ids == 2] = (200, 30, 30), (30, 30, 200)
    facts = np.frombuffer(json.dumps([_BOOK, _BALL]).encode(), np.uint8)
    np.savez(path, images=images, ids=ids, pieces=ids.astype(np.uint16) + 4, telling=telling, facts=facts)


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    for number, told in enumerate((True, False, True)):
        _write_scene(tmp_path / f"scene_{number:06d}.npz", told=told)
    return scene_files(tmp_path)


def _true_phrases(scene: Path, table: PhraseTable, facts: tuple[str, ...]) -> list[tuple[set[str], set[str]]]:
    """For every crop of a scene: phrases that are true of it, and those of which nothing can be said."""
    crops = cut_crops([scene], facts, size=16)
    phrases = np.array(table.texts)
    true, known = truth(crops, torch.arange(len(crops.pictures)), table, torch.arange(len(phrases)))
    return [
        (set(phrases[row.numpy()].tolist()), set(phrases[~sure.numpy()].tolist()))
        for row, sure in zip(true, known, strict=True)
    ]


def test_a_picture_that_is_seen_is_true_and_one_turned_away_is_hidden(scenes: list[Path]) -> None:
    table, facts = phrase_table(scenes)
    seen, turned = (_true_phrases(path, table, facts) for path in scenes[:2])
    assert any({"book", "star book", "red"} <= true for true, _ in seen)
    assert not any("star book" in true for true, _ in turned)
    book = next(vague for true, vague in turned if "book" in true)
    assert "star book" in book, "from behind it may well be the star book: its name is neither true nor false"
    assert any("ball" in true and "book" not in true for true, _ in seen)


def test_several_processes_cut_the_same_crops(scenes: list[Path]) -> None:
    _, facts = phrase_table(scenes)
    one, two = (cut_crops(scenes, facts, size=16, processes=count) for count in (1, 2))
    for name in ("pictures", "inside", "true", "open", "hidden", "scene"):
        assert (getattr(one, name) == getattr(two, name)).all(), name


def test_crops_are_kept_until_the_scenes_change(scenes: list[Path], tmp_path: Path) -> None:
    _, facts = phrase_table(scenes)
    file = tmp_path / "crops.safetensors"
    first = kept_crops(file, scenes[:2], facts, size=16)
    written = file.stat().st_mtime_ns
    again = kept_crops(file, scenes[:2], facts, size=16)
    assert file.stat().st_mtime_ns == written
    assert (again.pictures == first.pictures).all()
    more = kept_crops(file, scenes, facts, size=16)
    assert file.stat().st_mtime_ns > written
    assert int(more.scene.max()) == 2


def test_near_misses_lack_one_fact_or_have_another_value() -> None:
    facts = ("book", "colour:blue", "colour:red", "figure:fish", "figure:star", "mug")
    said = {
        "blue book": ("book", "colour:blue"), "red book": ("book", "colour:red"), "fish": ("figure:fish",),
        "star": ("figure:star",), "mug": ("mug",), "red mug": ("mug", "colour:red"), "blue mug": ("mug", "colour:blue"),
    }  # fmt: skip
    needs = torch.tensor([[fact in wanted for fact in facts] for wanted in said.values()])
    table = PhraseTable(texts=tuple(said), needs=needs, is_name=torch.zeros(len(said), dtype=torch.bool))
    true = torch.tensor([[1, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1]], dtype=torch.bool)  # a blue star book and a red mug
    nothing = torch.zeros_like(true)
    crops = CropSet(
        pictures=torch.zeros(2, 3, 4, 4, dtype=torch.uint8), inside=torch.ones(2, 4, 4, dtype=torch.bool),
        true=true, open=nothing, hidden=nothing, scene=torch.zeros(2), facts=facts,
    )  # fmt: skip
    shown, _ = truth(crops, torch.arange(2), table, torch.arange(len(said)))
    near = near_misses(crops, torch.arange(2), table) & ~shown
    found = [{text for text, one in zip(said, row.tolist(), strict=True) if one} for row in near]
    assert found == [{"red book", "fish", "blue mug"}, {"red book", "blue mug"}]

"""Actions without a browser, on the made CT whose parts are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.clinic import actions
from apps.clinic.dialogue import ALL, NONE, Dialogue
from apps.clinic.open_study import open_path
from medseg.errors import InvalidInputError
from medseg.inference.segmenter import Segmenter
from medseg.report.slice_view import shown_slice
from medseg.study.windows import WINDOWS_HU
from tests.medseg.made_ct import LUNG_MM


@pytest.fixture
def asked(ct: Dialogue, rules: Segmenter) -> Dialogue:
    return actions.ask(ct, "Where are the lungs?", rules)


def test_a_question_is_answered_and_seen_where_it_is_largest(asked: Dialogue) -> None:
    assert asked.result is not None
    (lungs,) = asked.result.findings
    assert lungs.quantities is not None
    ideal = 4 / 3 * np.pi * np.prod(LUNG_MM) / 1000 * (1 + 0.8**3)
    assert lungs.quantities.volume_ml == pytest.approx(ideal, rel=0.05)
    areas = lungs.mask.sum(axis=(0, 1))
    assert areas[asked.seen.number] == areas.max()


def test_a_follow_up_speaks_of_what_was_marked(asked: Dialogue, rules: Segmenter) -> None:
    then = actions.ask(asked, "the largest part of it", rules)
    assert then.result is not None
    (part,) = then.result.findings
    lungs = asked.turns[0].findings[0].mask
    assert not (part.mask & ~lungs).any()
    assert part.mask.sum() / lungs.sum() == pytest.approx(1 / (1 + 0.8**3), abs=0.03)
    again = actions.show_turn(then, 0)
    assert again.result is asked.result
    assert [words for words, _ in actions.turn_choices(again)] == [
        "1. Where are the lungs?",
        "2. the largest part of it",
    ]


def test_what_is_absent_has_no_mask_and_leaves_the_slice(asked: Dialogue, rules: Segmenter) -> None:
    then = actions.ask(actions.walk(asked, 3), "Is there metal?", rules)
    assert then.result is not None
    assert [found.status for found in then.result.findings] == ["not_found"]
    assert then.seen.number == 3
    assert actions.look_choices(then) == []


def test_without_a_study_nothing_is_asked(rules: Segmenter) -> None:
    with pytest.raises(InvalidInputError, match="found none open"):
        actions.ask(Dialogue(), "Where are the lungs?", rules)


def test_a_full_dialogue_is_told_and_kept(asked: Dialogue, rules: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    full = replace(asked, turns=asked.turns * actions.TURNS_MAX)
    with pytest.raises(InvalidInputError, match="start a new dialogue"):
        actions.answer(full, "Where are the lungs?", rules)
    monkeypatch.setattr(actions, "MASK_BYTES_MAX", 1)
    with pytest.raises(InvalidInputError, match="GiB of masks"):
        actions.answer(asked, "Where are the lungs?", rules)


def test_an_answer_about_a_study_that_was_closed_is_dropped(asked: Dialogue, brought: Path, rules: Segmenter) -> None:
    late = actions.answer(asked, "Where is the bone?", rules)
    other = open_path(brought / "ct.zip", title="the same files again")
    with pytest.raises(InvalidInputError, match="another open"):
        actions.with_answer(other, late)


def test_one_finding_alone_or_none(ct: Dialogue, rules: Segmenter) -> None:
    asked = actions.ask(ct, "Where are the lungs and the bone?", rules)
    assert actions.look_choices(asked) == [
        ("all masks", ALL), ("1 · lungs", "1"), ("2 · bone", "2"), ("picture alone", NONE),
    ]  # fmt: skip
    assert list(actions.seen_findings(asked)) == [1, 2]
    bone = actions.look_at(asked, "2")
    assert list(actions.seen_findings(bone)) == [2]
    assert actions.seen_findings(actions.look_at(asked, NONE)) == {}
    for what in ("3", "0", "bone"):
        with pytest.raises(InvalidInputError, match="number of a finding"):
            actions.look_at(asked, what)


def test_masks_are_drawn_where_they_are(asked: Dialogue) -> None:
    drawn, bare = actions.panel(asked), actions.panel(actions.look_at(asked, NONE))
    assert asked.result is not None
    mask = asked.plan.pictures(asked.result.findings[0].mask)[asked.seen.number]
    (left, top), (width, height) = drawn.corner, drawn.size
    box = (left, top, left + width, top + height)
    changed = (np.asarray(drawn.image.crop(box)) != np.asarray(bare.image.crop(box))).any(2)
    grown = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    assert changed[grown].all()
    assert changed[~grown].mean() < 0.02  # the number beside the mask


def test_slices_are_walked_within_the_volume(asked: Dialogue) -> None:
    assert actions.walk(asked, -5).seen.number == 0
    assert actions.walk(asked, 500).seen.number == 27
    assert actions.walk(asked, 4).turns == asked.turns


def test_planes_show_the_finding_that_is_seen(asked: Dialogue, brought: Path) -> None:
    assert actions.planes_of(asked) == ("axial", "coronal", "sagittal")
    there = actions.with_plane(asked, "coronal")
    assert there.plan.shape[0] == 48
    assert there.plan.pictures(asked.turns[0].findings[0].mask)[there.seen.number].any()
    picture = open_path(brought / "dot.png", title="a picture")
    assert actions.planes_of(picture) == ("axial",)
    with pytest.raises(InvalidInputError, match="Plane: expected one of axial, found 'coronal'"):
        actions.with_plane(picture, "coronal")


def test_windows_are_for_the_eye_alone(asked: Dialogue, brought: Path) -> None:
    assert actions.window_of(asked).name == "lung"  # the question asks for it
    assert actions.windows_of(asked.volume) == ("automatic", *WINDOWS_HU, "full range")
    seen = {}
    for name in actions.windows_of(asked.volume):
        there = actions.with_window(asked, name)
        seen[name] = shown_slice(there.volume, there.plan, 14, actions.window_of(there)).mean()
    assert seen["automatic"] == seen["lung"]
    assert seen["bone"] != seen["liver"]
    picture = open_path(brought / "dot.png", title="a picture")
    assert actions.windows_of(picture.volume) == ("automatic", "brighter", "darker", "full range")
    ranges = [actions.window_of(actions.with_window(picture, name)) for name in ("brighter", "automatic", "darker")]
    assert [(window.low, window.high) for window in ranges] == [(0, 153), (0, 255), (0, 408)]
    with pytest.raises(InvalidInputError, match="found 'lung'"):
        actions.with_window(picture, "lung")


def test_pictures_are_written_and_few_are_kept(asked: Dialogue, tmp_path: Path) -> None:
    written = [actions.write_picture(actions.walk(asked, number), tmp_path) for number in (0, 5, 10, 13, 14, 20)]
    assert len({shown.path for shown in written}) == 6
    assert len(list(tmp_path.iterdir())) == 4
    last = written[-1]
    with Image.open(last.path) as image:
        assert (np.asarray(image) == np.asarray(actions.panel(actions.walk(asked, 20)).image)).all()
    assert written[0].words.endswith("no mask on it")
    assert written[4].words == "axial slice 15 of 28, k = 14, masks: 1 lungs"
    assert "lung window, -1350 to 150 HU" in last.caption


def test_a_new_dialogue_stays_at_its_place(asked: Dialogue) -> None:
    anew = actions.new_dialogue(actions.walk(asked, 4))
    assert (anew.turns, anew.result, anew.seen.number) == ((), None, 4)
    assert anew.study is asked.study

"""What is written agrees with the masks, for every kind of picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.training.question_writer.catalogue import WORDINGS, is_held_out
from medseg.training.question_writer.descriptions import gives_away
from medseg.training.question_writer.picture_facts import Exchange, PictureFacts
from medseg.training.question_writer.scene import read_scene
from medseg.training.question_writer.structures import ASKED_IN_VAIN, STRUCTURES
from medseg.training.question_writer.wordings import JOINT
from medseg.training.question_writer.write_questions import write_conversation, write_questions
from medseg.training.records import KINDS
from tests.medseg.training.question_writer.made_pictures import (
    LEFT_LUNG,
    NOTHING,
    PICTURES,
    RIGHT_LUNG,
    SIDE,
    blood_cell,
    both_lungs,
    chest,
    healthy_breast,
    heart,
    hippocampus_volume,
    two_polyps,
)

SEEDS = range(4)


def exchanges(facts: PictureFacts, choice: str = "all", seeds: range = SEEDS) -> Iterator[Exchange]:
    for seed in seeds:
        for talk in write_questions(facts, np.random.default_rng(seed), choice, per_kind=2):
            yield from talk


def of_kind(facts: PictureFacts, kind: str, times: int = 60) -> Iterator[Exchange]:
    scene = read_scene(facts)
    for seed in range(times):
        yield from write_conversation(scene, np.random.default_rng(seed), kind, "all") or ()


@pytest.mark.parametrize("name", PICTURES)
def test_answers_mark_what_they_mention_in_its_order(name: str) -> None:
    for one in exchanges(PICTURES[name]):
        assert re.findall(r"<p>([^<]+)</p> \[SEG\]", one.answer) == [target.label for target in one.targets]
        assert one.answer.count("[SEG]") == one.answer.count("<p>") == len(one.targets)
        assert not re.search(r"\[SEG\]|</?p>|[{}\t]", one.question)
        assert one.answer[0].isupper()
        assert one.answer.endswith(".")
        assert all(target.mask.any() for target in one.targets)
        assert not re.search(r"\b(This|That|It) are\b|\b(lungs|nuclei|vessels) is\b", one.answer)


@pytest.mark.parametrize("name", PICTURES)
def test_equal_seeds_write_equal_questions(name: str) -> None:
    first, second = (list(exchanges(PICTURES[name], seeds=range(2))) for _ in range(2))
    assert [(one.question, one.answer, one.wording) for one in first] == [
        (one.question, one.answer, one.wording) for one in second
    ]
    assert first


@pytest.mark.parametrize("choice", ["train", "held_out"])
@pytest.mark.parametrize("name", PICTURES)
def test_wordings_are_those_of_the_choice(name: str, choice: str) -> None:
    for one in exchanges(PICTURES[name], choice):
        parts = one.wording.split(JOINT)
        assert all(WORDINGS[number].held_out == (choice == "held_out") for number in parts)
        assert is_held_out(one.wording) == (choice == "held_out")


def test_every_kind_is_written() -> None:
    kinds = Counter(one.kind for one in exchanges(heart()))
    assert set(kinds) == set(KINDS)


@pytest.mark.parametrize("name", PICTURES)
def test_implicit_questions_name_nothing(name: str) -> None:
    for one in exchanges(PICTURES[name]):
        if one.kind.startswith("implicit"):
            assert gives_away(one.question, STRUCTURES[one.asked[0]]) is None


def asked_about(facts: PictureFacts, kind: str, name: str) -> set[str]:
    scene = read_scene(facts)
    found = set()
    for seed in range(600):
        talk = write_conversation(scene, np.random.default_rng(seed), kind, "all")
        found |= {one.wording.split(JOINT)[0] for one in talk or () if one.asked == (name,)}
    return found


def test_what_fits_two_findings_is_not_asked_where_both_may_be() -> None:
    vague = next(number for number, one in WORDINGS.items() if one.text == "Where is the lung clouded?")
    name, kind = "ground glass opacities", "implicit_pathological"
    haze = chest().masks[name]
    alone = chest(masks={name: haze, "consolidation": NOTHING})
    both = chest(masks={name: haze, "consolidation": haze})
    unknown = chest(masks={name: haze}, complete=False)
    assert vague in asked_about(alone, kind, name)
    assert vague not in asked_about(both, kind, name)
    assert vague not in asked_about(unknown, kind, name)


def test_lungs_of_a_radiograph_are_told_apart_from_the_patients_side() -> None:
    scene = read_scene(both_lungs())
    assert (scene.seen["right lung"] == RIGHT_LUNG).all()  # at the image's left
    assert (scene.seen["left lung"] == LEFT_LUNG).all()
    sides = [
        one for one in exchanges(both_lungs(), seeds=range(20)) if one.kind == "spatial" and "side-" in one.wording
    ]
    assert sides
    for one in sides:
        asked_left = "left" in one.question.lower()
        assert one.targets[0].label == ("right lung" if asked_left else "left lung")
        centre = np.nonzero(one.targets[0].mask)[1].mean()
        assert (centre < SIDE / 2) == asked_left


@pytest.mark.parametrize("facts", [both_lungs(mirrored=True), chest(mirrored=True)])
def test_nobody_asks_for_the_patients_side_of_a_mirrored_picture(facts: PictureFacts) -> None:
    for one in exchanges(facts):
        assert not {"left lung", "right lung"} & {target.label for target in one.targets}
        assert one.kind == "text" or not {"left lung", "right lung"} & set(one.asked)


def test_lungs_that_touch_are_not_told_apart() -> None:
    joined = RIGHT_LUNG | LEFT_LUNG
    joined[50, :] = True
    assert "left lung" not in read_scene(both_lungs(masks={"lungs": joined})).seen


def test_halves_are_halves() -> None:
    checked = 0
    for facts in (heart(), both_lungs(), two_polyps()):
        for one in (*of_kind(facts, "spatial", 40), *of_kind(facts, "history", 40)):
            target = one.targets[0] if one.targets else None
            match = re.fullmatch(r"(image-)?(\w+) half of the (.+)", target.label) if target else None
            if target is None or match is None:
                continue
            side, whole = match[2], read_scene(facts).seen[match[3]]
            axis = 0 if side in ("upper", "lower") else 1
            places = np.flatnonzero(whole.any(1 - axis))
            middle = (places[0] + places[-1]) / 2
            inside = np.argwhere(target.mask)[:, axis]
            assert (inside <= middle).all() if side in ("upper", "left") else (inside > middle).all()
            assert (target.mask & ~whole).sum() == 0
            assert side in one.question.lower() or one.wording.startswith("again")
            checked += 1
    assert checked > 20


def test_above_and_below_are_read_off_the_masks() -> None:
    found = [one for one in of_kind(heart(), "spatial") if one.wording.startswith("relation")]
    assert found
    for one in found:
        where = "above" if "above" in one.question.lower() else "below"
        assert one.targets[0].label == "left atrium" or where == "above"
        if where == "below":
            assert np.nonzero(one.targets[0].mask)[0].min() > np.nonzero(heart().masks["left ventricle"])[0].mean()


def test_the_largest_piece_is_the_largest() -> None:
    asked = (*of_kind(two_polyps(), "spatial"), *of_kind(two_polyps(), "history"))
    found = [one for one in asked if one.wording.startswith(("largest", "piece_of"))]
    assert {one.targets[0].label for one in found} == {"largest piece of the polyp", "smallest piece of the polyp"}
    for one in found:
        assert one.targets[0].mask.sum() == (400 if "largest" in one.targets[0].label else 144)


def test_follow_ups_build_upon_the_answer_before() -> None:
    checked = 0
    for facts in PICTURES.values():
        for seed in range(15):
            talk = write_conversation(facts, np.random.default_rng(seed), "history", "all")
            for number, one in enumerate(talk or ()):
                if one.kind != "history":
                    continue
                (place, target) = one.refers_to[0]
                assert place < number
                before = talk[place].targets[target]
                checked += 1
                if one.wording.startswith(("again", "nth_one")):
                    assert one.targets[0].label == before.label
                    assert (one.targets[0].mask == before.mask).all()
                elif one.wording.startswith(("half", "image_half", "piece", "part")):
                    assert not (one.targets[0].mask & ~before.mask).any()
                    assert one.targets[0].mask.sum() < before.mask.sum()
    assert checked > 100


def test_the_cell_around_a_nucleus() -> None:
    cell = read_scene(blood_cell()).seen["white blood cell"]
    assert (cell == (blood_cell().masks["nucleus"] | blood_cell().masks["cytoplasm"])).all()
    asked = {one.question for one in of_kind(blood_cell(), "history") if one.wording.startswith("part_of_it")}
    assert any("nucleus" in question for question in asked)


@pytest.mark.parametrize("name", PICTURES)
def test_only_what_cannot_be_there_is_refused(name: str) -> None:
    facts = PICTURES[name]
    absent = [one for one in exchanges(facts) if one.kind == "absent"]
    assert absent
    for one in absent:
        asked = STRUCTURES.get(one.asked[0]) or ASKED_IN_VAIN[one.asked[0]]
        known_empty = asked.name in facts.masks and not facts.masks[asked.name].any()
        assert known_empty or not asked.may_be_seen(facts.body_part)
        assert "no " in one.answer.lower() or "not" in one.answer
        assert not one.targets


def test_a_name_that_may_mean_something_there_is_not_refused() -> None:
    facts = PictureFacts(modality="MRI", body_part="brain", masks={"glioma": chest().masks["heart shadow"]})
    assert read_scene(facts).could_mean("tumour")  # a glioma is one
    words = {one.question.lower().rstrip(".?") for one in of_kind(facts, "absent", 200)}
    assert not any(re.search(r"\b(the|a|any|for) tumour$|^tumour$", text) for text in words)


def test_a_healthy_breast_is_asked_for_its_tumour() -> None:
    found = list(of_kind(healthy_breast(), "absent", 100))
    assert sum(one.asked == ("breast tumour",) for one in found) > 30
    implicit = [one for one in found if "meant" in one.wording]
    assert any(one.asked == ("breast tumour",) for one in implicit)


def test_volumes_get_no_questions_of_the_plane() -> None:
    kinds = {one.kind for one in exchanges(hippocampus_volume())}
    assert "spatial" not in kinds
    assert {"explicit", "multi", "implicit_anatomical", "history", "absent", "text"} <= kinds
    labels = {target.label for one in exchanges(hippocampus_volume()) for target in one.targets}
    assert labels == {"hippocampus", "anterior hippocampus", "posterior hippocampus"}


@settings(max_examples=25)
@given(
    st.sampled_from(["liver", "polyp", "blood vessels", "left ventricle", "nuclei", "wound"]),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_any_mask_is_written_about(name: str, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((24, 31)) < share
    modality, part = STRUCTURES[name].shown_in[0]
    facts = PictureFacts(modality=modality, body_part=part, masks={name: mask}, complete=bool(seed % 2))
    for talk in write_questions(facts, rng, "all", per_kind=1):
        for one in talk:
            assert all(not (target.mask & ~mask).any() and target.mask.any() for target in one.targets)
            if not mask.any():
                assert not one.targets


def test_facts_are_checked() -> None:
    with pytest.raises(InvalidInputError, match="one shape"):
        PictureFacts(modality="CT", body_part="abdomen", masks={"liver": NOTHING, "lungs": NOTHING[1:]})
    with pytest.raises(InvalidInputError, match="'unicorn'"):
        PictureFacts(modality="CT", body_part="abdomen", masks={"unicorn": NOTHING})

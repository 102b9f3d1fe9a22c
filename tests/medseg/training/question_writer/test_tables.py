"""The tables: enough wordings, stable ids, a fifth held out, and no description that names what it means."""

from __future__ import annotations

import pytest

from medseg.training.question_writer.answers import REFUSALS
from medseg.training.question_writer.catalogue import WORDINGS, WRITERS, is_held_out
from medseg.training.question_writer.descriptions import DESCRIPTIONS, RIVALS, gives_away
from medseg.training.question_writer.structure import Structure
from medseg.training.question_writer.structures import ASKED_IN_VAIN, STRUCTURES, related
from medseg.training.question_writer.templates import GROUPS, MEANT, MEANT_WHY, REQUEST
from medseg.training.question_writer.wordings import usable, worded
from medseg.training.records import KINDS

NEEDED = {
    "breast tumour", "kidney tumour", "liver", "lungs", "left lung", "right lung", "heart shadow", "airways",
    "ground glass opacities", "consolidation", "left ventricle", "heart muscle", "left atrium", "cell membrane",
    "blood vessels", "nucleus", "nuclei", "cytoplasm", "glioma", "polyp", "fetal head", "wound", "hippocampus",
    "anterior hippocampus", "posterior hippocampus", "spinal cord",
}  # fmt: skip
ALL = {**STRUCTURES, **ASKED_IN_VAIN}


def test_all_structures_of_the_sets_are_there() -> None:
    assert set(STRUCTURES) >= NEEDED
    assert not set(STRUCTURES) & set(ASKED_IN_VAIN)
    assert len(ASKED_IN_VAIN) > 40


@pytest.mark.parametrize("name", STRUCTURES)
def test_each_structure_is_described_and_has_other_names(name: str) -> None:
    one = STRUCTURES[name]
    assert len(one.anatomical) + len(one.pathological) >= 6
    assert len(one.synonyms) >= 3
    assert one.shown_in
    assert one.meaning
    assert set(one.parts) <= set(STRUCTURES)
    for text in (*one.anatomical, *one.pathological):
        assert set(text.rivals) <= set(STRUCTURES) - {name}


@pytest.mark.parametrize("name", ALL)
def test_no_question_names_what_it_describes(name: str) -> None:
    for wordings in DESCRIPTIONS[name].values():
        for description in wordings:
            for frame in (*MEANT, *MEANT_WHY):
                text = frame.text.format(question=description.text, lower=description.text)
                assert gives_away(text, ALL[name]) is None, text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Where is the liver?", "liver"),
        ("Which HEPATIC duct?", "hepatic"),
        ("Are there livers?", "liver"),
        ("Which hepar?", "hepar"),
        ("Which organ is olive red?", None),
    ],
)
def test_the_leakage_check_bites(text: str, word: str | None) -> None:
    assert gives_away(text, STRUCTURES["liver"]) == word


def test_a_synonyms_main_word_alone_gives_away() -> None:
    assert gives_away("Which tumour is there?", STRUCTURES["glioma"]) is not None
    assert gives_away("Which membrane?", STRUCTURES["cell membrane"]) is not None
    assert gives_away("Which cell is it?", STRUCTURES["cell membrane"]) is None


def test_a_description_fits_one_structure_or_names_its_rivals() -> None:
    owners: dict[str, list[str]] = {}
    for name, kinds in DESCRIPTIONS.items():
        for wording in (one for wordings in kinds.values() for one in wordings):
            owners.setdefault(wording.text, []).append(name)
    assert all(len(names) == 1 for names in owners.values())
    assert any(RIVALS.values())


def test_there_are_wordings_enough() -> None:
    assert len(REQUEST) >= 20
    assert len(REFUSALS) >= 10
    assert set(WRITERS) | {"history"} == set(KINDS)


def test_a_fifth_of_each_group_is_held_out() -> None:
    in_vain = tuple(one for name in ASKED_IN_VAIN for wordings in DESCRIPTIONS[name].values() for one in wordings)
    described = [tuple(one for kind in DESCRIPTIONS[name].values() for one in kind) for name in STRUCTURES]
    for group in (*GROUPS, *described, in_vain):
        held_out = sum(one.held_out for one in group)
        assert abs(held_out - 0.2 * len(group)) < 1  # those always taught are not drawn from
        assert held_out < len(group)
        assert len(usable(group, "train")) + len(usable(group, "held_out")) == len(usable(group, "all"))


def test_no_text_is_learned_and_held_out() -> None:
    texts = {held: {one.text.lower() for one in WORDINGS.values() if one.held_out == held} for held in (True, False)}
    assert not texts[True] & texts[False]
    assert len(WORDINGS) > 400


def test_ids_hang_on_the_text_alone() -> None:
    few, more = worded("x", ["a", "b"]), worded("x", ["b", "c", "a"])
    assert {one.text: one.id for one in few}.items() <= {one.text: one.id for one in more}.items()
    # written down once: an id that changes would move wordings into training unseen
    assert worded("request", ["Segment {the}."])[0].id == "request-2fb73b2d"
    assert WORDINGS["request-2fb73b2d"].text == "Segment {the}."


def test_held_out_is_told_from_joined_ids() -> None:
    learned = next(one.id for one in WORDINGS.values() if not one.held_out)
    kept = next(one.id for one in WORDINGS.values() if one.held_out)
    assert is_held_out(f"{learned}+{kept}")
    assert not is_held_out(learned)


def test_relations_of_parts() -> None:
    assert related("left lung") == {"left lung", "lungs"}
    assert related("hippocampus") == {"hippocampus", "anterior hippocampus", "posterior hippocampus"}


def test_what_may_be_seen() -> None:
    liver: Structure = STRUCTURES["liver"]
    assert liver.may_be_seen("abdomen")
    assert liver.may_be_seen("chest")
    assert not liver.may_be_seen("eye")

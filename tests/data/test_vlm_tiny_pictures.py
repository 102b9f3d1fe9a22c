"""What the recipe of the small backbone says of its pictures is true of them, and nothing held out is learned from."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from data.recipes.household.catalogue import KINDS
from data.recipes.vlm_tiny.exchange import SIDE, place_words, with_article
from data.recipes.vlm_tiny.household_pictures import close_up, household_picture
from data.recipes.vlm_tiny.medical_questions import medical_picture
from data.recipes.vlm_tiny.medical_sets import SETS, MedicalItem, held_out_patients, read_items, varied
from data.recipes.vlm_tiny.requests import HOUSEHOLD, MEDICAL, unknown_kinds
from data.recipes.vlm_tiny.shape_questions import number_words, plural, shape_picture
from data.recipes.vlm_tiny.shapes import draw_shapes, outline
from data.recipes.vlm_tiny.stream import scene_files
from data.recipes.vlm_tiny.vocabulary import COLOURS, SHAPES, STRUCTURES, WHAT
from vision3d.laga.backbone_judge import NO, QUESTION, YES


def _forms_seen(what: np.ndarray) -> Counter[str]:
    """Pieces of each form in the label map, counted by connected components: the picture's own word."""
    seen: Counter[str] = Counter()
    for form in SHAPES:
        pieces, count = ndimage.label(what == WHAT.index(form))
        sizes = ndimage.sum_labels(what == WHAT.index(form), pieces, range(1, count + 1))
        seen[form] = int((np.asarray(sizes) > 20).sum())
    return seen


def test_counts_and_presence_are_those_of_the_label_maps() -> None:
    rng = np.random.default_rng(1)
    counted = 0
    for _ in range(60):
        picture = shape_picture(rng)
        forms = _forms_seen(picture.what)
        for one in picture.exchanges:
            found = re.fullmatch(r"There (?:is|are) (\d) (\w+?)(?:es|s)?\.", one.answer)
            if one.kind == "count" and found and found[2] in SHAPES:
                assert int(found[1]) == forms[found[2]], (one, forms)
                counted += 1
            yes = re.fullmatch(r"Yes, there is an? (\w+) (\w+)\.", one.answer)
            if yes:
                both = (picture.what == WHAT.index(yes[2])) & (picture.colour == COLOURS.index(yes[1]))
                assert both.any(), one
            no = re.fullmatch(r"No, there is no (\w+) (\w+)\.", one.answer)
            if no:
                both = (picture.what == WHAT.index(no[2])) & (picture.colour == COLOURS.index(no[1]))
                assert not both.any(), one
    assert counted > 100


def test_sides_and_places_are_where_the_pixels_are() -> None:
    rng = np.random.default_rng(2)
    asked = 0
    for _ in range(60):
        picture = shape_picture(rng)
        for one in picture.exchanges:
            side = re.fullmatch(r"The (\w+) is (left|right) of the (\w+)\.", one.answer)
            if side and side[1] in SHAPES and side[3] in SHAPES:
                first, second = (np.nonzero(picture.what == WHAT.index(side[n]))[1].mean() for n in (1, 3))
                # a crescent's middle is not that of its circle, so the pixels' middles may be a little closer
                assert (first < second + 12) if side[2] == "left" else (first > second - 12), one
                asked += 1
    assert asked > 30


@pytest.mark.parametrize("form", SHAPES)
def test_every_form_fits_its_circle_and_covers_some_of_it(form: str) -> None:
    corners = outline(form)
    assert np.hypot(*corners.T).max() <= 1.3
    assert np.ptp(corners, 0).min() > 0.5


def test_shapes_do_not_hide_each_other() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        _, what, colour, shapes = draw_shapes(rng)
        assert set(np.unique(what)) - {0} == {WHAT.index(shape.form) for shape in shapes}
        assert set(np.unique(colour)) - {0} == {COLOURS.index(shape.colour) for shape in shapes}


def test_equal_seeds_draw_equal_pictures() -> None:
    one, other = (shape_picture(np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one.image, other.image)
    assert one.exchanges == other.exchanges


def test_words() -> None:
    assert [plural(name) for name in ("cross", "red star")] == ["crosses", "red stars"]
    assert [number_words(count, "ring") for count in (0, 1, 2)] == [
        "There are 0 rings.", "There is 1 ring.", "There are 2 rings."
    ]  # fmt: skip
    assert [with_article(name) for name in ("star", "orange star")] == ["a star", "an orange star"]
    assert [place_words(x, y) for x, y in ((0.1, 0.1), (0.5, 0.5), (0.9, 0.5), (0.34, 0.5))] == [
        "at the top left", "in the middle", "at the right", None
    ]  # fmt: skip


def test_requests_are_about_things_and_structures_that_exist() -> None:
    assert unknown_kinds() == set()
    assert set(MEDICAL) <= set(STRUCTURES)
    assert len(HOUSEHOLD) == len({request.lower() for request in HOUSEHOLD})
    named = [(request, kind) for request, kinds in HOUSEHOLD.items() for kind in kinds if f" {kind}" in request]
    assert named == [], "a request does not say the name of what it wants"


def _scene() -> tuple[dict[str, np.ndarray], list[dict]]:
    ids = np.zeros((1, SIDE, SIDE), np.uint8)
    ids[0, 100:140, 20:60], ids[0, 100:140, 180:220] = 1, 2
    images = np.where(ids[..., None] == 1, np.array([200, 30, 30]), np.array([40, 90, 190])).astype(np.uint8)
    facts = [
        {"number": 1, "kind": "mug", "facts": ["colour:red", "mug"]},
        {"number": 2, "kind": "book", "facts": ["book"]},
    ]
    return {"images": images, "ids": ids}, facts


def test_household_photos_are_mirrored_together_with_what_is_said() -> None:
    arrays, facts = _scene()
    sides = set()
    for seed in range(12):
        picture = household_picture(arrays, facts, 0, np.random.default_rng(seed))
        left = np.nonzero(picture.what == WHAT.index("a mug"))[1].mean() < SIDE / 2
        said = {one.answer for one in picture.exchanges if one.kind == "left or right"}
        assert said <= {
            f"The mug is {'left' if left else 'right'} of the book.",
            f"The book is {'right' if left else 'left'} of the mug.",
        }
        assert said
        sides.add(left)
        answers = {one.kind: one.answer for one in picture.exchanges}
        assert answers["colour"] == "The mug is red."
        known = {one.question: one.answer for one in picture.exchanges if one.kind == "request"}
        for request, answer in known.items():
            meant = [kind for kind in HOUSEHOLD[request] if kind in ("mug", "book")]
            assert (f"<p>{meant[0]}</p> [SEG]" in answer) if meant else answer.startswith("There is nothing")
    assert sides == {True, False}


def test_close_ups_show_their_thing_in_the_middle_and_ask_as_the_judge_does() -> None:
    arrays, facts = _scene()
    for seed in range(8):
        picture = close_up(arrays, facts, 0, np.random.default_rng(seed))
        assert picture is not None
        middle = picture.what[SIDE // 2, SIDE // 2]
        name = {one.answer.split()[-1][:-1] for one in picture.exchanges if one.kind == "name"}.pop()
        assert WHAT[middle] == f"a {name}"
        wanted = {one.question: one.answer for one in picture.exchanges if one.kind == "wanted"}
        assert set(wanted.values()) == {YES, NO}
        for question, answer in wanted.items():
            request = next(one for one in HOUSEHOLD if question == QUESTION.format(one))
            assert (name in HOUSEHOLD[request]) == (answer == YES)
    assert set(KINDS) >= {"mug", "book"}


def test_scenes_and_patients_are_kept_apart(tmp_path: Path, shared_data: Path) -> None:
    for number in range(40):
        (tmp_path / f"scene_{number:06d}.npz").touch()
    learned, kept = (scene_files([tmp_path], test=test) for test in (False, True))
    assert not set(learned) & set(kept)
    assert [path.stem for path in kept] == ["scene_000000", "scene_000020"]
    patients = {f"p{number}" for number in range(30)}
    assert held_out_patients("a", patients) == held_out_patients("a", patients)
    assert len(held_out_patients("a", patients)) == 6
    assert len(held_out_patients("a", {"only"})) == 1
    both = [
        {(item.of.folder, item.patient) for item in read_items(shared_data, held_out=held)} for held in (False, True)
    ]
    assert not both[0] & both[1]
    assert {folder for folder, _ in both[1]} == {one.folder for one in SETS}, "every set has patients to test with"


def test_masks_of_medical_pictures_move_with_them() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    mask = np.zeros((200, 300), bool)
    image[60:120, 100:180], mask[60:120, 100:180] = 220, True
    item = MedicalItem(of=SETS[0], image=image, masks={"tumour": mask}, patient="p", path="x")
    for seed in range(20):
        moved, masks = varied(item, np.random.default_rng(seed))
        if masks["tumour"].sum() > 500:
            inside, outside = moved[masks["tumour"]].mean(), moved[~masks["tumour"]].mean()
            assert inside > outside + 60
    whole, masks = varied(item, None)
    assert whole.shape == (SIDE, SIDE, 3)
    assert abs(masks["tumour"].mean() - mask.mean()) < 0.01


def test_a_medical_picture_without_its_structure_says_so() -> None:
    empty = MedicalItem(
        of=SETS[0], image=np.full((64, 64, 3), 90, np.uint8), masks={"tumour": np.zeros((64, 64), bool)}, patient="p",
        path="x",
    )  # fmt: skip
    picture = medical_picture(empty, np.random.default_rng(0), vary=False)
    about = [one.answer for one in picture.exchanges if "tumour" in one.question]
    assert about
    assert all(answer.startswith(("No, there is no tumour", "There is no tumour")) for answer in about)
    assert {"This is an ultrasound image.", "It shows the breast."} <= {one.answer for one in picture.exchanges}

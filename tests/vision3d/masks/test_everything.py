"""Masks of everything: points, crops, pools and painting, with a model whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from vision3d.errors import InvalidInputError
from vision3d.masks.everything import (
    Answer,
    AnswerPoints,
    EverythingSettings,
    crop_boxes,
    point_grid,
    segment_everything,
    without_small_regions,
)
from vision3d.masks.mask_nms import MaskNmsSettings

HEIGHT, WIDTH = 60, 80


def scene() -> UInt8[ndarray, "height width 3"]:
    """A wall with a box; the box has a lid. Red says which is which: 10 wall, 20 box, 30 lid."""
    image = np.full((HEIGHT, WIDTH, 3), 10, np.uint8)
    image[20:50, 10:50] = 20
    image[20:30, 10:50] = 30
    return image


def answering(believed: Callable[[int, int], float] = lambda red, kind: 0.9, softness: float = 9.0):
    """A model that sees the scene as it is: the part at the point, the thing it belongs to, and everything."""

    def look_at(image: UInt8[ndarray, "height width 3"]) -> AnswerPoints:
        red = torch.from_numpy(image[..., 0].astype(np.int64))

        def at_points(points: Float[ndarray, "point 2"]) -> Answer:
            logits, scores = [], []
            for x, y in points.tolist():
                value = int(red[int(y), int(x)])
                part = red == value
                thing = part if value == 10 else red >= 20
                masks = torch.stack([part, thing, torch.ones_like(part)])
                logits.append(torch.where(masks, softness, -softness))
                scores.append([believed(value, kind) for kind in range(3)])
            return torch.stack(logits), torch.tensor(scores)

        return at_points

    return look_at


def settings(**changed: object) -> EverythingSettings:
    return EverythingSettings(**({"points_per_side": 6, "crop_layers": 0, "minimum_region": 0} | changed))  # type: ignore[arg-type]


def masks_of(labels: ndarray) -> set[bytes]:
    return {np.packbits(labels == number).tobytes() for number in np.unique(labels) if number >= 0}


def packed(mask: Bool[ndarray, "height width"]) -> bytes:
    return np.packbits(mask).tobytes()


def test_each_level_has_its_own_masks() -> None:
    red = scene()[..., 0]
    small, medium, large = segment_everything(scene(), answering(), settings())
    assert masks_of(small) == {packed(red == value) for value in (10, 20, 30)}
    assert masks_of(medium) == {packed(red == 10), packed(red >= 20)}
    assert masks_of(large) == {packed(red > 0)}
    assert sorted(np.unique(small).tolist()) == [0, 1, 2]


def test_batches_and_points_do_not_change_the_masks() -> None:
    whole = segment_everything(scene(), answering(), settings())
    for batch in (1, 7, 1000):
        again = segment_everything(scene(), answering(), settings(points_per_batch=batch))
        np.testing.assert_array_equal(whole, again)


def test_masks_the_model_doubts_are_left_out() -> None:
    labels = segment_everything(scene(), answering(lambda red, kind: 0.2 if red == 10 else 0.9), settings())
    assert (labels[0][scene()[..., 0] == 10] == -1).all()
    assert (labels[0][scene()[..., 0] >= 20] >= 0).all()


def test_unstable_masks_are_left_out() -> None:
    """Logits between -1 and 1 everywhere: the mask at the upper cut-off is empty, so no mask is stable."""
    assert (segment_everything(scene(), answering(softness=0.5), settings()) == -1).all()
    assert (segment_everything(scene(), answering(softness=0.5), settings(stability_offset=0.2)) >= 0).any()


def test_the_better_mask_is_painted_over_the_worse_one() -> None:
    """In the pool of all kinds nothing is dropped here, so the masks that are believed in most lie on top."""
    keep_all = MaskNmsSettings(iou=1.0, score=0.0, inner=1.0)
    level = settings(levels=("default",), nms=keep_all, box_iou=0.99)
    best_parts = segment_everything(scene(), answering(lambda red, kind: 0.99 - 0.1 * kind), level)[0]
    best_wholes = segment_everything(scene(), answering(lambda red, kind: 0.75 + 0.1 * kind), level)[0]
    red = scene()[..., 0]
    assert packed(red == 30) in masks_of(best_parts)
    assert masks_of(best_wholes) == {packed(red > 0)}


def test_what_a_crop_cuts_off_is_not_taken_from_it() -> None:
    """The wall runs through all crops; its mask comes from the photo alone, so it is still in one piece."""
    red = scene()[..., 0]
    labels = segment_everything(scene(), answering(), settings(crop_layers=1))
    assert packed(red >= 20) in masks_of(labels[1])


def test_crops_find_what_the_grid_of_the_photo_misses() -> None:
    image = np.full((HEIGHT * 4, WIDTH * 4, 3), 10, np.uint8)
    image[31:47, 39:59] = 20  # between the points of the 2 x 2 grid, hit by the one of the first crop
    alone = segment_everything(image, answering(), settings(points_per_side=2))
    crops = segment_everything(image, answering(), settings(points_per_side=2, crop_layers=1, crop_overlap=0.3))
    thing = packed(image[..., 0] == 20)
    assert thing not in masks_of(alone[0])
    assert thing in masks_of(crops[0])


def test_points_and_crops_are_those_of_segment_anything() -> None:
    amg = pytest.importorskip("segment_anything.utils.amg")
    for width, height in ((640, 480), (333, 777)):
        theirs, _ = amg.generate_crop_boxes((height, width), 2, 512 / 1500)
        assert sorted(list(box) for box in crop_boxes(width, height, 2, 512 / 1500)) == sorted(theirs)
    np.testing.assert_allclose(point_grid(30, 20, 4), amg.build_point_grid(4) * np.array([[30, 20]]))


def test_small_holes_are_filled_and_small_islands_go() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:12, 2:12] = True
    mask[5, 5] = False  # a hole of one pixel
    mask[15:17, 15:17] = True  # an island of four
    cleaned = without_small_regions(mask, 5)
    expected = np.zeros((20, 20), bool)
    expected[2:12, 2:12] = True
    np.testing.assert_array_equal(cleaned, expected)
    np.testing.assert_array_equal(without_small_regions(mask, 0), mask)


def test_the_largest_island_stays_even_if_it_is_small() -> None:
    mask = np.zeros((20, 20), bool)
    mask[3:5, 3:6], mask[10, 10] = True, True
    cleaned = without_small_regions(mask, 50)
    assert cleaned.sum() == 6
    assert cleaned[3:5, 3:6].all()


@pytest.mark.parametrize(
    "changed",
    [{"levels": ("xl",)}, {"levels": ()}, {"levels": ("s", "s")}, {"points_per_side": 0}, {"crop_overlap": 1.0}],
)
def test_settings_out_of_range_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        settings(**changed)


def test_the_batch_is_no_part_of_what_the_masks_depend_on() -> None:
    assert settings(points_per_batch=3).described() == settings(points_per_batch=9).described()
    assert settings(predicted_iou=0.5).described() != settings().described()

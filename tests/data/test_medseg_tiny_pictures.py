"""Pictures of the medical recipe: phantoms, variation that keeps masks on their structures, tokens, the split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.recipes.medseg_tiny.batches import NAMES, PARTS, SIDES, GroundingBatches, draw_batch, half_of, number_of
from data.recipes.medseg_tiny.blend import mean_of
from data.recipes.medseg_tiny.grounding import PlainMaps, side_shares
from data.recipes.medseg_tiny.phantoms import CHEST, chest_phantom
from data.recipes.medseg_tiny.pictures import MIRRORED, SETS, LabelledPicture, PictureSet, read_pictures, sides_of_lungs
from data.recipes.medseg_tiny.variation import varied
from medseg.grounding.embedded_decoder import EmbeddedDecoderConfig
from medseg.grounding.mask_decoder import EncodedPictures

FINE = PictureSet(
    folder="made", modality="microscopy", body_part="cells", structures={"a": "nucleus"}, fine=True, turns="all"
)


def bright(of: PictureSet, size: tuple[int, int] = (300, 400)) -> LabelledPicture:
    """A picture whose one structure is its bright region."""
    mask = np.zeros(size, bool)
    mask[size[0] // 3 : size[0] // 2, size[1] // 4 : size[1] // 2] = True
    image = np.where(mask, 230, 20).astype(np.uint8)[..., None].repeat(3, 2)
    return LabelledPicture(of=of, image=image, masks={"nucleus": mask}, patient="p", path="made/p")


def test_a_phantom_is_the_same_each_time_and_has_the_sides_of_a_patient() -> None:
    one, again, other = chest_phantom(3), chest_phantom(3), chest_phantom(4)
    assert (one.image == again.image).all()
    assert (one.image != other.image).any()
    columns = {name: np.nonzero(one.masks[name])[1].mean() for name in ("left lung", "right lung", "heart shadow")}
    assert columns["right lung"] < 200 < columns["heart shadow"] < columns["left lung"]
    lungs = one.image[..., 0][one.masks["lungs"]].mean()
    assert lungs < one.image[..., 0][one.masks["heart shadow"]].mean() - 40


@pytest.mark.parametrize("of", [FINE, CHEST])
@pytest.mark.parametrize("side", [160, 256])
def test_masks_move_with_the_picture(of: PictureSet, side: int) -> None:
    rng = np.random.default_rng(0)
    agreements = []
    for _ in range(12):
        picture = bright(of)
        image, masks = varied(picture, side, rng, picture.masks)
        assert image.shape == (side, side, 3)
        assert masks["nucleus"].shape == (side, side)
        if masks["nucleus"].sum() > 200:
            grey = image.astype(float).mean(2)
            inside, outside = grey[masks["nucleus"]].mean(), grey[~masks["nucleus"]].mean()
            agreements.append((grey > (inside + outside) / 2)[masks["nucleus"]].mean())
    assert len(agreements) > 3
    assert np.mean(agreements) > 0.97


def test_a_window_of_thin_structures_keeps_its_scale_whatever_its_side() -> None:
    widths = []
    for side in (160, 256):
        picture = bright(FINE, (512, 512))
        found = [varied(picture, side, np.random.default_rng(seed), picture.masks)[1]["nucleus"] for seed in range(30)]
        widths.append(np.median([np.sqrt(mask.sum()) for mask in found if mask.sum() > 100]))
    assert widths[0] < widths[1]  # the smaller window sees less of it
    whole = bright(CHEST, (512, 512))
    small, large = (
        np.mean([_share(whole, side, seed) for seed in range(30)]) for side in (160, 256)
    )  # fmt: skip
    assert small == pytest.approx(large, rel=0.1)  # a whole picture fills the square


def _share(picture: LabelledPicture, side: int, seed: int) -> float:
    return float(varied(picture, side, np.random.default_rng(seed), picture.masks)[1]["nucleus"].mean())


def test_tokens_of_a_batch() -> None:
    rng = np.random.default_rng(1)
    batch = draw_batch([chest_phantom(seed) for seed in range(6)], 64, rng)
    tokens = len(batch.picture)
    assert batch.pictures.shape == (6, 64, 64, 3)
    assert batch.masks.shape == (tokens, 64, 64)
    assert batch.previous.shape == (tokens, 32, 32)
    assert set(batch.picture.tolist()) == set(range(6))
    assert not batch.masks[~batch.present].any()
    assert batch.masks[batch.present].flatten(1).any(1).all()
    parts = batch.name >= len(NAMES)
    assert (batch.previous.isnan().flatten(1).any(1) == ~parts).all()


def test_fine_stripes_of_a_picture_that_is_made_small_become_grey() -> None:
    picture = bright(CHEST, (512, 512))
    picture.image[:] = np.arange(512)[None, :, None] % 2 * 200  # columns of 0 and 200
    inside = []
    for seed in range(8):
        image, _ = varied(picture, 64, np.random.default_rng(seed), picture.masks)
        inside.append(image[24:40, 24:40].astype(float).std())
    assert max(inside) < 40  # linear sampling alone would take the one or the other column


def test_a_mask_bends_with_its_picture() -> None:
    learned = bright(CHEST, (96, 96))
    inside, outside, shapes = [], [], set()
    for seed in range(6):
        square, moved = varied(learned, 64, np.random.default_rng(seed), learned.masks)
        mask, grey = moved["nucleus"], square.astype(float).mean(2)
        inside.append(np.median(grey[mask]) > np.median(grey[~mask]) + 30)
        outside.append(mask.mean())
        shapes.add(mask.tobytes())
    assert all(inside)
    assert 0.02 < np.mean(outside) < 0.8
    assert len(shapes) == 6


def test_small_squares_come_first_and_cost_as_much_as_large_ones() -> None:
    assert all(sum(side_shares(progress)) == pytest.approx(1) for progress in np.linspace(0, 1, 41))
    assert side_shares(0.0)[0] > 0.8
    assert side_shares(1.0)[-1] > 0.8
    pictures = [chest_phantom(seed, side=96) for seed in range(2)]
    for number, side in enumerate(SIDES):
        shares = torch.zeros(len(SIDES), dtype=torch.float64)
        shares[number] = 1.0
        batch = next(iter(GroundingBatches(pictures, 1, 0, shares)))
        assert batch.pictures.shape[1:3] == (side, side)
        assert len(batch.pictures) == SIDES[-1] ** 2 // side**2


def test_a_plain_map_is_that_of_its_picture_and_structure() -> None:
    torch.manual_seed(0)
    maps = PlainMaps(EmbeddedDecoderConfig(width=16))
    fine = (torch.randn(2, 4, 8, 8), torch.randn(2, 2, 16, 16))
    encoded = EncodedPictures(embedding=torch.randn(2, 16, 4, 4), fine=fine)
    found = maps(encoded, torch.tensor([1, 0]), torch.tensor([3, 5]))
    assert found.shape == (2, 16, 16)
    only = EncodedPictures(embedding=encoded.embedding[1:], fine=(fine[0][1:], fine[1][1:]))
    torch.testing.assert_close(found[:1], maps(only, torch.tensor([0]), torch.tensor([3])))


def test_the_mean_of_trainings_is_that_of_those_that_have_a_tensor() -> None:
    parts = [{"a": torch.zeros(2), "b": torch.ones(1)}, {"a": torch.full((2,), 4.0)}]
    mean = mean_of(parts)
    assert mean["a"].tolist() == [2.0, 2.0]
    assert mean["b"].tolist() == [1.0]


def test_what_has_a_side_is_not_among_the_mirrored() -> None:
    assert {"polyp", "blood vessels", "wound"} <= set(MIRRORED) <= set(NAMES)
    assert not {"liver", "lungs", "left lung", "heart shadow", "left ventricle"} & set(MIRRORED)


def test_rows_of_the_table_are_apart() -> None:
    rows = [number_of(name) for name in (*NAMES, *PARTS)]
    assert rows == list(range(len(NAMES) + len(PARTS)))


def test_halves_of_an_earlier_mask() -> None:
    mask = bright(CHEST).masks["nucleus"]
    upper, lower = half_of(mask, "upper half"), half_of(mask, "lower half")
    assert (upper | lower == mask).all()
    assert not (upper & lower).any()
    assert np.nonzero(upper)[0].max() < np.nonzero(lower)[0].min()
    assert half_of(mask, "again") is mask


def test_lungs_in_one_mask_are_told_apart_and_each_side_makes_the_lungs() -> None:
    masks = chest_phantom(0).masks
    both = sides_of_lungs({"lungs": masks["lungs"]})
    for side in ("left lung", "right lung"):
        assert (both[side] == masks[side]).mean() > 0.99
    joined = sides_of_lungs({"left lung": masks["left lung"], "right lung": masks["right lung"]})
    assert (joined["lungs"] == masks["lungs"]).all()
    assert sides_of_lungs({"lungs": masks["left lung"]}) == {}


def test_no_patient_is_learned_from_and_tested_on(shared_data) -> None:
    few = tuple(one for one in SETS if one.folder in ("med_us_fetal_head", "med_fundus_fives"))
    learned = {(one.of.folder, one.patient) for one in read_pictures(shared_data, held_out=False, sets=few)}
    tested = {(one.of.folder, one.patient) for one in read_pictures(shared_data, held_out=True, sets=few)}
    assert learned
    assert tested
    assert not learned & tested

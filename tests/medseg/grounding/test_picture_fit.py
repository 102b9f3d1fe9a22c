"""Fitting pictures: against SAM's own code, and the way back to the picture's pixels."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medseg.errors import InvalidInputError
from medseg.grounding.picture_fit import SAM_STD, PictureFit
from tests.medseg.grounding.small_decoders import small_sam

_SIZES = st.integers(1, 150)


@pytest.mark.parametrize("size", [(37, 90), (90, 37), (200, 131), (64, 64), (1, 50), (63, 64)])
def test_keeping_the_aspect_is_sams_own_preparation(size):
    """SAM rounds the resized picture to whole numbers, once more on the way there, so values differ by up to 1."""
    transforms = pytest.importorskip("segment_anything.utils.transforms")
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    resized = transforms.ResizeLongestSide(64).apply_image(picture)
    own = small_sam().preprocess(torch.from_numpy(resized.astype(np.float32)).permute(2, 0, 1))
    ours = PictureFit(side=64).fit(picture)
    assert PictureFit(side=64).fitted_size(*size) == resized.shape[:2]
    apart = (ours - own).abs() * torch.tensor(SAM_STD)[:, None, None]
    assert apart.max() <= 1.01
    assert apart.mean() < 0.5


def test_medsam_stretches_and_takes_the_pictures_own_range():
    picture = np.full((20, 50, 3), 100, dtype=np.uint8)
    picture[:, 25:] = 180
    fitted = PictureFit(side=64, aspect="stretch", values="picture_range").fit(picture)
    assert fitted.shape == (3, 64, 64)
    assert (fitted.min(), fitted.max()) == (0, 1)
    assert (fitted[:, :, :30] == 0).all()
    assert (fitted[:, :, 34:] == 1).all()


@pytest.mark.parametrize("aspect", ["keep", "stretch"])
@settings(max_examples=12, deadline=None)
@given(height=_SIZES, width=_SIZES, place=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@example(height=1, width=150, place=(0.0, 0.5))
@example(height=150, width=1, place=(0.9, 0.0))
def test_a_border_comes_back_within_a_pixel(aspect, height, width, place):
    """Logits that fall off with the distance from a point: what is above 0 lies where it lay, to a pixel."""
    fit = PictureFit(side=256, aspect=aspect)
    inside = fit.fitted_size(height, width)
    point = (place[0] * height, place[1] * width)
    reach = max(2.0, 0.3 * max(height, width))
    rows = (torch.arange(256) + 0.5) * height / inside[0]
    columns = (torch.arange(256) + 0.5) * width / inside[1]
    square = reach - torch.maximum((rows[:, None] - point[0]).abs(), (columns[None] - point[1]).abs())
    back = fit.back(square[None], height, width)[0]
    assert back.shape == (height, width)
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    own = reach - torch.maximum((rows[:, None] - point[0]).abs(), (columns[None] - point[1]).abs())
    assert ((back > 0) == (own > 0))[own.abs() > 1].all()


@pytest.mark.parametrize("size", [(40, 64), (64, 31), (64, 64)])
def test_a_checker_of_single_pixels_survives_where_the_square_is_finer(size):
    checker = (torch.arange(size[0])[:, None] + torch.arange(size[1])[None]) % 2
    fit = PictureFit(side=256)
    picture = np.repeat(checker.numpy().astype(np.uint8)[:, :, None] * 255, 3, axis=2)
    fitted = fit.fit(picture)
    white = fitted[:1] * SAM_STD[0] + fit.mean[0] - 127.5
    assert torch.equal(fit.back(white, *size)[0] > 0, checker.bool())


def test_no_tokens_come_back_as_no_masks():
    assert PictureFit(side=64).back(torch.zeros(0, 16, 16), 7, 9).shape == (0, 7, 9)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)],
    ids=["floats", "grey", "empty", "with alpha"],
)
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(InvalidInputError, match="Convert it to RGB"):
        PictureFit(side=64).fit(picture)


def test_a_constant_picture_has_finite_values():
    assert torch.isfinite(PictureFit(side=64, values="picture_range").fit(np.full((5, 5, 3), 9, np.uint8))).all()


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "wrong",
    [{"side": 8}, {"aspect": "crop"}, {"values": "raw"}, {"std": (1.0, 0.0, 1.0)}],
    ids=lambda one: next(iter(one)),
)
def test_a_wrong_rule_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="configuration"):
        PictureFit(**{"side": 64, **wrong})

"""Annotated views are found among the cameras by name, never by number."""

from __future__ import annotations

import pytest
import torch

from vision3d.errors import InvalidInputError, UnknownViewError
from vision3d.evaluation.phrase_truth import PhraseTruth, find_views


def truth_of(view: str) -> PhraseTruth:
    return PhraseTruth(
        view_name=view,
        phrase="mug",
        mask=torch.ones(2, 3, dtype=torch.bool),
        boxes=torch.tensor([[0.0, 0.0, 2.0, 1.0]]),
    )


def names_of(views: list[str], cameras: list[str]) -> list[str]:
    return [truth.view_name for truth in find_views([truth_of(view) for view in views], cameras)]


def test_the_same_name_comes_first_then_the_same_name_up_to_folder_and_ending():
    cameras = ["a/frame_00041.png", "frame_00041.jpg", "images/frame_00007.png"]
    assert names_of(["frame_00041.jpg"], cameras) == ["frame_00041.jpg"]
    assert names_of(["frame_00007.jpg", "frame_00007"], cameras) == ["images/frame_00007.png"] * 2


def test_a_gap_in_the_numbers_moves_nothing():
    # The 41st camera is another frame: a look-up by number would take it.
    cameras = [f"frame_{number:05d}.jpg" for number in range(1, 60) if number != 13]
    assert cameras[40] == "frame_00042.jpg"
    assert names_of(["frame_00041.jpg"], cameras) == ["frame_00041.jpg"]


@pytest.mark.parametrize(
    ("view", "named"), [("frame_00001.jpg", "found none among x/00.png"), ("00", r"found 2 \(x/00.png, y/00.png\)")]
)
def test_missing_and_ambiguous_views_are_refused(view: str, named: str):
    with pytest.raises(UnknownViewError, match=named):
        names_of([view], ["x/00.png", "y/00.png"])


@pytest.mark.usefixtures("unchecked_shapes")
def test_shapes_that_are_none_are_refused():
    with pytest.raises(InvalidInputError, match=r"\(2, 3\) and \(4,\)"):
        PhraseTruth(view_name="a", phrase="b", mask=torch.ones(2, 3, dtype=torch.bool), boxes=torch.zeros(4))

"""Overlays hold what they should: masks in their colours at their places, marks, bars and legends that are true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseg.errors import InvalidInputError
from medseg.io.read_study import read_study
from medseg.report.overlay import OverlayOptions, OverlaySheet, draw_overlay, write_overlay_png
from medseg.report.panel import Panel, PanelStyle, draw_panel
from medseg.report.slice_view import display_mask, display_size
from medseg.study.finding_colours import finding_colour
from medseg.study.result import RESEARCH_USE
from medseg.study.slice_plan import plan_slices
from medseg.study.volume import volume_in_memory
from medseg.study.windows import choose_window
from tests.medseg.made_grids import ORIENTATIONS, affine_of
from tests.medseg.report.made_results import box, ct, finding, picture, result, two_found_one_not

WHITE = (255, 255, 255)


def pixel(panel: Panel, x: float, y: float, of: tuple[int, int]) -> tuple[int, ...]:
    """Colour at a place of the source picture (columns, rows; pixel centres at .5) whose size is `of`."""
    at = (panel.corner[0] + int(x * panel.size[0] / of[0]), panel.corner[1] + int(y * panel.size[1] / of[1]))
    return panel.image.getpixel(at)


def mixed(grey: int, number: int, share: float) -> tuple[int, ...]:
    return tuple(round(grey + share * (value - grey)) for value in finding_colour(number).rgb)


def bar_length(panel: Panel) -> int:
    """White pixels in a row under the picture's left edge."""
    pixels = np.asarray(panel.image)
    left, bottom = panel.corner[0], panel.corner[1] + panel.size[1]
    rows = (pixels[bottom:, left:] == 255).all(axis=-1)
    row = rows[int(rows[:, 0].argmax())]
    return int((~row).argmax())


def test_a_mask_lies_on_its_pixels_contour_outside_fill_inside() -> None:
    volume = picture(40, 30, value=100)
    first = finding(volume, "spot", box(volume, (5, 15), (10, 20), (0, 1)))
    second = finding(volume, "shade", box(volume, (25, 35), (10, 20), (0, 1)), status="uncertain")
    (panel,) = draw_overlay(result(volume, [first, second])).panels
    assert panel.size[0] % 40 == 0, "whole steps keep each pixel's place exact"
    assert pixel(panel, 10.5, 15.5, (40, 30)) == mixed(100, 1, 0.28)
    assert pixel(panel, 30.5, 15.5, (40, 30)) == mixed(100, 2, 0.14)
    assert pixel(panel, 5.02, 15.5, (40, 30)) == finding_colour(1).rgb, "the contour is the mask's outermost pixels"
    for x in (4.98, 20.5, 36.0):
        assert pixel(panel, x, 15.5, (40, 30)) == (100, 100, 100), "beside the masks the picture is as it was"


def test_an_uncertain_contour_is_dashed() -> None:
    volume = picture()
    spot = box(volume, (5, 35), (5, 25), (0, 1))
    sheets = [
        draw_overlay(result(volume, [finding(volume, "a", spot, status=word)])) for word in ("found", "uncertain")
    ]
    shares = []
    for sheet in sheets:
        panel = sheet.panels[0]
        edge = np.asarray(panel.image)[panel.corner[1] + 24 * panel.size[1] // 30 + 2 :, :]
        row = edge[panel.size[1] // 30 - 4, panel.corner[0] + panel.size[0] // 5 : panel.corner[0] + panel.size[0] // 2]
        shares.append(float((row == finding_colour(1).rgb).all(axis=-1).mean()))
    assert shares[0] == 1.0
    assert 0.3 < shares[1] < 0.7


def test_colours_of_pictures_stay_colours() -> None:
    volume = picture()
    tinted = np.zeros((40, 30, 1, 3), dtype=np.uint8)
    tinted[...] = (200, 60, 10)
    (panel,) = draw_overlay(result(replace(volume, voxels=tinted), [])).panels
    assert pixel(panel, 20, 15, (40, 30)) == (200, 60, 10)


def test_other_channels_are_refused() -> None:
    many = replace(picture(), voxels=np.zeros((40, 30, 1, 4), dtype=np.uint8))
    with pytest.raises(InvalidInputError, match="found 4 channels"):
        draw_overlay(result(many, []))


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::5])
def test_sides_are_the_patients_whatever_the_storage(order: tuple[int, ...], signs: tuple[float, ...]) -> None:
    affine = affine_of(order, signs, 0.0)
    volume = volume_in_memory(np.zeros((6, 7, 8), dtype=np.int16), affine, modality="CT", unit="HU")
    mask = np.zeros(volume.shape, dtype=bool)
    # One voxel at the corner that lies most to the right, to the front and to the head.
    corner = tuple(size - 1 if signs[axis] > 0 else 0 for axis, size in enumerate(volume.shape))
    mask[corner] = True
    sheet = draw_overlay(result(volume, [finding(volume, "corner", mask)]), OverlayOptions(plane="axial"))
    panel = next(panel for panel in sheet.panels if panel.number == plan_slices(volume, "axial").shape[0] - 1)
    assert panel.marks == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    seen = np.asarray(panel.image)[panel.corner[1] :, panel.corner[0] :][: panel.size[1], : panel.size[0]]
    rows, columns = np.nonzero((seen == finding_colour(1).rgb).all(axis=-1))
    assert columns.min() == 0, "the patient's right is on the left"
    assert rows.min() == 0, "the front is on top"


def test_oblique_sides_have_two_letters() -> None:
    affine = affine_of((0, 1, 2), (1.0, 1.0, 1.0), 0.0)
    turn = np.radians(40)
    affine[:3, :3] = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]) * [
        1,
        1,
        5,
    ]
    volume = volume_in_memory(np.zeros((6, 7, 4), dtype=np.int16), affine)
    marks = draw_overlay(result(volume, [])).panels[0].marks
    # Columns run against i, which points 40 degrees from right to front: to the left and to the back.
    assert marks == {"left": "RA", "right": "LP", "top": "AL", "bottom": "PR"}


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 3.0), (0.98, 0.98, 5.0), (1.0, 3.0, 9.0)])
def test_a_scale_bar_is_as_long_as_it_says(spacing: tuple[float, float, float]) -> None:
    volume = ct((60, 50, 4), spacing)
    panel = draw_overlay(result(volume, [])).panels[0]
    assert panel.bar_mm is not None
    assert panel.pixel_mm is not None
    # 60 columns take the width of the picture.
    assert panel.pixel_mm == pytest.approx(60 * spacing[0] / panel.size[0])
    assert bar_length(panel) == panel.bar_pixels == round(panel.bar_mm / panel.pixel_mm)
    assert panel.bar_pixels <= 0.25 * panel.size[0] + 1
    assert f"{panel.bar_mm:g}"[0] in "125"


def test_no_bar_where_nobody_knows_the_spacing() -> None:
    panel = draw_overlay(result(replace(ct(), spacing_known=False), [])).panels[0]
    assert (panel.bar_mm, panel.pixel_mm, panel.bar_pixels) == (None, None, 0)
    below = np.asarray(panel.image)[panel.corner[1] + panel.size[1] :, : panel.image.width // 3]
    assert below.max() == 0
    assert "spacing unknown" in "".join(words_of(draw_overlay(result(picture(), []))))


def words_of(sheet: OverlaySheet) -> list[str]:
    from medseg.report.result_words import grid_text

    return [sheet.window, grid_text(picture()), *sheet.notes]


def test_pixels_are_square_on_the_patient() -> None:
    # 20 rows of 6 mm and 40 columns of 1 mm: 120 x 40 mm.
    volume = volume_in_memory(np.zeros((40, 3, 20), np.int16), np.diag([1.0, 9.0, 6.0, 1.0]))
    plan = plan_slices(volume)
    assert plan.plane == "coronal"
    width, height = display_size(plan, 480)
    assert height / width == pytest.approx(3.0)


def test_nothing_vanishes_where_a_picture_shrinks() -> None:
    mask = np.zeros((900, 1000), dtype=bool)
    mask[450, 3::7] = True
    shrunk = display_mask(mask, (125, 112))
    assert shrunk.any(axis=0).all(), "each display column holds a marked pixel"


def test_the_legend_lists_each_finding() -> None:
    sheet = draw_overlay(two_found_one_not())
    rows = [(row.number, row.colour, row.phrase, row.status) for row in sheet.legend]
    assert rows == [
        (1, "#56b4e9", "left kidney", "found"),
        (2, "#e69f00", "cyst", "uncertain"),
        (3, "", "stone", "not found"),
    ]
    # 6 x 6 x 3 voxels of 24 mm3.
    assert sheet.legend[0].quantity.startswith("2.59 ml")
    assert sheet.legend[2].quantity == ""
    assert sheet.window == "soft tissue window, -160 to 240 HU, chosen by modality"
    assert [panel.caption for panel in sheet.panels] == [
        "axial slice 3 of 8, k = 2",
        "axial slice 5 of 8, k = 4",
        "axial slice 7 of 8, k = 6",
    ]


def test_areas_of_pictures_are_pixels_and_unmeasured_masks_say_so() -> None:
    volume = picture()
    spot = finding(volume, "spot", box(volume, (5, 15), (10, 20), (0, 1)))
    sheet = draw_overlay(result(volume, [spot, replace(spot, quantities=None)]))
    assert [row.quantity for row in sheet.legend] == ["100 px", "not measured"]


def test_words_it_cannot_draw_are_replaced_and_said() -> None:
    volume = picture()
    spot = box(volume, (5, 15), (10, 20), (0, 1))
    found = [finding(volume, label, spot) for label in ("лёгкое", "lésion", "lung")]
    sheet = draw_overlay(result(volume, found, question="肝臓はどこですか"))
    assert [row.phrase for row in sheet.legend] == ["(finding 1: see the report)", "lesion", "lung"]
    assert len(sheet.notes) == 2
    assert draw_overlay(result(volume, found[2:])).notes == ()


def test_the_window_can_be_named() -> None:
    sheet = draw_overlay(two_found_one_not(), OverlayOptions(window="bone"))
    assert sheet.window == "bone window, -500 to 1300 HU, chosen by caller"
    # Water is 500 of 1800 above the lowest value: 71 of 255.
    assert sheet.panels[0].image.getpixel((sheet.panels[0].corner[0] + 1, sheet.panels[0].corner[1] + 1)) == (71,) * 3


def test_panels_lie_on_the_sheet_and_it_says_what_it_is_for(tmp_path: Path) -> None:
    asked = two_found_one_not()
    sheet = write_overlay_png(tmp_path / "a.png", asked)
    with Image.open(tmp_path / "a.png") as image:
        drawn = image.convert("RGB")
        assert image.info == {}
    for panel, (x, y) in zip(sheet.panels, sheet.places, strict=True):
        part = drawn.crop((x, y, x + panel.image.width, y + panel.image.height))
        np.testing.assert_array_equal(np.asarray(part), np.asarray(panel.image))
    foot = np.asarray(drawn)[-40:]
    assert (foot.min(axis=-1) > 200).any(), f"{RESEARCH_USE} is written at the bottom"
    write_overlay_png(tmp_path / "b.png", asked)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_long_words_are_cut_and_never_widen_the_sheet() -> None:
    volume = picture()
    spot = finding(volume, "w" * 4000, box(volume, (5, 15), (10, 20), (0, 1)))
    plain = draw_overlay(result(volume, []))
    assert draw_overlay(result(volume, [spot], question="q" * 4000)).image.width == plain.image.width


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "\u202e" * 9, "🫁", "a\u0301", "\n\n", "ﷺ"])
def test_odd_texts_are_drawn_or_named(text: str) -> None:
    volume = picture()
    spot = finding(volume, text, box(volume, (5, 15), (10, 20), (0, 1)))
    assert len(draw_overlay(result(volume, [spot], question=text)).legend) == 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 1), (3000, 2, 1), (2, 2, 2)])
def test_the_smallest_and_thinnest_can_be_drawn(shape: tuple[int, int, int]) -> None:
    volume = ct(shape, (1.0, 1.0, 5.0))
    sheet = draw_overlay(result(volume, [finding(volume, "all", np.ones(shape, dtype=bool))]))
    assert max(sheet.image.size) < 3000
    flat = replace(volume, space="picture", spacing_known=False)
    assert draw_overlay(result(flat, [])).panels


def test_the_name_must_end_in_png(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"in \.png"):
        write_overlay_png(tmp_path / "a.jpg", two_found_one_not())
    with pytest.raises(InvalidInputError, match="1 slice and more"):
        OverlayOptions(slices=0)


def test_a_real_radiograph_has_its_lung_where_its_mask_is(shared_data: Path) -> None:
    volume = read_study(shared_data / "med_cxr_lungs/images/CHNCXR_0001_0.png").volume
    truth = np.array(Image.open(shared_data / "med_cxr_lungs/masks/CHNCXR_0001_0.png")) > 0
    lungs = finding(volume, "lungs", truth.T[:, :, None])
    style = PanelStyle(side=512, fill=0.5)
    plan = plan_slices(volume)
    asked = result(volume, [lungs])
    panel = draw_panel(asked, plan, 0, choose_window(volume), style)
    bare = draw_panel(replace(asked, findings=()), plan, 0, choose_window(volume), style)
    assert panel.size == (512, 512)
    changed = (np.asarray(panel.image) != np.asarray(bare.image)).any(axis=-1)
    number = np.zeros_like(truth)
    top, left = np.argwhere(truth)[0]
    number[max(0, top - 40) : top + 20, left - 40 : left + 40] = True
    np.testing.assert_array_equal(changed & ~number, truth & ~number)

"""What stored pixels mean: rescale slice by slice, MONOCHROME1, padding, colours, films, compression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from medseg.errors import StudyFileError
from medseg.io.limits import ReadLimits
from medseg.io.read_study import ReadOptions, list_series, read_study
from tests.medseg.made_series import header, noise, straight_positions, write_slices


def without_place(made: Dataset) -> None:
    del made.ImagePositionPatient, made.ImageOrientationPatient


def test_every_slice_has_its_own_slope(tmp_path: Path) -> None:
    pixels = noise()

    def scale(made: Dataset, number: int) -> None:
        made.Modality, made.Units = "PT", "BQML"
        made.RescaleSlope, made.RescaleIntercept = 0.5 * (number + 1), 3

    volume = read_study(write_slices(tmp_path, pixels, straight_positions(5), change=scale)).volume
    slopes = 0.5 * np.arange(1, 6)[:, None, None]
    np.testing.assert_allclose(volume.voxels, (pixels * slopes + 3).transpose(2, 1, 0), rtol=1e-6)
    assert volume.unit == "Bq/ml"


def test_hounsfield_units_stay_whole_numbers(tmp_path: Path) -> None:
    volume = read_study(write_slices(tmp_path, noise(), straight_positions(5))).volume
    assert (volume.voxels.dtype, volume.unit, volume.modality) == (np.int16, "HU", "CT")


def test_unsigned_values_below_zero_do_not_wrap(tmp_path: Path) -> None:
    def unsigned(made: Dataset, number: int) -> None:
        made.PixelRepresentation = 0

    volume = read_study(write_slices(tmp_path, np.zeros((3, 4, 5), np.int16), straight_positions(3), change=unsigned))
    assert volume.volume.voxels.min() == volume.volume.voxels.max() == -1024


def test_monochrome1_is_turned_over(tmp_path: Path) -> None:
    pixels = noise(1)

    def film(made: Dataset, number: int) -> None:
        without_place(made)
        made.Modality, made.PhotometricInterpretation = "DX", "MONOCHROME1"
        made.PixelRepresentation, made.BitsStored, made.HighBit = 0, 12, 11
        made.RescaleSlope, made.RescaleIntercept = 1, 0

    study = read_study(write_slices(tmp_path, pixels, [(0, 0, 0)], change=film))
    np.testing.assert_array_equal(study.volume.voxels[:, :, 0], (4095 - pixels[0]).T)
    assert study.noticed("monochrome1")
    assert study.volume.space == "picture"
    assert study.volume.spacing_known


def test_padding_holds_the_smallest_measured_value(tmp_path: Path) -> None:
    pixels = noise()
    pixels[:, 0] = -2000

    def pad(made: Dataset, number: int) -> None:
        made.add_new("PixelPaddingValue", "SS", -2000)

    study = read_study(write_slices(tmp_path, pixels, straight_positions(5), change=pad))
    smallest = pixels[:, 1:].min() - 1024
    assert (study.volume.voxels[:, 0] == smallest).all()
    assert study.volume.voxels.min() == smallest
    assert "40 padding pixels" in study.noticed("padding")[0].text  # 5 slices of 8 columns


def colours(made: Dataset, number: int) -> None:
    without_place(made)
    made.Modality, made.SamplesPerPixel, made.PlanarConfiguration = "XC", 3, 0
    made.PhotometricInterpretation = "RGB"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0


def test_colours_have_channels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 6, 8, 3), dtype=np.uint8)
    volume = read_study(write_slices(tmp_path / "rgb", pixels, [(0, 0, 0)], change=colours)).volume
    np.testing.assert_array_equal(volume.voxels[:, :, 0], pixels[0].swapaxes(0, 1))
    assert volume.unit == "8 bit"


def test_ybr_becomes_rgb(tmp_path: Path) -> None:
    grey = np.full((1, 4, 6, 3), 128, dtype=np.uint8)
    grey[..., 0] = 200  # luma 200 without any colour

    def ybr(made: Dataset, number: int) -> None:
        colours(made, number)
        made.PhotometricInterpretation = "YBR_FULL"

    volume = read_study(write_slices(tmp_path, grey, [(0, 0, 0)], change=ybr)).volume
    assert np.unique(volume.voxels).tolist() == [200]


def test_frames_in_time_are_a_film(tmp_path: Path) -> None:
    pixels = noise(3)

    def film(made: Dataset, number: int) -> None:
        without_place(made)
        made.Modality, made.NumberOfFrames = "US", 3
        made.PixelData = pixels.tobytes()

    study = read_study(write_slices(tmp_path, pixels[:1], [(0, 0, 0)], change=film))
    assert study.volume.space == "frames"
    assert study.volume.shape == (8, 6, 3)
    assert study.noticed("no_position")


def test_pictures_of_one_series_are_not_piled_up(tmp_path: Path) -> None:
    folder = write_slices(tmp_path, noise(3), straight_positions(3), change=lambda made, _: without_place(made))
    assert [facts.shape for facts in list_series(folder)] == [(8, 6, 1)] * 3


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_slices_are_the_plain_ones(tmp_path: Path, syntax: str) -> None:
    pixels = noise(3, 64, 64)
    volume = read_study(
        write_slices(tmp_path, pixels, straight_positions(3), change=lambda made, _: made.compress(syntax))
    ).volume
    np.testing.assert_array_equal(volume.voxels, pixels.transpose(2, 1, 0) - 1024)


def test_deflated_files_are_read(tmp_path: Path) -> None:
    def deflate(made: Dataset, number: int) -> None:
        made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    pixels = noise(3)
    volume = read_study(write_slices(tmp_path, pixels, straight_positions(3), change=deflate)).volume
    np.testing.assert_array_equal(volume.voxels, pixels.transpose(2, 1, 0) - 1024)


def test_cut_pixels_are_an_error_of_ours(tmp_path: Path) -> None:
    folder = write_slices(tmp_path, noise(1), [(0, 0, 0)])
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StudyFileError, match="cannot be read"):
        read_study(path)


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    made = header("bare", 0, 4, 5)
    made.PixelData = np.zeros((4, 5), np.int16).tobytes()
    made.save_as(tmp_path / "bare", enforce_file_format=True)
    whole = (tmp_path / "bare").read_bytes()
    (tmp_path / "bare").write_bytes(whole[132:])
    assert read_study(tmp_path / "bare").volume.shape == (5, 4, 1)


def test_memory_is_bounded_before_pixels_are_read(tmp_path: Path) -> None:
    def claim(made: Dataset, number: int) -> None:
        made.Rows = made.Columns = 60_000

    folder = write_slices(tmp_path, noise(1), [(0, 0, 0)], change=claim)
    options = ReadOptions(limits=ReadLimits(voxel_bytes=2**20))
    with pytest.raises(StudyFileError, match="at most 1048576 bytes"):
        read_study(folder, options=options)

"""Sliding windows give what MONAI gives, in memory and through a file, and refuse what they cannot run."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers.utils import sliding_window_inference
from torch import nn

from medseg.errors import InvalidInputError, SegmenterError, SizeLimitError
from medseg.inference.sliding_window import WindowConfig, label_map, slide

CLASSES = 5


def small_network() -> nn.Module:
    """Two convolutions whose padding makes each window differ at its border, so that blending shows."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv3d(4, CLASSES, 3, padding=1)).eval()


def made_values(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(2, *shape)).astype(np.float32)


def monai_logits(network: nn.Module, values: np.ndarray, config: WindowConfig) -> np.ndarray:
    with torch.inference_mode():
        whole = sliding_window_inference(
            torch.from_numpy(values.astype(np.float32))[None],
            config.window,
            config.windows_at_once,
            network,
            overlap=config.overlap,
            mode=config.blend,
            cval=config.outside,
        )
    assert isinstance(whole, torch.Tensor)
    return whole[0].numpy()


def slid_logits(network: nn.Module, values: np.ndarray, config: WindowConfig) -> np.ndarray:
    whole = np.full((CLASSES, *values.shape[1:]), np.nan, dtype=np.float32)
    numbers = []
    for done in slide(network, values, config):
        np.moveaxis(whole, 1 + done.axis, 1)[:, done.number] = done.logits
        numbers.append(done.number)
    assert numbers == sorted(set(numbers))
    return whole


@pytest.mark.parametrize(
    ("shape", "window", "overlap"),
    [
        ((20, 17, 23), (8, 8, 8), 0.25),
        ((9, 31, 12), (8, 6, 7), 0.5),
        ((9, 8, 17), (6, 6, 8), 0.7),
        ((8, 8, 8), (8, 8, 8), 0.25),
        ((5, 20, 3), (8, 8, 8), 0.25),
        ((4, 3, 2), (7, 8, 5), 0.6),
        ((16, 16, 16), (8, 8, 8), 0.0),
    ],
)
def test_logits_are_those_of_monai(
    shape: tuple[int, int, int], window: tuple[int, int, int], overlap: float, tmp_path: Path
) -> None:
    network, values = small_network(), made_values(shape)
    for blend, at_once in product(("constant", "gaussian"), (1, 3)):
        config = WindowConfig(
            window=window, overlap=overlap, blend=blend, windows_at_once=at_once, outside=0.5, spill_folder=tmp_path
        )
        expected = monai_logits(network, values, config)
        # Sums of the same products, in another order along other axes: float32 of values near 1.
        np.testing.assert_allclose(slid_logits(network, values, config), expected, rtol=0, atol=2e-6)
        np.testing.assert_array_equal(label_map(network, values, config), expected.argmax(axis=0))


def test_a_ring_in_a_file_gives_the_same_bits(tmp_path: Path) -> None:
    network, values = small_network(), made_values((20, 17, 23))
    inside = WindowConfig(window=(8, 8, 8), spill_folder=tmp_path)
    outside = WindowConfig(window=(8, 8, 8), spill_folder=tmp_path, max_memory_bytes=4096)
    np.testing.assert_array_equal(slid_logits(network, values, outside), slid_logits(network, values, inside))
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_and_memory_maps_are_read_as_they_are(tmp_path: Path) -> None:
    network = small_network()
    stored = np.random.default_rng(1).integers(-5, 5, (2, 14, 9, 11)).astype(np.int16)
    np.save(tmp_path / "values.npy", stored)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    config = WindowConfig(window=(6, 6, 6))
    labels = label_map(network, mapped, config)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, monai_logits(network, stored, config).argmax(axis=0))


def test_a_wrapped_network_gives_chosen_channels_alone() -> None:
    network, values = small_network(), made_values((12, 9, 10))
    config = WindowConfig(window=(6, 6, 6))

    def chosen(windows: torch.Tensor) -> torch.Tensor:
        return network(windows).softmax(dim=1)[:, [3]]

    for done in slide(chosen, values, config):
        assert done.logits.shape[0] == 1
        assert 0 <= done.logits.min() <= done.logits.max() <= 1


def test_no_more_than_the_ring_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    made = np.zeros

    def seen(shape: tuple[int, ...], dtype: type) -> np.ndarray:
        sizes.extend([shape] if np.ndim(shape) and len(shape) == 4 else [])
        return made(shape, dtype=dtype)

    monkeypatch.setattr("medseg.inference.sliding_window.np.zeros", seen)
    label_map(small_network(), made_values((40, 9, 11)), WindowConfig(window=(6, 6, 6)))
    assert sizes == [(6, CLASSES, 9, 11)]  # a window thick across the longest axis, not 40


def test_networks_that_cannot_be_run_are_refused() -> None:
    values = made_values((9, 9, 9))
    config = WindowConfig(window=(6, 6, 6))
    with pytest.raises(InvalidInputError, match="evaluation mode"):
        label_map(small_network().train(), values, config)
    with pytest.raises(SegmenterError, match=r"found \(1, 2, 3, 3, 3\)"):
        label_map(lambda windows: nn.functional.avg_pool3d(windows, 2), values, config)
    with pytest.raises(InvalidInputError, match=r"found shape \(2, 0, 9, 9\)"):
        label_map(small_network(), values[:, :0], config)


def test_a_disk_without_room_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(SizeLimitError, match="bytes of disk"):
        label_map(small_network(), made_values((9, 9, 9)), WindowConfig(window=(6, 6, 6), max_memory_bytes=1))


@pytest.mark.parametrize(
    "change", [{"window": (0, 1, 1)}, {"overlap": 1.0}, {"windows_at_once": 0}, {"spill_folder": Path("not there")}]
)
def test_settings_that_make_no_sense_are_refused(change: dict) -> None:
    with pytest.raises(InvalidInputError, match="WindowConfig: expected"):
        WindowConfig(**change)

"""VISTA3D with a token for a class: against MONAI's own forward, and published layouts of its files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets import vista3d132
from safetensors.torch import save_file

from medseg.errors import CheckpointError, InvalidInputError
from medseg.grounding.vista3d import Vista3dConfig, Vista3dMaskDecoder, expected_overlap, load_vista3d
from medseg.grounding.volume_fit import VolumeFit
from medseg.grounding.volume_windows import decode_volume
from medseg.study.volume import volume_in_memory

_FIT = VolumeFit(spacing=(1.5,) * 3, patch=(32, 32, 32), multiple=16, window=(-1000.0, 1000.0))
_SMALL = Vista3dConfig(width=8, fit=_FIT)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return vista3d132(encoder_embed_dim=8).eval()


@pytest.mark.parametrize("layout", ["plain", "wrapped", "prefixed"])
@torch.no_grad()
def test_a_class_given_as_a_prompt_is_what_vista3d_draws(network, tmp_path: Path, layout: str):
    state = network.state_dict()
    path = tmp_path / "model.pt"
    if layout == "plain":
        torch.save(state, path)
    elif layout == "wrapped":
        torch.save({"model": state}, path)
    else:
        path = tmp_path / "model.safetensors"
        save_file({f"network.{name}": value for name, value in state.items()}, path)
    decoder = load_vista3d(path, _SMALL)
    values = torch.rand(1, 1, 32, 32, 32)
    classes = torch.tensor([3, 117])
    own = network(values, class_vector=classes[:, None])
    found = decoder.decode(decoder.encode(values), torch.zeros(2, dtype=torch.long), decoder.class_prompts(classes))
    assert torch.allclose(found.logits, own[:, 0], atol=1e-4 * float(own.abs().max()))
    assert found.object_logits is None


@torch.no_grad()
def test_a_ct_comes_back_on_its_own_grid():
    torch.manual_seed(0)
    decoder = Vista3dMaskDecoder(_SMALL).eval()
    values = np.random.default_rng(0).normal(0, 300, (20, 16, 9)).astype(np.float32)
    volume = volume_in_memory(values, np.diag([-1.5, -1.5, 3.0, 1.0]), modality="CT", unit="HU")
    found = decode_volume(decoder, volume, torch.randn(2, 8))
    assert found.logits.shape == (2, 20, 16, 9)
    assert torch.isfinite(found.logits).all()


def test_files_of_another_network_are_refused(network, tmp_path: Path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="without class_head"):
        load_vista3d(path, _SMALL)
    torch.save(network.state_dict(), path)
    with pytest.raises(CheckpointError, match="of another shape"):
        load_vista3d(path, Vista3dConfig(width=16, fit=_FIT))
    with pytest.raises(InvalidInputError, match="multiples of 16"):
        Vista3dMaskDecoder(_SMALL).encode(torch.zeros(1, 1, 32, 32, 24))
    with pytest.raises(InvalidInputError, match="within 0-511"):
        Vista3dMaskDecoder(_SMALL).class_prompts(torch.tensor([512]))
    with pytest.raises(InvalidInputError, match="one of 16"):
        Vista3dConfig(fit=VolumeFit(patch=(24, 24, 24), multiple=8))


def test_the_expected_overlap_is_that_of_its_own_probabilities():
    """Three voxels of 0.8 drawn and two of 0.2 not: 2.4 of 3 + 0.4 voxels."""
    share = torch.tensor([0.8, 0.8, 0.8, 0.2, 0.2]).reshape(1, 5, 1, 1)
    assert expected_overlap(torch.logit(share)).item() == pytest.approx(2.4 / 3.4, abs=1e-5)
    assert expected_overlap(torch.full((1, 2, 1, 1), -9.0)).item() == 0.0


@pytest.mark.slow
@torch.no_grad()
def test_the_true_size_loads_and_segments(tmp_path: Path):
    torch.manual_seed(0)
    network = vista3d132().eval()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    decoder = load_vista3d(tmp_path / "model.pt")
    assert decoder.prompt_width == 48
    values = torch.rand(1, 1, 32, 32, 32)
    classes = torch.tensor([1, 132])
    found = decoder.decode(decoder.encode(values), torch.zeros(2, dtype=torch.long), decoder.class_prompts(classes))
    own = network(values, class_vector=classes[:, None])
    assert torch.allclose(found.logits, own[:, 0], atol=1e-4 * float(own.abs().max()))

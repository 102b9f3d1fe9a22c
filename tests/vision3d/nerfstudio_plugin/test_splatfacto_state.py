"""Splats under splatfacto's names: nothing is lost, and our checkpoint reader takes them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch

pytest.importorskip("nerfstudio", reason="needs nerfstudio: pip install 'vision3d-medseg[nerfstudio]'")

from tests.vision3d.laga.ball_scene import make_ball_scene
from vision3d.errors import SplatFileError
from vision3d.nerfstudio_plugin.splatfacto_state import fill, from_splatfacto, rename_saved, to_splatfacto
from vision3d.reconstruction.splat_parameters import Parameters, parameters_of, scene_of
from vision3d.scene.checkpoints import read_checkpoint
from vision3d.scene.selection import with_sh_degree


@pytest.fixture
def parameters() -> Parameters:
    scene = with_sh_degree(make_ball_scene(2).scene, 1)
    return parameters_of(scene)


def test_names_and_shapes_are_splatfactos(parameters: Parameters) -> None:
    count = len(parameters["means"])
    shapes = {name: tuple(value.shape) for name, value in to_splatfacto(parameters).items()}
    assert shapes == {
        "means": (count, 3), "scales": (count, 3), "quats": (count, 4), "opacities": (count, 1),
        "features_dc": (count, 3), "features_rest": (count, 3, 3),
    }  # fmt: skip


def test_parameters_come_back(parameters: Parameters) -> None:
    back = from_splatfacto(to_splatfacto(parameters))
    assert all(torch.equal(back[name], value) for name, value in parameters.items())


def test_our_reader_takes_the_checkpoint(parameters: Parameters, tmp_path: Path) -> None:
    state = {f"_model.splats.{name}": value.detach() for name, value in parameters.items()}
    rename_saved(state, folder="splats.", prefix="_model.")
    torch.save({"step": 3, "pipeline": state}, tmp_path / "step-000000003.ckpt")
    read, kept = read_checkpoint(tmp_path / "step-000000003.ckpt"), scene_of(parameters)
    assert all(torch.equal(getattr(read, field.name), getattr(kept, field.name)) for field in fields(read))


def test_parameters_take_the_size_of_a_checkpoint_and_stay_the_same_objects(parameters: Parameters) -> None:
    entries = {f"gauss_params.{name}": value[:7] for name, value in to_splatfacto(parameters).items()}
    before = dict(parameters)
    fill(parameters, entries)
    assert all(parameters[name] is before[name] for name in before)
    assert len(parameters["opacities"]) == len(parameters["sh0"]) == 7


def test_a_checkpoint_of_another_model_is_refused(parameters: Parameters) -> None:
    with pytest.raises(SplatFileError, match="features_dc"):
        fill(parameters, {"gauss_params.means": torch.zeros(2, 3)})

"""Training checkpoints: the structure nerfstudio and gsplat save, the way back to the world, refusals."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.vision3d.scene.random_scenes import random_scene, same_bits
from vision3d.errors import SplatFileError
from vision3d.scene.checkpoints import read_checkpoint, read_nerfstudio_run
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.transforms import apply_similarity

SPLATFACTO_NAMES = {"means": "means", "quats": "quats", "scales": "log_scales", "opacities": "opacity_logits"}


def splatfacto_checkpoint(scene: GaussianScene, prefix: str = "_model.gauss_params.") -> dict[str, Any]:
    """What nerfstudio's trainer saves after a step: parameters, optimiser and schedule states, gradient scaler.

    nerfstudio's schedules compute with numpy, so the learning rates inside are numpy numbers.
    """
    values = {name: getattr(scene, ours) for name, ours in SPLATFACTO_NAMES.items()}
    values["opacities"] = values["opacities"][:, None]
    values |= {"features_dc": scene.sh[:, 0], "features_rest": scene.sh[:, 1:]}
    parameters = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in values.items()}
    optimizers = {name: torch.optim.Adam([parameter], lr=1e-3) for name, parameter in parameters.items()}
    schedules = {
        name: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: np.exp(-0.1 * step))
        for name, optimizer in optimizers.items()
    }
    for name, parameter in parameters.items():
        parameter.grad = torch.zeros_like(parameter)
        optimizers[name].step()
        schedules[name].step()
    assert type(optimizers["means"].param_groups[0]["lr"]) is np.float64
    pipeline = {prefix + name: parameter.data for name, parameter in parameters.items()}
    pipeline["_model.camera_optimizer.pose_adjustment"] = torch.zeros(2, 6)
    return {
        "step": 7,
        "pipeline": pipeline,
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "schedulers": {name: schedule.state_dict() for name, schedule in schedules.items()},
        "scalers": torch.amp.GradScaler("cpu").state_dict(),
    }


def gsplat_checkpoint(scene: GaussianScene) -> dict[str, Any]:
    """What gsplat's simple_trainer saves per rank."""
    parameters = torch.nn.ParameterDict(
        {
            "means": scene.means,
            "quats": scene.quats,
            "scales": scene.log_scales,
            "opacities": scene.opacity_logits,
            "sh0": scene.sh[:, :1],
            "shN": scene.sh[:, 1:],
        }
    )
    return {"step": 29_999, "splats": parameters.state_dict()}


def nerfstudio_run(folder: Path, scene: GaussianScene, step: int = 29_999) -> Path:
    """A run folder with one checkpoint."""
    (folder / "nerfstudio_models").mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text("!!python/object:nerfstudio.engine.trainer.TrainerConfig\n")
    torch.save(splatfacto_checkpoint(scene), folder / "nerfstudio_models" / f"step-{step:09d}.ckpt")
    return folder


@pytest.mark.parametrize("prefix", ["_model.gauss_params.", "_model.", "_model.module.gauss_params."])
@pytest.mark.parametrize("degree", [1, 3])
def test_splatfacto_checkpoints_read_exactly(tmp_path: Path, prefix: str, degree: int) -> None:
    scene = random_scene(5, sh_degree=degree)
    torch.save(splatfacto_checkpoint(scene, prefix), tmp_path / "step-000000007.ckpt")
    assert same_bits(read_checkpoint(tmp_path / "step-000000007.ckpt"), scene)


def test_splatfacto_of_degree_0_keeps_colour_as_a_logit(tmp_path: Path) -> None:
    scene = random_scene(2)
    scene.sh[:, 0] = torch.tensor([[0.0, 1.3862944, -1.3862944], [0.0, 0.0, 0.0]])  # logits of 0.5, 0.8 and 0.2
    torch.save(splatfacto_checkpoint(scene), tmp_path / "step-000000007.ckpt")
    colours = 0.5 + 0.28209479177387814 * read_checkpoint(tmp_path / "step-000000007.ckpt").sh[0, 0]
    torch.testing.assert_close(colours, torch.tensor([0.5, 0.8, 0.2]))


def test_checkpoints_written_under_numpy_2_read_too(tmp_path: Path) -> None:
    """numpy 2 renamed the module that rebuilds its numbers; the names stand as text inside the pickle."""
    scene = random_scene(3, sh_degree=1)
    torch.save(splatfacto_checkpoint(scene), tmp_path / "old.ckpt")
    other = b"numpy._core.multiarray" if np.lib.NumpyVersion(np.__version__) < "2.0.0" else b"numpy.core.multiarray"
    own = b"numpy.core.multiarray" if b"_core" in other else b"numpy._core.multiarray"
    with zipfile.ZipFile(tmp_path / "old.ckpt") as old, zipfile.ZipFile(tmp_path / "new.ckpt", "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        assert any(own in content for content in contents.values())
        for name, content in contents.items():
            new.writestr(name, content.replace(own, other))
    assert same_bits(read_checkpoint(tmp_path / "new.ckpt"), scene)


def test_a_run_folder_gives_its_newest_checkpoint(tmp_path: Path) -> None:
    nerfstudio_run(tmp_path, random_scene(2, sh_degree=1, seed=1), step=9_000)
    newest = random_scene(3, sh_degree=1, seed=2)
    nerfstudio_run(tmp_path, newest, step=10_000)
    assert same_bits(read_nerfstudio_run(tmp_path), newest)


def test_undoing_the_dataparser_gives_back_the_world(tmp_path: Path) -> None:
    world = random_scene(20, sh_degree=2)
    # a third of a turn about (1, 1, 1) takes x to y to z
    transform = torch.tensor([[0.0, 0, 1, 0.5], [1, 0, 0, -2], [0, 1, 0, 3]])
    nerfstudio_run(tmp_path, apply_similarity(world, transform, 0.25))
    content = {"transform": transform.tolist(), "scale": 0.25}
    (tmp_path / "dataparser_transforms.json").write_text(json.dumps(content))
    found = read_nerfstudio_run(tmp_path, undo_dataparser=True)
    torch.testing.assert_close(found.means, world.means, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.log_scales, world.log_scales, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.sh, world.sh, rtol=1e-5, atol=1e-5)
    # the point (1, 2, 3) lies at 0.25 ((3, 1, 2) + (0.5, -2, 3)) in the training frame
    moved = apply_similarity(
        GaussianScene(
            means=torch.tensor([[1.0, 2, 3]]),
            quats=torch.tensor([[1.0, 0, 0, 0]]),
            log_scales=torch.zeros(1, 3),
            opacity_logits=torch.zeros(1),
            sh=torch.zeros(1, 1, 3),
        ),
        transform,
        0.25,
    )
    assert moved.means.tolist() == [[0.875, -0.25, 1.25]]


@pytest.mark.parametrize(
    "content", [None, "{", '{"scale": 1}', '{"transform": [[1, 0, 0], [0, 1, 0]], "scale": 1}',
                '{"transform": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "scale": 1}',
                '{"transform": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "scale": 0}']
)  # fmt: skip
def test_unusable_dataparser_transforms_are_refused(tmp_path: Path, content: str | None) -> None:
    nerfstudio_run(tmp_path, random_scene(2, sh_degree=1))
    if content is not None:
        (tmp_path / "dataparser_transforms.json").write_text(content)
    with pytest.raises(SplatFileError, match=r"dataparser_transforms\.json"):
        read_nerfstudio_run(tmp_path, undo_dataparser=True)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SplatFileError, match=r"found no config\.yml"):
        read_nerfstudio_run(tmp_path)
    (tmp_path / "config.yml").touch()
    with pytest.raises(SplatFileError, match="no nerfstudio_models"):
        read_nerfstudio_run(tmp_path)


def test_gsplat_checkpoints_read_exactly(tmp_path: Path) -> None:
    for degree in (0, 3):
        scene = random_scene(5, sh_degree=degree)
        torch.save(gsplat_checkpoint(scene), tmp_path / "last.pt")
        assert same_bits(read_checkpoint(tmp_path / "last.pt"), scene)


def test_the_ranks_of_a_gsplat_run_are_joined(tmp_path: Path) -> None:
    parts = [random_scene(2, sh_degree=1, seed=rank) for rank in range(11)]
    for rank, part in enumerate(parts):
        torch.save(gsplat_checkpoint(part), tmp_path / f"ckpt_999_rank{rank}.pt")
    torch.save(gsplat_checkpoint(random_scene(9)), tmp_path / "ckpt_1999_rank0.pt")
    found = read_checkpoint(tmp_path / "ckpt_999_rank0.pt")
    assert torch.equal(found.means, torch.cat([part.means for part in parts]))
    (tmp_path / "ckpt_999_rank3.pt").unlink()
    with pytest.raises(SplatFileError, match="the parts of all ranks"):
        read_checkpoint(tmp_path / "ckpt_999_rank0.pt")


def test_gsplat_appearance_models_are_refused(tmp_path: Path) -> None:
    content = gsplat_checkpoint(random_scene(2))
    content["splats"] |= {"features": torch.zeros(2, 32), "colors": torch.zeros(2, 3)}
    del content["splats"]["sh0"], content["splats"]["shN"]
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(SplatFileError, match="app_opt"):
        read_checkpoint(tmp_path / "a.pt")


class Trap:
    """Unpickling this would touch a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_needs_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    content = gsplat_checkpoint(random_scene(2)) | {"config": Trap(tmp_path / "sprung")}
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(SplatFileError, match="tensors and numbers only"):
        read_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()


def test_other_checkpoints_are_named_by_their_keys(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "a.pt")
    with pytest.raises(SplatFileError, match="weights"):
        read_checkpoint(tmp_path / "a.pt")
    torch.save({"pipeline": {"_model.field.mlp": torch.zeros(1)}}, tmp_path / "b.ckpt")
    with pytest.raises(SplatFileError, match="splatfacto model"):
        read_checkpoint(tmp_path / "b.ckpt")
    torch.save([torch.zeros(1)], tmp_path / "c.pt")
    with pytest.raises(SplatFileError, match="found list"):
        read_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize("damage", ["missing tensor", "wrong rows", "wrong sh"])
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, damage: str) -> None:
    content = gsplat_checkpoint(random_scene(4, sh_degree=1))
    if damage == "missing tensor":
        del content["splats"]["quats"]
    else:
        name, shape = ("quats", (3, 4)) if damage == "wrong rows" else ("shN", (4, 4, 3))
        content["splats"][name] = torch.zeros(shape)
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(SplatFileError, match=r"a\.pt: expected"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("kept", [0, 10, 400, -100])
def test_cut_checkpoints_are_refused(tmp_path: Path, kept: int) -> None:
    torch.save(gsplat_checkpoint(random_scene(50)), tmp_path / "a.pt")
    (tmp_path / "a.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:kept])
    with pytest.raises(SplatFileError, match=r"a\.pt"):
        read_checkpoint(tmp_path / "a.pt")


def test_the_scene_does_not_hang_on_the_file(tmp_path: Path) -> None:
    scene = random_scene(50)
    torch.save(gsplat_checkpoint(scene), tmp_path / "a.pt")
    found = read_checkpoint(tmp_path / "a.pt")
    (tmp_path / "a.pt").write_bytes(bytes((tmp_path / "a.pt").stat().st_size))
    assert same_bits(found, scene)

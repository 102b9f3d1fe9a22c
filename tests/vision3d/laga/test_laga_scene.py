"""The saved artefact: what is written is read, and files that do not belong together are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.functional import normalize

from vision3d.errors import InvalidInputError, ModelFileError
from vision3d.laga.laga_scene import LagaScene, laga_path_of, load_laga_scene, object_sizes, save_laga_scene
from vision3d.laga.object_descriptors import ObjectDescriptors
from vision3d.scene.catalogue import write_splats
from vision3d.scene.gaussian_scene import GaussianScene


def _splats(count: int = 30) -> GaussianScene:
    return GaussianScene(
        means=torch.randn(count, 3),
        quats=normalize(torch.randn(count, 4), dim=-1),
        log_scales=torch.randn(count, 3),
        opacity_logits=torch.randn(count),
        sh=torch.randn(count, 4, 3),
    )


def _laga(scene: GaussianScene, objects: int = 6, dim: int = 8) -> LagaScene:
    return LagaScene(
        scene=scene,
        gaussian_object=torch.randint(-1, objects, (2, len(scene))),
        object_level=torch.tensor([0] * (objects - 2) + [1, 1]),
        object_masks=torch.randint(3, 90_000, (objects,)),
        descriptors=ObjectDescriptors(
            vectors=normalize(torch.randn(2 * objects, dim), dim=-1),
            object=torch.arange(objects).repeat_interleave(2),
            weights=torch.rand(2 * objects),
            encoder_id="encoder 1",
        ),
        level_names=("s", "größer"),
        encoder_name="embedded",
        background=(0.25, 0.5, 1.0),
        antialiased=True,
        facts={"views": 12, "config": {"engine": "lift"}},
    )


@pytest.fixture
def saved(tmp_path: Path) -> tuple[LagaScene, Path]:
    splats = tmp_path / "scene.ply"
    laga = _laga(_splats())
    write_splats(laga.scene, splats)
    save_laga_scene(laga, laga_path_of(splats), splats=splats)
    return laga, laga_path_of(splats)


def test_what_is_written_is_read(saved: tuple[LagaScene, Path]) -> None:
    laga, path = saved
    assert path.name == "scene.laga.safetensors"
    found = load_laga_scene(path)
    for name in ("gaussian_object", "object_level", "object_masks"):
        assert torch.equal(getattr(found, name), getattr(laga, name))
    for name in ("level_names", "encoder_name", "background", "antialiased", "facts", "encoder_id", "object_count"):
        assert getattr(found, name) == getattr(laga, name)
    assert torch.equal(found.descriptors.object, laga.descriptors.object)
    assert torch.equal(found.descriptors.weights, laga.descriptors.weights)
    # half precision keeps 11 bits
    torch.testing.assert_close(found.descriptors.vectors, laga.descriptors.vectors, atol=2**-11, rtol=0)
    torch.testing.assert_close(found.descriptors.vectors.norm(dim=1), torch.ones(12))
    torch.testing.assert_close(found.scene.means, laga.scene.means)


def test_saving_again_what_was_read_gives_the_same_file(saved: tuple[LagaScene, Path]) -> None:
    _, path = saved
    again = path.with_name("again.laga.safetensors")
    found = load_laga_scene(path)
    save_laga_scene(found, again, splats=path.with_name("scene.ply"))
    once_more = load_laga_scene(again)
    assert torch.equal(once_more.gaussian_object, found.gaussian_object)
    torch.testing.assert_close(once_more.descriptors.vectors, found.descriptors.vectors, atol=2**-11, rtol=0)


def test_twenty_thousand_gaussians_and_a_hundred_objects_are_small(tmp_path: Path) -> None:
    splats = tmp_path / "scene.ply"
    scene = _splats(20_000)
    write_splats(scene, splats)
    laga = dataclasses.replace(
        _laga(scene, objects=100), gaussian_object=torch.randint(-1, 100, (3, 20_000)), level_names=("s", "m", "l"),
        descriptors=ObjectDescriptors(
            vectors=torch.ones(2000, 512), object=torch.arange(100).repeat_interleave(20), weights=torch.ones(2000),
            encoder_id="e",
        ),
    )  # fmt: skip
    save_laga_scene(laga, laga_path_of(splats), splats=splats)
    # 3 x 20,000 x 2 bytes and 100 objects x 20 descriptors x 512 x 2 bytes, and a little
    assert laga_path_of(splats).stat().st_size < 2.3e6


def test_given_splats_are_not_read_again(saved: tuple[LagaScene, Path]) -> None:
    laga, path = saved
    path.with_name("scene.ply").unlink()
    assert load_laga_scene(path, scene=laga.scene).scene is laga.scene
    with pytest.raises(InvalidInputError, match="expected objects of 2 levels and 29 Gaussians"):
        load_laga_scene(path, scene=_splats(29))


def test_other_splats_and_missing_ones_are_refused(saved: tuple[LagaScene, Path]) -> None:
    _, path = saved
    write_splats(_splats(), path.with_name("scene.ply"))
    with pytest.raises(ModelFileError, match="found other splats"):
        load_laga_scene(path)
    path.with_name("scene.ply").unlink()
    with pytest.raises(ModelFileError, match="found no file"):
        load_laga_scene(path)


def test_files_move_together(saved: tuple[LagaScene, Path], tmp_path: Path) -> None:
    laga, path = saved
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in (path.name, "scene.ply"):
        (folder / name).write_bytes((tmp_path / name).read_bytes())
        (tmp_path / name).unlink()
    assert len(load_laga_scene(folder / path.name).scene) == len(laga.scene)


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_cut_files_are_refused(saved: tuple[LagaScene, Path], kept: int) -> None:
    _, path = saved
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match="expected a scene with objects, found"):
        load_laga_scene(path)


def test_missing_files_and_files_of_another_kind_are_refused(saved: tuple[LagaScene, Path], tmp_path: Path) -> None:
    _, path = saved
    with pytest.raises(ModelFileError, match="Run `vision3d train`"):
        load_laga_scene(tmp_path / "none.laga.safetensors")
    with pytest.raises(ModelFileError, match="expected a scene with objects"):
        load_laga_scene(path.with_name("scene.ply"))
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors", metadata={"format": "vision3d mask features 1"})
    with pytest.raises(ModelFileError, match="found 'vision3d mask features 1'"):
        load_laga_scene(tmp_path / "other.safetensors")


@pytest.mark.parametrize("lost", ["descriptor_weights", "splats_sha256"])
def test_files_with_a_part_missing_are_refused(saved: tuple[LagaScene, Path], lost: str) -> None:
    _, path = saved
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != lost}  # noqa: SIM118
        facts = {name: value for name, value in file.metadata().items() if name != lost}
    save_file(tensors, path, metadata=facts)
    with pytest.raises(ModelFileError, match=rf"found no \['{lost}'\]"):
        load_laga_scene(path)


def test_splats_must_lie_beside_the_file(saved: tuple[LagaScene, Path], tmp_path: Path) -> None:
    laga, path = saved
    with pytest.raises(InvalidInputError, match="Expected splats beside"):
        save_laga_scene(laga, tmp_path / "deeper" / path.name, splats=tmp_path / "scene.ply")
    with pytest.raises(InvalidInputError, match="no file"):
        save_laga_scene(laga, path, splats=tmp_path / "none.ply")


def test_more_objects_than_the_file_can_number_are_refused(saved: tuple[LagaScene, Path]) -> None:
    laga, path = saved
    many = dataclasses.replace(
        laga,
        object_level=torch.zeros(2**15, dtype=torch.long),
        object_masks=torch.ones(2**15, dtype=torch.long),
    )
    with pytest.raises(InvalidInputError, match="at most 32767 objects, found 32768"):
        save_laga_scene(many, path, splats=path.with_name("scene.ply"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("level_names", ("s",)),
        ("gaussian_object", torch.full((2, 30), 6)),
    ],
)
def test_parts_that_do_not_fit_are_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match="LagaScene: expected objects"):
        dataclasses.replace(_laga(_splats()), **{field: value})


def test_sizes_of_objects() -> None:
    laga = _laga(_splats(4), objects=3)
    found = dataclasses.replace(laga, gaussian_object=torch.tensor([[0, 0, -1, 0], [2, -1, -1, 2]]))
    assert object_sizes(found).tolist() == [3, 0, 2]

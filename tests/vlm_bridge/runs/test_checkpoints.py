"""Checkpoints: read what was written, and never take a damaged one for good."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_bridge.errors import InvalidInputError, RunFolderError
from vlm_bridge.runs.checkpoints import checkpoint_paths, newest_checkpoint, read_checkpoint, write_checkpoint

_dtypes = st.sampled_from(
    [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool]
)
_shapes = st.lists(st.integers(0, 4), max_size=3)


@given(
    specs=st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), st.tuples(_dtypes, _shapes)
    ),
    state=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.floats(allow_nan=False))),
    step=st.integers(0, 10**9),
)
def test_read_what_was_written(specs: dict, state: dict, step: int) -> None:
    tensors = {name: (torch.rand(tuple(shape)) * 9).to(dtype) for name, (dtype, shape) in specs.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = read_checkpoint(write_checkpoint(Path(folder), step, tensors, state, keep=1))
    assert (found.step, found.state) == (step, state)
    assert found.tensors.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found.tensors[name].dtype == value.dtype
        assert torch.equal(found.tensors[name], value)


def test_views_of_one_memory_and_parameters_can_be_saved(tmp_path: Path) -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    tensors = {"whole": whole, "turned": whole.T, "learnt": torch.nn.Parameter(whole[0])}
    found = read_checkpoint(write_checkpoint(tmp_path, 1, tensors, {}, keep=1))
    assert torch.equal(found.tensors["turned"], whole.T)
    assert torch.equal(found.tensors["learnt"], whole[0])


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 100, 20):
        write_checkpoint(tmp_path, step, {"a": torch.tensor(step)}, {}, keep=2)
    # By number, not by text: 100 is newer than 20.
    assert [path.stem for path in checkpoint_paths(tmp_path)] == ["step_00000100", "step_00000020"]


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "not a checkpoint"])
def test_damaged_one_is_passed_over_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path, 1, {"a": torch.ones(8)}, {}, keep=2)
    path = write_checkpoint(tmp_path, 2, {"a": torch.ones(8)}, {}, keep=2)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes({"cut": content[:-5], "changed": content, "emptied": b"", "not a checkpoint": b"x" * 99}[damage])
    with pytest.raises(RunFolderError, match="step_00000002"):
        read_checkpoint(path)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 1
    assert "step_00000002" in caplog.text


def test_file_of_another_program_is_passed_over(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "step_00000005.safetensors")
    assert newest_checkpoint(tmp_path) is None


def test_kill_before_the_swap_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path, 3, {"a": torch.zeros(1)}, {"mood": "old"}, keep=1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    for step in (3, 4):
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(tmp_path, step, {"a": torch.ones(1)}, {"mood": "new"}, keep=1)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.state == {"mood": "old"}
    assert float(found.tensors["a"]) == 0


def test_empty_folder_has_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "nothing here") is None


@pytest.mark.parametrize(("step", "keep"), [(-1, 1), (1, 0)])
def test_impossible_numbers_are_refused(tmp_path: Path, step: int, keep: int) -> None:
    with pytest.raises(InvalidInputError):
        write_checkpoint(tmp_path, step, {}, {}, keep=keep)
    assert not list(tmp_path.iterdir())

"""Undo and redo: whatever was done, taking it back gives the very same file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.vision3d.scene.random_scenes import random_scene, same_bits
from vision3d.errors import InvalidInputError
from vision3d.export.edit_history import start_editing
from vision3d.export.edits import Duplicate, Edit, Isolate, Move, Recolour, Remove
from vision3d.scene.catalogue import read_splats, write_splats
from vision3d.scene.ply import write_ply

_NUMBERS = st.floats(-3, 3, width=32)
_PLACES = {
    "offset": st.tuples(_NUMBERS, _NUMBERS, _NUMBERS),
    "rotation": st.tuples(st.floats(0.125, 1), _NUMBERS, _NUMBERS, _NUMBERS),
    "scale": st.floats(0.25, 4),
}


def edits(count: int) -> st.SearchStrategy[Edit]:
    """Any edit of the first `count` Gaussians that leaves some of them."""
    chosen = st.lists(st.integers(0, count - 1), min_size=1, max_size=count - 1, unique=True).map(torch.tensor)
    colours = st.tuples(*[st.floats(0, 1)] * 3)
    return st.one_of(
        st.builds(Remove, chosen=chosen),
        st.builds(Isolate, chosen=chosen),
        st.builds(Recolour, chosen=chosen, colour=colours, keep_shading=st.booleans()),
        st.builds(Move, chosen=chosen, **_PLACES),
        st.builds(Duplicate, chosen=chosen, **_PLACES),
    )


@given(st.lists(edits(4), min_size=1, max_size=5), st.integers(0, 3))
def test_undoing_everything_gives_the_same_bits_and_redoing_too(made: list[Edit], degree: int) -> None:
    scene = random_scene(25, sh_degree=degree)
    history = start_editing(scene)
    passed = [history.now]
    for edit in made:
        if len(history.now.scene) < 5:
            break
        history = history.apply(edit)
        passed.append(history.now)
    for state in reversed(passed[:-1]):
        history = history.undo()
        assert same_bits(history.now.scene, state.scene)
    assert same_bits(history.now.scene, random_scene(25, sh_degree=degree))
    for state in passed[1:]:
        history = history.redo()
        assert same_bits(history.now.scene, state.scene)


def test_removing_and_restoring_gives_the_same_file(tmp_path: Path) -> None:
    original = tmp_path / "scene.ply"
    write_ply(random_scene(400, sh_degree=3), original)
    history = start_editing(read_splats(original)).apply(Remove(chosen=torch.arange(50, 90)))
    write_splats(history.now.scene, tmp_path / "removed.ply")
    write_splats(history.undo().now.scene, tmp_path / "restored.ply")
    assert (tmp_path / "restored.ply").read_bytes() == original.read_bytes()
    assert (tmp_path / "removed.ply").stat().st_size < original.stat().st_size


def test_a_new_edit_forgets_what_was_undone() -> None:
    first, second = Remove(chosen=torch.tensor([0])), Isolate(chosen=torch.tensor([0, 1]))
    history = start_editing(random_scene(5)).apply(first).undo()
    assert history.undone == (first,)
    history = history.apply(second)
    assert history.done == (second,)
    assert history.undone == ()
    with pytest.raises(InvalidInputError, match="Undo one first"):
        history.redo()
    with pytest.raises(InvalidInputError, match="as it was read"):
        history.undo().undo()


def test_a_failed_edit_leaves_the_history_as_it_was() -> None:
    history = start_editing(random_scene(5))
    with pytest.raises(InvalidInputError):
        history.apply(Remove(chosen=torch.arange(5)))
    assert history.place == 0
    assert len(history.states) == 1

"""`EditHistory`: edits of a scene one after the other, with undo and redo.

Undo turns nothing back by arithmetic: every state is kept, so what comes back is what was there, bit by bit. Scenes
share what an edit leaves alone (a recolouring keeps one new array), so a history costs what its edits changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vision3d.errors import InvalidInputError
from vision3d.export.edits import Edit, EditedScene, apply_edit, unedited
from vision3d.scene.gaussian_scene import GaussianScene


@dataclass(frozen=True, slots=True, kw_only=True)
class EditHistory:
    """Every state of a scene; a history never changes, its methods give new ones."""

    states: tuple[EditedScene, ...]
    """The unedited scene, and the scene after each edit, undone ones included."""
    edits: tuple[Edit, ...]
    """What led from each state to the next."""
    place: int
    """State that is shown now: how many edits are done."""

    @property
    def now(self) -> EditedScene:
        """The scene as it is shown now."""
        return self.states[self.place]

    @property
    def done(self) -> tuple[Edit, ...]:
        """Edits that are in effect, first to last."""
        return self.edits[: self.place]

    @property
    def undone(self) -> tuple[Edit, ...]:
        """Edits that `redo` would bring back, next one first."""
        return self.edits[self.place :]

    def apply(self, edit: Edit) -> EditHistory:
        """One more edit; edits that were undone are forgotten.

        Raises:
            InvalidInputError: the edit does not fit the scene as it is now.
        """
        state = apply_edit(self.now, edit)
        return EditHistory(
            states=(*self.states[: self.place + 1], state), edits=(*self.done, edit), place=self.place + 1
        )

    def undo(self) -> EditHistory:
        """Without the last edit.

        Raises:
            InvalidInputError: nothing is left to undo.
        """
        if self.place == 0:
            raise InvalidInputError("Expected an edit to undo, found none. The scene is as it was read.")
        return replace(self, place=self.place - 1)

    def redo(self) -> EditHistory:
        """With the edit that was undone last.

        Raises:
            InvalidInputError: nothing was undone, or another edit was made since.
        """
        if self.place == len(self.edits):
            raise InvalidInputError("Expected an undone edit, found none. Undo one first.")
        return replace(self, place=self.place + 1)


def start_editing(scene: GaussianScene) -> EditHistory:
    """A history without edits.

    Example:
        >>> import torch
        >>> from vision3d.export.edits import Remove
        >>> scene = GaussianScene(
        ...     means=torch.zeros(2, 3), quats=torch.ones(2, 4), log_scales=torch.zeros(2, 3),
        ...     opacity_logits=torch.zeros(2), sh=torch.zeros(2, 1, 3),
        ... )
        >>> history = start_editing(scene).apply(Remove(chosen=torch.tensor([0])))
        >>> len(history.now.scene), history.undo().now.scene is scene
        (1, True)
    """
    return EditHistory(states=(unedited(scene),), edits=(), place=0)

"""The few errors of vision3d a caller may act on.

Every message says three things: what was expected, what was found (path, number, shape) and what to do.
"""


class Vision3DError(Exception):
    """Root of every error vision3d raises on purpose."""


class CameraFileError(Vision3DError):
    """A camera file (COLMAP, transforms.json) is missing, cut, or says something impossible."""


class ImageFileError(Vision3DError):
    """A photo is missing, unreadable, or does not fit the camera that claims it."""


class SplatFileError(Vision3DError):
    """A splat file or checkpoint is missing, cut, of another format, or holds impossible values."""


class InvalidInputError(Vision3DError, ValueError):
    """A value given by the caller is out of range, of the wrong shape, or contradicts another one."""


class UnknownViewError(Vision3DError, KeyError):
    """A view was asked for by a name that no camera has."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingDependencyError(Vision3DError, ImportError):
    """An optional package is needed for this call; the message names the `pip install` line."""


class RunFolderError(Vision3DError):
    """A run folder cannot be written, resumed, or does not match the configuration asked for."""


class ModelFileError(Vision3DError):
    """Weights, configuration or features of a model are missing, cut, or belong to another model."""

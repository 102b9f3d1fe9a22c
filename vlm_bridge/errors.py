"""The few errors of vlm_bridge a caller may act on.

Every message says three things: what was expected, what was found (path, number, name) and what to do.
"""


class VlmBridgeError(Exception):
    """Root of every error vlm_bridge raises on purpose."""


class AssetError(VlmBridgeError):
    """An embedded sample or checkpoint is unknown, missing or damaged."""


class RunFolderError(VlmBridgeError):
    """A run folder cannot be written, read, or does not match the configuration asked for."""


class InvalidInputError(VlmBridgeError, ValueError):
    """A value given by the caller is out of range or of a kind that cannot be stored."""


class BackboneError(VlmBridgeError):
    """A backbone cannot be loaded, converted or used as asked: weights, layout, device or precision."""


class MissingExtraError(VlmBridgeError, ImportError):
    """A package of an optional extra is not installed; the message names the line that installs it."""

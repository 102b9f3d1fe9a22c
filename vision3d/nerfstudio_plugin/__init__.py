"""The method `laga` of nerfstudio: configuration, data, model, trainer and viewer panel. Nothing is computed here.

Everything is done by the packages below; this room only brings nerfstudio's cameras, parameters, steps and clicks to
them. It is the only room that imports nerfstudio, of which exactly version 1.1 is meant.
"""

import importlib.util

from vision3d.errors import MissingDependencyError

if importlib.util.find_spec("nerfstudio") is None:
    raise MissingDependencyError(
        "vision3d.nerfstudio_plugin expected nerfstudio 1.1, found none; everything else works without it. "
        "Run: pip install 'vision3d-medseg[nerfstudio]'"
    )

"""The small files of a backbone, in a folder or on the hub, read before anything large is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from vlm_bridge.backbone.conversion.original_checkpoint import ORIGINAL_TYPES
from vlm_bridge.backbone.image_settings import IMAGE_SETTINGS_NAME, PROCESSOR_SETTINGS_NAME, read_tiling
from vlm_bridge.backbone.json_files import read_json_object
from vlm_bridge.errors import BackboneError
from vlm_bridge.images.tile_batch import TilingConfig

LANGUAGES = ("qwen2", "qwen3", "llama")
"""Kinds of language model that a backbone may have."""


def check_config(place: str) -> None:
    """Refuse what is no backbone of transformers' layout.

    Raises:
        BackboneError: the place is unknown or cannot be reached, or holds another model; an original checkpoint is told
            to be converted.
    """
    config = _json(place, "config.json")
    if config is None:
        raise BackboneError(
            f"{place}: expected the folder of a model, found no config.json in it. Name the folder that has one, "
            "a name of `vlm-bridge list`, or OWNER/NAME on the hub."
        )
    kind = config.get("model_type")
    if kind in ORIGINAL_TYPES:
        raise BackboneError(
            f"{place}: expected a checkpoint in the layout of transformers, found an original one ({kind}). "
            f"Run: vlm-bridge convert {place} FOLDER, and load FOLDER."
        )
    text = config.get("text_config")
    language = text.get("model_type") if isinstance(text, dict) else None
    if kind != "internvl" or language not in LANGUAGES:
        raise BackboneError(
            f"{place}: expected a model of type internvl over {', '.join(LANGUAGES)}, found {kind!r} over "
            f"{language!r}. Choose a backbone of `vlm-bridge list`."
        )


def find_tiling(place: str) -> TilingConfig:
    """How the backbone at `place` wants its pictures cut.

    Raises:
        BackboneError: nothing says so, or it is another way than this toolkit's.
    """
    for name in (IMAGE_SETTINGS_NAME, PROCESSOR_SETTINGS_NAME):
        settings = _json(place, name)
        if settings is not None and "size" in settings.get("image_processor", settings):
            return read_tiling(settings, f"{place}/{name}")
    raise BackboneError(
        f"{place}: expected {IMAGE_SETTINGS_NAME} or {PROCESSOR_SETTINGS_NAME} with the size of tiles, found neither. "
        "Download the checkpoint again."
    )


def check_weights(folder: Path) -> None:
    """Refuse a folder whose weights are incomplete or pickled; nothing is read of them.

    Raises:
        BackboneError: as said.
    """
    index = _json(str(folder), "model.safetensors.index.json")
    if index is not None:
        named = {str(name) for name in dict(index.get("weight_map") or {}).values()}
        lacking = sorted(name for name in named if not (folder / name).is_file())
        if lacking or not named:
            raise BackboneError(
                f"{folder}: expected the {len(named)} files of weights its index names, lacking {lacking[:1]}. "
                "Download the checkpoint again."
            )
    elif not (folder / "model.safetensors").is_file():
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        raise BackboneError(
            f"{folder}: expected model.safetensors, found {pickled[0] if pickled else 'no weights'}. "
            + ("Pickled weights can run code and are not read: " if pickled else "")
            + "download the safetensors files."
        )


def _json(place: str, name: str) -> dict[str, Any] | None:
    path = _file(place, name)
    return None if path is None else read_json_object(path)


def _file(place: str, name: str) -> Path | None:
    folder = Path(place)
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    try:
        return Path(hf_hub_download(place, name))
    except HFValidationError as error:
        raise BackboneError(
            f"{place}: expected a folder, a name of `vlm-bridge list`, or OWNER/NAME on the hub, found none of them. "
            "Check the spelling and the path."
        ) from error
    except LocalEntryNotFoundError as error:
        raise BackboneError(
            f"{place}: expected it in the hub's cache or a network to download it, found neither. Check the spelling, "
            "go online, or give the folder of a downloaded copy."
        ) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError) as error:
        raise BackboneError(
            f"{place}: expected to download {name} from the hub, found {type(error).__name__}: {error}. Check the "
            "spelling, log in if the model is gated, or give the folder of a downloaded copy."
        ) from error

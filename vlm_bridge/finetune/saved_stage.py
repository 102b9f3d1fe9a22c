"""`save_stage`: the model as a stage ended, as a folder, with the connector alone where only it learned.

Where an adapter learned, the folder holds it in PEFT's files, what else learned beside them, and not the model.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import save_backbone
from vlm_bridge.backbone.whole_folder import folder_written_whole
from vlm_bridge.connector.connector_file import save_connector
from vlm_bridge.connector.mlp_connector import ConnectorConfig

CONNECTOR_NAME = "connector.safetensors"
"""In the folder of a stage in which nothing but the connector learned."""


def save_stage(backbone: InternVLBackbone, folder: Path, *, connector: bool) -> None:
    """Write the model, its tokenizer and its tiling to `folder`, over what a killed run left there.

    `load_backbone` reads the folder; with `connector` its file is there too, for `load_connector`.
    """
    save_backbone(backbone, folder, overwrite=True)
    if connector:
        config = backbone.model.config
        shape = ConnectorConfig(
            vision_width=config.vision_config.hidden_size,
            language_width=config.text_config.hidden_size,
            ratio=config.downsample_ratio,
            activation=config.projector_hidden_act,
        )
        save_connector(backbone.parts().connector, folder / CONNECTOR_NAME, shape)


def save_adapted_stage(model: Any, folder: Path, *, whole: Collection[str]) -> None:
    """Write the adapter of a `PeftModel`, and the parameters called `whole` that learned beside it, to `folder`.

    `load_adapter` reads the folder; without `whole`, PEFT and transformers do as well.
    """
    from vlm_bridge.adapters.whole_parts import save_whole_parts

    with folder_written_whole(folder, overwrite=True) as partial:
        model.save_pretrained(partial)
        save_whole_parts(model, whole, partial)

"""`save_stage`: the model as a stage ended, as a folder, with the connector alone where only it learned."""

from __future__ import annotations

from pathlib import Path

from vlm_bridge.backbone.internvl import InternVLBackbone
from vlm_bridge.backbone.load import save_backbone
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

"""The method as nerfstudio finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("nerfstudio", reason="needs nerfstudio: pip install 'vision3d-medseg[nerfstudio]'")

import tyro
import yaml
from nerfstudio.configs.dataparser_configs import all_dataparsers
from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion, all_descriptions, all_methods

from vision3d.nerfstudio_plugin.data_parser import Vision3dDataParserConfig
from vision3d.nerfstudio_plugin.laga_model import LagaModelConfig
from vision3d.nerfstudio_plugin.method import method_config


def test_nerfstudio_finds_method_and_data_parser() -> None:
    assert isinstance(all_methods["laga"].pipeline.model, LagaModelConfig)
    assert "words" in all_descriptions["laga"]
    assert isinstance(all_dataparsers["vision3d-data"], Vision3dDataParserConfig)


def test_the_defaults_suit_the_machine() -> None:
    laptop, card = method_config(cuda=False), method_config(cuda=True)
    assert laptop.machine.device_type == "cpu"
    assert card.machine.device_type == "cuda"
    assert card.pipeline.datamanager.max_side > laptop.pipeline.datamanager.max_side
    assert not laptop.mixed_precision


def test_the_command_line_reaches_every_setting() -> None:
    config = tyro.cli(
        AnnotatedBaseConfigUnion,
        args=[
            "laga", "--data", "photos", "--pipeline.model.start", "scene.ply", "--pipeline.model.objects.masks", "sam2",
            "--pipeline.model.fit.mcmc.gaussian-cap", "99000", "--pipeline.model.objects.laga.engine", "trained",
            "vision3d-data", "--test-every", "0",
        ],
    )  # fmt: skip
    assert config.pipeline.model.start == Path("scene.ply")
    assert config.pipeline.model.fit.mcmc.gaussian_cap == 99000
    assert config.pipeline.model.objects.laga.engine == "trained"
    assert config.pipeline.datamanager.dataparser.test_every == 0


def test_a_configuration_comes_back_from_its_file() -> None:
    config = method_config(cuda=False)
    assert yaml.load(yaml.dump(config), Loader=yaml.Loader) == config


def test_no_metric_with_weights_of_its_own_is_built() -> None:
    import vision3d.nerfstudio_plugin.laga_model as module

    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert "super().populate_modules" not in source
    assert "lpips" not in {name.rpartition(".")[2] for name in sys.modules}

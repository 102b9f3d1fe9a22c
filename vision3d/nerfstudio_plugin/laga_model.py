"""`LagaModel`: splats as nerfstudio's trainer, viewer, `ns-render` and `ns-export` know them.

It passes for a splatfacto model, which the exporter and the viewer ask for by type, and keeps its parameter names.
Nothing of splatfacto is built: its metrics download weights and its rasteriser needs CUDA. Rendering, loss and
densification are vision3d's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import OrientedBox
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.models.base_model import Model, ModelConfig
from nerfstudio.models.splatfacto import SplatfactoModel
from torch import Tensor

from vision3d.cameras.point_cloud import PointCloud
from vision3d.errors import InvalidInputError
from vision3d.laga.train_scene import KEPT_FOLDER
from vision3d.nerfstudio_plugin.ask_panel import AskPanel
from vision3d.nerfstudio_plugin.decomposition import Decomposition, DecompositionConfig, ScenePlace
from vision3d.nerfstudio_plugin.frames import camera_batch_of, in_training_frame, nerfstudio_run_of
from vision3d.nerfstudio_plugin.live_answers import LiveAnswers
from vision3d.nerfstudio_plugin.photo_datamanager import FILE_FRAME, OUTPUTS, POSED
from vision3d.nerfstudio_plugin.splatfacto_state import fill, rename_saved, to_splatfacto
from vision3d.reconstruction.densification.catalogue import make_densifier
from vision3d.reconstruction.densification.densifier import DensifyStep
from vision3d.reconstruction.fit_config import FitConfig
from vision3d.reconstruction.fit_gaussians import background_of_step, learning_rate_of_means, splat_loss
from vision3d.reconstruction.fit_scene import WHITE
from vision3d.reconstruction.image_metrics import psnr, ssim
from vision3d.reconstruction.initial_scene import focus_distance, initial_scene
from vision3d.reconstruction.splat_parameters import Parameters, parameters_of, scene_of
from vision3d.rendering.render_views import RenderedViews, render_views
from vision3d.rendering.renderer import RasterOptions
from vision3d.scene.bounds import scene_scale
from vision3d.scene.catalogue import read_splats
from vision3d.scene.checkpoints import read_nerfstudio_run
from vision3d.scene.gaussian_scene import GaussianScene
from vision3d.scene.selection import select_gaussians, with_sh_degree

_RENDERED_NAME = "view"
_ON_WHITE = "on_white"
"""Entry of a checkpoint: whether the photos had alpha, and so stand on white."""


@dataclass
class LagaModelConfig(ModelConfig):
    """Settings of splats and objects."""

    _target: type = field(default_factory=lambda: LagaModel)
    fit: FitConfig = field(default_factory=FitConfig)
    """How splats are fitted. Its number of steps is --max-num-iterations, checkpoints come every --steps-per-save."""
    start: Path | None = None
    """Splats to start from instead of training: PLY, .splat, .spz or .ksplat in the frame of the camera file, or a
    nerfstudio run folder or checkpoint."""
    objects: DecompositionConfig = field(default_factory=DecompositionConfig)
    """How the scene is taken apart."""

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics as kept; splatfacto means something else by 0."""
        return max(1, self.fit.sh_degree)


class LagaModel(SplatfactoModel):
    """Splats that are trained, taken apart into objects, and asked in words."""

    config: LagaModelConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def populate_modules(self) -> None:
        """Make the splats of the start; nothing of splatfacto's own."""
        cameras = self.kwargs["metadata"][POSED].cameras
        self.extent = scene_scale(cameras.camera_centres) or focus_distance(cameras)
        scene = self._given_scene() or self._initial_scene()
        degree = max(self.config.sh_degree, scene.sh_degree)
        self.splats = torch.nn.ParameterDict(parameters_of(with_sh_degree(scene, degree)))
        self.register_buffer(_ON_WHITE, torch.tensor(False))
        self.register_state_dict_post_hook(_save_as_splatfacto)
        self.fit = self.config.fit
        self.step = 0
        self.crop_box: OrientedBox | None = None
        self.answers = LiveAnswers()
        self.panel = AskPanel(self.answers, cameras)
        self._projected: RenderedViews | None = None

    @property
    def gauss_params(self) -> dict[str, Tensor]:
        """The splats as splatfacto names and shapes them, which all its other properties read."""
        return to_splatfacto(self.parameters_of_splats)

    @property
    def parameters_of_splats(self) -> Parameters:
        """The trained parameters by our names."""
        return dict(self.splats.items())

    @property
    def background(self) -> Tensor:
        """Colour behind the scene; photos with alpha stand on white."""
        return torch.tensor(WHITE if self.on_white else self.config.fit.background, device=self.device)

    def snapshot(self) -> GaussianScene:
        """A copy of the present splats that training leaves alone."""
        return scene_of(parameters_of(scene_of(self.parameters_of_splats))).detach()

    def set_background(self, background_color: Tensor) -> None:
        """The viewer's colour is not taken: the scene is shown on the colour it is fitted on."""

    def load_state_dict(self, state_dict: Any, **kwargs: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take the parameters of a checkpoint, whatever their number; optimisers keep pointing at them."""
        fill(self.parameters_of_splats, state_dict)
        self.on_white.fill_(bool(state_dict.get(_ON_WHITE, False)))

    def update_to_step(self, step: int) -> None:
        """A checkpoint of this step is loaded."""
        self.step = step

    def get_param_groups(self) -> dict[str, list[torch.nn.Parameter]]:
        """One group per parameter."""
        return {name: [value] for name, value in self.splats.items()}

    def get_outputs(self, camera: Cameras) -> dict[str, Tensor]:
        """The picture of one camera; outside of training also depth and the layers of the answer."""
        cameras = camera_batch_of(camera, [_RENDERED_NAME] * camera.shape[0]).to(self.device)
        if self.training:
            return self._training_picture(cameras)
        scene = scene_of(self.parameters_of_splats).detach()
        if self.crop_box is not None:
            scene = select_gaussians(scene, self.crop_box.within(scene.means).flatten())
        width, height = cameras.uniform_size
        if not len(scene):
            return self.get_empty_outputs(width, height, self.background)
        drawn = self._render(scene, cameras, self.background, with_depth=True)
        rgb = drawn.colour[0].clamp(0, 1)
        outputs = {"rgb": rgb, "accumulation": drawn.alpha[0, ..., None]}
        if drawn.depth is not None:
            outputs["depth"] = drawn.depth[0, ..., None]
        return outputs | self.answers.layers(cameras, rgb)

    def get_metrics_dict(self, outputs: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """PSNR and the number of Gaussians."""
        measured = psnr(outputs["rgb"].detach(), self._photo(batch))
        return {"psnr": torch.tensor(measured), "gaussian_count": torch.tensor(len(self.splats["means"]))}

    def get_loss_dict(
        self, outputs: dict[str, Tensor], batch: dict[str, Tensor], metrics_dict: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The loss of `vision3d fit`."""
        colour, truth = outputs["rgb"][None], self._photo(batch)[None]
        return {"loss": splat_loss(colour, truth, self.parameters_of_splats, self.fit, self.extent)}

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """PSNR and SSIM of a held-out view, without LPIPS, whose weights would be downloaded."""
        truth, found = self._photo(batch), outputs["rgb"]
        measured = {"psnr": psnr(found, truth), "ssim": float(ssim(found[None], truth[None]))}
        return measured, {"img": torch.cat([truth, found], 1)}

    def get_training_callbacks(
        self, training_callback_attributes: TrainingCallbackAttributes
    ) -> list[TrainingCallback]:
        """Before and after each step, and at the end."""
        trainer, pipeline = training_callback_attributes.trainer, training_callback_attributes.pipeline
        optimisers = training_callback_attributes.optimizers
        if trainer is None or optimisers is None or pipeline is None:
            raise InvalidInputError("LagaModel: expected nerfstudio's trainer, found none. Train by ns-train.")
        photos = pipeline.datamanager.photos
        self.on_white.fill_(photos.alpha is not None)
        self._planned = trainer.total_steps
        self.fit = replace(self.config.fit, steps=max(1, trainer.total_steps))
        self._densifier = make_densifier(
            self.fit.densifier, (self.fit.mcmc, self.fit.default), steps=self.fit.steps, seed=self.fit.seed,
            scene_scale=self.extent,
        )  # fmt: skip
        place = ScenePlace(
            photos=photos, run=trainer.base_dir, kept=trainer.base_dir.parent.parent / KEPT_FOLDER,
            device=self.device.type, background=tuple(self.background.tolist()), antialiased=self.fit.antialiased,
        )  # fmt: skip
        self._decomposition = Decomposition(place, self.config.objects, self.answers.publish)
        steps = {TrainingCallbackLocation.BEFORE_TRAIN_ITERATION: self._before_step,
                 TrainingCallbackLocation.AFTER_TRAIN_ITERATION: self._after_step,
                 TrainingCallbackLocation.AFTER_TRAIN: self._after_training}  # fmt: skip
        return [TrainingCallback([where], what, args=[optimisers.optimizers]) for where, what in steps.items()]

    def _before_step(self, optimisers: dict[str, torch.optim.Optimizer], step: int) -> None:
        self.step = step
        optimisers["means"].param_groups[0]["lr"] = learning_rate_of_means(self.fit, self.extent, step)
        self._decomposition.check()

    def _after_step(self, optimisers: dict[str, torch.optim.Optimizer], step: int) -> None:
        drawn, parameters = self._projected, self.parameters_of_splats
        if drawn is None:
            raise InvalidInputError("LagaModel: expected a training view before the step ends, found none.")
        at = DensifyStep(
            step=step, means_rate=learning_rate_of_means(self.fit, self.extent, step), projection=drawn.projection,
            width=drawn.colour.shape[2], height=drawn.colour.shape[1],
        )  # fmt: skip
        self._densifier.after_backward(parameters, optimisers, at)
        self._densifier.after_step(parameters, optimisers, at)
        for name, value in parameters.items():
            if self.splats[name] is not value:
                self.splats[name] = value
        if step + 1 in {round(share * self.fit.steps) for share in self.config.objects.at if share < 1}:
            self._decomposition.submit(self.snapshot(), step + 1)

    def _after_training(self, optimisers: dict[str, torch.optim.Optimizer], step: int) -> None:
        self._projected = None
        self._decomposition.submit(self.snapshot(), min(step + 1, self._planned))
        self._decomposition.finish()

    def _training_picture(self, cameras: Any) -> dict[str, Tensor]:
        degree = min(self.step // self.fit.sh_every, self.fit.sh_degree)
        scene = scene_of(self.parameters_of_splats, sh_degree=degree)
        background = background_of_step(self.step, self.fit, self.background, opaque=not self.on_white)
        drawn = self._render(scene, cameras, background, with_depth=False)
        if self._densifier.needs_means2d_gradient:
            drawn.projection.means2d.retain_grad()
        self._projected = drawn
        return {"rgb": drawn.colour[0], "accumulation": drawn.alpha[0, ..., None]}

    def _render(self, scene: GaussianScene, cameras: Any, background: Tensor, *, with_depth: bool) -> RenderedViews:
        options = RasterOptions(antialiased=self.fit.antialiased)
        return render_views(scene, cameras, background=background, with_depth=with_depth, options=options)

    def _photo(self, batch: dict[str, Tensor]) -> Tensor:
        image = batch["image"].to(self.device)
        return image.float() / 255.0 if image.dtype == torch.uint8 else image[..., :3].float()

    def _given_scene(self) -> GaussianScene | None:
        """The splats to start from, in the frame of the cameras."""
        if self.config.start is None:
            return None
        start, metadata = self.config.start, self.kwargs["metadata"]
        run = nerfstudio_run_of(start)
        if run is None:
            return in_training_frame(read_splats(start), metadata[OUTPUTS], metadata[FILE_FRAME])
        found = read_nerfstudio_run(run, undo_dataparser=True, checkpoint=start if start.is_file() else None)
        return in_training_frame(found, metadata[OUTPUTS])

    def _initial_scene(self) -> GaussianScene:
        fit, points = self.config.fit, None
        if self.seed_points is not None:
            points = PointCloud(positions=self.seed_points[0].float(), colours=self.seed_points[1].float() / 255.0)
        return initial_scene(
            points, self.kwargs["metadata"][POSED].cameras, count=fit.initial_count, sh_degree=fit.sh_degree,
            opacity=fit.initial_opacity, scale_factor=fit.initial_scale, seed=fit.seed,
        )  # fmt: skip


def _save_as_splatfacto(module: Model, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    rename_saved(state, folder="splats.", prefix=prefix)

"""The `Renderer` protocol and the types that cross it.

A renderer turns `Splats` (Gaussians after activation) and per-Gaussian channels into images, and answers which
Gaussian contributed how much to which pixel. All members share one set of conventions, so they can be exchanged and
compared number by number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from vision3d.cameras.camera_batch import CameraBatch
from vision3d.errors import InvalidInputError

ALPHA_MIN = 1.0 / 255.0
"""Samples with a smaller alpha are skipped."""
ALPHA_MAX = 0.999
"""Alpha is capped here; beyond it opacity and geometry get no gradient from the sample."""
TRANSMITTANCE_MIN = 1e-4
"""A pixel stops before the splat that would take its transmittance to this value or below."""
EXTENT_SIGMAS_MAX = 3.33
"""A splat reaches at most this many standard deviations (less where its opacity is low)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splats:
    """Gaussians after activation, ready to be projected."""

    means: Float[Tensor, "gaussian 3"]
    """Centres, world units."""
    quats: Float[Tensor, "gaussian 4"]
    """Rotations w, x, y, z; normalised inside the renderer."""
    scales: Float[Tensor, "gaussian 3"]
    """Standard deviations along the local axes, world units, positive."""
    opacities: Float[Tensor, " gaussian"]
    """Opacities in 0-1."""

    def __len__(self) -> int:
        return int(self.means.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterOptions:
    """How splats are projected and composited."""

    near: float = 0.01
    """Nearest camera depth drawn, world units."""
    far: float = 1e10
    """Farthest camera depth drawn, world units."""
    radius_clip: float = 0.0
    """Splats whose radius is at most this many pixels on both axes are dropped."""
    eps2d: float = 0.3
    """Low-pass term added to the diagonal of the 2D covariance, square pixels."""
    antialiased: bool = False
    """Scale opacity by the area the low-pass term added (Mip-Splatting's 2D filter)."""
    absgrad: bool = False
    """Also sum absolute positional gradients over pixels, into `means2d.absgrad`."""

    def __post_init__(self) -> None:
        if not 0 < self.near < self.far:
            raise InvalidInputError(f"RasterOptions: expected 0 < near < far, found near={self.near}, far={self.far}.")
        if self.eps2d < 0 or self.radius_clip < 0:
            raise InvalidInputError(
                f"RasterOptions: expected eps2d and radius_clip >= 0, found {self.eps2d} and {self.radius_clip}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Where each Gaussian lands in each view. Rows of culled Gaussians have radius 0 and values 0."""

    means2d: Float[Tensor, "view gaussian 2"]
    """Centres in pixels; part of the autograd graph, so `retain_grad()` gives densification its signal."""
    radii: Int[Tensor, "view gaussian 2"]
    """Half-extent of the splat along x and y in pixels, 0 = not drawn."""
    depths: Float[Tensor, "view gaussian"]
    """Camera z, world units."""
    conics: Float[Tensor, "view gaussian 3"]
    """Inverse 2D covariance as (xx, xy, yy), per square pixel."""
    opacities: Float[Tensor, "view gaussian"]
    """Opacities as composited (compensated in antialiased mode)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rasterization:
    """Composited channels of each view."""

    channels: Float[Tensor, "view height width dim"]
    """Sum over splats of weight x channel, plus transmittance x background."""
    alpha: Float[Tensor, "view height width"]
    """1 - final transmittance."""
    depth: Float[Tensor, "view height width"] | None
    """Sum over splats of weight x camera z (not divided by alpha), where it was asked for."""
    projection: Projection
    """The splats behind the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendingWeights:
    """The blending weights of one view as a sparse matrix [pixel gaussian] in CSR form.

    Pixels are row-major (row = y * width + x). Inside a row, entries run front to back. With geometry frozen,
    `image = W @ channels` replaces the rasteriser.
    """

    row_offsets: Int[Tensor, " pixel_plus_one"]
    """Start of each pixel's entries; int64."""
    gaussians: Int[Tensor, " entry"]
    """Gaussian of each entry; int32."""
    weights: Float[Tensor, " entry"]
    """alpha x transmittance of each entry, > 0."""
    height: int
    """Rows of the image."""
    width: int
    """Columns of the image."""
    gaussian_count: int
    """Columns of the matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWeights:
    """How much of each label's pixels every Gaussian painted, summed over the views given."""

    per_label: Float[Tensor, "gaussian label"]
    """Sum of blending weights over pixels that carry the label."""
    total: Float[Tensor, " gaussian"]
    """Sum of blending weights over all pixels, labelled or not."""
    pixel_counts: Int[Tensor, " gaussian"]
    """Number of pixels the Gaussian contributed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopContributors:
    """The k Gaussians with the largest blending weight at each pixel, largest first."""

    gaussians: Int[Tensor, "view height width k"]
    """Gaussian rows; -1 where fewer than k contributed. Equal weights: the nearer Gaussian first."""
    weights: Float[Tensor, "view height width k"]
    """Their blending weights; 0 where gaussians is -1."""


@runtime_checkable
class Renderer(Protocol):
    """What every renderer can do. All tensors of one call live on one device; views share one image size."""

    name: str

    def rasterize(
        self,
        splats: Splats,
        cameras: CameraBatch,
        channels: Float[Tensor, "*channel_view gaussian dim"],
        *,
        background: Float[Tensor, "*background_view dim"] | None = None,
        with_depth: bool = False,
        options: RasterOptions = RasterOptions(),
    ) -> Rasterization:
        """Composite per-Gaussian `channels` ([gaussian dim], or [view gaussian dim]); differentiable.

        Gradients reach means, quats, scales, opacities, channels, background and `projection.means2d`.
        """
        ...

    def sh_to_colours(
        self,
        sh: Float[Tensor, "gaussian coefficient 3"],
        means: Float[Tensor, "gaussian 3"],
        camera_centres: Float[Tensor, "view 3"],
        *,
        degree: int,
    ) -> Float[Tensor, "view gaussian 3"]:
        """max(SH(direction from camera to Gaussian) + 0.5, 0); bands above `degree` are ignored; differentiable."""
        ...

    def blending_weights(
        self, splats: Splats, cameras: CameraBatch, *, options: RasterOptions = RasterOptions()
    ) -> tuple[BlendingWeights, ...]:
        """One sparse matrix of blending weights per view (no gradient)."""
        ...

    def label_weights(
        self,
        splats: Splats,
        cameras: CameraBatch,
        labels: Int[Tensor, "view height width"],
        *,
        label_count: int,
        options: RasterOptions = RasterOptions(),
    ) -> LabelWeights:
        """Blending weight of each Gaussian per pixel label, summed over views; label -1 = none (no gradient)."""
        ...

    def top_contributors(
        self, splats: Splats, cameras: CameraBatch, *, k: int, options: RasterOptions = RasterOptions()
    ) -> TopContributors:
        """The k strongest Gaussians of every pixel (no gradient)."""
        ...

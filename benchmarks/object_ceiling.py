"""What a perfect choice of object would reach: `python -m benchmarks.object_ceiling [--scenes tabletop 900001 ...]`.

For every thing of a scene the best object of any level, by mean IoU over the held-out views that show at least 30 of
its pixels. No words are asked: this is the ceiling of `language_queries` with the objects an engine makes, and the
figure to look at when an engine is changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.sparse import csr_array

from benchmarks.language_queries import Prepared, features_of, masks_of, prepare
from vision3d.evaluation.instance_scene import read_instance_ids
from vision3d.laga.laga_scene import LagaScene
from vision3d.laga.object_looks import Looks
from vision3d.laga.train_config import ENGINES, TrainLagaConfig
from vision3d.laga.train_laga import train_laga
from vision3d.language.catalogue import load_encoder
from vision3d.rendering.catalogue import choose_renderer
from vision3d.rendering.render_views import splats_of

_LEAST_PIXELS = 30
_PAINTED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best object of one thing."""

    iou: float
    level: str


def best_objects(prepared: Prepared, laga: LagaScene) -> dict[int, Best]:
    """Of every thing seen well in a held-out view, by its instance id."""
    truth = np.stack([read_instance_ids(prepared.folder, view).numpy().ravel() for view in prepared.test])
    found: dict[int, Best] = {}
    shares = [_painted_shares(prepared, laga, view) for view in prepared.test]
    for number in range(1, int(truth.max()) + 1):
        seen = [view for view in range(len(truth)) if (truth[view] == number).sum() >= _LEAST_PIXELS]
        if seen:
            ious = np.mean([_ious(shares[view] >= _PAINTED, truth[view] == number) for view in seen], axis=0)
            best = int(ious.argmax())
            level = laga.level_names[int(laga.object_level[best])]
            found[number] = Best(iou=float(ious[best]), level=level)
    return found


def _painted_shares(prepared: Prepared, laga: LagaScene, view: str) -> Float[ndarray, "pixel object"]:
    camera = prepared.photos.cameras.select([view])
    weights = choose_renderer(laga.scene.device).blending_weights(splats_of(laga.scene), camera)[0]
    parts = (weights.weights.numpy(), weights.gaussians.numpy(), weights.row_offsets.numpy())
    blending = csr_array(parts, shape=(len(weights.row_offsets) - 1, len(laga.scene)))
    owners = laga.gaussian_object.numpy()
    level, gaussian = np.nonzero(owners >= 0)
    ones = np.ones(len(gaussian), np.float32)
    # an object is on one level only, so no Gaussian is counted twice for it
    membership = csr_array((ones, (gaussian, owners[level, gaussian])), shape=(len(laga.scene), laga.object_count))
    return np.asarray((blending @ membership).todense())


def _ious(painted: Bool[ndarray, "pixel object"], true: Bool[ndarray, " pixel"]) -> Float[ndarray, " object"]:
    shared = painted[true].sum(0)
    return shared / (painted.sum(0) + true.sum() - shared)


def _rows(name: str, sources: Sequence[str], engines: Sequence[str], assigns: Sequence[str]) -> None:
    prepared, encoder = prepare(name), load_encoder("embedded")
    rows = [prepared.photos.cameras.names.index(view) for view in prepared.train]
    looks = Looks(images=prepared.photos.images[rows], encoder=encoder)
    for source in sources:
        masks = masks_of(prepared, source)
        features = features_of(prepared, masks, encoder)
        for engine in engines:
            for assign in assigns if engine == "trained" else ("masks",):
                config = TrainLagaConfig(engine=engine)  # type: ignore[arg-type]
                config = replace(config, trained=replace(config.trained, assign_by=assign))
                laga = train_laga(prepared.scene, prepared.photos.cameras, masks, features, config=config, looks=looks)
                found = best_objects(prepared, laga)
                ious = np.array([best.iou for best in found.values()])
                levels = ", ".join(
                    f"{level} {sum(best.level == level for best in found.values())}" for level in laga.level_names
                )
                print(
                    f"| {name} | {source} | {engine} | {assign} | {ious.mean():.3f} | {ious.min():.2f} | {levels} |",
                    flush=True,
                )


def main() -> None:
    """Print one row per scene, masks and engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", default=["tabletop"])
    parser.add_argument("--masks", nargs="+", default=["contours", "truth"])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--assign-by", nargs="+", default=["masks"], choices=("masks", "features"))
    asked = parser.parse_args()
    print("| scene | masks | engine | assigned by | mean best IoU | lowest | best objects by level |\n|" + "---|" * 7)
    for name in asked.scenes:
        _rows(name, asked.masks, asked.engines, asked.assign_by)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()

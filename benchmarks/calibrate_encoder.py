"""From where on a phrase is found: `python -m benchmarks.calibrate_encoder [--write]`.

Asks every phrase of scenes neither in the training of the encoder nor in the benchmark of queries, with the embedded
proposer's masks and with the true ones, and compares the relevance of what is there with that of what is not.
`--write` puts the two thresholds into the configuration of the embedded encoder and renews the manifest.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from benchmarks.language_queries import features_of, masks_of, prepare
from vision3d.laga.object_looks import Looks
from vision3d.laga.query_config import QueryConfig
from vision3d.laga.query_scene import SceneQueries
from vision3d.laga.train_laga import train_laga
from vision3d.language.catalogue import load_encoder
from vision3d.language.image_text_encoder import ImageTextEncoder
from vlm_bridge.assets import asset_path, write_manifest_entry

_SCENES = ("910001", "910002", "910003", "910004")
_MASKS = ("contours", "truth")
_ASSET = "clip_tiny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relevances:
    """Weighted relevance of the best object of every phrase."""

    present: Float[ndarray, " phrase"]
    absent: Float[ndarray, " phrase"]


def relevances(name: str, source: str, encoder: ImageTextEncoder) -> Relevances:
    """Of one scene taken apart by `lift`."""
    prepared = prepare(name)
    masks = masks_of(prepared, source)
    rows = [prepared.photos.cameras.names.index(view) for view in prepared.train]
    looks = Looks(images=prepared.photos.images[rows], encoder=encoder)
    features = features_of(prepared, masks, encoder)
    laga = train_laga(prepared.scene, prepared.photos.cameras, masks, features, looks=looks)
    queries = SceneQueries(laga, encoder, config=QueryConfig(uncertain_relevance=0.0))
    truth = prepared.truth
    present = sorted({one.phrase for one in truth.truths})
    return Relevances(
        present=np.array([queries.text(phrase).relevance for phrase in present]),
        absent=np.array([queries.text(phrase).relevance for phrase in truth.absent]),
    )


def thresholds(measured: list[Relevances]) -> tuple[float, float]:
    """From where on a phrase is found, and from where on it is uncertain.

    Found: above 98 % of what is absent. Uncertain: so that 95 % of what is present is answered; present phrases are
    many, so this quantile is steady, and how much of what is absent is refused is what the encoder is worth.
    """
    present, absent = (np.concatenate([getattr(one, side) for one in measured]) for side in ("present", "absent"))
    uncertain = float(np.quantile(present, 0.05, method="lower"))
    found = float(np.nextafter(np.quantile(absent, 0.98, method="higher"), 1))
    return max(found, uncertain), uncertain


def main() -> None:
    """Print the shares, and write the thresholds where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", default=list(_SCENES))
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    encoder = load_encoder("embedded")
    measured = {(name, source): relevances(name, source, encoder) for name in asked.scenes for source in _MASKS}
    found, uncertain = (round(value, 3) for value in thresholds(list(measured.values())))
    print(
        f"found from {found}, uncertain from {uncertain}\n\n| scene | masks | refused | answered |\n|---|---|---|---|"
    )
    for (name, source), one in measured.items():
        refused, answered = (one.absent < uncertain).mean(), (one.present >= uncertain).mean()
        print(f"| {name} | {source} | {refused:.0%} of {len(one.absent)} | {answered:.0%} of {len(one.present)} |")
    if asked.write:
        path = asset_path(_ASSET) / "open_clip_config.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["preprocess_cfg"] |= {"found_relevance": found, "uncertain_relevance": uncertain}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        write_manifest_entry(
            _ASSET, sorted(path.parent.iterdir()),
            source="trained by data/recipes/clip_tiny on household scenes rendered by data/recipes/household",
            licence="Apache-2.0", made_by="python -m data.recipes.clip_tiny",
        )  # fmt: skip


if __name__ == "__main__":
    main()

"""Files broken at random, the same ones for the same seed: bytes changed, cut, doubled, and header numbers blown up."""

from __future__ import annotations

import gzip
import io
import random
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from PIL import Image

from medseg.errors import MedSegError
from medseg.io.limits import ReadLimits
from medseg.io.read_dicom_seg import read_dicom_seg
from medseg.io.read_rtstruct import read_rtstruct
from medseg.io.read_study import ReadOptions, list_series, read_study
from medseg.io.write_dicom_seg import write_dicom_seg
from medseg.io.write_rtstruct import write_rtstruct
from medseg.study.volume import Volume
from tests.medseg.made_series import noise, straight_positions, write_enhanced, write_slices
from tests.medseg.report.made_results import finding, result

LIMITS = ReadLimits(voxel_bytes=2**28)
"""Enough for each seed file, and little enough for a small machine."""


def seed_files(folder: Path) -> dict[str, bytes]:
    """Small whole files: name of the kind -> content."""
    found = {}
    for name, syntax in (("plain", None), ("rle", "1.2.840.10008.1.2.5"), ("j2k", "1.2.840.10008.1.2.4.90")):
        made = write_slices(
            folder / name,
            noise(1, 64, 64),
            straight_positions(1),
            change=None if syntax is None else lambda made, _, syntax=syntax: made.compress(syntax),
        )
        found[f"{name}.dcm"] = next(made.iterdir()).read_bytes()
    found["enhanced.dcm"] = write_enhanced(
        folder / "enhanced.dcm", noise(4), straight_positions(4), [1.0, 1.0, 2.0, 1.0]
    ).read_bytes()
    volume = nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 99, (9, 8, 7)).astype(np.int16), np.eye(4))
    found["volume.nii"] = volume.to_bytes()
    found["volume.nii.gz"] = gzip.compress(volume.to_bytes(), mtime=0)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    for ending in ("png", "jpg", "tif"):
        content = io.BytesIO()
        picture.save(content, format={"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}[ending])
        found[f"picture.{ending}"] = content.getvalue()
    deep = io.BytesIO()
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)).save(deep, format="PNG")
    found["deep.png"] = deep.getvalue()
    itk = sitk.GetImageFromArray(np.random.default_rng(2).integers(0, 99, (5, 6, 7)).astype(np.int16))
    for name, packed in (("packed.nrrd", True), ("plain.nrrd", False), ("packed.mha", True)):
        sitk.WriteImage(itk, str(folder / name), packed)
        found[name] = (folder / name).read_bytes()
    nibabel.save(nibabel.MGHImage(np.ones((4, 5, 6), np.float32), np.eye(4)), folder / "surface.mgz")
    found["surface.mgz"] = (folder / "surface.mgz").read_bytes()
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", found["plain.dcm"])
        archive.writestr("b.png", found["picture.png"])
    found["bundle.zip"] = bundle.getvalue()
    return found


def mutated(content: bytes, draw: random.Random, reach: int = 700) -> bytes:
    """The content broken in one to four ways, most of them within `reach`, where the header is."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        if not data:
            break
        at = draw.randrange(min(len(data), reach)) if draw.random() < 0.7 else draw.randrange(len(data))
        way = draw.randrange(6)
        if way == 0:
            data[at] = draw.randrange(256)
        elif way == 1:
            data[at : at + 4] = draw.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
        elif way == 2:
            del data[at:]
        elif way == 3:
            data[at:at] = data[at : at + draw.randint(1, 64)]
        elif way == 4:
            data[at : at + draw.randint(1, 32)] = b""
        else:
            data[at : at + 8] = draw.randbytes(8)
    return bytes(data)


def broken_files(folder: Path, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` broken files with the name each is to have."""
    seeds = list(seed_files(folder).items())
    draw = random.Random(seed)
    for number in range(count):
        name, content = seeds[number % len(seeds)]
        yield name, mutated(content, draw)


def read_outcome(path: Path) -> tuple[str, float, BaseException | None]:
    """`read`, the name of our error, or `FOREIGN` with the exception; and seconds taken."""
    return _outcome(lambda: _read(path))


def _outcome(job: Callable[[], None]) -> tuple[str, float, BaseException | None]:
    start = time.perf_counter()
    # A future holds whatever is raised, of any kind.
    with ThreadPoolExecutor(max_workers=1) as pool:
        error = pool.submit(job).exception()
    seconds = time.perf_counter() - start
    if error is None:
        return "read", seconds, None
    kind = type(error).__name__
    return kind if isinstance(error, MedSegError) else f"FOREIGN {kind}", seconds, error


OBJECTS = ("seg", "labelmap", "rtstruct")
"""Kinds of DICOM objects that belong to images."""


def images_of_objects(folder: Path) -> Volume:
    """The volume the objects of `seed_objects` belong to."""
    return read_study(write_slices(folder / "images", noise(5, 24, 20), straight_positions(5))).volume


def seed_objects(folder: Path, volume: Volume) -> dict[str, bytes]:
    """Small whole segmentations and a structure set of the volume: name of the kind -> content."""
    one, other = np.zeros(volume.shape, dtype=bool), np.zeros(volume.shape, dtype=bool)
    one[3:12, 4:15, 1:4], other[14:18, 2:9, 0:2] = True, True
    answer = result(volume, [finding(volume, "liver", one), finding(volume, "spleen", other)])
    write_dicom_seg(folder / "seg.dcm", answer)
    write_dicom_seg(folder / "labelmap.dcm", answer, kind="labelmap")
    write_rtstruct(folder / "rtstruct.dcm", answer)
    return {f"{kind}.dcm": (folder / f"{kind}.dcm").read_bytes() for kind in OBJECTS}


def broken_objects(seeds: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` broken objects with the name each is to have."""
    draw = random.Random(seed)
    kinds = list(seeds.items())
    for number in range(count):
        name, content = kinds[number % len(kinds)]
        yield name, mutated(content, draw, reach=3 * len(content) // 4)


def object_outcome(path: Path, kind: str, volume: Volume) -> tuple[str, float, BaseException | None]:
    """As `read_outcome`, of a segmentation or structure set read onto `volume`."""
    return _outcome(lambda: _read_object(path, kind, volume))


def _read_object(path: Path, kind: str, volume: Volume) -> None:
    reader = read_rtstruct if kind.startswith("rtstruct") else read_dicom_seg
    for one in reader(path, volume, limits=LIMITS).masks:
        assert one.mask.shape == volume.shape


def _read(path: Path) -> None:
    for facts in list_series(path, limits=LIMITS)[:2]:
        volume = read_study(path, series=facts.key, options=ReadOptions(limits=LIMITS)).volume
        assert np.isfinite(volume.voxels).all()
        assert np.isfinite(volume.voxel_to_ras).all()

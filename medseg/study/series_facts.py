"""`SeriesFacts`: what a person needs to choose a series; nothing of it names the patient."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """One readable series of an input: a DICOM series, a file, or one time point of a 4D file."""

    key: str
    """What `read_study(path, series=...)` takes."""
    format: str
    """`dicom`, `nifti`, `itk` or `picture`."""
    modality: str = "unknown"
    """DICOM's word, `unknown` where the file does not say."""
    shape: tuple[int, int, int] = (0, 0, 0)
    """Voxels along i, j and k as far as the headers tell."""
    spacing_mm: tuple[float, float, float] | None = None
    """Distances along i, j and k; None where the headers do not tell."""
    plane: str = ""
    """`axial`, `coronal` or `sagittal` for slices of a patient, else empty."""
    body_part: str = ""
    """DICOM's BodyPartExamined."""
    split_by: str = ""
    """What tells it from other parts of the same DICOM series, as `echo 2`; empty where it is whole."""
    files: int = 1
    """Files that hold it."""
    file_name: str = field(default="", repr=False)
    """Name of the file for other formats than DICOM, for a page that shows it to its own user and as another way to
    name the series. Left out of the text form and of errors: files are named after people."""
    description: str = field(default="", repr=False)
    """Free text of the scanner's user, for a page that shows it to its own user. Left out of the text form and of
    errors, and empty where it holds a word of the patient's name or number."""

    def line(self) -> str:
        """One line for a list to choose from.

        Example:
            >>> SeriesFacts(key="1.2.3", format="dicom", modality="CT", shape=(512, 512, 40)).line()
            '1.2.3: CT, 512 x 512 x 40'
        """
        parts = [self.modality, " x ".join(str(count) for count in self.shape)]
        if self.spacing_mm is not None:
            parts.append(" x ".join(f"{step:.3g}" for step in self.spacing_mm) + " mm")
        parts += [part for part in (self.plane, self.body_part, self.split_by) if part]
        return f"{self.key}: {', '.join(parts)}"

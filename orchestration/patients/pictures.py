"""Pictures of extractions, as files of the home under pseudonym and date.

Extraction.pictures -> keep (before the rows are committed) -> previews, for Dagster's UI
"""

from collections.abc import Iterable
from pathlib import Path

from oncoframe.extraction import ReadFile

_FULL, _PREVIEW = ".png", ".preview.png"


def keep(folder: Path, modality: str, reads: Iterable[ReadFile]) -> None:
    """Write the pictures of some files.

    Parameters
    ----------
    folder
        Holds a folder per modality and patient.
    modality
        Whose files they are.
    reads
        Files as they were read.
    """
    for read in reads:
        pictures = read.extraction.pictures if read.extraction else {}
        for name, picture in pictures.items():
            place = folder / modality / read.file.patient_id
            place.mkdir(parents=True, exist_ok=True)
            stem = f"{read.file.collected_on:%Y-%m-%d}.{name}"
            (place / f"{stem}{_FULL}").write_bytes(picture.png)
            (place / f"{stem}{_PREVIEW}").write_bytes(picture.preview)


def newest(folder: Path, modality: str, patient_id: str) -> dict[str, tuple[Path, Path]]:
    """Name -> newest picture of a patient in full size, and its preview."""
    found = {}
    for preview in sorted((folder / modality / patient_id).glob(f"*{_PREVIEW}")):
        stem = preview.name.removesuffix(_PREVIEW)
        found[stem.partition(".")[2]] = (preview.with_name(f"{stem}{_FULL}"), preview)
    return found

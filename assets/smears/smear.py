"""Smear of one patient, as the driver reads it: a folder of fields or a slide to one row.

Light to import: what reads images is loaded when the first folder is read.
"""

from pathlib import Path

from assets.smears.contract import CONTRACT
from oncoframe.extraction import Extraction, Optics

__all__ = ["CONTRACT", "extract"]


def extract(
    path: Path,
    *,
    reference_build: str | None,
    sample: str | None = None,
    optics: Optics | None = None,
) -> Extraction:
    """Features of the cells in the fields of a folder, or of a whole-slide image.

    Records are the fields. A field that cannot be read, or whose quality does not suffice, is left
    out and counted by its reason; the notes name it.

    Parameters
    ----------
    path
        Folder of one patient's fields in any layout, or a slide.
    reference_build, sample
        Not used: a smear has no genome, and is of one patient.
    optics
        What the samplesheet says of pixel size, stain and scanner.

    Raises
    ------
    oncoframe.errors.BadInput
        If no field can be used; :mod:`assets.smears.errors` lists why.
    """
    from assets.smears.patient import read_patient  # noqa: PLC0415  (image libraries take 1 s)

    del reference_build, sample
    return read_patient(path, optics or Optics())

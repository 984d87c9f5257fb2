"""CT of one patient, as the driver reads it: a folder to one row of features.

Light to import: what reads DICOM is loaded when the first folder is read.
"""

from pathlib import Path

from assets.imaging.contract import CONTRACT
from oncoframe.extraction import Extraction

__all__ = ["CONTRACT", "extract"]


def extract(path: Path, *, reference_build: str | None, sample: str | None = None) -> Extraction:
    """Radiomic features of the tumour in a folder of DICOM files, or of one image and its mask.

    Records are the series of the folder. Settings and the rule of the mask are those that intake
    wrote into it, see :mod:`assets.imaging.copies`; else the defaults.

    Parameters
    ----------
    path
        Folder of one patient's study, in any layout.
    reference_build
        Not used: a CT has no genome.
    sample
        Not used: a study is of one patient; the samplesheet names samples of call files only.

    Raises
    ------
    oncoframe.errors.BadInput
        If the study cannot be used; :mod:`assets.imaging.errors` lists why.
    """
    from assets.imaging.study import extract_landed  # noqa: PLC0415  (imaging libraries take 2 s)

    del reference_build, sample
    return extract_landed(path)

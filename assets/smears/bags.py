"""Fields for networks: those of the patients of a frame, found by their hash and kept as arrays.

keys -> rows of smear_features -> landed folders -> fields that were used -> <folder>/<key>/*.npy

A frame names the fields of each patient by the hash of their pixels; so what is prepared today is
what was described then, or it is refused.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from assets.landing import intake
from assets.smears.contract import CONTRACT
from assets.smears.patient import used_fields
from ml.smears.bags import FIELDS, write_bag
from oncoframe import files
from oncoframe.contracts import Modality
from oncoframe.errors import StudyError
from oncoframe.extraction import Optics
from oncoframe.lake import Lake


def prepare_bags(
    lake: Lake,
    keys: Sequence[str],
    folder: Path,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write the bags that are not in a folder yet.

    Parameters
    ----------
    keys
        Column ``fields_sha256`` of a frame, without nulls.
    folder
        One subfolder per bag.
    progress
        Called with the bags that are done, and all of them.

    Raises
    ------
    StudyError
        If the fields of a patient are no longer in the landing zone, or are not the same ones.
    """
    missing = [key for key in dict.fromkeys(keys) if not (folder / key).is_dir()]
    if not missing:
        return
    snapshot = intake.files_by_patient(intake.landed(lake), Modality.SMEAR)
    landed = {file.signature: file for some in snapshot.values() for file in some}
    rows = lake.scan(CONTRACT.table).filter(pl.col(FIELDS).is_in(missing))
    sources = dict(rows.select(FIELDS, "source_sha256").collect().iter_rows())
    for done, key in enumerate(missing):
        progress(done, len(missing))
        file = landed.get(sources.get(key, ""))
        if file is None:
            raise StudyError(
                "the fields of a patient are no longer in the landing zone",
                where=f"bag {key[:12]}",
                hint="Land them again: oncoframe run --landing DIR.",
            )
        with files.local_copy(file.path) as local:
            made = write_bag(folder, used_fields(local, file.optics or Optics()))
        if made.name != key:
            raise StudyError(
                "the fields of a patient are not those that were described",
                where=f"bag {key[:12]}",
                hint="Run 'oncoframe run', then build the frame again.",
            )
    progress(len(missing), len(missing))

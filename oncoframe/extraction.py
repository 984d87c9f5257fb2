"""What an extractor is: one landed file in, one feature row out, every record accounted for.

    LandedFile -> extract -> Extraction

The seam between the science (``assets/<stage>/*.py``) and the per-patient driver. Pure: values
only, all of them picklable, so that an extractor runs in a worker process.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from oncoframe.contracts import Status
from oncoframe.errors import NothingUsable

#: A scalar feature value; None where the file does not say.
FeatureValue = float | int | bool | str | None


@dataclass(frozen=True)
class LandedFile:
    """One row of the samplesheet, with the hash of its file.

    Parameters
    ----------
    path
        Local path or ``s3://`` address; empty unless the assay was performed.
    collected_on
        Specimen or scan date, UTC; becomes the row's ``event_timestamp``.
    sha256
        Hash of the file (of a folder: of its sorted names and hashes); of the row's own text
        where there is no file.
    sample
        Sample to read in a file of several; None where there is nothing to choose.
    """

    patient_id: str
    modality: str
    path: str
    collected_on: datetime
    status: Status
    reference_build: str | None
    tool: str | None
    site: str | None
    sha256: str
    sample: str | None = None

    @property
    def signature(self) -> str:
        """What :func:`signed` makes of the hash that intake saw."""
        return signed(self.sha256, self.sample)


def signed(digest: str, sample: str | None) -> str:
    """Hash that the row of a file carries: of its bytes, and of the sample if one is named.

    Another sample of the same file is another source; without a named one it is the hash of the
    bytes alone.
    """
    if sample is None:
        return digest
    return hashlib.sha256(f"{digest} {sample}".encode()).hexdigest()


@dataclass(frozen=True)
class BlockValues:
    """Named values of a wide block for one patient.

    Parameters
    ----------
    names
        Position names (gene symbols or Ensembl ids), unique within the patient.
    values : (len(names),) array of float32
        Their values, in the unit of the block.
    checked
        True where the names are known to be unique and not null; asking takes as long as a third of
        reading a table of 60,000 genes.
    """

    names: pl.Series
    values: np.ndarray
    checked: bool = False

    def __post_init__(self) -> None:
        if len(self.names) != len(self.values):
            msg = f"a block has {len(self.values)} values for {len(self.names)} names"
            raise ValueError(msg)
        if self.checked:
            return
        if self.names.null_count() or self.names.n_unique() < len(self.names):
            msg = "names of a block must be unique and not null"
            raise ValueError(msg)


@dataclass(frozen=True)
class Picture:
    """A picture by which a person judges an extraction; nobody's name is in it.

    Parameters
    ----------
    png
        The picture, for a file.
    preview
        The same as a PNG of few kilobytes, for the event log.
    """

    png: bytes
    preview: bytes


@dataclass(frozen=True)
class Facts:
    """What a person needs to trust a row, beside its features and the account of its records.

    Parameters
    ----------
    callers
        Tools that made the file, as its header or its columns name them, with their versions where
        it gives them.
    build, build_source
        Genome build that genes and places were looked up in, and how it was known: ``declared``
        (by the samplesheet or the command line), ``contigs``, ``header`` or ``assumed``.
    region, region_rule
        Structure of a picture that is described, and how it was chosen.
    measures
        Name -> number by which a file can be held against those of other patients, see
        :mod:`ml.drift.outliers`.
    """

    callers: tuple[str, ...] = ()
    build: str | None = None
    build_source: str | None = None
    region: str | None = None
    region_rule: str | None = None
    measures: Mapping[str, float] = field(default_factory=dict)


def named_build(
    reference_build: str | None, build: str | None, otherwise: str = "contigs"
) -> tuple[str | None, str | None]:
    """``build`` and ``build_source`` of :class:`Facts`, for a build that may not be known.

    Parameters
    ----------
    reference_build
        Build that was declared.
    build
        Build that was used.
    otherwise
        How it was known if none was declared.
    """
    if build is None:
        return None, None
    return build, "declared" if reference_build else otherwise


@dataclass(frozen=True)
class Extraction:
    """Features of one file and the account of its records.

    ``records == used + sum(filtered.values()) + sum(failed.values())`` always holds.

    Parameters
    ----------
    records
        Records (variants, genes, fusion calls) in the file.
    used
        Records that count towards at least one feature.
    filtered
        Reason -> number of records left out by a documented rule.
    failed
        Reason -> number of records that could not be read though the file as a whole can.
    features
        Domain name -> value, for every feature of the contract.
    blocks
        Block name -> named values, for every block of the contract; None where the file cannot
        tell (variants without gene annotation), which is not a vector of zeros.
    pictures
        Name -> what a person looks at first; shown beside the row, not stored in it.
    annotation_version
        Reference annotation that genes and bands were looked up in, with its build; None where
        the reader needs none.
    notes
        Name -> what else the file tells (JSON values); shown beside the row, not stored in it.
    sample
        Sample that was read, as the file names it; None where it names none.
    facts
        What else a person needs to trust the row.
    """

    records: int
    used: int
    filtered: dict[str, int]
    failed: dict[str, int]
    features: dict[str, FeatureValue]
    blocks: dict[str, BlockValues | None] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    annotation_version: str | None = None
    sample: str | None = None
    facts: Facts = field(default_factory=Facts)

    def __post_init__(self) -> None:
        accounted = self.used + sum(self.filtered.values()) + sum(self.failed.values())
        if accounted != self.records:
            msg = f"{self.records} records, but used, filtered and failed add up to {accounted}"
            raise ValueError(msg)

    @property
    def share_used(self) -> float | None:
        """Share of the records that count; None for a file without records."""
        return self.used / self.records if self.records else None


def names_called(blocks: Iterable[BlockValues | None]) -> dict[str, float]:
    """Measure ``genes`` of :class:`Facts`: different names with a value other than zero.

    Empty where no block tells.
    """
    told = [block for block in blocks if block is not None]
    if not told:
        return {}
    called = pl.concat([block.names.filter(np.nan_to_num(block.values) != 0) for block in told])
    return {"genes": float(called.n_unique())}


def refuse_nothing_usable(found: Extraction, path: Path, silent: Collection[str]) -> Extraction:
    """Refuse a file with records of which none says anything; otherwise return what was found.

    A record that a rule left out after looking at it (the caller does not believe it) is an
    answer; one that could not be read, or is of another kind, is none. Without a single answer
    "nothing was found" would be a result that nobody measured.

    Parameters
    ----------
    silent
        Reasons of the account for which a record says nothing.

    Raises
    ------
    NothingUsable
        If there are records, and every one is left out for such a reason.
    """
    reasons = {**found.filtered, **found.failed}
    if "no_call" in reasons:
        # These are of the site: beside no-calls they say nothing of this sample either.
        silent = {*silent, "filter_not_pass", "not_somatic"}
    mute = sum(number for reason, number in reasons.items() if reason in silent)
    if found.records and mute == found.records:
        listed = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        raise NothingUsable(
            "no record of the file can be used",
            where=str(path),
            expected="at least one that this assay can read",
            got=listed,
        )
    return found


@dataclass(frozen=True)
class ReadFile:
    """One file as read: its :func:`signed` hash, what it holds (None: assay failed)."""

    file: LandedFile
    sha256: str
    extraction: Extraction | None


class Extractor(Protocol):
    """A pure function from a local file or folder to its features.

    Raises
    ------
    oncoframe.errors.BadInput
        If the file as a whole is not what its row says.
    oncoframe.errors.Unavailable
        If it could not be read this time.
    """

    def __call__(
        self, path: Path, *, reference_build: str | None, sample: str | None = None
    ) -> Extraction:
        """Features of the file at ``path``; of one sample, where it holds several."""
        ...

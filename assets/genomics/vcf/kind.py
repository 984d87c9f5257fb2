"""What a VCF is a file of: small variants, structural variants or copy numbers.

    header -> declared_kind; records of other kinds -> refuse_other_kind

The three are all VCF, and a reader finds nothing of its own in a file of another; "nothing found"
is then no result.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import polars as pl

from assets.genomics.vcf.header import VcfHeader
from oncoframe.errors import WrongFormat

#: Share of the records with an alternate from which a file is of their kind.
MOSTLY = 0.8
#: Bases from which a change of sequence is structural.
MIN_EVENT_BP = 50


class Kind(StrEnum):
    """What the records of a VCF are."""

    SMALL = "small variants"
    STRUCTURAL = "structural variants"
    COPY_NUMBER = "copy numbers"


#: Keys that callers of one kind declare and those of the others do not: (section, key).
_KEYS = {
    Kind.SMALL: (
        *(("FORMAT", key) for key in ("AD", "AF", "VAF", "FREQ", "FA", "AU", "TAR", "RO", "NV",
                                      "DP4")),
        *(("INFO", key) for key in ("TLOD", "SOMATIC_SNV", "QSS", "QSI")),
    ),
    Kind.STRUCTURAL: tuple(("INFO", key) for key in ("SVTYPE", "MATEID", "CIPOS", "CIEND")),
    Kind.COPY_NUMBER: (
        *(("FORMAT", key) for key in ("CN", "MCN", "SM", "RDCN", "BC")),
        *(("INFO", key) for key in ("FOLD_CHANGE", "FOLD_CHANGE_LOG", "natorRD", "TCN_EM")),
    ),
}  # fmt: skip


def declares(header: VcfHeader, kind: Kind) -> bool:
    """Whether a header declares keys that only callers of a kind write."""
    return any(header.declares(section, key) is not None for section, key in _KEYS[kind])


def declared_kind(header: VcfHeader) -> Kind | None:
    """The one kind whose keys a header declares; None if none or several."""
    found = [kind for kind in Kind if declares(header, kind)]
    return found[0] if len(found) == 1 else None


def kind_of_events(header: VcfHeader) -> Kind:
    """Kind of a file of symbolic alleles: copy numbers if the header declares them."""
    return Kind.COPY_NUMBER if declares(header, Kind.COPY_NUMBER) else Kind.STRUCTURAL


def is_small() -> pl.Expr:
    """Whether records of :func:`assets.genomics.vcf.events.read_events` change few bases."""
    is_sequence = pl.col("alt").str.contains("^[ACGTUNacgtun,]+$")
    change = (pl.col("alt_length") - pl.col("ref_length")).abs()
    return is_sequence & (change < MIN_EVENT_BP)


def refuse_other_kind(
    path: Path, header: VcfHeader, expected: Kind, others: Mapping[Kind, int], records: int
) -> None:
    """Refuse a file that is overwhelmingly of another kind.

    Parameters
    ----------
    others
        Other kind -> its records.
    records
        Records with an alternate allele; without any, the header decides.

    Raises
    ------
    WrongFormat
        If at least :data:`MOSTLY` of the records are of one other kind, or there are none and the
        header declares only keys of another.
    """
    if records:
        seems = next((kind for kind, n in others.items() if n >= MOSTLY * records), None)
    else:
        seems = declared_kind(header)
    if seems is not None and seems is not expected:
        raise WrongFormat(
            f"this is no file of {expected}",
            where=str(path),
            expected=expected,
            got=f"what seems to be {seems}",
            hint="Give it as another modality.",
        )

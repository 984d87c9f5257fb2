"""Which column of a VCF is the tumour.

    header -> tumour_sample -> index of the column -> same_specimen -> columns of other callers

What a header says of its samples stands here, in the order of its certainty; names and the refusal
of several are those of :mod:`oncoframe.samples`. A merge of several callers has a column of the
tumour for each of them.
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from assets.genomics.vcf.header import VcfHeader
from oncoframe.samples import likely_tumours, one_sample, specimen

#: Most columns of one specimen that are read beside the first.
MAX_MERGED = 16

_SAMPLE_KEYS = re.compile(r"##(?:tumor|tumour)_sample(?:_name)?=(.+)", re.IGNORECASE)
_NORMAL_KEY = re.compile(r"##normal_sample(?:_name)?=(.+)", re.IGNORECASE)
_DERIVED = re.compile(r"##PEDIGREE=<(?:ID|Derived)=([^,>]+),Original=([^,>]+)")
#: A pair of the Hartwig pipeline: ``COLO829R`` the reference, ``COLO829T`` the tumour.
_PAIR = re.compile(r"(?P<stem>.+)[RT]")


def tumour_sample(header: VcfHeader, path: Path, wanted: str | None = None) -> int:
    """Index of the tumour among the samples.

    In this order: the one that the row names; ``##tumor_sample`` (Mutect2) or what
    ``##normal_sample`` leaves; ``##PEDIGREE`` Derived; names and ``##SAMPLE`` metadata that say
    tumour or do not say normal (RNA after DNA, TCGA barcodes by their sample type); the second of
    Manta's pair and of a Hartwig pair.

    Raises
    ------
    MissingSample
        If the named one is not there, or all are normal.
    AmbiguousSample
        If several may be meant.
    """
    samples = header.samples
    candidates = _derived(header) or _second_of_pair(header, _by_names(header))
    return samples.index(one_sample(samples, wanted, path, candidates))


def same_specimen(header: VcfHeader, sample: int) -> tuple[int, ...]:
    """Other columns of the specimen of a column, which a merge of callers names after it."""
    base = specimen(header.samples[sample])
    others = (
        index
        for index, name in enumerate(header.samples)
        if index != sample and specimen(name) == base
    )
    return tuple(itertools.islice(others, MAX_MERGED))


def _derived(header: VcfHeader) -> list[str]:
    """Samples that the header calls tumour."""
    named = _named(header, _SAMPLE_KEYS)
    return named or _named(header, _DERIVED)


def _by_names(header: VcfHeader) -> list[str]:
    normals = _named(header, _NORMAL_KEY)
    others = [name for name in header.samples if name not in normals]
    return likely_tumours(others, _sample_texts(header.meta))


def _second_of_pair(header: VcfHeader, candidates: Sequence[str]) -> Sequence[str]:
    if len(header.samples) != 2 or len(candidates) != 2:  # noqa: PLR2004  # a pair
        return candidates
    first, second = candidates
    stems = {match["stem"] for name in candidates if (match := _PAIR.fullmatch(name))}
    if len(stems) == 1 and first[-1] + second[-1] in ("RT", "TR"):
        return [name for name in candidates if name.endswith("T")]
    # Manta user guide: of a tumour and its normal, the normal stands first.
    return candidates[1:] if header.declares("INFO", "SOMATICSCORE") else candidates


def _named(header: VcfHeader, pattern: re.Pattern[str]) -> list[str]:
    """Samples that meta lines of a pattern name."""
    named = {match[1].strip() for line in header.meta if (match := pattern.match(line))}
    return [name for name in header.samples if name in named]


def _sample_texts(meta: tuple[str, ...]) -> dict[str, str]:
    """What the ``##SAMPLE`` lines say of each sample."""
    lines = (line for line in meta if line.startswith("##SAMPLE=<ID="))
    pairs = (line.removeprefix("##SAMPLE=<ID=").partition(",") for line in lines)
    return {name: text for name, _, text in pairs}

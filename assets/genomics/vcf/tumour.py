"""Which column of a VCF is the tumour.

    header -> tumour_sample -> index of the column -> same_specimen -> columns of other callers

Callers name and order their samples differently; the rules stand in the order of their certainty.
A merge of several callers has a column of the tumour for each of them.
"""

import itertools
import re

from assets.genomics.vcf.records import VcfHeader

#: Most columns of one specimen that are read beside the first.
MAX_MERGED = 16

_TUMOUR = re.compile(
    r"tumou?r|cancer|primary|metasta|relapse|leuk(a)?emi|malignan|diagnosis|blast"
    r"|^case$|^t$|[-_.]t$|TCGA-\w{2}-\w{4}-0\d",
    re.IGNORECASE,
)
_NORMAL = re.compile(
    r"(?<!ab)normal|germ_?line|control|remission|fibroblast|saliva|buccal|skin|^n$|[-_.]n$"
    r"|TCGA-\w{2}-\w{4}-1\d",
    re.IGNORECASE,
)
_RNA = re.compile(r"(^|[-_.])rna", re.IGNORECASE)
_SAMPLE_KEYS = re.compile(r"##(?:tumor|tumour)_sample(?:_name)?=(.+)", re.IGNORECASE)
_NORMAL_KEY = re.compile(r"##normal_sample(?:_name)?=(.+)", re.IGNORECASE)
#: What a merge adds to the name of a sample: ``2:TUMOR`` (BCFtools), ``TUMOR.mutect2`` (GATK).
_MERGED = re.compile(
    r"^\d{1,3}:|[-_.:](mutect|mutect2|strelka|strelka2|varscan|varscan2|vardict|lofreq|muse|radia"
    r"|somaticsniper|sniper|pindel|freebayes|dragen|tnscope|octopus|platypus|scalpel|lancet|caveman"
    r"|gatk|deepvariant|deepsomatic|clairs)(_?(snvs?|indels?))?$",
    re.IGNORECASE,
)
_DERIVED = re.compile(r"##PEDIGREE=<(?:ID|Derived)=([^,>]+),Original=([^,>]+)")


def tumour_sample(header: VcfHeader) -> int:
    """Index of the tumour among the samples.

    In this order: the only sample; ``##tumor_sample`` (Mutect2) or the other one of
    ``##normal_sample``; ``##PEDIGREE`` Derived; ``##SAMPLE`` metadata that says tumour; the only
    name that says tumour or that does not say normal (RNA after DNA, TCGA barcodes by their
    sample type); the last column, which is the tumour in VarScan, Strelka and Manta.
    """
    samples = header.samples
    if len(samples) == 1:
        return 0
    named = {
        key: _last_match(pattern, header.meta)
        for key, pattern in (("tumour", _SAMPLE_KEYS), ("normal", _NORMAL_KEY))
    }
    if named["tumour"] in samples:
        return samples.index(named["tumour"])
    if named["normal"] in samples and len(samples) == 2:  # noqa: PLR2004  # a pair
        return 1 - samples.index(named["normal"])
    for line in header.meta:
        if (match := _DERIVED.match(line)) and match[1] in samples:
            return samples.index(match[1])
    told = _sample_texts(header.meta)
    tumours = [name for name in samples if _says(_TUMOUR, name, told)]
    tumours = [name for name in tumours if not _NORMAL.search(name)] or tumours
    not_normal = [name for name in samples if not _says(_NORMAL, name, told)]
    for candidates in (tumours, not_normal):
        from_dna = [name for name in candidates if not _RNA.search(name)] or candidates
        if len(from_dna) == 1:
            return samples.index(from_dna[0])
    last = (tumours or not_normal or list(samples))[-1]
    return samples.index(last)


def same_specimen(header: VcfHeader, sample: int) -> tuple[int, ...]:
    """Other columns of the specimen of a column, which a merge of callers names after it."""
    base = _MERGED.sub("", header.samples[sample])
    others = (
        index
        for index, name in enumerate(header.samples)
        if index != sample and _MERGED.sub("", name) == base
    )
    return tuple(itertools.islice(others, MAX_MERGED))


def _last_match(pattern: re.Pattern[str], meta: tuple[str, ...]) -> str | None:
    matches = [match[1].strip() for line in meta if (match := pattern.match(line))]
    return matches[-1] if matches else None


def _sample_texts(meta: tuple[str, ...]) -> dict[str, str]:
    """What the ``##SAMPLE`` lines say of each sample."""
    lines = (line for line in meta if line.startswith("##SAMPLE=<ID="))
    pairs = (line.removeprefix("##SAMPLE=<ID=").partition(",") for line in lines)
    return {name: text for name, _, text in pairs}


def _says(pattern: re.Pattern[str], name: str, told: dict[str, str]) -> bool:
    return bool(pattern.search(name) or pattern.search(told.get(name, "")))
